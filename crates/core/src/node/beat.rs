//! The heartbeat: what a node says and looks after at a steady pace.

use crate::effect::{Effect, Effects};
use crate::event::Event;
use crate::id::{Address, NodeId};
use crate::node::{Node, random};
use crate::time::Now;
use crate::wire::message::Message;

/// Members that each gossip round tells what is known: enough to spread in a few rounds, flat in the number of nodes.
const GOSSIP_FANOUT: usize = 2;

/// And while a view change is under way: everybody in a small cluster.
const GOSSIP_FANOUT_IN_CHANGE: usize = 8;

/// A starting node asks who is there every so many heartbeats.
const HELLO_EVERY: u32 = 2;

impl Node {
    pub(super) fn beat(&mut self, now: Now, effects: &mut Effects) {
        let interval = self.config.cluster.heartbeat;
        self.beat_at = now.monotonic + interval;
        self.beats += 1;
        let clock = self.clock.follow(now.wall);
        self.write_ids.expire(now.monotonic, self.config.cluster.write_id_retention);
        // A legacy is frozen but for this.
        for replica in self.replica.iter_mut().chain(self.legacies.values_mut()) {
            replica.names.expire(now.monotonic);
        }
        self.note_silence(now, effects);
        self.say_hello(now, effects);
        if let Some(replica) = &mut self.replica
            && replica.origin.is_some()
        {
            replica.idle_to(clock);
            self.progress = true;
            self.settle(now, effects);
            self.send_frames(now, effects, true);
            self.send_status(effects);
            self.seek_recovery(now, effects);
        }
        self.note_lags(now, clock);
        self.offered.clear();
        let pending = &self.pending;
        self.fetches.retain(|_, key| pending.contains(*key));
        self.barriers.retain(|key, _| pending.contains(*key));
        if self.life.is_some() {
            self.gossip(now, effects);
        }
        self.review_settlement(now, effects);
        self.run_change(now, effects);
    }

    fn note_silence(&mut self, now: Now, effects: &mut Effects) {
        let patience = self.config.cluster.peer_silence;
        let mut silent = Vec::new();
        for (node, peer) in &mut self.peers {
            if peer.up && peer.heard_at.is_none_or(|at| now.monotonic.since(at) > patience) {
                peer.up = false;
                silent.push(*node);
            }
        }
        for node in silent {
            effects.push(Effect::Event(Event::PeerDown(node)));
        }
        self.avoid.retain(|_, until| *until > now.monotonic);
        self.unwilling.retain(|_, until| *until > now.monotonic);
    }

    fn say_hello(&mut self, now: Now, effects: &mut Effects) {
        self.try_to_meet(now, effects);
        let Some(boot) = &mut self.boot else { return };
        if now.monotonic < boot.ask_at {
            return;
        }
        boot.ask_at = now.monotonic + self.config.cluster.heartbeat * HELLO_EVERY;
        let hello = Message::Hello { boot: boot.nonce, is_derived: self.config.cluster.is_derived };
        for node in self.others() {
            self.send(node, hello.clone(), effects);
        }
    }

    fn send_status(&mut self, effects: &mut Effects) {
        let Some(status) = self.status() else { return };
        for node in self.peers.keys().copied().collect::<Vec<_>>() {
            self.send(node, Message::Status(status.clone()), effects);
        }
    }

    pub(super) fn gossip(&mut self, now: Now, effects: &mut Effects) {
        let mut others = self.others();
        let fanout = if self.views.is_settled() { GOSSIP_FANOUT } else { GOSSIP_FANOUT_IN_CHANGE };
        if !self.views.is_settled() {
            let current = self.views.current();
            others.extend(self.views.old_members().into_iter().filter(|node| current.shard_of_member(*node).is_none()));
            others.retain(|node| *node != self.me);
        }
        // One that has left may have started again, and know nobody else.
        let count = self.departed.len().max(1) as u64;
        let turn = usize::try_from(self.beats % count).expect("they are few");
        if let Some(left) = self.departed.get(turn).map(Address::node_id) {
            self.send(left, self.news(now), effects);
        }
        for _ in 0..fanout.min(others.len()) {
            let at = usize::try_from(random(&mut self.rng) % others.len() as u64).expect("members are few");
            let to = others.swap_remove(at);
            self.send(to, self.news(now), effects);
        }
    }

    /// What every node may hear.
    pub(super) fn news(&self, now: Now) -> Message {
        Message::Gossip {
            wall: now.wall,
            former: self.former_reports(),
            settled: self.views.settled().difference(&self.views.current().record().settled).copied().collect(),
            adopted: self.adopted.iter().copied().filter(|_| !self.views.is_settled()).collect(),
            late: self.views.late().collect(),
            covered: self.stability.words(),
        }
    }

    /// All members of the view but this node.
    pub(super) fn others(&self) -> Vec<NodeId> {
        self.views.current().members().map(|(node, _, _)| node).filter(|node| *node != self.me).collect()
    }
}
