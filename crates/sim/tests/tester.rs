//! The tester is tested: each property, given what must not be, objects; given the same without the fault, it does not.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeSet;

use bytes::Bytes;
use precede_core::causality::context::Context;
use precede_core::causality::hlc::Timestamp;
use precede_core::causality::version::Version;
use precede_core::causality::version_vector::VersionVector;
use precede_core::config::Config;
use precede_core::id::{Address, NodeId, Origin, ViewId};
use precede_core::node::TableReport;
use precede_core::placement::view::{View, ViewRecord};
use precede_core::placement::views::Views;
use precede_core::replication::replica::Replica;
use precede_core::table::Table;
use precede_core::wire::named::{Made, Name, Named};
use precede_core::wire::request::{Outcome, Refusal, Reply, WriteConcern};
use precede_sim::oracle::{Fate, Issue, Oracle, Sighting};
use precede_sim::past::{Past, WriteIx};
use precede_sim::properties::causal::Shown;
use precede_sim::properties::live::Must;
use precede_sim::properties::named::MadeUnder;
use precede_sim::properties::rule_a::Scope;
use precede_sim::properties::{
    Holding, barrier, bounded, causal, convergent, durable, live, named, no_lost_write, no_resurrection, once,
    one_home, present, rule_a, session, stable,
};

/// The keys of the one shard.
const KEYS: [usize; 2] = [0, 1];

struct Story {
    oracle: Oracle,
    view: ViewId,
}

impl Story {
    fn new() -> Self {
        let address = Address::parse("10.0.0.1:80", None).unwrap();
        let view = View::bootstrap(&[address], 1).unwrap();
        let names = vec![Bytes::from_static(b"x"), Bytes::from_static(b"y")];
        Self { oracle: Oracle::new(names), view: view.id }
    }

    fn version(&self, timestamp: u64) -> Version {
        let origin = Origin { view: self.view, node: NodeId(1), start: Timestamp(1) };
        Version { timestamp: Timestamp(timestamp), origin }
    }

    fn nothing(&self) -> Past {
        Past::nothing(2)
    }

    fn write(&mut self, key: usize, timestamp: u64, delete: bool, past: &Past) -> WriteIx {
        let issue = Issue { key, delete, past: past.clone(), fate: Fate::Done, repeated: false, told_once: false };
        let (issue, value) = self.oracle.ask(issue, 0);
        let value = (!delete).then_some(&*value.bytes);
        let seen = Sighting { version: self.version(timestamp), key, value, issue: Some(issue) };
        self.oracle.learn(seen).unwrap().0
    }

    /// A write of the second key, and one of the first whose writer had read it.
    fn cause_and_effect(&mut self) -> (WriteIx, WriteIx) {
        let nothing = self.nothing();
        let cause = self.write(1, 10, false, &nothing);
        let mut writer = nothing;
        self.oracle.extend(&mut writer, cause);
        (cause, self.write(0, 11, false, &writer))
    }

    fn holding(&self, writes: &[WriteIx], horizon: u64) -> Holding {
        let mut holding = Holding { horizon: Timestamp(horizon), ..Holding::default() };
        for write in writes {
            let record = &self.oracle.writes[write.at()];
            let value = (!record.tombstone)
                .then(|| precede_core::table::value::Value::json(format!("\"v{}\"", record.issue.unwrap())));
            holding.entries.insert(self.oracle.keys[record.key].name.clone(), (record.version, value));
        }
        holding
    }

    fn applied(&self, timestamp: u64) -> VersionVector {
        let version = self.version(timestamp);
        VersionVector::from_iter([(version.origin, version.timestamp)])
    }
}

#[test]
fn a_read_below_the_past_is_caught_and_one_above_is_not() {
    let mut story = Story::new();
    let nothing = story.nothing();
    let old = story.write(0, 10, false, &nothing);
    let new = story.write(0, 20, false, &nothing);
    let mut past = nothing.clone();
    causal::read(&story.oracle, &mut past, 0, Shown::Write(old)).unwrap();
    causal::read(&story.oracle, &mut past, 0, Shown::Write(new)).unwrap();
    causal::read(&story.oracle, &mut past.clone(), 0, Shown::Write(old)).unwrap_err();
    causal::read(&story.oracle, &mut past, 0, Shown::Nothing).unwrap_err();
}

#[test]
fn an_effect_without_its_cause_is_caught_across_keys() {
    let mut story = Story::new();
    let (cause, effect) = story.cause_and_effect();
    let mut reader = story.nothing();
    causal::read(&story.oracle, &mut reader, 0, Shown::Write(effect)).unwrap();
    causal::read(&story.oracle, &mut reader.clone(), 1, Shown::Nothing).unwrap_err();
    causal::read(&story.oracle, &mut reader, 1, Shown::Write(cause)).unwrap();
}

#[test]
fn a_barrier_that_passes_what_a_replica_lacks_is_caught() {
    let mut story = Story::new();
    let (cause, effect) = story.cause_and_effect();
    let mut past = story.nothing();
    story.oracle.extend(&mut past, effect);
    let (whole, part) = (story.holding(&[cause, effect], 0), story.holding(&[effect], 0));
    let named = Context { entries: story.applied(11), ..Context::default() };
    let judge = |context: &Context, holdings: &[&Holding]| {
        barrier::check(&story.oracle, &past, context, true, |_| {
            holdings.iter().map(|holding| ('A', *holding)).collect()
        })
    };
    judge(&named, &[&whole, &whole]).unwrap();
    judge(&named, &[&whole, &part]).unwrap_err();
    judge(&Context::default(), &[&part]).unwrap();
    let left_out = Context { stable: named.entries.greatest(), ..Context::default() };
    judge(&left_out, &[&part]).unwrap_err();
}

#[test]
fn a_barrier_at_rest_that_is_not_reached_is_caught() {
    let missing = Outcome::Unstable(Box::default());
    live::answer(Must::Not, &missing).unwrap();
    live::answer(Must::AtRest, &missing).unwrap_err();
    live::answer(Must::AtRest, &Outcome::Stable).unwrap();
}

#[test]
fn a_key_that_is_back_after_its_absence_was_read_is_caught() {
    let mut story = Story::new();
    let nothing = story.nothing();
    let put = story.write(0, 10, false, &nothing);
    story.write(0, 20, true, &nothing);
    let mut past = nothing.clone();
    causal::read(&story.oracle, &mut past, 0, Shown::Write(put)).unwrap();
    causal::read(&story.oracle, &mut past, 0, Shown::Nothing).unwrap();
    causal::read(&story.oracle, &mut past, 0, Shown::Write(put)).unwrap_err();
}

#[test]
fn a_session_that_does_not_see_what_it_did_or_saw_is_caught() {
    let mut story = Story::new();
    let nothing = story.nothing();
    let old = story.write(0, 10, false, &nothing);
    let own = story.write(0, 20, false, &nothing);
    let gone = story.write(0, 30, true, &nothing);
    let oracle = &story.oracle;
    let mut session = nothing.clone();
    session::read(oracle, &mut session, 0, Shown::Write(old)).unwrap();
    session::write(oracle, &mut session.clone(), 1, &story.version(10)).unwrap_err();
    session::write(oracle, &mut session, 0, &oracle.version(own)).unwrap();
    session::read(oracle, &mut session.clone(), 0, Shown::Write(old)).unwrap_err();
    session::write(oracle, &mut session.clone(), 1, &story.version(15)).unwrap_err();
    session::read(oracle, &mut session, 0, Shown::Nothing).unwrap();
    session::read(oracle, &mut session.clone(), 0, Shown::Write(own)).unwrap_err();
    session::read(oracle, &mut session, 0, Shown::Write(gone)).unwrap();
}

/// Of what others depended on a session by itself knows nothing: that is rule 1.
#[test]
fn a_session_is_judged_by_what_it_did_itself() {
    let mut story = Story::new();
    let (_, effect) = story.cause_and_effect();
    let mut session = story.nothing();
    session::read(&story.oracle, &mut session, 0, Shown::Write(effect)).unwrap();
    session::read(&story.oracle, &mut session, 1, Shown::Nothing).unwrap();
}

/// After a step only what is claimed since the last one is looked at.
#[test]
fn a_replica_that_claims_more_than_it_has_is_caught_at_once() {
    let mut story = Story::new();
    let nothing = story.nothing();
    story.write(0, 10, false, &nothing);
    let address = Address::parse("10.0.0.1:80", None).unwrap();
    let config = Config::new(address.clone(), View::bootstrap(&[address], 1).unwrap(), 1);
    let views = Views::new(config.bootstrap.clone());
    let mut replica = Replica::new(&config, &views, config.bootstrap.shards()[0].id, Table::new(1, Default::default()));
    let mut claimed = VersionVector::default();
    rule_a::step(&story.oracle, &replica, &mut claimed, Scope::All).unwrap();
    replica.applied = story.applied(9);
    rule_a::step(&story.oracle, &replica, &mut claimed, Scope::All).unwrap();
    replica.applied = story.applied(10);
    rule_a::step(&story.oracle, &replica, &mut claimed.clone(), Scope::All).unwrap_err();
    replica.horizon = Timestamp(20);
    rule_a::step(&story.oracle, &replica, &mut claimed.clone(), Scope::All).unwrap_err();
    story.write(0, 20, true, &nothing);
    rule_a::step(&story.oracle, &replica, &mut claimed, Scope::All).unwrap();
}

#[test]
fn a_lost_write_excuses_itself_and_not_what_its_writer_knew() {
    let mut story = Story::new();
    let nothing = story.nothing();
    let first = story.write(0, 10, false, &nothing);
    let mut writer = nothing.clone();
    story.oracle.extend(&mut writer, first);
    let second = story.write(0, 20, false, &writer);
    let mut past = nothing.clone();
    story.oracle.extend(&mut past, second);
    let survivor = story.holding(&[first], 0);
    no_lost_write::mark_lost(&mut story.oracle, |oracle, write| survivor.reflects(oracle, write), None).unwrap();
    assert!(story.oracle.writes[second.at()].lost && !story.oracle.writes[first.at()].lost);
    causal::read(&story.oracle, &mut past.clone(), 0, Shown::Write(first)).unwrap();
    causal::read(&story.oracle, &mut past, 0, Shown::Nothing).unwrap_err();
}

#[test]
fn one_crash_must_not_lose_what_two_acknowledged() {
    let mut story = Story::new();
    let nothing = story.nothing();
    let write = story.write(0, 10, false, &nothing);
    story.oracle.writes[write.at()].acks = 1;
    no_lost_write::mark_lost(&mut story.oracle, |_, _| false, Some(2)).unwrap();
    story.oracle.writes[write.at()].lost = false;
    story.oracle.writes[write.at()].acks = 2;
    no_lost_write::mark_lost(&mut story.oracle, |_, _| false, Some(2)).unwrap_err();
}

#[test]
fn a_vector_that_claims_what_the_table_lacks_is_caught() {
    let mut story = Story::new();
    let nothing = story.nothing();
    let put = story.write(0, 10, false, &nothing);
    let tombstone = story.write(0, 20, true, &nothing);
    let check = |held: &[WriteIx], horizon, applied| {
        rule_a::check(&story.oracle, &KEYS, &[&story.applied(applied)], &story.holding(held, horizon), Scope::All)
    };
    check(&[tombstone], 0, 20).unwrap();
    check(&[], 20, 20).unwrap();
    check(&[put], 0, 15).unwrap();
    check(&[], 0, 5).unwrap();
    check(&[], 0, 10).unwrap_err();
    check(&[], 15, 20).unwrap_err();
    check(&[put], 0, 20).unwrap_err();
}

#[test]
fn a_stable_timestamp_above_what_a_replica_lacks_is_caught() {
    let mut story = Story::new();
    let nothing = story.nothing();
    let old = story.write(0, 10, false, &nothing);
    let new = story.write(0, 20, false, &nothing);
    let replicas = [story.holding(&[new], 0), story.holding(&[old], 0)];
    stable::check(&story.oracle, &KEYS, Timestamp(15), &replicas).unwrap();
    stable::check(&story.oracle, &KEYS, Timestamp(20), &replicas).unwrap_err();
}

#[test]
fn what_is_gone_or_back_at_the_end_is_caught() {
    let mut story = Story::new();
    let nothing = story.nothing();
    let put = story.write(0, 10, false, &nothing);
    let tombstone = story.write(0, 20, true, &nothing);
    let other = story.write(1, 30, false, &nothing);
    let (gone, back, good) = (story.holding(&[], 20), story.holding(&[put, other], 0), story.holding(&[other], 20));
    no_lost_write::at_end(&story.oracle, &KEYS, &good).unwrap();
    no_resurrection::at_end(&story.oracle, &KEYS, &good).unwrap();
    no_lost_write::at_end(&story.oracle, &KEYS, &gone).unwrap_err();
    no_resurrection::at_end(&story.oracle, &KEYS, &back).unwrap_err();
    convergent::check(&good, &good).unwrap();
    convergent::check(&good, &back).unwrap_err();
    assert!(good.reflects(&story.oracle, tombstone) && good.reflects(&story.oracle, put));
    assert!(!gone.reflects(&story.oracle, other));
}

#[test]
fn what_is_held_by_whom_it_does_not_belong_to_is_caught() {
    let address = |at| Address::parse(&format!("10.0.0.{at}:80"), None).unwrap();
    let addresses = [address(1), address(2)];
    let view = View::bootstrap(&addresses, 1).unwrap();
    let oracle = Oracle::new((0..20).map(|at| Bytes::from(format!("k{at}"))).collect());
    let [own, other] = [0, 1].map(|at| oracle.keys_of(&view, view.shards()[at].id)[0]);
    let origin = Origin { view: view.id, node: addresses[0].node_id(), start: Timestamp(1) };
    let table = |shard: usize, key: usize| TableReport {
        view: view.clone(),
        shard: view.shards()[shard].id,
        recovered: true,
        applied: VersionVector::default(),
        held: Vec::new(),
        horizon: Timestamp::ZERO,
        entries: vec![(oracle.keys[key].name.clone(), Version { timestamp: Timestamp(10), origin }, None)],
    };
    let node = addresses[0].node_id();
    one_home::node(&oracle, &view, node, &[]).unwrap();
    one_home::node(&oracle, &view, node, &[table(0, own)]).unwrap();
    one_home::node(&oracle, &view, node, &[table(0, other)]).unwrap_err();
    one_home::node(&oracle, &view, node, &[table(1, other)]).unwrap_err();
    let newer = ViewId { epoch: 1, ..view.id };
    let legacy = TableReport {
        view: View::from_record(ViewRecord { id: newer, ..view.record().clone() }).unwrap(),
        ..table(0, own)
    };
    one_home::node(&oracle, &view, node, &[table(0, own), legacy]).unwrap_err();
}

#[test]
fn a_key_that_is_everywhere_and_said_to_be_absent_is_caught() {
    let mut story = Story::new();
    let nothing = story.nothing();
    story.write(0, 10, false, &nothing);
    present::absence(&story.oracle, 0, Timestamp(9)).unwrap();
    present::absence(&story.oracle, 1, Timestamp(20)).unwrap();
    present::absence(&story.oracle, 0, Timestamp(10)).unwrap_err();
    story.write(0, 20, true, &nothing);
    present::absence(&story.oracle, 0, Timestamp(10)).unwrap();
}

#[test]
fn a_key_that_two_old_replicas_have_and_a_new_one_calls_absent_is_caught() {
    let mut story = Story::new();
    let nothing = story.nothing();
    story.write(0, 5, true, &nothing);
    let put = story.write(0, 10, false, &nothing);
    let older = story.write(0, 7, false, &nothing);
    assert_eq!(present::on_two(&story.oracle, 0, &BTreeSet::new()), None);
    assert_eq!(present::on_two(&story.oracle, 0, &BTreeSet::from([older, put])), Some(put));
    let newer = ViewId { epoch: story.view.epoch + 1, ..story.view };
    present::in_transit(&story.oracle, put, story.view).unwrap();
    present::in_transit(&story.oracle, put, newer).unwrap_err();
    story.write(0, 20, true, &nothing);
    present::in_transit(&story.oracle, put, newer).unwrap();
}

#[test]
fn values_and_dots_that_cannot_be_are_caught() {
    let mut story = Story::new();
    let nothing = story.nothing();
    story.write(0, 10, false, &nothing);
    let at = |story: &Story, timestamp, key, value: &'static [u8]| Sighting {
        version: story.version(timestamp),
        key,
        value: Some(value),
        issue: None,
    };
    let seen = at(&story, 10, 0, b"\"v0\"");
    assert!(!story.oracle.learn(seen).unwrap().1);
    for (timestamp, key, value) in [(20, 0, b"\"v7\""), (20, 1, b"\"v0\""), (10, 1, b"\"v0\"")] {
        let seen = at(&story, timestamp, key, value);
        story.oracle.learn(seen).unwrap_err();
    }
    let refused =
        Issue { key: 0, delete: false, past: nothing, fate: Fate::Refused, repeated: false, told_once: false };
    story.oracle.ask(refused, 0);
    let seen = at(&story, 20, 0, b"\"v1\"");
    story.oracle.learn(seen).unwrap_err();
}

#[test]
fn a_write_that_is_told_to_be_made_once_and_is_there_twice_is_caught() {
    let mut story = Story::new();
    let nothing = story.nothing();
    let write = story.write(0, 10, false, &nothing);
    let issue = story.oracle.writes[write.at()].issue.unwrap();
    let copy = Sighting { version: story.version(20), key: 0, value: Some(b"\"v0\""), issue: None };
    let (copy, is_new) = story.oracle.learn(copy).unwrap();
    assert!(is_new);
    once::check(&story.oracle, issue).unwrap();
    story.oracle.issues[issue].told_once = true;
    once::check(&story.oracle, issue).unwrap_err();
    story.oracle.writes[copy.at()].lost = true;
    once::check(&story.oracle, issue).unwrap();
}

#[test]
fn a_repeat_that_does_not_get_the_first_outcome_is_caught() {
    let story = Story::new();
    let named = Named { name: Name([1; 16]), content: 7 };
    let (first, second) = (story.version(10), story.version(20));
    let known = MadeUnder::from([(first, (7, Made::Added)), (second, (8, Made::Deleted))]);
    let reply = |outcome, version: Version| Reply {
        outcome,
        context: Context { stable: version.timestamp, ..Context::default() },
        served_by: NodeId(1),
        version: Some(version),
        acks: 1,
        lost: false,
        repeat_unconfirmed: false,
    };
    let added = Outcome::Written { replaced: false, concern_met: true };
    let judge = |heard, reply: &Reply| named::answer(&named, &known, (heard, true), reply);
    let good = reply(added.clone(), first);
    judge(Some(first), &good).unwrap();
    judge(Some(second), &good).unwrap();
    judge(None, &reply(added.clone(), story.version(30))).unwrap();
    judge(Some(second), &reply(added.clone(), story.version(30))).unwrap_err();
    judge(Some(first), &Reply { version: None, ..reply(Outcome::Absent, first) }).unwrap_err();
    judge(None, &reply(added, second)).unwrap_err();
    judge(None, &reply(Outcome::Written { replaced: true, concern_met: true }, first)).unwrap_err();
    judge(None, &Reply { context: Context::default(), ..good.clone() }).unwrap_err();
    let taken = Reply { outcome: Outcome::Refused(Refusal::NameTaken), ..good };
    judge(Some(first), &taken).unwrap();
    named::answer(&named, &known, (Some(first), false), &taken).unwrap_err();
}

#[test]
fn contexts_that_forget_and_versions_that_do_not_rise_are_caught() {
    let mut story = Story::new();
    let nothing = story.nothing();
    let write = story.write(0, 10, false, &nothing);
    let mut past = nothing;
    story.oracle.extend(&mut past, write);
    causal::write(&story.oracle, &past, &story.version(11)).unwrap();
    causal::write(&story.oracle, &past, &story.version(10)).unwrap_err();
    let asked = Context { entries: story.applied(10), ..Context::default() };
    let pruned = Context { stable: Timestamp(10), ..Context::default() };
    causal::context(&asked, &asked).unwrap();
    causal::context(&asked, &pruned).unwrap();
    causal::context(&asked, &Context::default()).unwrap_err();
    causal::context(&pruned, &asked).unwrap_err();
}

#[test]
fn answers_that_are_too_modest_or_too_bold_are_caught() {
    durable::answer(2, Some(WriteConcern::Two), true, 3).unwrap();
    durable::answer(1, Some(WriteConcern::Two), false, 3).unwrap();
    durable::answer(1, None, true, 3).unwrap();
    durable::answer(1, Some(WriteConcern::All), true, 3).unwrap_err();
    durable::answer(4, None, true, 3).unwrap_err();
    durable::in_health(2, 3).unwrap();
    durable::in_health(1, 1).unwrap();
    durable::in_health(1, 3).unwrap_err();
    let refused = Outcome::Refused(Refusal::Unsatisfied);
    live::answer(Must::Not, &refused).unwrap();
    live::answer(Must::AtRest, &refused).unwrap_err();
    live::answer(Must::AtRest, &Outcome::Absent).unwrap();
    bounded::context(4096, 5000, None).unwrap();
    bounded::context(4097, 5000, None).unwrap_err();
    bounded::context(5, 5, Some(3)).unwrap();
    bounded::context(4, 3, Some(3)).unwrap_err();
}

#[test]
fn a_read_that_is_refused_before_its_time_is_caught() {
    let refused = Outcome::Refused(Refusal::Unsatisfied);
    live::patience(&refused, 500_000, 1_000_000, 3_000_000).unwrap_err();
    live::patience(&refused, 999_500, 1_000_000, 3_000_000).unwrap();
    live::patience(&refused, 270_000, 1_000_000, 300_000).unwrap();
    live::patience(&refused, 260_000, 1_000_000, 300_000).unwrap_err();
    live::patience(&Outcome::Absent, 0, 1_000_000, 3_000_000).unwrap();
}
