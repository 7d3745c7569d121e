//! Replicas are looked at: now and then while the run goes on, and all of them at its end.

use std::collections::BTreeSet;

use precede_checker::FinalRead;
use precede_core::id::{NodeId, ShardId};
use precede_core::node::Node;

use crate::properties::{Holding, bounded, convergent, empty_window, no_lost_write, no_resurrection, rule_a, stable};
use crate::queue::Event;
use crate::trace::letter;
use crate::violation::Rule;
use crate::world::{MILLISECOND, SECOND, World};

/// Time between looks. Every look is at a quarter of the nodes.
const INTERVAL: u64 = 250 * MILLISECOND;

impl World {
    /// What every process of a shard holds.
    pub(super) fn holdings(&self, shard: ShardId) -> Vec<(usize, Holding)> {
        let of_shard = self.machines.iter().enumerate().filter(|(_, machine)| machine.shard == Some(shard));
        of_shard.filter_map(|(at, _)| Some((at, self.holding(at)?))).collect()
    }

    fn holding(&self, at: usize) -> Option<Holding> {
        let machine = &self.machines[at];
        let node = machine.node.as_ref()?;
        let horizon = node.report(machine.clock.read(self.now)).horizon;
        Some(Holding::of(node, horizon))
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
        }
        self.check_spread();
        let may_crash = !self.crash_planned && self.now + 2 * SECOND < self.heal_at && self.now > 2 * SECOND;
        if self.mix.has_single_crashes_only() && may_crash && self.is_whole() {
            self.crash_planned = true;
            let node = self.dice.index(self.shape.members);
            let at = self.now + self.dice.below(1_500 * MILLISECOND);
            self.queue.push(at, Event::CrashSingle(node));
        }
    }

    fn inspect(&mut self, at: usize) {
        let machine = &self.machines[at];
        let Some(node) = machine.node.as_ref() else { return };
        let report = node.report(machine.clock.read(self.now));
        let window = self.shape.window_bytes_max.unwrap_or(precede_core::limits::WINDOW_BYTES_DEFAULT);
        self.judge(Rule::Bounded, bounded::node(&report, window), || letter(at).to_string());
        let bound = self.clock_bound_ms();
        self.judge(Rule::Bounded, bounded::clock(&report, bound), || letter(at).to_string());
        let (Some(shard), Some(holding)) = (self.machines[at].shard, self.holding(at)) else { return };
        self.learn_holding(&holding);
        let judgement = rule_a::check(&self.oracle, shard, &report.applied, &holding);
        self.judge(Rule::RuleA, judgement, || letter(at).to_string());
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
        let said = self.machines.iter().filter_map(|machine| {
            let node = machine.node.as_ref()?;
            Some(node.report(machine.clock.read(self.now)).stable)
        });
        let greatest = said.max().unwrap_or_default();
        for shard in self.shape.view.shards().iter().map(|shard| shard.id).collect::<Vec<_>>() {
            let replicas: Vec<Holding> = self.holdings(shard).into_iter().map(|(_, holding)| holding).collect();
            let judgement = stable::check(&self.oracle, shard, greatest, &replicas);
            self.judge(Rule::Sound, judgement, || format!("shard {}", shard.0));
        }
    }

    /// Whether every node is up and recovered and every replica reflects every write that is not lost.
    fn is_whole(&self) -> bool {
        let recovered = |at: usize| {
            let machine = &self.machines[at];
            let report = machine.node.as_ref().map(|node| node.report(machine.clock.read(self.now)));
            report.is_some_and(|report| report.recovered)
        };
        if !(0..self.shape.members).all(recovered) {
            return false;
        }
        self.shape.view.shards().iter().all(|shard| {
            let holdings = self.holdings(shard.id);
            let keys = (0..self.oracle.keys.len()).filter(|key| self.oracle.keys[*key].shard == shard.id);
            let mut greatest = keys.filter_map(|key| {
                let writes = self.oracle.of_key(key).iter().rev().copied();
                writes
                    .into_iter()
                    .find(|write| !self.oracle.writes[write.at()].lost && !self.oracle.is_repeated(*write))
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
        let shards: Vec<ShardId> = self.shape.view.shards().iter().map(|shard| shard.id).collect();
        let mut finals = Vec::new();
        for shard in shards {
            let holdings = self.holdings(shard);
            let Some((first, one)) = holdings.first() else { continue };
            for (at, other) in &holdings[1..] {
                let about = || format!("{} and {}", letter(*first), letter(*at));
                self.judge(Rule::Convergent, convergent::check(one, other), about);
            }
            let judgement = no_lost_write::at_end(&self.oracle, shard, one);
            self.judge(Rule::NoLostWrite, judgement, || letter(*first).to_string());
            let judgement = no_resurrection::at_end(&self.oracle, shard, one);
            self.judge(Rule::NoResurrection, judgement, || letter(*first).to_string());
            for (at, holding) in &holdings {
                finals.extend(self.final_reads(*at, shard, holding));
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
        let machine = &self.machines[at];
        let Some(report) = machine.node.as_ref().map(|node: &Node| node.report(machine.clock.read(self.now))) else {
            self.object(Rule::Live, format!("{} is down at the end", letter(at)));
            return;
        };
        self.judge(Rule::EmptyWindow, empty_window::node(&report), || letter(at).to_string());
        if !report.spare && !report.recovered {
            let what =
                format!("{} has not recovered, met {}, waits for {:?}", letter(at), report.met, report.waiting_for);
            self.object(Rule::Live, what);
        }
    }

    fn final_reads(&self, at: usize, shard: ShardId, holding: &Holding) -> Vec<FinalRead> {
        let read = |key: &crate::oracle::Key| {
            let value = holding.entries.get(&key.name).and_then(|(_, value)| value.as_ref());
            FinalRead {
                replica: letter(at).to_string(),
                key: String::from_utf8_lossy(&key.name).into_owned(),
                value: value.map(|value| String::from_utf8_lossy(&value.bytes).into_owned()),
            }
        };
        self.oracle.keys.iter().filter(|key| key.shard == shard).map(read).collect()
    }

    /// The history is judged where no write was lost, without the keys that have writes that may exist twice.
    fn check_history(&mut self, finals: Vec<FinalRead>) {
        if self.oracle.writes.iter().any(|write| write.lost) {
            return;
        }
        let not_judged = self.oracle.issues.iter().filter(|issue| issue.repeated);
        let without: BTreeSet<String> = not_judged.map(|issue| self.oracle.name(issue.key)).collect();
        for finding in std::mem::take(&mut self.recorder).judge(&without, finals) {
            self.object(Rule::History, finding);
        }
    }
}
