//! This node as the coordinator of a view change, and as one that is asked (design 11.1, 11.2, 11.8).

use std::collections::BTreeMap;

use crate::causality::context::Context;
use crate::effect::{Effect, Effects};
use crate::id::{NodeId, ShardId, Source, ViewId};
use crate::limits::SETTLED_VIEWS_MAX;
use crate::node::{Node, random};
use crate::placement::view::{View, ViewRecord, check_members};
use crate::time::{Instant, Now};
use crate::view_change::change::{Change, LEASE, Lease, PATIENCE, Stage, concerned, decide, sizes};
use crate::view_change::plan;
use crate::wire::message::{Message, Prepare, Prepared};
use crate::wire::request::{Outcome, Refusal, ViewChange, ViewChanged};

impl Node {
    /// A client asks for another view.
    pub(super) fn on_change_view(
        &mut self,
        now: Now,
        source: Source,
        asked: ViewChange,
        context: Context,
        deadline: Instant,
        effects: &mut Effects,
    ) {
        let view = self.views.current();
        let refusal = match check_members(&asked.members, asked.repl_factor) {
            Err(error) => Some(Refusal::BadView(error.to_string())),
            Ok(()) => match asked.expected_epoch.filter(|expected| *expected != view.id.epoch) {
                Some(expected) => Some(Refusal::UnexpectedEpoch { epoch: view.id.epoch, expected }),
                None if self.is_coordinating(asked.force && !asked.dry_run) => {
                    Some(Refusal::ViewChangeInProgress("this node coordinates another one".to_owned()))
                }
                None => None,
            },
        };
        if let Some(refusal) = refusal {
            self.refuse(source, context, refusal, effects);
            return;
        }
        let id = random(&mut self.rng);
        let is_same = plan::is_same(view, &asked.members, asked.repl_factor) && !asked.dry_run && !asked.force;
        let stage = if is_same {
            Stage::Spreading { view: view.id, counts: BTreeMap::new(), counting: false }
        } else {
            let void = now.monotonic + (LEASE - PATIENCE / 4);
            Stage::Preparing { answers: BTreeMap::new(), until: now.monotonic + PATIENCE, void }
        };
        let given_up = Vec::new();
        self.change = Some(Change { id, asked, source, context, deadline, answered: false, given_up, stage });
        if !is_same {
            self.reach(effects);
        }
        self.run_change(now, effects);
    }

    /// Goes on with a change: asks, decides, spreads, counts, answers.
    pub(super) fn run_change(&mut self, now: Now, effects: &mut Effects) {
        let Some(change) = &mut self.change else { return };
        match &mut change.stage {
            Stage::Preparing { answers, until, .. } => {
                let everybody = concerned(&self.views, &change.asked);
                let (id, me, lease) = (change.id, self.me, !change.asked.dry_run);
                let missing: Vec<NodeId> = everybody
                    .keys()
                    .copied()
                    .filter(|node| answers.get(node).is_none_or(|answer| answer.life.is_none()))
                    .collect();
                if !missing.is_empty() && now.monotonic < *until && answers.values().all(|answer| answer.granted) {
                    let alone = missing == [me];
                    for node in missing {
                        if node == me {
                            let answer = self.prepare(now, me, Prepare { change: id, known_life: None, lease }, true);
                            self.note_prepared(me, answer);
                        } else {
                            let known_life = self.lives.get(&node).copied();
                            let asked = Prepare { change: id, known_life, lease };
                            self.send(node, Message::Prepare(asked), effects);
                        }
                    }
                    if !alone {
                        return;
                    }
                }
                self.decide(now, effects);
            }
            Stage::Spreading { .. } => {
                self.push_view(effects);
                self.count_shards(now, effects);
                self.answer_change(now, effects);
            }
        }
    }

    fn decide(&mut self, now: Now, effects: &mut Effects) {
        let Some(mut change) = self.change.take() else { return };
        let Stage::Preparing { answers, void, .. } = &change.stage else { return };
        let is_void = now.monotonic >= *void;
        let everybody = concerned(&self.views, &change.asked);
        let old = self.views.current().clone();
        let decision = match is_void {
            true => Err(Refusal::ViewChangeInProgress("this node was held up; ask again".to_owned())),
            false => decide(&self.views, &change.asked, answers),
        };
        let assigned = plan::assign(&old, &change.asked.members, change.asked.repl_factor);
        let (decision, (shards, last_shard)) = match (decision, assigned) {
            (Ok(decision), Ok(assigned)) => (decision, assigned),
            (Err(refusal), _) => return self.give_up_change(change, refusal, everybody.into_keys(), effects),
            (_, Err(error)) => {
                return self.give_up_change(
                    change,
                    Refusal::BadView(error.to_string()),
                    everybody.into_keys(),
                    effects,
                );
            }
        };
        let activation = self.clock.tick(now.wall);
        let record = ViewRecord {
            id: ViewId { epoch: old.id.epoch + 1, activation, coordinator: self.me },
            ancestors: old.record().ancestors.iter().copied().chain([old.id]).rev().take(SETTLED_VIEWS_MAX).collect(),
            repl_factor: u32::try_from(change.asked.repl_factor).expect("it is at most the number of members"),
            shards,
            last_shard,
            lives: decision.lives,
            written_off: decision.written_off,
            settled: decision.settled.into_iter().rev().take(SETTLED_VIEWS_MAX).collect(),
        };
        let view = match View::from_record(record) {
            Ok(view) => view,
            // Epochs and shard ids have an end.
            Err(error) => {
                let refusal = Refusal::BadView(error.to_string());
                return self.give_up_change(change, refusal, everybody.into_keys(), effects);
            }
        };
        if change.asked.dry_run {
            let moves = plan::moves(&old, &view, &sizes(&old, answers));
            let shards = view.shards().iter().map(|shard| (shard.id, shard.replicas.clone(), None)).collect();
            let changed =
                ViewChanged { epoch: view.id.epoch, shards, given_up: decision.given_up, moves, ..Default::default() };
            let reply = self.reply(Outcome::Changed(Box::new(changed)), change.context, None);
            self.hand_over(change.source, reply, effects);
            return;
        }
        change.given_up = decision.given_up;
        change.stage = Stage::Spreading { view: view.id, counts: BTreeMap::new(), counting: false };
        self.change = Some(change);
        self.adopt(now, &view, vec![old], effects);
        self.push_view(effects);
    }

    fn give_up_change(
        &mut self,
        change: Change,
        refusal: Refusal,
        everybody: impl Iterator<Item = NodeId>,
        effects: &mut Effects,
    ) {
        for node in everybody {
            self.release(node, change.id, effects);
        }
        self.refuse(change.source, change.context, refusal, effects);
        self.reach(effects);
    }

    fn release(&mut self, node: NodeId, change: u64, effects: &mut Effects) {
        if node == self.me {
            self.on_release(node, change);
        } else {
            self.send(node, Message::Release { change }, effects);
        }
    }

    /// Hands the new view to everybody who may have it and has not adopted it.
    fn push_view(&mut self, effects: &mut Effects) {
        let Some(Change { stage: Stage::Spreading { view, .. }, asked, .. }) = &self.change else { return };
        if *view != self.views.current().id {
            return;
        }
        let everybody = concerned(&self.views, asked);
        for node in everybody.into_keys().filter(|node| !self.adopted.contains(node)).collect::<Vec<_>>() {
            self.offer_views(node, effects);
        }
    }

    /// Once the view is settled, asks a replica of each shard how many keys it has.
    fn count_shards(&mut self, now: Now, effects: &mut Effects) {
        let settled = self.views.is_settled();
        let Some(change) = &mut self.change else { return };
        let Stage::Spreading { view, counting, .. } = &mut change.stage else { return };
        if !settled || *counting || change.answered || *view != self.views.current().id {
            return;
        }
        *counting = true;
        let deadline = change.deadline;
        let shards: Vec<ShardId> = self.views.current().shards().iter().map(|shard| shard.id).collect();
        for shard in shards {
            self.ask_count(now, shard, deadline, effects);
        }
    }

    /// A shard has answered.
    pub(super) fn on_counted(&mut self, shard: ShardId, outcome: &Outcome) {
        if let Some(Change { stage: Stage::Spreading { counts, .. }, .. }) = &mut self.change
            && let Outcome::Counted(keys) = outcome
        {
            counts.insert(shard, *keys);
        }
    }

    fn answer_change(&mut self, now: Now, effects: &mut Effects) {
        let outstanding = self.outstanding();
        let settled = self.views.is_settled();
        let Some(change) = &mut self.change else { return };
        let Stage::Spreading { view, counts, .. } = &change.stage else { return };
        let current = self.views.current();
        let superseded = *view != current.id;
        let done = settled && counts.len() == current.shards().len();
        if change.answered || !(done || superseded || now.monotonic >= change.deadline) {
            return;
        }
        change.answered = true;
        let (source, context) = (change.source, change.context.clone());
        if superseded {
            let refusal = Refusal::ViewChangeInProgress("another one came first".to_owned());
            self.refuse(source, context, refusal, effects);
            return;
        }
        let shards = current.shards().iter();
        let shards = shards.map(|shard| (shard.id, shard.replicas.clone(), counts.get(&shard.id).copied())).collect();
        let given_up = std::mem::take(&mut change.given_up);
        let epoch = current.id.epoch;
        let changed = ViewChanged { epoch, settled, shards, outstanding, given_up, moves: Vec::new() };
        let reply = self.reply(Outcome::Changed(Box::new(changed)), context, None);
        self.hand_over(source, reply, effects);
    }

    /// A coordinator asks.
    pub(super) fn on_prepare(&mut self, now: Now, from: NodeId, cluster: u64, asked: Prepare, effects: &mut Effects) {
        let is_member = cluster == self.cluster;
        if self.life.is_none() && (self.replica.is_none() || !is_member) {
            // The coordinator's clock has come with its message.
            self.clock.receive(asked.known_life.unwrap_or_default());
            self.begin_life(now);
        }
        let answer = self.prepare(now, from, asked, is_member);
        self.send_as(cluster, from, Message::Prepared(answer), effects);
    }

    fn prepare(&mut self, now: Now, coordinator: NodeId, asked: Prepare, is_member: bool) -> Prepared {
        let free = self.lease.is_none_or(|lease| lease.until <= now.monotonic || lease.coordinator == coordinator);
        if free && asked.lease {
            self.lease = Some(Lease { coordinator, change: asked.change, until: now.monotonic + LEASE });
        }
        let replica = self.replica.as_ref().filter(|_| is_member);
        Prepared {
            change: asked.change,
            granted: free || !asked.lease,
            life: self.life,
            recovered: replica.is_some_and(|replica| replica.recovered && replica.origin.is_some()),
            former: self.views.former().filter(|_| is_member).map(|view| view.id).collect(),
            settled: self.views.settled().iter().copied().filter(|_| is_member).collect(),
            keys: replica.map_or(0, |replica| replica.table().live()),
            bytes: replica.map_or(0, |replica| replica.table().bytes()),
        }
    }

    /// A node has answered. Old members count only under the coordinator's view: they are told of it otherwise.
    pub(super) fn on_prepared(
        &mut self,
        now: Now,
        from: NodeId,
        view: ViewId,
        answer: Prepared,
        effects: &mut Effects,
    ) {
        let current = self.views.current();
        let is_old = current.shard_of_member(from).is_some();
        if is_old && view != current.id {
            return;
        }
        // The first view of a node that is to be invited is no later one, whatever its id.
        if view > current.id && view.epoch > 0 {
            return;
        }
        // What is settled, or not, under another view says nothing about this one.
        let (former, settled) = if view == current.id { (answer.former, answer.settled) } else { Default::default() };
        self.note_prepared(from, Prepared { former, settled, ..answer });
        if let Some(Change { stage: Stage::Preparing { answers, .. }, asked, .. }) = &self.change
            && (concerned(&self.views, asked).keys().all(|node| answers.get(node).is_some_and(|a| a.life.is_some()))
                || answers.values().any(|answer| !answer.granted))
        {
            self.decide(now, effects);
        }
    }

    fn note_prepared(&mut self, from: NodeId, answer: Prepared) {
        if let Some(Change { id, stage: Stage::Preparing { answers, .. }, .. }) = &mut self.change
            && answer.change == *id
        {
            answers.insert(from, answer);
        }
    }

    /// Whether this node has a change of its own under way that another would meet.
    fn is_coordinating(&self, force: bool) -> bool {
        self.change.as_ref().is_some_and(|change| !change.answered || !(self.views.is_settled() || force))
    }

    /// The coordinator has given up, or the view is out.
    pub(super) fn on_release(&mut self, from: NodeId, change: u64) {
        if self.lease.is_some_and(|lease| lease.coordinator == from && lease.change == change) {
            self.lease = None;
        }
    }

    /// Tells the transport whom this node speaks to.
    pub(super) fn reach(&mut self, effects: &mut Effects) {
        let mut everybody: BTreeMap<NodeId, _> = match &self.change {
            Some(change) if !change.answered => concerned(&self.views, &change.asked),
            Some(_) | None => {
                let views = self.views.former().chain([self.views.current()]);
                views.flat_map(View::members).map(|(node, address, _)| (node, address.clone())).collect()
            }
        };
        everybody.extend(self.departed.iter().map(|address| (address.node_id(), address.clone())));
        everybody.remove(&self.me);
        // There is no connection yet to those who are new: what is sent there before one is made, or they are heard, may be lost.
        self.disconnected.extend(everybody.keys().filter(|node| !self.reached.contains(node)));
        self.reached = everybody.keys().copied().collect();
        effects.push(Effect::Reach(everybody.into_values().collect()));
    }
}
