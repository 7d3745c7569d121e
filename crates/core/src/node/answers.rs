//! Answers: what a read shows, and the context that each carries (design 5.2, 5.3, 5.5).

use bytes::Bytes;

use crate::causality::context::Context;
use crate::causality::version::Version;
use crate::effect::{Effect, Effects};
use crate::id::{Origin, Source};
use crate::limits::CONTEXT_ENTRIES_MAX;
use crate::node::Node;
use crate::planted::{self, Planted};
use crate::replication::claims::Fetches;
use crate::replication::reading::Shown;
use crate::wire::message::Message;
use crate::wire::request::{Outcome, Refusal, Reply};

impl Node {
    pub(super) fn read(&self, key: &Bytes, asked: &Context, fetched: &Fetches) -> Reply {
        let replica = self.replica.as_ref().expect("a read is served by a replica");
        let mut context = asked.clone();
        let shown = replica.shown(key, self.stability.stable(), fetched);
        let version = reveal(&shown, &mut context);
        self.bound(&mut context, asked, 0);
        let outcome = match shown.entry.as_ref().and_then(|(_, entry)| entry.value()) {
            Some(value) => Outcome::Found(value.to_owned()),
            None => Outcome::Absent,
        };
        let lost = replica.names_lost(asked);
        Reply { lost, ..self.reply(outcome, context, version) }
    }

    pub(super) fn reply(&self, outcome: Outcome, context: Context, version: Option<Version>) -> Reply {
        Reply { outcome, context, served_by: self.me, version, acks: 0, lost: false, repeat_unconfirmed: false }
    }

    /// Keeps the context of an answer to what an answer may have, with so many entries to come: a request must be able to bring it back.
    pub(super) fn bound(&self, context: &mut Context, asked: &Context, more: usize) {
        let entries_max = self.config.context_entries_max.clamp(1, CONTEXT_ENTRIES_MAX) - more;
        if context.entries.len() > entries_max {
            let (stable, mut asked) = (self.stability.stable(), asked.clone());
            asked.prune(stable);
            context.prune(stable);
            context.bound(&asked, entries_max);
        }
    }

    pub(super) fn refuse(&mut self, source: Source, context: Context, refusal: Refusal, effects: &mut Effects) {
        let reply = self.reply(Outcome::Refused(refusal), context, None);
        self.hand_over(source, reply, effects);
    }

    /// Answers as a replica: the context is pruned here (design 5.3).
    pub(super) fn answer(&mut self, source: Source, mut reply: Reply, effects: &mut Effects) {
        reply.context.view = reply.context.view.max(Some(self.views.current().id));
        reply.context.prune(self.stability.stable());
        if planted::is(Planted::UnsettledOriginDropped)
            && let Some(replica) = &self.replica
        {
            let open = |origin: &Origin| replica.lives.newest(origin.node).is_none_or(|start| start <= origin.start);
            reply.context.entries.retain(|origin, _| open(origin));
        }
        self.hand_over(source, reply, effects);
    }

    /// Hands an answer over as it is.
    pub(super) fn hand_over(&mut self, source: Source, reply: Reply, effects: &mut Effects) {
        match source {
            Source::Count(shard) => self.on_counted(shard, &reply.outcome),
            Source::Client(id) => effects.push(Effect::Reply { id, reply: Box::new(reply) }),
            Source::Router { node, id } => self.send(node, Message::ForwardReply { id, reply }, effects),
        }
    }
}

/// Adds to a context what an answer reveals: the version, with its dependencies, or how far absence reaches.
pub(super) fn reveal(shown: &Shown, context: &mut Context) -> Option<Version> {
    let Some((version, _)) = &shown.entry else {
        context.leave_out(shown.horizon);
        return None;
    };
    context.merge(&shown.dependencies);
    context.add(version);
    Some(*version)
}
