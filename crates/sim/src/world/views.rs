//! Views change: who asks for what, what the world knows of views, and who holds what under them.

use precede_core::id::{Address, ShardId, ViewId};
use precede_core::node::{Node, TableReport};
use precede_core::placement::view::View;
use precede_core::wire::request::{Action, Outcome, Refusal, ViewChange};
use std::time::Duration;

use crate::dice::Dice;
use crate::mix::Mix;
use crate::oracle::Oracle;
use crate::past::{Past, WriteIx};
use crate::properties::Holding;
use crate::properties::live::Must;
use crate::queue::Event;
use crate::trace::letter;
use crate::violation::Rule;
use crate::world::{MILLISECOND, Pending, Purpose, SECOND, World, plain_request};

/// Time that a change is given to be done in a healthy cluster.
const CHANGE_DEADLINE: Duration = Duration::from_secs(6);

/// A table, with the view and the shard that it is for.
pub(super) struct Table {
    view: View,
    shard: ShardId,
    holding: Holding,
}

impl World {
    /// The greatest view that any process is in.
    pub(super) fn view_now(&self) -> View {
        self.insiders().map(Node::view).max_by_key(|view| view.id).unwrap_or(&self.shape.view).clone()
    }

    /// All tables of all processes, legacies included.
    pub(super) fn tables(&self) -> Vec<(usize, TableReport)> {
        let of = |at: usize| {
            let tables = self.machines[at].node.as_ref().map(Node::tables).unwrap_or_default();
            tables.into_iter().map(move |table| (at, table)).collect::<Vec<_>>()
        };
        (0..self.machines.len()).filter(|at| !self.is_stray(*at)).flat_map(of).collect()
    }

    /// Who holds what, for the question whether something is lost.
    pub(super) fn holders(&self) -> Vec<Table> {
        let table = |(_, table): (usize, TableReport)| Table {
            holding: Holding::of(&table),
            view: table.view,
            shard: table.shard,
        };
        // What a node holds that was written off is given up already, though it may not have heard of it.
        let counts = |(at, table): &(usize, TableReport)| !self.is_written_off(*at, &table.view.id);
        self.tables().into_iter().filter(counts).map(table).collect()
    }

    /// Those of them that would still be asked: not those of settled views, in what they have not dropped yet.
    pub(super) fn asked_holders(&self) -> Vec<Table> {
        let is_asked = |table: &Table| self.siblings || !self.settled.contains(&table.view.id);
        self.holders().into_iter().filter(is_asked).collect()
    }

    /// Whether a view above this one was made without a node.
    pub(super) fn is_written_off(&self, at: usize, below: &ViewId) -> bool {
        let id = self.machines[at].id;
        self.views.range(below..).any(|(view_id, view)| view_id > below && view.wrote_off(id))
    }

    /// What every process of a shard of this view holds, if it is in the view.
    pub(super) fn holdings(&self, view: &View, shard: ShardId) -> Vec<(usize, Holding)> {
        let of = |(at, machine): (usize, &crate::machine::Machine)| {
            let table = machine.node.as_ref()?.table(&view.id).filter(|table| table.shard == shard)?;
            Some((at, Holding::of(&table)))
        };
        self.machines.iter().enumerate().filter_map(of).collect()
    }

    /// A view was adopted somewhere. Where two have one epoch, promises are weaker (design 11.7).
    pub(super) fn note_view(&mut self, at: usize) {
        let Some(view) = self.machines[at].node.as_ref().map(|node| node.view().clone()) else { return };
        if self.views.contains_key(&view.id) {
            return;
        }
        let sibling = |id: &ViewId| id.epoch == view.id.epoch && *id != view.id;
        self.siblings |= self.views.keys().any(sibling);
        if self.trace.is_on() {
            let shards: Vec<String> = view
                .shards()
                .iter()
                .map(|shard| {
                    let nodes = shard.replicas.iter().filter_map(|replica| self.index.get(&replica.node_id()));
                    format!("{}={}", shard.id.0, nodes.map(|node| letter(*node)).collect::<String>())
                })
                .collect();
            self.trace.line(self.now, format_args!("** view {:?}: {}", view.id, shards.join(" ")));
        }
        self.views.insert(view.id, view);
        // What only those held that were written off is given up by now.
        self.bury(at, "made a view");
        self.aim();
    }

    /// Faults that meet a view change while it is under way.
    fn aim(&mut self) {
        if self.mix != Mix::ViewFaults || self.now + 2 * SECOND > self.heal_at {
            return;
        }
        for _ in 0..2 {
            if self.dice.chance(250) {
                let node = self.dice.index(self.machines.len());
                let at = self.now + self.dice.below(200 * MILLISECOND);
                self.queue.push(at, Event::CrashSingle(node));
            }
        }
    }

    /// A client asks a node for another view.
    pub(super) fn ask_change(&mut self, by: usize, draw: u64) {
        if self.is_stray(by) {
            return;
        }
        let mut dice = Dice::new(draw);
        let view = self.view_now();
        let Some((members, repl_factor)) = self.draw_members(&view, &mut dice) else { return };
        let force = self.mix == Mix::ViewFaults && dice.chance(60);
        let asked = ViewChange { members, repl_factor, dry_run: dice.chance(50), force, expected_epoch: None };
        let dry_run = asked.dry_run;
        let mut request = plain_request(Action::ChangeView(asked), Default::default());
        request.deadline = CHANGE_DEADLINE;
        let quiet = self.now >= self.changed_at + CHANGE_DEADLINE.as_micros() as u64 + SECOND;
        let must = if self.mix == Mix::Views && quiet && self.now > 4 * SECOND { Must::Healthy } else { Must::Not };
        if !dry_run {
            self.changed_at = self.now;
        }
        let (past, due) = (Past::nothing(self.oracle.keys.len()), self.now);
        let purpose = Purpose::Change;
        let pending = Pending {
            node: by,
            purpose,
            key: None,
            issue: None,
            request,
            past,
            must,
            due,
            operation: None,
            carries: false,
        };
        self.submit(pending);
    }

    /// Members added, removed, replaced; all of them; another factor.
    fn draw_members(&self, view: &View, dice: &mut Dice) -> Option<(Vec<Address>, usize)> {
        let all: Vec<Address> = self.machines.iter().map(|machine| machine.address.clone()).collect();
        let mut members: Vec<Address> = view.members().map(|(_, address, _)| address.clone()).collect();
        let mut others: Vec<Address> = all.into_iter().filter(|address| !members.contains(address)).collect();
        let mut factor = view.repl_factor;
        let least = if self.mix.has_single_crashes_only() { 2 } else { 1 };
        match dice.below(10) {
            0..3 if !others.is_empty() => members.push(others.swap_remove(dice.index(others.len()))),
            3..5 if members.len() > least => {
                members.swap_remove(dice.index(members.len()));
            }
            5..7 if !others.is_empty() => {
                let at = dice.index(members.len());
                members[at] = others.swap_remove(dice.index(others.len()));
            }
            7 if others.len() >= least => members = others,
            8 => {
                members.extend(others);
                let count = least.max(1 + dice.index(members.len()));
                while members.len() > count {
                    members.swap_remove(dice.index(members.len()));
                }
            }
            _ => factor = least.max(1 + dice.index(4)),
        }
        factor = factor.clamp(least, members.len().max(least));
        (members.len() >= factor).then_some((members, factor))
    }

    /// What a change is answered.
    pub(super) fn judge_change(&mut self, id: u64, must: Must, dry_run: bool, outcome: &Outcome) {
        let sound = match outcome {
            Outcome::Changed(changed) => {
                if must == Must::Healthy && !changed.settled && !dry_run {
                    self.object(Rule::Live, format!("#{id}: a healthy view change has not settled: {changed:?}"));
                }
                true
            }
            Outcome::Refused(refusal) => matches!(
                refusal,
                Refusal::BadView(_)
                    | Refusal::ViewChangeInProgress(_)
                    | Refusal::UnexpectedEpoch { .. }
                    | Refusal::WouldGiveUp(_)
            ),
            _ => false,
        };
        if !sound {
            self.object(Rule::Sound, format!("#{id} is a view change, answered with {outcome:?}"));
        }
    }
}

/// Whether anybody holds a write, or something greater, who would be asked for it.
pub(super) fn is_held(oracle: &Oracle, tables: &[Table], write: WriteIx) -> bool {
    let hash = oracle.keys[oracle.writes[write.at()].key].hash;
    tables.iter().any(|table| table.view.shard_of_hash(hash).id == table.shard && table.holding.reflects(oracle, write))
}
