//! How views spread, and what a node does when it adopts one (design 3.4, 11.2, 11.3).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::causality::hlc::Timestamp;
use crate::effect::{Effect, Effects};
use crate::event::Event;
use crate::id::{Address, Life, NodeId, Origin, ViewId};
use crate::limits::{DEPARTED_MAX, FORMER_VIEWS_MAX};
use crate::node::{Node, Peer, random};
use crate::placement::view::View;
use crate::placement::views::Place;
use crate::planted::{self, Planted};
use crate::recovery::Boot;
use crate::replication::replica::Replica;
use crate::replication::stability::Stability;
use crate::replication::stream::Outgoing;
use crate::table::Table;
use crate::time::Now;
use crate::wire::message::{Message, ViewNews};

impl Node {
    /// Judges the view of a message: tells whether the two nodes are in the same one. Whoever is behind fetches.
    pub(super) fn compare_views(&mut self, from: NodeId, view: ViewId, effects: &mut Effects) -> bool {
        let mine = self.views.current().id;
        if view == mine {
            if self.is_of_views(from) {
                self.adopted.insert(from);
            }
            return true;
        }
        if self.offered.insert(from) {
            if view > mine && view.epoch > 0 {
                self.send(from, Message::ViewAsk, effects);
            } else if view < mine && mine.epoch > 0 {
                if view.epoch > 0 && matches!(self.views.place(&view), Place::Unknown) {
                    self.send(from, Message::ViewAsk, effects);
                }
                self.offer_views(from, effects);
            }
        }
        false
    }

    /// Tells a node of this node's view, if it may have it: others than old members only when one replica of every old
    /// shard, and two old members where there are two, have adopted it (design 11.3).
    pub(super) fn offer_views(&mut self, to: NodeId, effects: &mut Effects) {
        if to == self.me || !self.may_have_view(to) {
            return;
        }
        let news = ViewNews {
            current: self.views.current().record().clone(),
            former: self.views.former().rev().take(FORMER_VIEWS_MAX).map(|view| view.record().clone()).collect(),
            settled: self.views.settled().iter().copied().collect(),
        };
        self.send(to, Message::Views(Box::new(news)), effects);
    }

    fn may_have_view(&self, node: NodeId) -> bool {
        let current = self.views.current();
        let old = self.views.old_members();
        if self.views.is_settled() || old.contains(&node) {
            return true;
        }
        let waits_for = |node: &NodeId| !current.wrote_off(*node);
        let has = |node: &NodeId| self.adopted.contains(node);
        let every_shard = self.views.former().all(|former| {
            former.shards().iter().all(|shard| {
                let mut replicas = shard.replicas.iter().map(Address::node_id).filter(waits_for).peekable();
                replicas.peek().is_none() || replicas.any(|node| has(&node))
            })
        });
        let (all, adopted) = old
            .iter()
            .filter(|node| waits_for(node))
            .fold((0, 0), |(all, adopted), node| (all + 1, adopted + usize::from(has(node))));
        every_shard && adopted >= all.min(2)
    }

    /// A node tells what views it knows.
    pub(super) fn on_views(&mut self, now: Now, from: NodeId, news: ViewNews, effects: &mut Effects) {
        let bad = Event::BadMessage { node: from, what: "view" };
        let (told, mine) = (news.current.id, self.views.current().id);
        if told != mine && told.epoch == 0 {
            return;
        }
        let mut former = Vec::new();
        for record in news.former.into_iter().take(FORMER_VIEWS_MAX) {
            // It is settled here, and nothing new under this view.
            if told <= mine && matches!(self.views.place(&record.id), Place::Settled) {
                continue;
            }
            match self.views.view_of(record) {
                Ok(view) => former.push(view),
                Err(_) => return effects.push(Effect::Event(bad)),
            }
        }
        if matches!(self.views.place(&told), Place::Settled) {
            return self.hear_former(now, former, effects);
        }
        let Ok(view) = self.views.view_of(news.current) else { return effects.push(Effect::Event(bad)) };
        if told > mine {
            self.adopt(now, &view, std::mem::take(&mut former), effects);
        } else if told < mine {
            former.push(view);
        }
        self.hear_former(now, former, effects);
        // What is settled under one view says nothing about another (design 3.4).
        if told == self.views.current().id {
            self.hear_settled(now, &news.settled, effects);
        }
    }

    fn hear_former(&mut self, now: Now, former: Vec<View>, effects: &mut Effects) {
        let mut news = false;
        for view in former {
            // The bootstrap view of others means nothing, unless the current view came with it.
            news |= view.id.epoch > 0 && self.views.hear(view);
        }
        if news {
            // What its source said of former views when it began was not held against this one.
            self.pass = self.pass.take().filter(|pass| pass.legacy.is_some());
            self.on_views_changed(now, effects);
        }
    }

    /// Former views were heard of or settled: all parts that keep something about them follow.
    pub(super) fn on_views_changed(&mut self, now: Now, effects: &mut Effects) {
        if let Some(replica) = &mut self.replica {
            replica.on_views(&self.views);
        }
        self.stability.on_views(&self.views);
        let former: BTreeSet<ViewId> = self.views.former().map(|view| view.id).collect();
        let (kept, settled) = std::mem::take(&mut self.legacies).into_iter().partition(|(id, _)| former.contains(id));
        self.legacies = kept;
        let settled: BTreeMap<ViewId, Replica> = settled;
        effects.extend(settled.into_values().map(|legacy| Effect::Discard(Box::new(legacy))));
        self.holders.retain(|id, _| former.contains(id));
        self.broken.retain(|(id, _), _| former.contains(id));
        self.statements.retain(|(id, _), _| former.contains(id));
        if self.pass.as_ref().and_then(|pass| pass.legacy).is_some_and(|legacy| !former.contains(&legacy)) {
            self.pass = None;
        }
        self.progress = true;
        self.settle(now, effects);
        self.reach(effects);
    }

    /// Adopts a greater view: a new origin begins, and what was held becomes a legacy (design 11.3).
    pub(super) fn adopt(&mut self, now: Now, view: &View, former: Vec<View>, effects: &mut Effects) {
        let old = self.views.current().clone();
        self.clock.receive(view.id.activation);
        self.views.adopt(view.clone(), former);
        let is_former = matches!(self.views.place(&old.id), Place::Former(_));
        // Its first view has nothing to do with this one: it was started with another environment.
        let is_stray = old.id.epoch == 0 && self.cluster != self.config.cluster.fingerprint();
        if !is_stray {
            self.note_departed(&old);
        }
        let written_off = view.wrote_off(self.me);
        let mut discarded = 0;
        if let Some(mut replica) = self.replica.take() {
            if self.life.is_some_and(|start| self.views.was_reached_before(&old.id, Life { node: self.me, start })) {
                replica.lives.forget_closed();
            }
            if is_former && !written_off && replica.origin.is_some() {
                self.legacies.insert(old.id, replica);
            } else {
                discarded += replica.table().live();
                effects.push(Effect::Discard(Box::new(replica)));
            }
        }
        let unnamed = self.life != view.life(self.me) && !planted::is(Planted::LifeUnnamed);
        let life_goes_on = self.life.is_some() && !unnamed;
        // What it holds it hands over, whatever life of it the view names: it may have started again after it was asked, recovered,
        // and acknowledged writes.
        if written_off {
            for legacy in std::mem::take(&mut self.legacies).into_values() {
                discarded += legacy.table().live();
                effects.push(Effect::Discard(Box::new(legacy)));
            }
        }
        if discarded > 0 || written_off {
            effects.push(Effect::Event(Event::Discarded { entries: discarded, written_off }));
        }
        effects.push(Effect::Event(Event::ViewAdopted(view.id)));
        self.received = (0, 0);
        self.lease = None;
        self.pass = None;
        self.broken.clear();
        self.heard.clear();
        self.unknown.clear();
        self.told.clear();
        self.adopted = BTreeSet::from([self.me]);
        self.offered.clear();
        // What shards have said they have said under the view before, of their slots in that.
        self.statements.clear();
        self.answer_unacked(effects);
        match old.id.epoch == 0 && !is_former {
            // What was stable in a cluster of its own says nothing about this one.
            true => self.stability = Stability::of_stranger(view),
            false => self.stability.adopt(old.id, view),
        }
        self.write_ids.forget_until(self.clock.last());
        self.begin_in(now, view, life_goes_on);
        let members: Vec<NodeId> = view.members().map(|(node, _, _)| node).collect();
        self.membership.look_for(&members);
        self.on_views_changed(now, effects);
        self.retake(now, effects);
        if self.life.is_some() {
            self.gossip(now, effects);
        }
        self.seek_recovery(now, effects);
    }

    /// Remembers who has left, and that those who are back have not.
    fn note_departed(&mut self, old: &View) {
        let current = self.views.current();
        self.departed.retain(|address| current.shard_of_member(address.node_id()).is_none());
        for (node, address, _) in old.members() {
            if node != self.me && current.shard_of_member(node).is_none() && !self.departed.contains(address) {
                self.departed.push_back(address.clone());
            }
        }
        while self.departed.len() > DEPARTED_MAX {
            self.departed.pop_front();
        }
    }

    /// Takes this node's place in a view that it has just adopted.
    fn begin_in(&mut self, now: Now, view: &View, life_goes_on: bool) {
        let seed = random(&mut self.rng);
        self.peers.clear();
        self.boot = None;
        let table = || Table::new(seed, Arc::clone(&self.origins));
        self.replica = view.shard_of_member(self.me).map(|s| Replica::new(&self.config, &self.views, s, table()));
        self.reader.follow(self.replica.as_ref().map(|replica| replica.shared.clone()));
        let Some(replica) = &mut self.replica else {
            // It begins again outside the view, unless it has something to hand over: others may know a later life of it.
            self.life = self.life.filter(|_| life_goes_on || !self.legacies.is_empty());
            self.boot = self.life.is_none().then(|| Boot::new(seed, now.monotonic));
            return;
        };
        let others = replica.members.iter().filter(|node| **node != self.me);
        self.peers = others.map(|node| (*node, Peer::default())).collect();
        for node in replica.members.clone() {
            if let Some(start) = self.lives.get(&node) {
                replica.lives.learn(crate::id::Life { node, start: *start });
            }
        }
        match self.life.filter(|_| life_goes_on) {
            Some(start) => {
                replica.begin(Origin { view: view.id, node: self.me, start });
                replica.recovered = true;
                self.clock.receive(start);
                for peer in self.peers.values_mut() {
                    peer.out = Outgoing::new(start);
                }
            }
            // It is unrecovered here: it has to meet its shard like one that has just started.
            None => {
                self.life = None;
                self.boot = Some(Boot::new(random(&mut self.rng), now.monotonic));
            }
        }
    }

    /// Begins this run's life: above all that a drifting clock can have issued before, in a millisecond of its own; the
    /// random bits tell lives apart whose wall clock was set back (design 4.1, 15.2).
    pub(super) fn begin_life(&mut self, now: Now) -> Timestamp {
        let safe = Timestamp::from_wall(now.wall).later_by(2 * self.config.cluster.clock_drift_max);
        let floor = self.clock.last().max(safe).later_by(Duration::from_millis(1));
        let start = floor.in_millisecond(random(&mut self.rng));
        self.clock.begin(start);
        self.life = Some(start);
        self.first_life.get_or_insert(start);
        start
    }
}
