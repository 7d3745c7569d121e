//! The heartbeat: what a node says and looks after at a steady pace.

use crate::effect::{Effect, Effects};
use crate::event::Event;
use crate::id::NodeId;
use crate::node::{Node, random};
use crate::time::Now;
use crate::wire::message::Message;

/// Members that each gossip round tells what is known: enough to spread in a few rounds, flat in the number of nodes.
const GOSSIP_FANOUT: usize = 2;

/// A starting node asks who is there every so many heartbeats.
const HELLO_EVERY: u32 = 2;

impl Node {
    pub(super) fn beat(&mut self, now: Now, effects: &mut Effects) {
        let interval = self.config.cluster.heartbeat;
        self.beat_at = now.monotonic + interval;
        self.beats += 1;
        let clock = self.clock.follow(now.wall);
        self.write_ids.expire(clock, self.config.cluster.write_id_retention);
        self.note_silence(now, effects);
        self.say_hello(now, effects);
        if let Some(replica) = &mut self.replica
            && replica.origin.is_some()
        {
            replica.idle_to(clock);
            self.progress = true;
            self.settle(now, effects);
            self.send_frames(effects, true);
            self.send_status(effects);
            self.gossip(now, effects);
            self.seek_recovery(now, effects);
        }
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
    }

    fn say_hello(&mut self, now: Now, effects: &mut Effects) {
        self.try_to_meet(now, effects);
        let Some(boot) = &mut self.boot else { return };
        if now.monotonic < boot.ask_at {
            return;
        }
        boot.ask_at = now.monotonic + self.config.cluster.heartbeat * HELLO_EVERY;
        let nonce = boot.nonce;
        for node in self.others() {
            self.send(node, Message::Hello { boot: nonce }, effects);
        }
    }

    fn send_status(&mut self, effects: &mut Effects) {
        let Some(replica) = &self.replica else { return };
        let status = replica.status(&self.statuses());
        for node in self.peers.keys().copied().collect::<Vec<_>>() {
            self.send(node, Message::Status(status.clone()), effects);
        }
    }

    fn gossip(&mut self, now: Now, effects: &mut Effects) {
        let mut others = self.others();
        for _ in 0..GOSSIP_FANOUT.min(others.len()) {
            let at = usize::try_from(random(&mut self.rng) % others.len() as u64).expect("members are few");
            let to = others.swap_remove(at);
            self.send(to, Message::Gossip { wall: now.wall, covered: self.stability.words() }, effects);
        }
    }

    /// All members of the view but this node.
    fn others(&self) -> Vec<NodeId> {
        self.view.members().map(|(node, _, _)| node).filter(|node| *node != self.me).collect()
    }
}
