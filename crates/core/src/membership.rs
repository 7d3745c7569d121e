//! The failure detector: SWIM (the `foca` library) between all nodes of a cluster.
//!
//! Its word is a hint. It steers where requests are routed and whether it is worth to wait; nothing that must be
//! correct depends on it.
//!
//! A run of a node goes by its node and a boot number, of which the greater wins: a node that was declared down comes
//! back under the next number. `foca` alone would leave three situations to time, so this module adds:
//!
//! - Nodes that are not active are announced to, one a second. Two halves of a healed partition find each other even
//!   if each half is a single node, for which `foca` falls silent.
//! - A node that is addressed under a boot number above its own (its wall clock was set back between two runs) moves
//!   past that number. Its peers would ignore it for a day otherwise.
//! - A node that has just come back ignores further news of its death for a second, so that the two sides of such a
//!   misunderstanding do not answer each other at the speed of the network.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use bytes::Bytes;
use foca::{Config, Foca, Header, Message, NoCustomBroadcast, Notification, PeriodicParams, PostcardCodec, Timer};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::id::NodeId;
use crate::time::Instant;

/// Bytes of a packet: fits an Ethernet frame, and bounds what one packet can teach.
const PACKET_BYTES_MAX: NonZeroUsize = NonZeroUsize::new(1400).expect("not zero");

/// Members that a new node announces itself to at once. The others follow, one a second, unless gossip is faster.
const ANNOUNCED_AT_START: usize = 8;

/// Between two announcements to nodes that are not active.
const ANNOUNCE_EVERY: Duration = Duration::from_secs(1);

/// Between two announcements that `foca` makes to a node that is down: reaches nodes outside the view.
const ANNOUNCE_DOWN_EVERY: Duration = Duration::from_secs(10);

/// How long a node that came back under a new boot number ignores that it is thought down.
const REJOIN_PAUSE: Duration = Duration::from_secs(1);

/// What the failure detector found out. A node that restarts too fast to be missed is no change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The node was heard of, for the first time or after it was down.
    Up(NodeId),
    /// The node does not answer, neither directly nor through others.
    Down(NodeId),
}

/// Why a packet was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PacketError {
    /// More bytes than any node sends.
    #[error("packet of {0} bytes is larger than {PACKET_BYTES_MAX}")]
    TooBig(usize),
    /// Not a packet of the failure detector.
    #[error("packet is malformed")]
    Malformed,
    /// Its sender claims to be this node, or it took a way that leads to this node through itself.
    #[error("packet claims to come from this node")]
    FromOurselves,
}

/// One run of a node, as the failure detector names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Identity {
    node: NodeId,
    boot: u64,
}

impl foca::Identity for Identity {
    type Addr = NodeId;

    fn renew(&self) -> Option<Self> {
        self.boot.checked_add(1).map(|boot| Self { boot, ..*self })
    }

    fn addr(&self) -> NodeId {
        self.node
    }

    fn win_addr_conflict(&self, adversary: &Self) -> bool {
        self.boot > adversary.boot
    }
}

/// What `foca` asks for: packets to send, timers to run, changes to tell.
#[derive(Debug)]
struct Outbox {
    me: NodeId,
    now: Instant,
    /// Timers set so far; orders those that are due at the same time.
    timers_set: u64,
    timers: BTreeMap<(Instant, u64), Timer<Identity>>,
    packets: Vec<(NodeId, Bytes)>,
    changes: Vec<Change>,
    down: BTreeSet<NodeId>,
    rejoined_at: Option<Instant>,
}

impl Outbox {
    fn new(me: NodeId, now: Instant) -> Self {
        Self {
            me,
            now,
            timers_set: 0,
            timers: BTreeMap::new(),
            packets: Vec::new(),
            changes: Vec::new(),
            down: BTreeSet::new(),
            rejoined_at: None,
        }
    }

    fn next_due(&mut self) -> Option<Timer<Identity>> {
        let first = self.timers.first_entry()?;
        (first.key().0 <= self.now).then(|| first.remove())
    }

    fn change(&mut self, change: Change) {
        match change {
            Change::Up(node) => self.down.remove(&node),
            Change::Down(node) => self.down.insert(node),
        };
        self.changes.push(change);
    }

    fn rejoined_just_now(&self) -> bool {
        self.rejoined_at.is_some_and(|at| self.now.since(at) < REJOIN_PAUSE)
    }
}

impl foca::Runtime<Identity> for Outbox {
    fn notify(&mut self, notification: Notification<'_, Identity>) {
        match notification {
            Notification::MemberUp(id) if id.node != self.me => self.change(Change::Up(id.node)),
            Notification::MemberDown(id) if id.node != self.me => self.change(Change::Down(id.node)),
            Notification::Rejoin(_) => self.rejoined_at = Some(self.now),
            Notification::MemberUp(_)
            | Notification::MemberDown(_)
            | Notification::Rename(..)
            | Notification::Active
            | Notification::Idle
            | Notification::Defunct => {}
        }
    }

    /// Earlier runs of this node are kept as members that are down, hence there may be packets to itself.
    fn send_to(&mut self, to: Identity, data: &[u8]) {
        if to.node != self.me {
            self.packets.push((to.node, Bytes::copy_from_slice(data)));
        }
    }

    fn submit_after(&mut self, event: Timer<Identity>, after: Duration) {
        self.timers_set += 1;
        self.timers.insert((self.now + after, self.timers_set), event);
    }
}

/// The failure detector of one node.
pub struct Membership {
    foca: Foca<Identity, PostcardCodec, ChaCha8Rng, NoCustomBroadcast>,
    outbox: Outbox,
    /// The other members of the view, in the order in which they are announced to.
    others: VecDeque<NodeId>,
    announce_at: Instant,
}

impl Membership {
    /// Starts to look for `members`, all members of the view; `me` is not among them if it is a spare.
    ///
    /// `boot` tells runs of one node apart and should grow from run to run. `seed` is where all randomness comes from.
    #[must_use]
    pub fn new(me: NodeId, boot: u64, seed: u64, members: &[NodeId], now: Instant) -> Self {
        let others = ring_after(me, members);
        let rng = ChaCha8Rng::seed_from_u64(seed);
        let mut membership = Self {
            foca: Foca::new(Identity { node: me, boot }, config(others.len() + 1), rng, PostcardCodec),
            outbox: Outbox::new(me, now),
            others,
            announce_at: now + ANNOUNCE_EVERY,
        };
        for _ in 0..ANNOUNCED_AT_START.min(membership.others.len()) {
            membership.announce_to_next();
        }
        membership
    }

    /// From now on these are the members to look for.
    pub fn look_for(&mut self, members: &[NodeId]) {
        self.others = ring_after(self.outbox.me, members);
    }

    /// Takes in a packet of the failure detector from a peer.
    ///
    /// # Errors
    /// [`PacketError`] tells why the packet was dropped.
    pub fn on_packet(&mut self, now: Instant, packet: &[u8]) -> Result<(), PacketError> {
        self.outbox.now = now;
        if packet.len() > PACKET_BYTES_MAX.get() {
            return Err(PacketError::TooBig(packet.len()));
        }
        let (header, _) = postcard::take_from_bytes::<Header<Identity>>(packet).map_err(|_| PacketError::Malformed)?;
        if header.src.node == self.outbox.me {
            return Err(PacketError::FromOurselves);
        }
        if header.message == Message::TurnUndead && self.outbox.rejoined_just_now() {
            return Ok(());
        }
        self.outrun(header.dst);
        self.foca.handle_data(packet, &mut self.outbox).map_err(|error| match error {
            foca::Error::DataTooBig => PacketError::TooBig(packet.len()),
            foca::Error::DataFromOurselves | foca::Error::IndirectForOurselves => PacketError::FromOurselves,
            _ => PacketError::Malformed,
        })
    }

    /// Runs timers that are due.
    pub fn on_tick(&mut self, now: Instant) {
        self.outbox.now = now;
        while let Some(timer) = self.outbox.next_due() {
            // It fails only for timers that were lost or made up, and recovers by itself.
            let _ = self.foca.handle_timer(timer, &mut self.outbox);
        }
        if now >= self.announce_at {
            self.announce_at = now + ANNOUNCE_EVERY;
            self.announce_to_next();
        }
    }

    /// Earliest time at which [`Self::on_tick`] has work to do.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        let timer = self.outbox.timers.first_key_value().map(|((at, _), _)| *at);
        Some(timer.map_or(self.announce_at, |at| at.min(self.announce_at)))
    }

    /// Packets to send, in order, since the last call.
    pub fn take_packets(&mut self) -> Vec<(NodeId, Bytes)> {
        std::mem::take(&mut self.outbox.packets)
    }

    /// What was found out, in order, since the last call.
    pub fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.outbox.changes)
    }

    /// Whether the node is thought to be up. One that was never heard of counts as up.
    #[must_use]
    pub fn is_up(&self, node: NodeId) -> bool {
        !self.outbox.down.contains(&node)
    }

    /// Announces this node to the next one that is not active, if there is any.
    fn announce_to_next(&mut self) {
        let active: BTreeSet<NodeId> = self.foca.iter_members().map(|member| member.id().node).collect();
        let Some(next) = self.others.iter().position(|node| !active.contains(node)) else { return };
        self.others.rotate_left(next + 1);
        if let Some(node) = self.others.back() {
            let to = self.last_known(*node);
            // It fails only if the header is larger than a packet may be.
            let _ = self.foca.announce(to, &mut self.outbox);
        }
    }

    /// The newest run of a node that was heard of. An announcement reaches any run; this one tells a run that has an
    /// older number about the newer one.
    fn last_known(&self, node: NodeId) -> Identity {
        let mut known = self.foca.iter_membership_state().map(|member| *member.id());
        known.find(|id| id.node == node).unwrap_or(Identity { node, boot: 0 })
    }

    /// Moves past the boot number under which this node is addressed, if that is greater than its own.
    fn outrun(&mut self, addressed: Identity) {
        let mine = *self.foca.identity();
        if addressed.node != mine.node || addressed.boot <= mine.boot {
            return;
        }
        if let Some(next) = foca::Identity::renew(&addressed) {
            self.outbox.rejoined_at = Some(self.outbox.now);
            // It fails only for an identity that is the same, which `next` is not.
            let _ = self.foca.change_identity(next, &mut self.outbox);
        }
    }
}

impl fmt::Debug for Membership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Membership")
            .field("identity", self.foca.identity())
            .field("active", &self.foca.num_members())
            .field("down", &self.outbox.down)
            .finish_non_exhaustive()
    }
}

/// The members other than `me`, in the order of a ring and from `me` on: nodes that start together announce themselves
/// to different members.
fn ring_after(me: NodeId, members: &[NodeId]) -> VecDeque<NodeId> {
    let ordered: BTreeSet<NodeId> = members.iter().copied().filter(|node| *node != me).collect();
    ordered.range(me..).chain(ordered.range(..me)).copied().collect()
}

fn config(cluster_size: usize) -> Config {
    let size = u32::try_from(cluster_size).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MAX);
    Config {
        max_packet_size: PACKET_BYTES_MAX,
        notify_down_members: true,
        periodic_announce_to_down_members: Some(PeriodicParams {
            frequency: ANNOUNCE_DOWN_EVERY,
            num_members: NonZeroUsize::MIN,
        }),
        ..Config::new_lan(size)
    }
}

#[cfg(test)]
mod tests {
    use rand::Rng;

    use super::*;

    const STEP: Duration = Duration::from_millis(5);
    const BOOT: u64 = 1 << 40;

    /// A network of failure detectors in which a packet takes one step.
    struct Net {
        now: Instant,
        nodes: BTreeMap<NodeId, Membership>,
        /// Nodes that neither send nor receive.
        cut: BTreeSet<NodeId>,
        under_way: Vec<(NodeId, NodeId, Bytes)>,
        log: Vec<(Instant, NodeId, NodeId, Bytes)>,
        changes: BTreeMap<NodeId, Vec<Change>>,
    }

    impl Net {
        fn new(size: u64, seed: u64) -> Self {
            let mut net = Self {
                now: Instant(0),
                nodes: BTreeMap::new(),
                cut: BTreeSet::new(),
                under_way: Vec::new(),
                log: Vec::new(),
                changes: BTreeMap::new(),
            };
            for node in members(size) {
                net.start(node, BOOT, seed, size);
            }
            net
        }

        fn start(&mut self, node: NodeId, boot: u64, seed: u64, size: u64) {
            let membership = Membership::new(node, boot, seed ^ node.0, &members(size), self.now);
            self.nodes.insert(node, membership);
        }

        fn step(&mut self) {
            self.now = self.now + STEP;
            for (from, to, packet) in std::mem::take(&mut self.under_way) {
                if self.cut.contains(&from) || self.cut.contains(&to) {
                    continue;
                }
                if let Some(node) = self.nodes.get_mut(&to) {
                    node.on_packet(self.now, &packet).unwrap();
                }
            }
            for (from, node) in &mut self.nodes {
                if node.next_deadline().is_some_and(|at| at <= self.now) {
                    node.on_tick(self.now);
                }
                assert!(node.next_deadline().unwrap() > self.now);
                for (to, packet) in node.take_packets() {
                    assert_ne!(to, *from);
                    assert!(packet.len() <= PACKET_BYTES_MAX.get());
                    self.log.push((self.now, *from, to, packet.clone()));
                    self.under_way.push((*from, to, packet));
                }
                self.changes.entry(*from).or_default().extend(node.take_changes());
            }
        }

        fn run(&mut self, seconds: u64) {
            let end = self.now + Duration::from_secs(seconds);
            while self.now < end {
                self.step();
            }
        }

        fn run_until(&mut self, seconds: u64, done: impl Fn(&Self) -> bool) {
            let end = self.now + Duration::from_secs(seconds);
            while !done(self) {
                assert!(self.now < end, "not reached in {seconds} s: {:#?}", self.nodes);
                self.step();
            }
        }

        fn all_active(&self) -> bool {
            self.nodes
                .values()
                .all(|node| node.foca.num_members() + 1 == self.nodes.len() && node.outbox.down.is_empty())
        }

        fn all_others_say(&self, about: NodeId, up: bool) -> bool {
            self.nodes.iter().filter(|(node, _)| **node != about).all(|(_, node)| node.is_up(about) == up)
        }
    }

    /// Names as scattered as hashes are.
    fn node(number: u64) -> NodeId {
        NodeId(number.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    fn members(size: u64) -> Vec<NodeId> {
        (1..=size).map(node).collect()
    }

    fn is_send<T: Send>(_: &T) {}

    #[test]
    fn all_find_each_other() {
        let mut net = Net::new(5, 1);
        is_send(&net.nodes[&node(1)]);
        net.run_until(2, Net::all_active);
        net.run(60);
        assert!(net.all_active());
        for (me, changes) in &net.changes {
            let mut up: Vec<_> = changes.iter().map(|change| format!("{change:?}")).collect();
            let mut expected: Vec<_> =
                members(5).iter().filter(|node| *node != me).map(|node| format!("{:?}", Change::Up(*node))).collect();
            up.sort();
            expected.sort();
            assert_eq!(up, expected);
        }
    }

    #[test]
    fn many_find_each_other() {
        let mut net = Net::new(60, 1);
        net.run_until(30, Net::all_active);
    }

    #[test]
    fn those_that_start_late_or_lose_their_first_packets_are_found() {
        let mut net = Net::new(4, 1);
        net.under_way.clear();
        net.run_until(10, Net::all_active);
        net.start(node(5), BOOT, 1, 5);
        net.run_until(2, Net::all_active);
    }

    #[test]
    fn a_node_alone_is_quiet() {
        let mut net = Net::new(1, 1);
        net.run(10);
        assert!(net.log.is_empty());
    }

    #[test]
    fn a_silent_node_is_down_and_up_again_when_it_restarts() {
        let (gone, mut net) = (node(3), Net::new(5, 1));
        net.run(3);
        net.cut.insert(gone);
        net.run_until(20, |net| net.all_others_say(gone, false));
        assert!(net.nodes[&node(1)].outbox.down.len() == 1);
        net.cut.clear();
        net.changes.clear();
        net.start(gone, BOOT + 1000, 2, 5);
        net.run_until(3, Net::all_active);
        net.run(30);
        assert!(net.all_active());
        for me in members(5).into_iter().filter(|node| *node != gone) {
            assert_eq!(net.changes[&me], [Change::Up(gone)]);
        }
    }

    #[test]
    fn a_node_that_was_cut_off_comes_back_by_itself() {
        let (gone, mut net) = (node(3), Net::new(5, 1));
        net.run(3);
        net.cut.insert(gone);
        net.run(120);
        assert!(net.all_others_say(gone, false));
        assert_eq!(net.nodes[&gone].outbox.down.len(), 4);
        net.cut.clear();
        net.run_until(10, Net::all_active);
    }

    #[test]
    fn two_nodes_find_each_other_after_a_partition() {
        let mut net = Net::new(2, 1);
        net.run(3);
        net.cut.insert(node(1));
        net.run(60);
        assert!(net.all_others_say(node(1), false) && net.all_others_say(node(2), false));
        net.cut.clear();
        net.run_until(3, Net::all_active);
    }

    #[test]
    fn a_restart_with_a_smaller_or_equal_boot_number_is_up_soon_and_causes_no_storm() {
        for boot in [BOOT, BOOT - 1, BOOT / 2, 0] {
            for pause in [1, 60] {
                let (gone, mut net) = (node(3), Net::new(5, 1));
                net.run(3);
                net.cut.insert(gone);
                net.run(pause);
                // Between two rounds of probes, so that no packet comes that tells of the greater number.
                (0..20).for_each(|_| net.step());
                net.cut.clear();
                net.under_way.clear();
                net.start(gone, boot, 2, 5);
                net.log.clear();
                net.run(15);
                assert!(net.all_active(), "boot {boot} pause {pause}: {:?}", net.nodes);
                assert!(net.log.len() < 250, "boot {boot} pause {pause}: {} packets", net.log.len());
                net.run(60);
                assert!(net.all_active(), "boot {boot} pause {pause}: {:?}", net.nodes);
            }
        }
    }

    #[test]
    fn a_spare_takes_part() {
        let (spare, mut net) = (node(9), Net::new(3, 1));
        net.start(spare, BOOT, 1, 3);
        net.run_until(2, Net::all_active);
        net.cut.insert(spare);
        net.run_until(20, |net| net.all_others_say(spare, false));
    }

    #[test]
    fn unknown_nodes_count_as_up() {
        let mut lone = Membership::new(node(1), BOOT, 1, &[], Instant(0));
        assert!(lone.is_up(node(2)) && lone.is_up(node(1)));
        assert!(lone.take_packets().is_empty());
        lone.on_tick(lone.next_deadline().unwrap());
        assert!(lone.take_packets().is_empty(), "it knows nobody to announce itself to");
    }

    #[test]
    fn a_node_does_not_announce_to_its_own_earlier_runs() {
        let me = Identity { node: node(1), boot: BOOT };
        let other = Identity { node: node(2), boot: BOOT };
        let header = Header { src: other, src_incarnation: 0, dst: me, message: Message::Gossip };
        let mut packet = postcard::to_allocvec(&header).unwrap();
        packet.extend_from_slice(&1u16.to_be_bytes());
        let earlier = foca::Member::down(Identity { boot: BOOT - 1, ..me });
        packet.extend_from_slice(&postcard::to_allocvec(&earlier).unwrap());
        let mut membership = Membership::new(me.node, me.boot, 1, &[], Instant(0));
        membership.on_packet(Instant(0), &packet).unwrap();
        assert_eq!(membership.foca.iter_membership_state().count(), 2);
        for second in 1..=30 {
            // Refutes that it is down, so that the node has somebody to talk to.
            let alive = Header { src_incarnation: second, ..header.clone() };
            let now = Instant(u64::from(second) * 1_000_000);
            membership.on_packet(now, &postcard::to_allocvec(&alive).unwrap()).unwrap();
            membership.on_tick(now);
        }
        assert!(membership.take_packets().iter().all(|(to, _)| *to == other.node));
        assert!(membership.take_changes().iter().all(|change| *change != Change::Down(me.node)));
        assert!(membership.is_up(me.node));
    }

    #[test]
    fn equal_seeds_send_equal_packets() {
        let packets = |seed| {
            let mut net = Net::new(5, seed);
            net.run(3);
            net.cut.insert(node(2));
            net.run(20);
            net.log
        };
        assert!(packets(1) == packets(1));
        assert!(packets(1) != packets(2));
    }

    #[test]
    fn bad_packets_are_refused_with_a_reason() {
        let mut net = Net::new(2, 1);
        let packets = net.nodes.get_mut(&node(1)).unwrap().take_packets();
        let packet = &packets[0].1;
        let now = net.now;
        assert_eq!(net.nodes.get_mut(&node(1)).unwrap().on_packet(now, packet), Err(PacketError::FromOurselves));
        let other = net.nodes.get_mut(&node(2)).unwrap();
        assert_eq!(other.on_packet(now, &[]), Err(PacketError::Malformed));
        assert_eq!(other.on_packet(now, &packet[..packet.len() - 1]), Err(PacketError::Malformed));
        assert_eq!(other.on_packet(now, &[packet.as_ref(), &[7]].concat()), Err(PacketError::Malformed));
        assert_eq!(other.on_packet(now, &[0; 1401]), Err(PacketError::TooBig(1401)));
        assert!(other.take_changes().is_empty());
        assert_eq!(other.on_packet(now, packet), Ok(()));
        assert_eq!(other.take_changes(), [Change::Up(node(1))]);
    }

    #[test]
    fn garbage_never_panics_and_does_no_lasting_harm() {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let mut net = Net::new(5, 1);
        net.run(10);
        net.cut.insert(node(4));
        net.run(20);
        net.cut.clear();
        let samples: Vec<Bytes> = net.log.iter().map(|(.., packet)| packet.clone()).collect();
        let now = net.now;
        for round in 0..20_000 {
            let victim = net.nodes.get_mut(&node(1 + rng.next_u64() % 5)).unwrap();
            let mut packet = samples[rng.next_u64() as usize % samples.len()].to_vec();
            match round % 3 {
                0 => packet.truncate(rng.next_u64() as usize % packet.len()),
                1 => {
                    for _ in 0..=rng.next_u64() % 3 {
                        let at = rng.next_u64() as usize % packet.len();
                        packet[at] = rng.next_u64() as u8;
                    }
                }
                _ => {
                    packet = vec![0; rng.next_u64() as usize % 200];
                    rng.fill_bytes(&mut packet);
                }
            }
            let _ = victim.on_packet(now, &packet);
            victim.on_tick(now);
            victim.take_packets();
        }
        net.run(60);
        assert!(members(5).into_iter().all(|node| net.all_others_say(node, true)), "{:#?}", net.nodes);
    }
}
