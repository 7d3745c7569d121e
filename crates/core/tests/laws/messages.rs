//! Messages of every kind, for the laws of the codec.

use std::time::Duration;

use bytes::Bytes;
use precede_core::id::{Address, Life, ShardId};
use precede_core::placement::view::{Shard, ViewRecord};
use precede_core::table::entry::Entry;
use precede_core::table::origins::OriginRef;
use precede_core::table::value::Value;
use precede_core::time::WallTime;
use precede_core::wire::mark::{Mark, Trace};
use precede_core::wire::message::{
    Ack, ClosedLives, Envelope, Fetched, FormerReport, Forward, Frame, HandedOver, HeldReport, Message, Past, Prepare,
    Prepared, Statement, Status, StreamWrite, SyncChunk, SyncPull, ViewNews, WriteId,
};
use precede_core::wire::named::{KnownName, Made, Name, Named, NamedWrite};
use precede_core::wire::request::{
    Action, Missing, Move, Outcome, Refusal, Reply, Request, ViewChange, ViewChanged, WriteConcern,
};
use precede_core::wire::sync_entry::{SyncEntry, SyncPayload};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::option::of;
use proptest::prelude::*;

use crate::values::{
    any_context, any_node, any_number, any_origin, any_timestamp, any_vector, any_version, any_view_id,
};

fn bytes() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..12).prop_map(Bytes::from)
}

fn duration() -> impl Strategy<Value = Duration> {
    any_number().prop_map(Duration::from_micros)
}

fn value() -> impl Strategy<Value = Value> {
    (of(".{0,8}"), bytes()).prop_map(|(content_type, bytes)| Value { content_type, bytes })
}

fn write_id() -> impl Strategy<Value = WriteId> {
    (any_timestamp(), any_number()).prop_map(|(taken, nonce)| WriteId { taken, nonce })
}

fn name() -> impl Strategy<Value = Name> {
    any::<[u8; 16]>().prop_map(Name)
}

fn named() -> impl Strategy<Value = Named> {
    (name(), any_number()).prop_map(|(name, content)| Named { name, content })
}

fn named_write() -> impl Strategy<Value = NamedWrite> {
    let made = prop::sample::select(vec![Made::Added, Made::Replaced, Made::Deleted]);
    (named(), made, duration()).prop_map(|(named, made, left)| NamedWrite { named, made, left })
}

fn known_name() -> impl Strategy<Value = KnownName> {
    (any_number(), any_version(), named_write()).prop_map(|(key_hash, version, write)| KnownName {
        key_hash,
        version,
        write,
    })
}

fn concern() -> impl Strategy<Value = WriteConcern> {
    use WriteConcern::{All, Majority, One, Two};
    prop::sample::select(vec![One, Two, Majority, All])
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        bytes().prop_map(|key| Action::Get { key }),
        (bytes(), value()).prop_map(|(key, value)| Action::Put { key, value }),
        bytes().prop_map(|key| Action::Delete { key }),
        shard_id().prop_map(|shard| Action::Count { shard }),
        view_change().prop_map(Action::ChangeView),
        Just(Action::Barrier),
    ]
}

fn shard_id() -> impl Strategy<Value = ShardId> {
    any::<u32>().prop_map(ShardId)
}

fn address() -> impl Strategy<Value = Address> {
    (any::<u8>(), 1u16..).prop_map(|(host, port)| Address::parse(&format!("10.0.0.{host}:{port}"), None).unwrap())
}

fn view_change() -> impl Strategy<Value = ViewChange> {
    (vec(address(), 0..4), 0usize..9, any::<bool>(), any::<bool>(), of(any::<u32>())).prop_map(
        |(members, repl_factor, dry_run, force, expected_epoch)| ViewChange {
            members,
            repl_factor,
            dry_run,
            force,
            expected_epoch,
        },
    )
}

fn missing() -> impl Strategy<Value = Missing> {
    let replicas = vec((shard_id(), address()), 0..3);
    (replicas, vec(shard_id(), 0..3), any::<bool>()).prop_map(|(replicas, outstanding, unknown)| Missing {
        replicas,
        outstanding,
        unknown,
    })
}

fn view_changed() -> impl Strategy<Value = ViewChanged> {
    let shards = vec((shard_id(), vec(address(), 0..3), of(any_number())), 0..3);
    let transfer = (shard_id(), address(), shard_id(), any_number(), any_number())
        .prop_map(|(from, to, shard, keys, bytes)| Move { from, to, shard, keys, bytes });
    let lists = (vec(shard_id(), 0..3), vec(".{0,8}", 0..2), vec(transfer, 0..3));
    (any::<u32>(), any::<bool>(), shards, lists).prop_map(|(epoch, settled, shards, (outstanding, given_up, moves))| {
        ViewChanged { epoch, settled, shards, outstanding, given_up, moves }
    })
}

fn view_record() -> impl Strategy<Value = ViewRecord> {
    let shard = (shard_id(), vec(address(), 0..3)).prop_map(|(id, replicas)| Shard { id, replicas });
    let lives = btree_map(any_node(), any_timestamp(), 0..3);
    let sets = (btree_set(any_node(), 0..3), btree_set(any_view_id(), 0..3));
    let ids = (any_view_id(), btree_set(any_view_id(), 0..3));
    (ids, any::<u32>(), vec(shard, 0..3), shard_id(), lives, sets).prop_map(
        |((id, ancestors), repl_factor, shards, last_shard, lives, (written_off, settled))| ViewRecord {
            id,
            ancestors,
            repl_factor,
            shards,
            last_shard,
            lives,
            written_off,
            settled,
        },
    )
}

fn view_news() -> impl Strategy<Value = ViewNews> {
    (view_record(), vec(view_record(), 0..3), vec(any_view_id(), 0..3))
        .prop_map(|(current, former, settled)| ViewNews { current, former, settled })
}

fn prepared() -> impl Strategy<Value = Prepared> {
    let views = (vec(any_view_id(), 0..3), vec(any_view_id(), 0..3));
    let size = (any_number(), any_number());
    (any_number(), any::<bool>(), of(any_timestamp()), any::<bool>(), views, size).prop_map(
        |(change, granted, life, recovered, (former, settled), (keys, bytes))| Prepared {
            change,
            granted,
            life,
            recovered,
            former,
            settled,
            keys,
            bytes,
        },
    )
}

fn past() -> impl Strategy<Value = Past> {
    prop_oneof![Just(Past::Lost), Just(Past::Partial), Just(Past::Whole), Just(Past::Settled)]
}

fn held() -> impl Strategy<Value = Vec<HeldReport>> {
    let over = (any_timestamp(), any::<bool>(), past());
    let over = over.prop_map(|(life, recovered, past)| HandedOver { life, recovered, past });
    let done = vec((any_node(), over), 0..3);
    let flags = (any::<bool>(), any::<bool>(), any::<bool>());
    let one = (any_view_id(), any_vector(), any_vector(), closed(), done, flags).prop_map(
        |(view, vector, seen, closed, done, (older, complete, resolved))| HeldReport {
            view,
            vector,
            seen,
            older,
            closed,
            done,
            complete,
            resolved,
        },
    );
    vec(one, 0..3)
}

fn former_report() -> impl Strategy<Value = FormerReport> {
    let statement = (shard_id(), lives()).prop_map(|(shard, lives)| Statement { shard, lives });
    (any_view_id(), any::<bool>(), vec(statement, 0..3)).prop_map(|(view, holds, statements)| FormerReport {
        view,
        holds,
        statements,
    })
}

fn sync_entry() -> impl Strategy<Value = SyncEntry> {
    let payload = (of(any_context()), of(write_id()));
    let payload = payload.prop_map(|(dependencies, write_id)| SyncPayload { dependencies, write_id });
    (bytes(), any_version(), of((of(value()), payload))).prop_map(|(key, version, told)| {
        let (value, payload) = told.map_or((None, None), |(value, payload)| (value, Some(payload)));
        let value = value.as_ref().map(Value::as_ref);
        let entry = Entry::new(&key, version.timestamp, OriginRef::default(), value);
        SyncEntry { version, entry, payload }
    })
}

fn fetched() -> impl Strategy<Value = Fetched> {
    let names = (any_number(), any_view_id(), of(sync_entry()), of(known_name()));
    let times = (any_timestamp(), any_timestamp(), (any_context(), any_timestamp()));
    (names, any_vector(), closed(), (any::<bool>(), past()), times).prop_map(
        |((id, view, entry, known), vector, closed, (recovered, past), (covered, horizon, floor))| Fetched {
            id,
            view,
            entry,
            known,
            vector,
            closed,
            recovered,
            past,
            covered,
            horizon,
            floor,
        },
    )
}

fn request() -> impl Strategy<Value = Request> {
    (action(), any_context(), of(duration()), of(concern()), duration(), (of(mark()), of(named()))).prop_map(
        |(action, context, wait, concern, deadline, (mark, named))| Request {
            action,
            context,
            wait,
            concern,
            deadline,
            mark: mark.map(Box::new),
            named: named.map(Box::new),
        },
    )
}

fn mark() -> impl Strategy<Value = Mark> {
    let trace = (any::<[u8; 16]>(), any::<[u8; 8]>(), any::<u8>(), "[ -~]{0,20}")
        .prop_map(|(id, span, flags, state)| Trace { id, span, flags, state });
    ("[!-~]{1,20}", of(trace)).prop_map(|(request_id, trace)| Mark { request_id, trace })
}

fn refusal() -> impl Strategy<Value = Refusal> {
    prop_oneof![
        (any_number(), any_number())
            .prop_map(|(ahead_ms, limit_ms)| Refusal::ContextFromTheFuture { ahead_ms, limit_ms }),
        Just(Refusal::ViewLost),
        Just(Refusal::Unsatisfied),
        any::<u32>().prop_map(|shard| Refusal::NoReplica { shard: ShardId(shard) }),
        vec(any_node(), 0..4).prop_map(|waiting_for| Refusal::NotMet { waiting_for }),
        (".{0,8}", any_number()).prop_map(|(what, limit)| Refusal::Overloaded { what, limit }),
        Just(Refusal::NotOwner),
        Just(Refusal::TooLate),
        Just(Refusal::OutcomeUnknown),
        Just(Refusal::NameTaken),
        any_number().prop_map(|limit| Refusal::MemoryFull { limit }),
        ".{0,8}".prop_map(Refusal::BadView),
        ".{0,8}".prop_map(Refusal::ViewChangeInProgress),
        any::<(u32, u32)>().prop_map(|(epoch, expected)| Refusal::UnexpectedEpoch { epoch, expected }),
        ".{0,8}".prop_map(Refusal::WouldGiveUp),
    ]
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        value().prop_map(Outcome::Found),
        Just(Outcome::Absent),
        any::<(bool, bool)>().prop_map(|(replaced, concern_met)| Outcome::Written { replaced, concern_met }),
        any::<bool>().prop_map(|concern_met| Outcome::Deleted { concern_met }),
        any_number().prop_map(Outcome::Counted),
        refusal().prop_map(Outcome::Refused),
        view_changed().prop_map(|changed| Outcome::Changed(Box::new(changed))),
        Just(Outcome::Stable),
        missing().prop_map(|missing| Outcome::Unstable(Box::new(missing))),
    ]
}

fn reply() -> impl Strategy<Value = Reply> {
    (outcome(), any_context(), any_node(), of(any_version()), any::<u32>(), any::<bool>(), any::<bool>()).prop_map(
        |(outcome, context, served_by, version, acks, lost, repeat_unconfirmed)| Reply {
            outcome,
            context,
            served_by,
            version,
            acks,
            lost,
            repeat_unconfirmed,
        },
    )
}

fn frame() -> impl Strategy<Value = Frame> {
    let write = (any_timestamp(), bytes(), of(value()), any_context(), of(write_id()), of(named_write())).prop_map(
        |(timestamp, key, value, dependencies, write_id, named)| StreamWrite {
            timestamp,
            key,
            value,
            dependencies,
            write_id,
            named,
        },
    );
    (any_origin(), any_timestamp(), vec(write, 0..4), any_timestamp())
        .prop_map(|(origin, previous, writes, up_to)| Frame { origin, previous, writes, up_to })
}

fn ack() -> impl Strategy<Value = Ack> {
    (any_origin(), any_timestamp(), vec(any_timestamp(), 0..4), any::<bool>())
        .prop_map(|(origin, applied, beyond, gap)| Ack { origin, applied, beyond, gap })
}

fn closed() -> impl Strategy<Value = Vec<ClosedLives>> {
    let one = (any_node(), any_timestamp(), of((any_timestamp(), any_timestamp())))
        .prop_map(|(node, before, last)| ClosedLives { node, before, last });
    vec(one, 0..3)
}

fn lives() -> impl Strategy<Value = Vec<Life>> {
    vec((any_node(), any_timestamp()).prop_map(|(node, start)| Life { node, start }), 0..3)
}

fn status() -> impl Strategy<Value = Status> {
    let vectors = (any_vector(), any_vector(), any_timestamp(), any_timestamp());
    (any::<bool>(), vectors, lives(), closed(), vec(any_node(), 0..3), (any_number(), held())).prop_map(
        |(recovered, (applied, seen, covered, horizon), lives, closed, resolved, (digest, held))| Status {
            recovered,
            applied,
            seen,
            covered,
            horizon,
            lives,
            closed,
            resolved,
            digest,
            held,
        },
    )
}

pub(crate) fn pull() -> impl Strategy<Value = SyncPull> {
    let former = (of(any_view_id()), held(), any::<bool>());
    (any_number(), any_vector(), closed(), any::<bool>(), former, any_number()).prop_map(
        |(pass, have, closed, full, (legacy, held, has_older), from)| SyncPull {
            pass,
            have,
            closed,
            full,
            legacy,
            held,
            has_older,
            from,
        },
    )
}

fn chunk() -> impl Strategy<Value = SyncChunk> {
    let place = (any_number(), any_number(), of(any_number()), any::<bool>());
    let vectors = (any_vector(), any_vector(), lives(), closed(), any_timestamp());
    let covered = (vec((any_node(), any_timestamp()), 0..3), vec((any_view_id(), any_timestamp()), 0..3));
    let former = (of(any_view_id()), vec(any_view_id(), 0..3), past(), held());
    let told = (vec(sync_entry(), 0..4), vec(known_name(), 0..4));
    (place, former, vectors, covered, (any_context(), any_timestamp()), told).prop_map(
        |(place, former, (vector, seen, lives, closed, horizon), (covered, former_words), floor, (entries, names))| {
            let ((pass, from, next, recovered), (legacy, settled, past, held)) = (place, former);
            SyncChunk {
                pass,
                from,
                next,
                legacy,
                recovered,
                settled,
                past,
                held,
                vector,
                seen,
                lives,
                closed,
                horizon,
                covered,
                former: former_words,
                floor,
                entries,
                names,
            }
        },
    )
}

fn forward() -> impl Strategy<Value = Forward> {
    let name = (any_number(), any::<u8>(), of(any_timestamp()), of(any_timestamp()), of(write_id()));
    (name, any_timestamp(), duration(), request()).prop_map(
        |((id, hops, life, not_after, write_id), repeat_of, attempt, request)| Forward {
            id,
            hops,
            life,
            not_after,
            write_id,
            repeat_of,
            attempt,
            request,
        },
    )
}

fn message() -> impl Strategy<Value = Message> {
    let words = vec((any_node(), any_timestamp()), 0..4);
    let views = (vec(former_report(), 0..3), vec(any_view_id(), 0..3), lives(), vec(any_node(), 0..3));
    prop_oneof![
        (any_number(), any::<bool>()).prop_map(|(boot, is_derived)| Message::Hello { boot, is_derived }),
        (any_number(), any::<bool>(), of(any_timestamp())).prop_map(|(boot, recovered, known_life)| Message::Welcome {
            boot,
            recovered,
            known_life
        }),
        frame().prop_map(Message::Frame),
        ack().prop_map(Message::Ack),
        status().prop_map(Message::Status),
        (any_number(), views, words).prop_map(|(wall, (former, settled, late, adopted), covered)| Message::Gossip {
            wall: WallTime(wall),
            former,
            settled,
            late,
            adopted,
            covered
        }),
        pull().prop_map(Message::SyncPull),
        chunk().prop_map(Message::SyncChunk),
        forward().prop_map(Message::Forward),
        (any_number(), reply()).prop_map(|(id, reply)| Message::ForwardReply { id, reply }),
        bytes().prop_map(Message::Swim),
        any_timestamp().prop_map(|by| Message::Superseded { by }),
        Just(Message::ViewAsk),
        view_news().prop_map(|news| Message::Views(Box::new(news))),
        (any_number(), of(any_timestamp()), any::<bool>())
            .prop_map(|(change, known_life, lease)| Message::Prepare(Prepare { change, known_life, lease })),
        prepared().prop_map(Message::Prepared),
        any_number().prop_map(|change| Message::Release { change }),
        (any_number(), any_view_id(), bytes(), of(name())).prop_map(|(id, view, key, name)| Message::Fetch {
            id,
            view,
            key,
            name
        }),
        (any_number(), any_vector()).prop_map(|(round, entries)| Message::Confirm { round, entries }),
        (any_number(), any::<bool>()).prop_map(|(round, has)| Message::Confirmed { round, has }),
        fetched().prop_map(|fetched| Message::Fetched(Box::new(fetched))),
    ]
}

pub(crate) fn envelope() -> impl Strategy<Value = Envelope> {
    (any_number(), any_view_id(), any_node(), of(any_timestamp()), any_timestamp(), message())
        .prop_map(|(cluster, view, from, life, clock, body)| Envelope { cluster, view, from, life, clock, body })
}
