//! Views change: who asks for what, what the world knows of views, and who holds what under them.

use std::collections::BTreeSet;
use std::time::Duration;

use precede_core::id::{Address, ShardId, ViewId};
use precede_core::node::{Node, TableReport};
use precede_core::placement::view::View;
use precede_core::wire::request::{Action, Outcome, Refusal, ViewChange};

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

/// An epoch that no run reaches.
const EPOCH_NEVER: u32 = 1_000_000;

/// A table, with the view and the shard that it is for.
pub(super) struct Table {
    view: View,
    shard: ShardId,
    pub(super) holding: Holding,
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

    /// How many nodes hold a write, or something greater, in a table of the present view or of a former one.
    pub(super) fn nodes_that_hold(&self, write: WriteIx) -> usize {
        let hash = self.oracle.keys[self.oracle.writes[write.at()].key].hash;
        let has_it = |(_, table): &(usize, TableReport)| {
            table.view.shard_of_hash(hash).id == table.shard && Holding::of(table).reflects(&self.oracle, write)
        };
        self.tables().into_iter().filter(has_it).map(|(at, _)| at).collect::<BTreeSet<_>>().len()
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
        self.machines[at].views.entry(view.id).or_insert(self.now);
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
        let written_off = view.record().written_off.len();
        self.views.insert(view.id, view);
        // What only those held that were written off is given up by now, and so is what others have still not dropped of a view that
        // is settled: two that were written off may have been all that held a write.
        match written_off {
            0 | 1 => self.bury(at, "made a view"),
            _ => {
                self.note_loss();
                self.bury_but(&self.asked_holders(), at, "made a view");
            }
        }
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
        let quiet = self.now >= self.changed_at + CHANGE_DEADLINE.as_micros() as u64 + SECOND;
        let must = if self.mix == Mix::Views && quiet && self.now > 4 * SECOND { Must::Healthy } else { Must::Not };
        self.ask_change_of(by, draw, must);
    }

    /// The same when all faults have been over for a while: whatever went before, it is made, and settles.
    pub(super) fn ask_change_at_rest(&mut self, by: usize, draw: u64) {
        let is_sound = !self.clock_lost && !self.stale_start && !self.machines.iter().any(|machine| machine.strayed);
        self.ask_change_of(by, draw, if is_sound { Must::AtRest } else { Must::Not });
    }

    /// Whether a change at rest that was refused would have time to be made all the same.
    pub(super) fn may_ask_again(&self) -> bool {
        self.now + 5 * SECOND < self.end
    }

    fn ask_change_of(&mut self, by: usize, draw: u64, must: Must) {
        if self.is_stray(by) {
            return;
        }
        let mut dice = Dice::new(draw);
        let view = self.view_now();
        let Some((members, repl_factor)) = self.draw_members(&view, by, &mut dice) else { return };
        let forces = if self.mix == Mix::ViewSplits { 400 } else { 60 };
        let force = self.mix.forces_views() && dice.chance(forces) && must == Must::Not;
        let dry_run = dice.chance(50);
        let repl_factor = if members.len() >= 5 && dice.chance(60) { 5 } else { repl_factor };
        // Who names another epoch than there is has planned for another view, and is refused.
        let wrong = must == Must::Not && dice.chance(50);
        let epoch = if wrong { EPOCH_NEVER } else { view.id.epoch };
        let expected_epoch = (wrong || dice.chance(150)).then_some(epoch);
        let asked = ViewChange { members, repl_factor, dry_run, force, expected_epoch };
        let mut request = plain_request(Action::ChangeView(asked), Default::default());
        request.deadline = CHANGE_DEADLINE;
        // One that is not to be made asks for leases too.
        self.changed_at = self.now;
        let past = Past::nothing(self.oracle.keys.len());
        let pending = Pending { must, carries: false, ..self.pending(Purpose::Change, by, request, past) };
        self.submit(pending);
    }

    /// Members added, removed, replaced; all of them; another factor.
    fn draw_members(&self, view: &View, by: usize, dice: &mut Dice) -> Option<(Vec<Address>, usize)> {
        let all: Vec<Address> = self.machines.iter().map(|machine| machine.address.clone()).collect();
        let mut members: Vec<Address> = view.members().map(|(_, address, _)| address.clone()).collect();
        let mut others: Vec<Address> = all.into_iter().filter(|address| !members.contains(address)).collect();
        if self.mix == Mix::ViewSplits {
            // Who is cut off from some makes a view of the others.
            let is_near = |address: &Address| {
                let at = self.index[&address.node_id()];
                self.network.is_open(by, at) && self.network.is_open(at, by)
            };
            members.retain(is_near);
            others.retain(is_near);
            if members.is_empty() {
                return None;
            }
        }
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
    pub(super) fn judge_change(&mut self, id: u64, must: Must, asked: &ViewChange, outcome: &Outcome) {
        let sound = match outcome {
            Outcome::Changed(changed) => {
                if must != Must::Not && !changed.settled && !asked.dry_run {
                    self.object(Rule::Live, format!("#{id}: {must:?}, and a view change has not settled: {changed:?}"));
                }
                asked.expected_epoch != Some(EPOCH_NEVER)
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
