//! Strangers: messages under another cluster's name. They are refused and counted, with two exceptions: a cluster invites a node
//! whose name is only derived from its environment, and calls back one that it has as a member (design 3.3, 15.6).

use std::time::Duration;

use crate::effect::{Effect, Effects};
use crate::event::Event;
use crate::id::{Address, NodeId, ViewId};
use crate::limits::STRANGERS_MAX;
use crate::node::Node;
use crate::time::{Instant, Now};
use crate::view_change::change::Change;
use crate::wire::message::{Envelope, Forward, Message, ViewNews};
use crate::wire::request::{Outcome, Refusal};

/// Between two events about messages of one stranger: it may send hundreds in a second.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// What was refused of one stranger.
#[derive(Debug, Clone, Copy)]
pub(super) struct Refused {
    /// Messages that no event has told of yet.
    messages: u64,
    told_at: Instant,
}

impl Node {
    /// Whether a message is of this node's cluster, or one of those that cross clusters.
    pub(super) fn is_known(&self, now: Now, cluster: u64, view: ViewId, from: NodeId, body: &Message) -> bool {
        let mine = self.views.current().id;
        if from == self.me {
            return false;
        }
        if cluster != self.cluster {
            return match body {
                Message::Prepare(_) | Message::Release { .. } => self.may_be_invited(),
                // One that has given its word to a coordinator waits for the view that names it, in this life.
                Message::Views(news) => {
                    let has_promised = self.lease.is_some_and(|lease| lease.until > now.monotonic);
                    self.is_called_back(news) || (self.may_be_invited() && !has_promised)
                }
                Message::Hello { is_derived, .. } => *is_derived && self.calls_back(from),
                Message::ViewAsk => mine.epoch > 0 && self.calls_back(from),
                Message::Welcome { .. }
                | Message::Frame(_)
                | Message::Ack(_)
                | Message::Status(_)
                | Message::Gossip { .. }
                | Message::SyncPull(_)
                | Message::SyncChunk(_)
                | Message::Forward(_)
                | Message::ForwardReply { .. }
                | Message::Swim(_)
                | Message::Superseded { .. }
                | Message::Prepared(_)
                | Message::Fetch { .. }
                | Message::Fetched(_)
                | Message::Confirm { .. }
                | Message::Confirmed { .. } => false,
            };
        }
        // Bootstrap views are never taken from others; two that differ are two clusters.
        let coordinates = matches!(body, Message::Prepare(_) | Message::Prepared(_) | Message::Release { .. });
        view == mine || view.epoch > 0 || mine.epoch > 0 || coordinates
    }

    /// Refuses a message. Who sends it may be of the cluster that this node is a member of: it is asked, if its view is one that
    /// a coordinator has made. A node that has started with another view in its environment hears of its cluster in no other way.
    pub(super) fn refuse_stranger(
        &mut self,
        now: Now,
        cluster: u64,
        view: ViewId,
        from: NodeId,
        effects: &mut Effects,
    ) {
        let may_call_back = cluster != self.cluster && from != self.me && view.epoch > 0 && self.may_be_called_back();
        if may_call_back && self.offered.insert(from) {
            self.send(from, Message::ViewAsk, effects);
        }
        let is_old = |refused: &Refused| now.monotonic.since(refused.told_at) >= TELL_EVERY;
        if self.refused.len() >= STRANGERS_MAX && !self.refused.contains_key(&from) {
            self.refused.retain(|_, refused| !is_old(refused));
            if self.refused.len() >= STRANGERS_MAX {
                return;
            }
        }
        let is_first = !self.refused.contains_key(&from);
        let refused = self.refused.entry(from).or_insert(Refused { messages: 0, told_at: now.monotonic });
        refused.messages += 1;
        if is_first || is_old(refused) {
            let messages = std::mem::take(&mut refused.messages);
            refused.told_at = now.monotonic;
            effects.push(Effect::Event(Event::StrangerRefused { node: from, messages }));
        }
    }

    /// A member of a cluster that is about to take this node in forwards it a request: it touches nothing and says so, or the router
    /// would not know what became of a write. The same request is not taken later either.
    pub(super) fn decline(
        &mut self,
        now: Now,
        cluster: u64,
        view: ViewId,
        from: NodeId,
        body: &Message,
        effects: &mut Effects,
    ) {
        let Message::Forward(Forward { id, life, request, .. }) = body else { return };
        if cluster == self.cluster || view.epoch == 0 || !self.may_be_called_back() {
            return;
        }
        let retention = self.config.cluster.write_id_retention;
        if request.action.is_write() && !self.seen_forwards.insert(now.monotonic, from, *id, retention) {
            return;
        }
        let meant_for = life.filter(|_| request.action.is_write());
        let refusal = if self.is_of_former_process(meant_for) { Refusal::OutcomeUnknown } else { Refusal::NotOwner };
        let reply = self.reply(Outcome::Refused(refusal), request.context.clone(), None);
        let (view, from_me, clock) = (self.views.current().id, self.me, self.clock.last());
        let body = Message::ForwardReply { id: *id, reply };
        // The life is one of a view of its own: it means nothing there.
        let envelope = Envelope { cluster, view, from: from_me, life: None, clock, body };
        effects.push(Effect::Send { to: from, envelope: Box::new(envelope) });
    }

    /// A node under another name asks whether it is a member: it is told the view, and nothing else of it counts. Its life and its
    /// clock are those of a view of its own.
    pub(super) fn call_back(&mut self, from: NodeId, effects: &mut Effects) {
        if self.offered.insert(from) {
            self.offer_views(from, effects);
        }
    }

    /// Takes over what a node of this cluster, or of one that may say so, tells of views. Whoever is told by a cluster of another
    /// name is of that cluster from then on, if it takes the view over.
    pub(super) fn on_news(&mut self, now: Now, cluster: u64, from: NodeId, news: ViewNews, effects: &mut Effects) {
        let name = std::mem::replace(&mut self.cluster, cluster);
        self.on_views(now, from, news, effects);
        if self.views.current().id.epoch == 0 {
            self.cluster = name;
        }
    }

    /// Whether a node may speak to this one at all. `epoch`: of the view that it is in.
    #[must_use]
    pub fn admits(&self, cluster: u64, epoch: u32, from: NodeId) -> bool {
        let asks = |change: &Change| change.asked.members.iter().any(|address| address.node_id() == from);
        let ours = cluster == self.cluster || self.calls_back(from) || self.change.as_ref().is_some_and(asks);
        (ours && from != self.me) || self.may_be_invited() || (epoch > 0 && self.may_be_called_back())
    }

    /// Whether a cluster of another name may invite this node: its own name is only derived, and it holds nothing that a
    /// cluster of its own could miss.
    pub(super) fn may_be_invited(&self) -> bool {
        let view = self.views.current();
        let empty = self.replica.as_ref().is_none_or(|replica| replica.table().live() == 0);
        let alone = view.members().count() == 1 && empty;
        self.may_be_called_back() && (self.replica.is_none() || self.boot.is_some() || alone)
    }

    /// Whether this node may be a member of a cluster of another name without knowing it: it knows nothing but its environment. A
    /// name that was set on purpose is held to.
    pub(super) fn may_be_called_back(&self) -> bool {
        self.config.cluster.is_derived && self.views.current().id.epoch == 0
    }

    /// Whether a context of another cluster may be one of the cluster that this node is a member of: it has not met anybody, or
    /// nobody but itself, since it started.
    #[must_use]
    pub fn may_belong_elsewhere(&self) -> bool {
        self.may_be_called_back() && (self.boot.is_some() || self.views.current().members().count() == 1)
    }

    /// Whether a cluster calls this node back: its view, which a coordinator has made, names it a member. Then this node has
    /// answered that coordinator in a former life, and a view that it hears of goes over its own first one (design 3.3), also
    /// over what it has taken under that.
    fn is_called_back(&self, news: &ViewNews) -> bool {
        let mut shards = news.current.shards.iter();
        self.may_be_called_back()
            && news.current.id.epoch > 0
            && shards.any(|shard| shard.replicas.contains(&self.config.address))
    }

    /// Whom this node calls back: members, and those who have left last.
    fn calls_back(&self, node: NodeId) -> bool {
        self.views.current().shard_of_member(node).is_some()
            || self.departed.iter().map(Address::node_id).any(|left| left == node)
    }

    /// Whether a node is a member of a view that still counts: of others not every word is kept.
    pub(super) fn is_of_views(&self, node: NodeId) -> bool {
        let mut views = self.views.former().chain([self.views.current()]);
        views.any(|view| view.shard_of_member(node).is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::causality::hlc::Timestamp;
    use crate::config::Config;
    use crate::effect::Effects;
    use crate::id::{Life, ShardId};
    use crate::input::Input;
    use crate::limits::NODES_MAX;
    use crate::placement::view::View;
    use crate::time::WallTime;
    use crate::wire::message::{FormerReport, Statement};

    const NOW: Now = Now { monotonic: Instant(0), wall: WallTime(1_700_000_000_000) };

    fn node() -> (Node, NodeId) {
        let addresses: Vec<Address> =
            (1..4).map(|at| Address::parse(&format!("10.0.0.{at}:80"), None).unwrap()).collect();
        let view = View::bootstrap(&addresses, 3).unwrap();
        (Node::new(Config::new(addresses[0].clone(), view, 1), NOW), addresses[1].node_id())
    }

    fn tell(node: &mut Node, from: NodeId, life: Option<Timestamp>, body: Message) {
        let (cluster, view, clock) = (node.cluster, node.views.current().id, Timestamp(1));
        let envelope = Envelope { cluster, view, from, life, clock, body };
        node.step(NOW, Input::Message(Box::new(envelope)), &mut Effects::new());
    }

    #[test]
    fn what_is_said_of_nodes_and_views_that_do_not_count_is_not_kept() {
        let (mut node, peer) = node();
        let strangers: Vec<NodeId> = (0..10_000).map(NodeId).collect();
        let view = ViewId { epoch: 7, activation: Timestamp(7), coordinator: NodeId(7) };
        let lives = vec![Life { node: NodeId(1), start: Timestamp(1) }];
        let statements = (0..1000).map(|shard| Statement { shard: ShardId(shard), lives: lives.clone() }).collect();
        let gossip = Message::Gossip {
            wall: NOW.wall,
            former: vec![FormerReport { view, holds: true, statements }],
            settled: Vec::new(),
            late: strangers.iter().map(|node| Life { node: *node, start: Timestamp(1) }).collect(),
            adopted: strangers.clone(),
            covered: strangers.iter().map(|node| (*node, Timestamp(1))).collect(),
        };
        tell(&mut node, peer, Some(Timestamp(1)), gossip.clone());
        tell(&mut node, NodeId(5), Some(Timestamp(1)), gossip);
        assert_eq!(node.adopted.len(), 2);
        assert_eq!((node.views.late().count(), node.heard.len()), (0, 1));
        assert_eq!((node.holders.len(), node.statements.len(), node.walls.len()), (0, 0, 1));
        assert_eq!(node.stability.words().len(), 3);
    }

    #[test]
    fn lives_of_nodes_without_end_are_not_kept() {
        let (mut node, peer) = node();
        for stranger in 0..NODES_MAX as u64 + 100 {
            tell(&mut node, NodeId(stranger), Some(Timestamp(1)), Message::ViewAsk);
        }
        tell(&mut node, peer, Some(Timestamp(9)), Message::ViewAsk);
        assert!(node.lives.len() <= NODES_MAX + 1);
        assert_eq!(node.lives.get(&peer), Some(&Timestamp(9)), "members come before strangers");
    }

    #[test]
    fn strangers_without_end_are_told_of_once_and_then_not() {
        let (mut node, _) = node();
        let mut events = 0;
        for stranger in 0..10_000 {
            let mut effects = Effects::new();
            let view = ViewId { epoch: 0, activation: Timestamp(0), coordinator: NodeId(9) };
            node.refuse_stranger(NOW, 1, view, NodeId(stranger), &mut effects);
            node.refuse_stranger(NOW, 1, view, NodeId(stranger), &mut effects);
            events += effects.len();
        }
        assert_eq!((events, node.refused.len()), (STRANGERS_MAX, STRANGERS_MAX));
    }
}
