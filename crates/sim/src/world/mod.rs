//! The world of one run: virtual time, machines, links, clients, faults, and the record of it all.

mod ambush;
mod answers;
mod barriers;
mod checks;
mod clients;
mod faults;
mod forged;
mod held;
mod learn;
mod named;
mod nodes;
mod probes;
mod requests;
mod strays;
mod told;
mod views;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use precede_core::causality::context::Context;
use precede_core::causality::hlc::Timestamp;
use precede_core::effect::Effects;
use precede_core::id::{NodeId, ViewId};
use precede_core::wire::request::{Request, WriteConcern};
use xxhash_rust::xxh3::Xxh3;

use crate::clock::Clock;
use crate::dice::Dice;
use crate::faults::{Ambush, Planned, plan};
use crate::history::Recorder;
use crate::machine::Machine;
use crate::mix::Mix;
use crate::network::Network;
use crate::options::Options;
use crate::oracle::Oracle;
use crate::past::{Past, WriteIx};
use crate::properties::live::Must;
use crate::properties::present::Known;
use crate::queue::{Event, Queue};
use crate::shape::Shape;
use crate::trace::Trace;
use crate::violation::{Rule, Violation};
use crate::workload::{Kept, Session, Workload};

const MILLISECOND: u64 = 1_000;
pub(crate) const SECOND: u64 = 1_000_000;

/// Faults and clients begin after this, when the cluster has met.
const START: u64 = 2 * SECOND;

/// The last part of a run: no faults, no clients, only probes.
pub(crate) const QUIET: u64 = 10 * SECOND;

/// How long after its deadline an answer may come.
const SLACK: u64 = 50 * MILLISECOND;

/// A run is ended early at so many violations.
const VIOLATIONS_MAX: usize = 10;

/// Tells the dice of the faults from those of the rest.
const FAULT_DICE: u64 = 0x6661_756c_7473;

/// And those of barriers.
const BARRIER_DICE: u64 = 0x0062_6172_7269_6572;

/// And those of named writes.
const NAMED_DICE: u64 = 0x6e61_6d65_6473;

/// And those of how long contexts may be.
const CONTEXT_DICE: u64 = 0x0063_6f6e_7465_7874;

/// And those of what is asked at rest.
const REST_DICE: u64 = 0x7265_7374;

/// So long before the end of a run another view is asked for.
const CHANGE_AT_REST: u64 = 6 * SECOND;

/// Who asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// A session.
    Session(usize),
    /// The probe at rest.
    Probe {
        /// Whether the context must come back without entries.
        last: bool,
    },
    /// A view change.
    Change,
    /// Somebody who wants to know whether all is stable.
    Barrier,
    /// Somebody whose writes have names.
    Named,
}

/// A request that has no answer yet.
#[derive(Debug)]
struct Pending {
    node: usize,
    purpose: Purpose,
    /// None for a count.
    key: Option<usize>,
    issue: Option<usize>,
    request: Request,
    past: Past,
    must: Must,
    asked_at: u64,
    due: u64,
    operation: Option<usize>,
    carries: bool,
    /// Whether its context is none that the cluster has issued.
    is_forged: bool,
}

impl Pending {
    fn is_change(&self) -> bool {
        self.purpose == Purpose::Change
    }
}

/// What a run came to.
#[derive(Debug)]
pub struct Summary {
    /// Inputs that nodes were given.
    pub steps: u64,
    /// Requests of clients.
    pub operations: u64,
    /// A hash of all effects in their order.
    pub digest: u64,
    /// Writes whose last holder crashed.
    pub lost: usize,
    /// Whether the one assumption on clocks was broken, so that old contexts may be refused.
    pub clock_lost: bool,
    /// Strokes of faults that it was to meet.
    pub strokes: BTreeSet<usize>,
    /// Members of its view.
    pub members: usize,
    /// Its sessions.
    pub sessions: usize,
    /// Views adopted, the first one left out.
    pub views: usize,
    /// Whether two views had one epoch, so that some promises are weaker.
    pub siblings: bool,
    /// Whether nodes began anew in their first view, which none of them could know to be over.
    pub stale_start: bool,
    /// What was found wrong.
    pub violations: Vec<Violation>,
}

/// The world.
pub struct World {
    mix: Mix,
    shape: Shape,
    now: u64,
    heal_at: u64,
    end: u64,
    queue: Queue<Event>,
    dice: Dice,
    /// The dice of barriers; none where they are left out.
    barriers: Option<Dice>,
    /// Who makes named writes; nobody where they are left out.
    named: Option<named::NamedClients>,
    network: Network,
    machines: Vec<Machine>,
    index: BTreeMap<NodeId, usize>,
    plan: Vec<Planned>,
    strokes: BTreeSet<usize>,
    oracle: Oracle,
    recorder: Recorder,
    workload: Workload,
    sessions: Vec<Session>,
    kept: Vec<Kept>,
    pending: BTreeMap<u64, Pending>,
    requests: u64,
    /// Forwarded writes by router and number: the key, and the value of a put.
    forwards: BTreeMap<(usize, u64), (usize, Option<Bytes>)>,
    /// By put and replica: the greatest timestamp that a router allowed it there (design 7.1).
    allowed: BTreeMap<(usize, NodeId), Timestamp>,
    /// Acknowledged writes that have not been seen on all replicas yet, where faults are held for ever.
    spreading: VecDeque<(u64, WriteIx)>,
    crash_planned: bool,
    /// What waits for a view change.
    ambush: Option<Ambush>,
    /// How far ahead any wall clock ever was.
    skew_ms_high: i64,
    /// A shard lost all memory while its clocks were set back, so that a life began below a former one, or the whole cluster
    /// did: contexts that name what was before may be refused from then on. The one assumption on clocks was broken.
    clock_lost: bool,
    /// All views that were ever adopted.
    views: BTreeMap<ViewId, precede_core::placement::view::View>,
    /// Whether two of them have one epoch: then promises are weaker (design 11.7).
    siblings: bool,
    /// Views that some node knows to be settled: what is still held of them nobody asks for.
    settled: BTreeSet<ViewId>,
    /// What there was of the key when a request came.
    known_then: BTreeMap<u64, Known>,
    /// The writes that two replicas have acknowledged, and that no loss of memory since can have taken from one of them.
    on_two: BTreeSet<WriteIx>,
    /// How often a node has lost what it held.
    losses: u64,
    /// The greatest stable timestamp that any node has known, or any client has brought along.
    stable_reached: Timestamp,
    /// Nodes began a life in their first view although the cluster was in a later one, which none of them could know.
    stale_start: bool,
    /// When the last view change was asked for.
    changed_at: u64,
    samples: usize,
    effects: Effects,
    digest: Xxh3,
    steps: u64,
    trace: Trace,
    violations: Vec<Violation>,
}

impl World {
    /// The world of a seed, at time 0.
    #[must_use]
    pub fn new(seed: u64, options: &Options, trace: Trace) -> Self {
        let (mix, less) = (options.mix_of(seed), &options.less);
        let mut dice = Dice::new(seed);
        let mut shape = Shape::draw(mix, less.members, &mut dice);
        let mut context_dice = Dice::new(seed ^ CONTEXT_DICE);
        let has_short = !less.plain && context_dice.chance(250);
        shape.context_entries_max = has_short.then(|| 1 + context_dice.index(6));
        let nodes = shape.addresses.len();
        let network = Network::new(nodes, || Shape::link(mix, &mut dice));
        let length = |seconds: u64| seconds.max(QUIET / SECOND + 4) * SECOND;
        let drawn = length(options.seconds);
        let end = less.until.map_or(drawn, length).min(drawn);
        let heal_at = end - QUIET;
        // Faults have dice of their own, so that leaving some out changes nothing but what follows from them.
        let mut plan = plan(mix, &shape, START, drawn - QUIET, &mut Dice::new(seed ^ FAULT_DICE));
        let kept = |stroke: &usize| less.faults.as_ref().is_none_or(|kept| kept.0.contains(stroke));
        plan.retain(|planned| planned.at < heal_at && kept(&planned.stroke));
        let strokes = plan.iter().map(|planned| planned.stroke).collect();
        let machine = |(at, address): (usize, &precede_core::id::Address)| {
            Machine::new(address.clone(), Clock::new(shape.skews_ms[at], shape.aged_by_ms))
        };
        let machines: Vec<Machine> = shape.addresses.iter().enumerate().map(machine).collect();
        let index = machines.iter().enumerate().map(|(at, machine)| (machine.id, at)).collect();
        let workload = Workload::draw(&mut dice);
        let named_keys = if less.plain { 0 } else { named::KEYS };
        let named_keys = (0..named_keys).map(|at| Bytes::from(format!("named-{at}")));
        let oracle = Oracle::new(workload.names().into_iter().chain(named_keys).collect());
        let mut sessions = workload.sessions(nodes, oracle.keys.len(), &mut dice);
        sessions.truncate(less.sessions.unwrap_or(usize::MAX).max(1));
        let mut world = Self {
            mix,
            shape,
            now: 0,
            heal_at,
            end,
            queue: Queue::default(),
            dice,
            barriers: (!less.plain).then(|| Dice::new(seed ^ BARRIER_DICE)),
            named: (!less.plain).then(|| named::NamedClients::new(Dice::new(seed ^ NAMED_DICE))),
            network,
            machines,
            index,
            plan,
            strokes,
            oracle,
            recorder: Recorder::default(),
            workload,
            sessions,
            kept: Vec::new(),
            pending: BTreeMap::new(),
            requests: 0,
            forwards: BTreeMap::new(),
            allowed: BTreeMap::new(),
            spreading: VecDeque::new(),
            crash_planned: false,
            ambush: None,
            skew_ms_high: i64::MIN,
            clock_lost: false,
            views: BTreeMap::new(),
            siblings: false,
            settled: BTreeSet::new(),
            known_then: BTreeMap::new(),
            on_two: BTreeSet::new(),
            losses: 0,
            stable_reached: Timestamp::ZERO,
            stale_start: false,
            changed_at: 0,
            samples: 0,
            effects: Effects::new(),
            digest: Xxh3::new(),
            steps: 0,
            trace,
            violations: Vec::new(),
        };
        world.schedule_all(&mut Dice::new(seed ^ REST_DICE));
        world.schedule_barriers();
        world.schedule_named();
        world
    }

    fn schedule_all(&mut self, at_rest: &mut Dice) {
        for (number, planned) in self.plan.iter().enumerate() {
            self.queue.push(planned.at, Event::Fault(number));
        }
        for node in 0..self.machines.len() {
            let at = self.dice.below(300 * MILLISECOND);
            self.queue.push(at, Event::ComeBack(node));
        }
        for session in 0..self.sessions.len() {
            let at = START / 2 + self.dice.below(SECOND);
            self.queue.push(at, Event::Turn { session, generation: 0 });
        }
        self.queue.push(SECOND, Event::Sample);
        self.queue.push(self.heal_at, Event::Heal);
        if self.mix.changes_views() {
            let (by, draw) = (at_rest.index(self.machines.len()), at_rest.any());
            self.queue.push(self.end - CHANGE_AT_REST, Event::ChangeAtRest { by, draw });
        }
        self.queue.push(self.end - 4500 * MILLISECOND, Event::Probe { last: false });
        self.queue.push(self.end - 700 * MILLISECOND, Event::Probe { last: true });
    }

    /// Runs to the end, or to the first violations.
    pub fn run(&mut self) {
        if self.trace.is_on() {
            self.introduce();
        }
        while self.violations.len() < VIOLATIONS_MAX
            && let Some((time, event)) = self.queue.pop_until(self.end)
        {
            self.now = time;
            self.happen(event);
        }
        if self.violations.len() < VIOLATIONS_MAX {
            self.now = self.end;
            self.check_end();
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Deliver { from, to, bytes } => self.deliver(from, to, bytes),
            Event::Hint { at, peer, up } => self.hint(at, peer, up),
            Event::Wake { node, generation } => self.wake(node, generation),
            Event::Turn { session, generation } => self.turn(session, generation),
            Event::GiveUp { request, session } => self.give_up(request, session),
            Event::Overdue { request } => self.overdue(request),
            Event::Fault(number) => {
                if let Some(planned) = self.plan.get(number).copied() {
                    self.strike(planned);
                }
            }
            Event::Enact(fault) => self.enact_late(fault),
            Event::ComeBack(node) => self.boot(node, None),
            Event::CrashSingle(node) => self.crash_single(node),
            Event::WriteAstray(node) => self.write_astray(node),
            Event::Sample => self.sample(),
            Event::Heal => self.heal(),
            Event::ChangeAtRest { by, draw } => self.ask_change_at_rest(by, draw),
            Event::Barrier => self.ask_barrier(),
            Event::Named => self.write_named(),
            Event::NamedRead => self.read_named(),
            Event::BarriersAtRest => self.ask_barriers_at_rest(),
            Event::Probe { last } => self.probe(last),
        }
    }

    /// The virtual time.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.now
    }

    /// What the run came to.
    #[must_use]
    pub fn summary(self) -> (Summary, Trace) {
        let summary = Summary {
            steps: self.steps,
            operations: self.requests,
            digest: self.digest.digest(),
            lost: self.oracle.writes.iter().filter(|write| write.lost).count(),
            clock_lost: self.clock_lost,
            strokes: self.strokes,
            members: self.shape.members,
            sessions: self.sessions.len(),
            views: self.views.len(),
            siblings: self.siblings,
            stale_start: self.stale_start,
            violations: self.violations,
        };
        (summary, self.trace)
    }

    fn object(&mut self, rule: Rule, what: String) {
        if self.trace.is_on() {
            self.trace.line(self.now, format_args!("!! {rule:?}: {what}"));
        }
        self.violations.push(Violation { rule, at: self.now, what });
    }

    fn judge(&mut self, rule: Rule, judgement: Result<(), String>, about: impl FnOnce() -> String) {
        if let Err(objection) = judgement {
            self.object(rule, format!("{}: {objection}", about()));
        }
    }

    fn introduce(&mut self) {
        let view = &self.shape.view;
        self.trace.line(0, format_args!("mix {}, factor {}", self.mix, view.repl_factor));
        for (at, machine) in self.machines.iter().enumerate() {
            let shard =
                view.shard_of_member(machine.id).map_or("spare".to_owned(), |shard| format!("shard {}", shard.0));
            let letter = crate::trace::letter(at);
            let (address, id) = (&machine.address, machine.id);
            self.trace.line(0, format_args!("{letter} = {address} {id:?}, {shard}, skew {} ms", machine.clock.skew_ms));
        }
    }
}

/// A request that says nothing special.
fn plain_request(action: precede_core::wire::request::Action, context: Context) -> Request {
    let concern: Option<WriteConcern> = None;
    Request {
        action,
        context,
        wait: None,
        concern,
        deadline: std::time::Duration::from_secs(3),
        mark: None,
        named: None,
    }
}
