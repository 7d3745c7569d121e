//! Requests that other nodes forwarded to this one and that are followed: from the message that brings one to the message that answers it.

use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime};

use precede_core::id::NodeId;
use precede_core::placement::hash::key_hash;
use precede_core::placement::view::View;
use precede_core::wire::mark::Mark;
use precede_core::wire::message::{Envelope, Forward, Message};
use precede_core::wire::request::{Action, Outcome, Refusal, Reply};

use crate::access::secret::hex;
use crate::trace::span::{self, Span};
use crate::trace::{LOG_TARGET, Traces, ids};

/// Requests that are followed at once. What comes beyond is served all the same.
const SERVING_MAX: usize = 4096;
/// The answer is waited for so much longer than its time: what is never answered is forgotten.
const GRACE: Duration = Duration::from_secs(1);

/// Requests that are being served, by who forwarded them and what that called them.
#[derive(Debug, Default)]
pub(crate) struct Serving(HashMap<(NodeId, u64), Served>);

#[derive(Debug)]
struct Served {
    mark: Mark,
    parent: Option<[u8; 8]>,
    action: &'static str,
    shard: Option<u32>,
    hops: u8,
    start: SystemTime,
    began: Instant,
    until: Instant,
}

impl Serving {
    /// Whether there are none: almost always.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A message has arrived. If it is a request that is followed, what is done for it from now on is done on behalf of a span of this
    /// node, here and wherever it is sent next.
    pub(crate) fn on_message(&mut self, envelope: &mut Envelope, view: &View) {
        let from = envelope.from;
        if let Message::Forward(forward) = &mut envelope.body
            && forward.request.mark.is_some()
        {
            self.begin(from, forward, view);
        }
    }

    #[cold]
    fn begin(&mut self, from: NodeId, forward: &mut Forward, view: &View) {
        let (action, attempt, hops) = (&forward.request.action, forward.attempt, forward.hops);
        let (action, shard) = match action {
            Action::Count { shard } => ("COUNT", Some(shard.0)),
            Action::Barrier => ("BARRIER", None),
            Action::ChangeView(_) => ("CHANGE", None),
            Action::Get { key } => ("GET", Some(shard_of(view, key))),
            Action::Put { key, .. } => ("PUT", Some(shard_of(view, key))),
            Action::Delete { key } => ("DELETE", Some(shard_of(view, key))),
        };
        let Some(mark) = &mut forward.request.mark else { return };
        let now = Instant::now();
        if self.0.len() >= SERVING_MAX {
            self.0.retain(|_, served| served.until > now);
        }
        if self.0.len() >= SERVING_MAX {
            return;
        }
        // A message may arrive twice.
        let served = self.0.entry((from, forward.id)).or_insert_with(|| {
            let parent = mark.trace.as_mut().map(|trace| std::mem::replace(&mut trace.span, ids::span()));
            let (start, until) = (SystemTime::now(), now + attempt + GRACE);
            Served { mark: (**mark).clone(), parent, action, shard, hops, start, began: now, until }
        });
        (**mark).clone_from(&served.mark);
    }

    /// A message is sent. If it answers a request that is followed, that is told.
    #[cold]
    pub(crate) fn on_send(&mut self, traces: &Traces, to: NodeId, message: &Message, view: &View) {
        let Message::ForwardReply { id, reply } = message else { return };
        let Some(served) = self.0.remove(&(to, *id)) else { return };
        let took = served.began.elapsed();
        let (outcome, error) = outcome(reply);
        let router = || view.address(to).map_or_else(|| format!("{to:?}"), ToString::to_string);
        tracing::debug!(
            target: LOG_TARGET,
            request_id = served.mark.request_id,
            trace_id = served.mark.trace.as_ref().map(|trace| hex(&trace.id)),
            action = served.action,
            shard = served.shard,
            forwarded_by = router(),
            micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            outcome,
            error,
            "served for another node"
        );
        if !traces.wants(served.mark.trace.as_ref()) {
            return;
        }
        let Some(trace) = served.mark.trace else { return };
        let mut attributes = vec![
            span::text("precede.outcome", outcome),
            span::text("precede.request_id", served.mark.request_id),
            span::text("precede.forwarded_by", router()),
            span::number("precede.hops", served.hops),
        ];
        attributes.extend(served.shard.map(|shard| span::number("precede.shard", shard)));
        traces.record(Span {
            trace,
            parent: served.parent,
            name: format!("forwarded {}", served.action).into(),
            start: served.start,
            end: served.start + took,
            attributes,
            error,
        });
    }
}

fn shard_of(view: &View, key: &[u8]) -> u32 {
    view.shard_of_hash(key_hash(key)).id.0
}

/// What became of a request, in a word, and why it was refused.
fn outcome(reply: &Reply) -> (&'static str, Option<String>) {
    match &reply.outcome {
        Outcome::Written { concern_met: false, .. }
        | Outcome::Deleted { concern_met: false }
        | Outcome::Unstable(_) => ("accepted", None),
        Outcome::Found(_)
        | Outcome::Written { .. }
        | Outcome::Deleted { .. }
        | Outcome::Counted(_)
        | Outcome::Changed(_)
        | Outcome::Stable => ("done", None),
        Outcome::Absent => ("absent", None),
        Outcome::Refused(refusal @ Refusal::OutcomeUnknown) => ("unknown", Some(refusal.to_string())),
        Outcome::Refused(refusal) => ("refused", Some(refusal.to_string())),
    }
}
