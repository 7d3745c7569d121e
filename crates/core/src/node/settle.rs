//! Settlement: when everything of a former view has been handed over (design 11.6).

use crate::effect::{Effect, Effects};
use crate::event::Event;
use crate::id::{NodeId, ShardId, ViewId};
use crate::node::Node;
use crate::placement::views::Place;
use crate::planted::{self, Planted};
use crate::replication::held::Held;
use crate::time::Now;
use crate::wire::message::{FormerReport, HeldReport, Message, Statement};

impl Node {
    /// What this replica tells its peers of former views.
    pub(super) fn held_reports(&self) -> Vec<HeldReport> {
        let Some(replica) = &self.replica else { return Vec::new() };
        let report = |(id, held): (&ViewId, &Held)| held.report(self.is_complete(id), self.is_resolved(id));
        replica.held.iter().map(report).collect()
    }

    /// Whether everybody has handed over who has something of a former view.
    pub(super) fn is_complete(&self, id: &ViewId) -> bool {
        let Some(held) = self.replica.as_ref().and_then(|replica| replica.held.get(id)) else { return false };
        let required = held.required(self.views.current());
        required.iter().all(|node| held.done.contains_key(node))
    }

    /// Notes of which former views nothing more is to be had, and tells what nobody had any more.
    pub(super) fn note_complete(&mut self, effects: &mut Effects) {
        let ids: Vec<ViewId> = self.views.former().map(|view| view.id).filter(|id| self.is_complete(id)).collect();
        let Some(replica) = &mut self.replica else { return };
        for (id, held) in &mut replica.held {
            let complete = ids.contains(id);
            if complete && !held.complete {
                self.progress = true;
                for shard in held.without_owner() {
                    effects.push(Effect::Event(Event::LegacyLost { view: *id, shard }));
                }
            }
            held.complete = complete;
        }
    }

    /// Whether this replica has also taken all that its shard peers may have got from nodes that are gone.
    fn is_resolved(&self, id: &ViewId) -> bool {
        let Some(replica) = &self.replica else { return false };
        let Some(held) = replica.held.get(id) else { return false };
        let lives = replica.lives.all();
        self.peers.iter().all(|(node, peer)| {
            // What one said before it knew all newest lives, it may have got more since, from a life that is over.
            let status = peer.status.as_ref().filter(|status| status.lives == lives);
            let theirs = status.and_then(|status| status.held.iter().find(|held| held.view == *id));
            theirs.is_some_and(|theirs| theirs.complete && !held.must_sync_from(*node, &lives, theirs))
        })
    }

    /// What is told to everybody.
    pub(super) fn former_reports(&self) -> Vec<FormerReport> {
        let report = |view: &crate::placement::view::View| {
            let statements = self.statements.iter().filter(|((id, _), _)| *id == view.id);
            FormerReport {
                view: view.id,
                holds: self.legacies.get(&view.id).is_some_and(|legacy| legacy.recovered),
                statements: statements.map(|(_, statement)| statement.clone()).collect(),
            }
        };
        self.views.former().map(report).collect()
    }

    /// Takes note of what another node of the same view knows of former views.
    pub(super) fn hear_former_reports(
        &mut self,
        now: Now,
        from: NodeId,
        reports: &[FormerReport],
        effects: &mut Effects,
    ) {
        for report in reports {
            if matches!(self.views.place(&report.view), Place::Unknown) && self.offered.insert(from) {
                // Two views were made at once: the one that was not chosen is a former view.
                self.send(from, Message::ViewAsk, effects);
            }
            let Place::Former(former) = self.views.place(&report.view) else { continue };
            if report.holds && former.shard_of_member(from).is_some() {
                self.progress |= self.holders.entry(report.view).or_default().insert(from);
            }
            for statement in &report.statements {
                let replicas = self.views.current().shard(statement.shard).map_or(0, |shard| shard.replicas.len());
                if (1..=replicas).contains(&statement.lives.len()) {
                    self.statements.entry((report.view, statement.shard)).or_insert_with(|| statement.clone());
                }
            }
        }
        let is_settled = |report: &FormerReport| matches!(self.views.place(&report.view), Place::Settled);
        if reports.iter().any(is_settled) {
            // It is behind: whoever has left the view is told by nobody else.
            self.send(from, self.news(now), effects);
        }
        if !self.views.is_settled() {
            self.review_settlement(now, effects);
        }
    }

    /// Views are settled under the current one.
    pub(super) fn hear_settled(&mut self, now: Now, settled: &[ViewId], effects: &mut Effects) {
        let mut changed = false;
        for id in settled {
            let was_former = self.views.former().any(|former| former.id == *id);
            if self.views.settle(*id) && was_former {
                effects.push(Effect::Event(Event::ViewSettled(*id)));
                changed = true;
            }
        }
        if changed {
            self.on_views_changed(now, effects);
        }
    }

    /// Says for this shard what all its replicas agree on, and settles what every shard has said.
    pub(super) fn review_settlement(&mut self, now: Now, effects: &mut Effects) {
        if self.views.is_settled() {
            return;
        }
        self.note_complete(effects);
        let former: Vec<ViewId> = self.views.former().map(|view| view.id).collect();
        for id in &former {
            if let Some(statement) = self.statement(id) {
                self.statements.insert((*id, statement.shard), statement);
            }
        }
        let lives = &self.lives;
        let (me, mine) = (self.me, self.life);
        let newest = |node: &NodeId| if *node == me { mine } else { lives.get(node).copied() };
        let alive = |statement: &Statement| {
            statement.lives.iter().any(|life| newest(&life.node).is_none_or(|newest| newest <= life.start))
        };
        self.statements.retain(|_, statement| alive(statement));
        let shards: Vec<ShardId> = self.views.current().shards().iter().map(|shard| shard.id).collect();
        let said = |id: &ViewId| shards.iter().all(|shard| self.statements.contains_key(&(*id, *shard)));
        // All at once: who was a member of a later one may have got nothing yet of an older one, and would claim all that is older; and
        // what a later one tells of an older one has to stand until nobody brings that any more.
        if former.iter().all(said) {
            self.hear_settled(now, &former, effects);
        }
    }

    /// How far the last view change is, as this node knows it.
    #[must_use]
    pub fn change_report(&self) -> ChangeReport {
        let current = self.views.current();
        let held: Vec<&Held> = self.replica.iter().flat_map(|replica| replica.held.values()).collect();
        ChangeReport {
            former: self.views.former().map(|view| view.id.epoch).collect(),
            outstanding: self.outstanding(),
            hand_offs_done: held.iter().map(|held| held.done_of(current)).sum(),
            hand_offs_required: held.iter().map(|held| held.required(current).len()).sum(),
            received_keys: self.received.0,
            received_bytes: self.received.1,
            live_keys: self.replica.as_ref().map_or(0, |replica| replica.table().live()),
        }
    }

    /// The shards of the current view that have not settled every former one.
    #[must_use]
    pub fn outstanding(&self) -> Vec<ShardId> {
        let unsaid =
            |shard: &ShardId| self.views.former().any(|former| !self.statements.contains_key(&(former.id, *shard)));
        self.views.current().shards().iter().map(|shard| shard.id).filter(unsaid).collect()
    }

    /// What this shard can say of a former view, if its replicas, in reports that name one another's newest lives, agree.
    fn statement(&self, id: &ViewId) -> Option<Statement> {
        let replica = self.replica.as_ref().filter(|replica| replica.recovered && replica.origin.is_some())?;
        let mine = replica.held.get(id)?;
        let lives = replica.lives.all();
        if planted::is(Planted::SettledByOne) && self.is_complete(id) {
            return Some(Statement { shard: replica.shared.shard, lives });
        }
        let all_known = replica.members.iter().all(|node| replica.lives.newest(*node).is_some());
        let agreed = |peer: &crate::node::Peer| {
            peer.status.as_ref().is_some_and(|status| {
                let theirs = status.held.iter().find(|held| held.view == *id);
                status.recovered
                    && status.lives == lives
                    && theirs.is_some_and(|theirs| theirs.complete && theirs.resolved && theirs.vector == mine.vector)
            })
        };
        let done = all_known && self.is_complete(id) && self.is_resolved(id) && self.peers.values().all(agreed);
        done.then(|| Statement { shard: replica.shared.shard, lives })
    }
}

/// How far a view change is.
#[derive(Debug, Clone, Default)]
pub struct ChangeReport {
    /// Epochs of the former views that are not settled.
    pub former: Vec<u32>,
    /// Shards of the current view that have not got everything.
    pub outstanding: Vec<ShardId>,
    /// Of the old members of former views that have something for this node, how many have handed it over.
    pub hand_offs_done: usize,
    /// And how many there are.
    pub hand_offs_required: usize,
    /// Entries that were handed over to this node under the current view.
    pub received_keys: u64,
    /// Bytes of their keys and values.
    pub received_bytes: u64,
    /// Live keys of this node.
    pub live_keys: u64,
}
