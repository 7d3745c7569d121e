//! Directed links between nodes: delay, loss, repetition, reordering, cuts.

use bytes::Bytes;

use crate::dice::Dice;

/// Messages that a cut link keeps, to be delivered after it is mended.
const HELD_MAX: usize = 100;

/// How a link treats messages. Times in microseconds, chances in a thousandth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quality {
    /// Shortest delay.
    pub delay_min: u64,
    /// Longest usual delay.
    pub delay_max: u64,
    /// Chance that a message is lost.
    pub loss: u64,
    /// Chance that a message arrives twice.
    pub repeat: u64,
    /// Chance that a message is late by up to five seconds.
    pub late: u64,
    /// Whether messages may overtake one another.
    pub reorder: bool,
}

#[derive(Debug)]
struct Link {
    usual: Quality,
    now: Quality,
    cuts: u32,
    hold: bool,
    held: Vec<Bytes>,
    last: u64,
}

/// All links.
#[derive(Debug)]
pub struct Network {
    nodes: usize,
    links: Vec<Link>,
}

impl Network {
    /// A network of `nodes`; `usual` gives each directed link's quality.
    pub fn new(nodes: usize, mut usual: impl FnMut() -> Quality) -> Self {
        let link = |usual| Link { usual, now: usual, cuts: 0, hold: false, held: Vec::new(), last: 0 };
        Self { nodes, links: (0..nodes * nodes).map(|_| link(usual())).collect() }
    }

    fn link(&mut self, from: usize, to: usize) -> &mut Link {
        &mut self.links[from * self.nodes + to]
    }

    /// Whether a message sent now would get through, chance aside.
    #[must_use]
    pub fn is_open(&self, from: usize, to: usize) -> bool {
        from == to || self.links[from * self.nodes + to].cuts == 0
    }

    /// Sends a message: the times at which copies of it arrive.
    pub fn send(&mut self, now: u64, from: usize, to: usize, bytes: &Bytes, dice: &mut Dice) -> [Option<u64>; 2] {
        let link = self.link(from, to);
        if link.cuts > 0 {
            if link.hold && link.held.len() < HELD_MAX {
                link.held.push(bytes.clone());
            }
            return [None, None];
        }
        let quality = link.now;
        if quality.loss > 0 && dice.chance(quality.loss) {
            return [None, None];
        }
        let mut arrives = now + dice.between(quality.delay_min, quality.delay_max);
        if quality.late > 0 && dice.chance(quality.late) {
            arrives += dice.below(5_000_000);
        } else if !quality.reorder {
            arrives = arrives.max(link.last);
            link.last = arrives;
        }
        let again = quality.repeat > 0 && dice.chance(quality.repeat);
        let behind = if again && dice.chance(200) { 3_000_000 } else { 20_000 };
        let again = again.then(|| arrives + dice.below(behind));
        [Some(arrives), again]
    }

    /// Cuts one direction; cuts of one link add up.
    pub fn cut(&mut self, from: usize, to: usize, hold: bool) {
        let link = self.link(from, to);
        link.cuts += 1;
        link.hold = hold;
    }

    /// Takes back one cut; returns what was held and is to be delivered late.
    pub fn mend(&mut self, from: usize, to: usize) -> Vec<Bytes> {
        let link = self.link(from, to);
        link.cuts = link.cuts.saturating_sub(1);
        if link.cuts == 0 { std::mem::take(&mut link.held) } else { Vec::new() }
    }

    /// Takes back all cuts of a link.
    pub fn mend_all(&mut self, from: usize, to: usize) -> Vec<Bytes> {
        let link = self.link(from, to);
        link.cuts = 0;
        std::mem::take(&mut link.held)
    }

    /// Sets how a link treats messages; `None` for as usual.
    pub fn set(&mut self, from: usize, to: usize, quality: Option<Quality>) {
        let link = self.link(from, to);
        link.now = quality.unwrap_or(link.usual);
    }

    /// How a link usually treats messages.
    #[must_use]
    pub fn usual(&self, from: usize, to: usize) -> Quality {
        self.links[from * self.nodes + to].usual
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Quality = Quality { delay_min: 5, delay_max: 900, loss: 0, repeat: 0, late: 0, reorder: false };

    #[test]
    fn a_plain_link_keeps_the_order_and_a_cut_one_keeps_messages_back() {
        let (mut network, mut dice) = (Network::new(2, || PLAIN), Dice::new(1));
        let bytes = Bytes::from_static(b"m");
        let mut last = 0;
        for now in 0..100 {
            let [Some(arrives), None] = network.send(now, 0, 1, &bytes, &mut dice) else { panic!("lost") };
            assert!(arrives >= last);
            last = arrives;
        }
        network.cut(0, 1, true);
        assert_eq!(network.send(0, 0, 1, &bytes, &mut dice), [None, None]);
        assert!(network.is_open(1, 0) && !network.is_open(0, 1));
        assert_eq!(network.mend(0, 1).len(), 1);
        assert!(network.is_open(0, 1));
    }
}
