//! Ambushes: faults that strike when a view change comes to a certain point, which no schedule would hit.

use precede_core::wire::message::Message;

use crate::faults::{Ambush, Blow, Fault, Moment};
use crate::mix::Mix;
use crate::queue::Event;
use crate::trace::letter;
use crate::world::{MILLISECOND, SECOND, World};

/// Time between a moment and the blow at most. What is sent at the moment may arrive before or not.
const AFTER_MAX: u64 = 5 * MILLISECOND;

impl World {
    /// The point of a view change that a message stands for.
    pub(super) fn moment_of(&self, body: &Message) -> Option<Moment> {
        match body {
            _ if self.ambush.is_none() => None,
            Message::Prepare(_) => Some(Moment::Asked),
            Message::Prepared(_) => Some(Moment::Promised),
            Message::Views(news) if news.current.id.epoch > 0 => Some(Moment::Told),
            Message::SyncPull(pull) if pull.legacy.is_some() => Some(Moment::Pulled),
            Message::SyncChunk(chunk) if chunk.legacy.is_some() => Some(Moment::Given),
            _ => None,
        }
    }

    /// A view change comes to a point at a node, with another one.
    pub(super) fn pass(&mut self, moment: Moment, at: usize, other: usize) {
        let early = self.now + 2 * SECOND < self.heal_at;
        let Some(ambush) = self.ambush.filter(|ambush| ambush.moment == moment && early) else { return };
        self.ambush = None;
        let node = if ambush.other { other } else { at };
        let strikes = self.now + self.dice.below(AFTER_MAX);
        if self.trace.is_on() {
            self.trace
                .line(self.now, format_args!("** {moment:?} at {}: {:?} of {}", letter(at), ambush.blow, letter(node)));
        }
        if self.mix.has_single_crashes_only() {
            self.queue.push(strikes, Event::CrashSingle(node));
            return;
        }
        let ends = strikes + ambush.lasts;
        match ambush.blow {
            Blow::Crash => {
                self.queue.push(strikes, Event::Enact(Fault::Crash(node)));
                self.queue.push(ends, Event::Enact(Fault::Restart { node, skew_ms: None }));
            }
            Blow::Pause => {
                self.queue.push(strikes, Event::Enact(Fault::Pause(node)));
                self.queue.push(ends, Event::Enact(Fault::Resume(node)));
            }
            Blow::CutOff { hold } => {
                for peer in (0..self.machines.len()).filter(|peer| *peer != node) {
                    for (from, to) in [(node, peer), (peer, node)] {
                        self.queue.push(strikes, Event::Enact(Fault::Cut { from, to, hold }));
                        self.queue.push(ends, Event::Enact(Fault::Mend { from, to }));
                    }
                }
            }
        }
    }

    /// The same, with any other node.
    pub(super) fn pass_by_chance(&mut self, moment: Moment, at: usize) {
        if self.ambush.is_some() {
            let other = self.dice.index(self.machines.len());
            self.pass(moment, at, other);
        }
    }

    /// The next crash of a mix with one at a time: at some time soon, or when a view change comes to some point.
    pub(super) fn plan_single(&mut self) {
        self.crash_planned = true;
        if self.mix == Mix::ViewSingle && self.dice.chance(600) {
            self.ambush = Some(Ambush::draw(&mut self.dice));
            return;
        }
        let node = self.dice.index(self.machines.len());
        let at = self.now + self.dice.below(1_500 * MILLISECOND);
        self.queue.push(at, Event::CrashSingle(node));
    }

    /// What an ambush has begun and not ended by then is ended with all other faults.
    pub(super) fn enact_late(&mut self, fault: Fault) {
        if self.now < self.heal_at {
            self.enact(fault);
        }
    }
}

impl Ambush {
    /// Draws one.
    pub fn draw(dice: &mut crate::dice::Dice) -> Self {
        let blow = match dice.below(4) {
            0 | 1 => Blow::Crash,
            2 => Blow::Pause,
            _ => Blow::CutOff { hold: dice.chance(400) },
        };
        let lasts = if dice.chance(300) { dice.between(1_000, 60_000) } else { dice.wait(2 * SECOND) };
        Self { moment: *dice.pick(&Moment::ALL), blow, other: dice.chance(500), lasts }
    }
}
