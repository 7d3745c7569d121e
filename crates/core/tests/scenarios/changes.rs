//! View changes in the lab: how they are asked for, and what must hold after them.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use precede_core::causality::context::Context;
use precede_core::event::Event;
use precede_core::id::ViewId;
use precede_core::placement::hash::key_hash;
use precede_core::table::value::Value;
use precede_core::wire::message::Message;
use precede_core::wire::request::{Action, Outcome, Reply, ViewChange, ViewChanged};

use crate::lab::{Lab, value};

/// How long a change may take.
pub(crate) const DEADLINE: Duration = Duration::from_secs(6);

/// Keys and what they hold, with the context of whoever wrote them.
pub(crate) type Contents = BTreeMap<String, (Option<String>, Context)>;

pub(crate) fn asked(lab: &Lab, members: &[usize], repl_factor: usize) -> ViewChange {
    let members = members.iter().map(|at| lab.addresses[*at].clone()).collect();
    ViewChange { members, repl_factor, dry_run: false, force: false, expected_epoch: None }
}

pub(crate) fn ask(lab: &mut Lab, at: usize, asked: ViewChange) -> Reply {
    let id = lab.submit(at, Action::ChangeView(asked), &Context::default(), DEADLINE);
    lab.answer(id, DEADLINE)
}

/// Begins a change and does not wait for it.
pub(crate) fn begin(lab: &mut Lab, at: usize, members: &[usize], factor: usize) -> u64 {
    let asked = asked(lab, members, factor);
    lab.submit(at, Action::ChangeView(asked), &Context::default(), DEADLINE)
}

pub(crate) fn changed(reply: &Reply) -> &ViewChanged {
    match &reply.outcome {
        Outcome::Changed(changed) => changed,
        other => panic!("no view change: {other:?}"),
    }
}

/// A change that settles.
pub(crate) fn change(lab: &mut Lab, at: usize, members: &[usize], factor: usize) -> ViewChanged {
    let asked = asked(lab, members, factor);
    let reply = ask(lab, at, asked);
    assert!(changed(&reply).settled, "{:?}", reply.outcome);
    changed(&reply).clone()
}

/// Puts some keys, each at another node, without a common past.
pub(crate) fn fill(lab: &mut Lab, nodes: &[usize], count: usize) -> Contents {
    let mut contents = Contents::new();
    for at in 0..count {
        let (key, text) = (format!("key{at}"), format!("value{at}"));
        let reply = lab.put(nodes[at % nodes.len()], &key, &text, &Context::default());
        contents.insert(key, (Some(text), reply.context));
    }
    contents
}

/// Deletes every third key.
pub(crate) fn thin_out(lab: &mut Lab, at: usize, contents: &mut Contents) {
    for (key, (content, context)) in contents.iter_mut().step_by(3) {
        *context = lab.delete(at, key, context).context;
        *content = None;
    }
}

/// Reads every key at these nodes, under the context that came with it: each answers, and with what was written.
pub(crate) fn check_reads(lab: &mut Lab, nodes: &[usize], contents: &Contents) {
    for at in nodes {
        for (key, (content, context)) in contents {
            let reply = lab.get(*at, key, context);
            assert_eq!(value(&reply), *content, "{key} at {at}");
        }
    }
}

pub(crate) fn epochs(lab: &Lab) -> Vec<Option<u32>> {
    lab.nodes.iter().map(|node| node.as_ref().map(|node| node.view().id.epoch)).collect()
}

pub(crate) fn newest(lab: &Lab) -> ViewId {
    lab.nodes.iter().flatten().map(|node| node.view().id).max().unwrap()
}

/// Everybody is in one view, which is settled, and each key is on exactly the members of its shard.
pub(crate) fn check_homes(lab: &Lab, contents: &Contents) {
    let newest = newest(lab);
    for (at, node) in lab.nodes.iter().enumerate() {
        let Some(node) = node else { continue };
        assert_eq!(node.view().id, newest, "the view of {at}");
        assert!(node.is_settled(), "{at} waits for {:?}", node.outstanding());
        let tables = node.tables();
        assert_eq!(tables.len(), usize::from(node.shard().is_some()), "{at} holds tables of former views");
        let held: Vec<(Bytes, Option<Value>)> =
            node.dump().into_iter().map(|(key, _, value)| (key, value)).filter(|(_, value)| value.is_some()).collect();
        let mine = contents.iter().filter(|(key, (content, _))| {
            content.is_some() && Some(node.view().shard_of_hash(key_hash(key.as_bytes())).id) == node.shard()
        });
        let mine: Vec<(Bytes, Option<Value>)> =
            mine.map(|(key, (content, _))| (Bytes::from(key.clone()), content.clone().map(Value::json))).collect();
        assert_eq!(held, mine, "what {at} holds");
    }
}

/// From now on nothing is handed over in bulk.
pub(crate) fn lose_hand_offs(lab: &mut Lab) {
    lab.lose = Some(Box::new(|_, _, body| matches!(body, Message::SyncChunk(chunk) if chunk.legacy.is_some())));
}

pub(crate) fn discarded(lab: &Lab, at: usize) -> Vec<(u64, bool)> {
    let of_node = lab.events.iter().filter(|(node, _)| *node == at);
    let entries = of_node.filter_map(|(_, event)| match event {
        Event::Discarded { entries, written_off } => Some((*entries, *written_off)),
        _ => None,
    });
    entries.collect()
}
