//! Replicas are looked at: now and then while the run goes on, and all of them at its end.

use std::collections::BTreeSet;

use precede_checker::FinalRead;
use precede_core::causality::hlc::Timestamp;
use precede_core::causality::version_vector::VersionVector;
use precede_core::id::{NodeId, Origin, ShardId};
use precede_core::node::Node;

use crate::properties::rule_a::Scope;
use crate::properties::{
    Holding, bounded, convergent, empty_window, no_lost_write, no_resurrection, one_home, rule_a, stable,
};
use crate::queue::Event;
use crate::trace::letter;
use crate::violation::Rule;
use crate::world::{MILLISECOND, SECOND, World};

/// Time between looks. Every look is at a quarter of the nodes, and at what one shard has of what is stable.
const INTERVAL: u64 = 250 * MILLISECOND;

impl World {
    /// What a process holds of the shard that it has now.
    fn holding(&self, at: usize) -> Option<Holding> {
        let node = self.machines[at].node.as_ref()?;
        node.table(&node.view().id).as_ref().map(Holding::of)
    }

    pub(super) fn sample(&mut self) {
        self.queue.push(self.now + INTERVAL, Event::Sample);
        self.samples += 1;
        let quarter = self.samples % 4;
        for at in (0..self.machines.len()).filter(|at| at % 4 == quarter) {
            self.inspect(at);
        }
        if !self.mix.has_crashes() {
            self.check_stable();
            self.check_stable_in_change();
        }
        self.check_spread();
        let may_crash = !self.crash_planned && self.now + 2 * SECOND < self.heal_at && self.now > 2 * SECOND;
        if self.mix.has_single_crashes_only() && may_crash && self.is_whole() {
            self.plan_single();
        }
    }

    fn inspect(&mut self, at: usize) {
        if self.is_stray(at) {
            return;
        }
        let machine = &self.machines[at];
        let Some(node) = machine.node.as_ref() else { return };
        let report = node.report(machine.clock.read(self.now));
        let tables = node.tables();
        let window = self.shape.window_bytes_max.unwrap_or(precede_core::limits::WINDOW_BYTES_DEFAULT);
        self.judge(Rule::Bounded, bounded::node(&report, window), || letter(at).to_string());
        let bound = self.clock_bound_ms();
        self.judge(Rule::Bounded, bounded::clock(&report, bound), || letter(at).to_string());
        let scope = self.rule_a_scope();
        for table in tables {
            let holding = Holding::of(&table);
            self.learn_holding(&holding);
            let keys = self.oracle.keys_of(&table.view, table.shard);
            let former = table.held.iter().map(|(_, vector)| vector).filter(|_| scope == Scope::All);
            let claims: Vec<_> = former.chain([&table.applied]).collect();
            let judgement = rule_a::check(&self.oracle, &keys, &claims, &holding, scope);
            if !self.clock_lost {
                self.judge(Rule::RuleA, judgement, || format!("{} in view {}", letter(at), table.view.id.epoch));
            }
        }
    }

    fn rule_a_scope(&self) -> Scope {
        if self.stale_start || self.siblings { Scope::BesideOthers } else { Scope::All }
    }

    /// Rule A after a step: what the replica claims since the last one. Where a life began below a former one, what is still under way
    /// of that one counts as the later word, and the node ends and starts again when it hears of it.
    pub(super) fn check_claims(&mut self, at: usize) {
        if self.is_stray(at) || self.clock_lost {
            return;
        }
        let scope = self.rule_a_scope();
        let machine = &mut self.machines[at];
        let Some(replica) = machine.node.as_ref().and_then(Node::replica) else { return };
        let view = Some(replica.shared.view.id);
        if machine.claimed.0 != view {
            machine.claimed = (view, VersionVector::default());
        }
        let judgement = rule_a::step(&self.oracle, replica, &mut machine.claimed.1, scope);
        self.judge(Rule::RuleA, judgement, || letter(at).to_string());
    }

    /// Lives close over nothing (10.4): whoever says so has what any replica of the shard holds of them.
    pub(super) fn check_closed(&mut self, at: usize, node: NodeId, before: Timestamp) {
        if self.is_stray(at) || self.clock_lost || self.stale_start || self.siblings {
            return;
        }
        let Some(closer) = self.machines[at].node.as_ref() else { return };
        let Some(shard) = closer.shard() else { return };
        let view = closer.view().clone();
        let holdings = self.holdings(&view, shard);
        let Some((_, mine)) = holdings.iter().find(|(holder, _)| *holder == at) else { return };
        let is_of_them = |origin: &Origin| origin.view == view.id && origin.node == node && origin.start < before;
        let missing = holdings.iter().flat_map(|(holder, holding)| {
            let theirs = holding.entries.values().filter(|(version, _)| is_of_them(&version.origin));
            let writes = theirs.filter_map(|(version, _)| self.oracle.find(version));
            writes.map(|write| (*holder, write)).collect::<Vec<_>>()
        });
        let missing = missing.into_iter().find(|(_, write)| !mine.reflects(&self.oracle, *write));
        if let Some((holder, write)) = missing {
            let what = self.oracle.describe(write);
            self.object(
                Rule::Convergent,
                format!("{} closes lives over {what}, which {} has", letter(at), letter(holder)),
            );
        }
    }

    /// What a replica and a peer of it hold differently now, for messages.
    pub(super) fn difference(&self, at: usize, peer: NodeId) -> String {
        let peer = self.index.get(&peer).and_then(|peer| self.holding(*peer));
        match (self.holding(at), peer) {
            (Some(one), Some(other)) => convergent::check(&one, &other).err().unwrap_or("none any more".to_owned()),
            (_, None) | (None, _) => "one of them is down".to_owned(),
        }
    }

    fn check_stable(&mut self) {
        let inside = |at: &usize| !self.is_stray(*at);
        let said = (0..self.machines.len()).filter(inside).filter_map(|at| {
            let machine = &self.machines[at];
            Some(machine.node.as_ref()?.report(machine.clock.read(self.now)).stable)
        });
        let greatest = said.max().unwrap_or_default();
        let view = self.view_now();
        if !self.insiders().all(|node| node.view().id == view.id && node.is_settled()) {
            return;
        }
        let shard = view.shards()[self.samples % view.shards().len()].id;
        let replicas: Vec<Holding> = self.holdings(&view, shard).into_iter().map(|(_, holding)| holding).collect();
        let judgement = stable::check(&self.oracle, &self.oracle.keys_of(&view, shard), greatest, &replicas);
        self.judge(Rule::Sound, judgement, || format!("shard {}", shard.0));
    }

    /// While a former view is not settled nothing is stable that any legacy of it lacks (6.4).
    fn check_stable_in_change(&mut self) {
        let view = self.view_now();
        let said = (0..self.machines.len()).filter(|at| !self.is_stray(*at)).filter_map(|at| {
            let machine = &self.machines[at];
            let node = machine.node.as_ref().filter(|node| node.view().id == view.id && !node.is_settled())?;
            Some(node.report(machine.clock.read(self.now)).stable)
        });
        let Some(greatest) = said.max() else { return };
        for (at, table) in self.tables().into_iter().filter(|(_, table)| table.view.id != view.id) {
            let is_legacy = self.machines[at].node.as_ref().is_some_and(|node| node.view().id == view.id);
            if is_legacy {
                let keys = self.oracle.keys_of(&table.view, table.shard);
                let judgement = stable::check(&self.oracle, &keys, greatest, &[Holding::of(&table)]);
                self.judge(Rule::Sound, judgement, || format!("the legacy of {}", letter(at)));
            }
        }
    }

    /// Whether every node is up and recovered and every replica reflects every write that is not lost.
    fn is_whole(&self) -> bool {
        let view = self.view_now();
        let well = |machine: &crate::machine::Machine| {
            let report = machine.node.as_ref().map(|node| (node, node.report(machine.clock.read(self.now))));
            report.is_some_and(|(node, report)| {
                node.view().id == view.id && node.is_settled() && (report.recovered || report.spare)
            })
        };
        let outside = |at: usize| self.is_outside(at);
        if !self.machines.iter().enumerate().all(|(at, machine)| well(machine) || outside(at)) {
            return false;
        }
        view.shards().iter().all(|shard| {
            let holdings = self.holdings(&view, shard.id);
            let keys = self.oracle.keys_of(&view, shard.id).into_iter();
            let mut greatest = keys.filter_map(|key| {
                let writes = self.oracle.of_key(key).iter().rev().copied();
                writes.into_iter().find(|write| !self.oracle.writes[write.at()].lost)
            });
            greatest.all(|write| holdings.iter().all(|(_, holding)| holding.reflects(&self.oracle, write)))
        })
    }

    /// What must hold after the quiet time.
    pub(super) fn check_end(&mut self) {
        for at in 0..self.machines.len() {
            self.inspect(at);
            self.check_rest(at);
        }
        let view = self.view_now();
        let shards: Vec<ShardId> = view.shards().iter().map(|shard| shard.id).collect();
        let mut finals = Vec::new();
        for shard in shards {
            let holdings = self.holdings(&view, shard);
            let keys = self.oracle.keys_of(&view, shard);
            let Some((first, one)) = holdings.first() else { continue };
            for (at, other) in &holdings[1..] {
                let about = || format!("{} and {}", letter(*first), letter(*at));
                self.judge(Rule::Convergent, convergent::check(one, other), about);
            }
            // Who waits for its clock may have something to hand over still.
            let is_one_view = self.insiders().all(|node| node.view().id == view.id);
            if is_one_view || !(self.clock_lost || self.stale_start) {
                let judgement = no_lost_write::at_end(&self.oracle, &keys, one);
                self.judge(Rule::NoLostWrite, judgement, || letter(*first).to_string());
                let judgement = no_resurrection::at_end(&self.oracle, &keys, one);
                self.judge(Rule::NoResurrection, judgement, || letter(*first).to_string());
            }
            for (at, holding) in &holdings {
                finals.extend(self.final_reads(*at, &keys, holding));
            }
        }
        let unanswered: Vec<u64> =
            self.pending.iter().filter(|(_, pending)| pending.due < self.end).map(|(id, _)| *id).collect();
        if !unanswered.is_empty() {
            self.object(Rule::Bounded, format!("never answered: {unanswered:?}"));
        }
        self.check_history(finals);
    }

    fn check_rest(&mut self, at: usize) {
        if self.is_outside(at) {
            return;
        }
        let machine = &self.machines[at];
        let Some(report) = machine.node.as_ref().map(|node: &Node| node.report(machine.clock.read(self.now))) else {
            // One whose clock was set back below its former life ends as often as it is started again.
            if !self.clock_lost && !self.stale_start {
                self.object(Rule::Live, format!("{} is down at the end", letter(at)));
            }
            return;
        };
        let view = self.view_now();
        if let Some(node) = &machine.node {
            let is_settled = node.view().id == view.id && node.is_settled();
            let (one_home, empty) = match is_settled {
                true => {
                    let empty = if self.waits_for_strays(at) { Ok(()) } else { empty_window::node(&report) };
                    (one_home::node(&self.oracle, &view, machine.id, &node.tables()), empty)
                }
                // Such a one cannot hand over, until its clock has passed its former life.
                false if self.clock_lost || self.stale_start => (Ok(()), Ok(())),
                false => {
                    let (current, outstanding) = (node.view().id, node.outstanding());
                    (Err(format!("in view {current:?} of {:?}, outstanding {outstanding:?}", view.id)), Ok(()))
                }
            };
            self.judge(Rule::OneHome, one_home, || letter(at).to_string());
            self.judge(Rule::EmptyWindow, empty, || letter(at).to_string());
        }
        if !report.spare && !report.recovered && !self.waits_for_strays(at) {
            let what =
                format!("{} has not recovered, met {}, waits for {:?}", letter(at), report.met, report.waiting_for);
            self.object(Rule::Live, what);
        }
    }

    fn final_reads(&self, at: usize, keys: &[usize], holding: &Holding) -> Vec<FinalRead> {
        let read = |key: &crate::oracle::Key| {
            let value = holding.entries.get(&key.name).and_then(|(_, value)| value.as_ref());
            FinalRead {
                replica: letter(at).to_string(),
                key: String::from_utf8_lossy(&key.name).into_owned(),
                value: value.map(|value| String::from_utf8_lossy(&value.bytes).into_owned()),
            }
        };
        keys.iter().map(|key| read(&self.oracle.keys[*key])).collect()
    }

    /// The history is judged where no write was lost, without the keys that have writes that may exist twice.
    fn check_history(&mut self, finals: Vec<FinalRead>) {
        if self.siblings || self.stale_start || self.oracle.writes.iter().any(|write| write.lost) {
            return;
        }
        let not_judged = self.oracle.issues.iter().filter(|issue| issue.repeated);
        let without: BTreeSet<String> = not_judged.map(|issue| self.oracle.name(issue.key)).collect();
        for finding in std::mem::take(&mut self.recorder).judge(&without, finals) {
            self.object(Rule::History, finding);
        }
    }
}
