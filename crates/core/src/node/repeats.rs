//! Repeats of writes that are here already, by the name that a router or a client gave them: the first outcome holds (ADR 4, 12).

use crate::causality::context::Context;
use crate::causality::hlc::Timestamp;
use crate::causality::version::Version;
use crate::effect::Effects;
use crate::id::{NodeId, Source};
use crate::node::{Node, Peer};
use crate::planted::{self, Planted};
use crate::request::pending::Pending;
use crate::wire::request::{Action, Outcome, Refusal, Reply};

impl Node {
    /// Answers a write that another try of it has made here, or may have made; tells whether it is one.
    pub(super) fn answer_tried(&mut self, pending: &Pending, effects: &mut Effects) -> bool {
        let Some(id) = &pending.write_id else { return false };
        if let Some(version) = self.write_ids.get(id) {
            let is_delete = matches!(pending.request.action, Action::Delete { .. });
            let outcome = match is_delete {
                true => Outcome::Deleted { concern_met: true },
                false => Outcome::Written { replaced: false, concern_met: true },
            };
            self.confirm_repeat(pending, version, (outcome, pending.request.context.clone()), effects);
            return true;
        }
        // It may have been made here before, by another try of it: this one may be late. A router that knows that no other try can
        // have made it gives it another name.
        let is_repeat = pending.repeat_of > Timestamp::ZERO;
        let may_be_late = is_repeat || matches!(pending.source, Source::Router { .. });
        let is_forgotten = may_be_late && !self.write_ids.remembers(id);
        if is_forgotten {
            let refusal = if is_repeat { Refusal::OutcomeUnknown } else { Refusal::TooLate };
            self.refuse(pending.source, pending.request.context.clone(), refusal, effects);
        }
        is_forgotten
    }

    /// A repeat of a write that is here already: the first outcome holds.
    pub(super) fn confirm_repeat(
        &mut self,
        pending: &Pending,
        version: Version,
        (mut outcome, mut context): (Outcome, Context),
        effects: &mut Effects,
    ) {
        self.bound(&mut context, &pending.request.context, 1);
        context.add(&version);
        let repeat_unconfirmed = !self.knows_copies(pending);
        // Who made it may be gone: only who says that it has it counts.
        let own = self.replica.as_ref().and_then(|replica| replica.origin) == Some(version.origin);
        // What is stable has been on all of them, and who has recovered since has it again.
        let is_stable = version.timestamp <= self.stability.stable();
        let has_it = |(node, peer): &(&NodeId, &Peer)| {
            let is_told = own && peer.out.acked() >= version.timestamp;
            let status = peer.status.as_ref();
            let says_so = status.is_some_and(|status| status.applied.covers(&version) || is_stable && status.recovered);
            self.is_up(**node) && (is_told || says_so)
        };
        let holders = 1 + self.peers.iter().filter(has_it).count();
        let replicas = self.peers.len() + 1;
        let is_met = pending.request.concern.is_none_or(|concern| concern.count(replicas) <= holders);
        if let Outcome::Written { concern_met, .. } | Outcome::Deleted { concern_met } = &mut outcome {
            *concern_met = is_met;
        }
        let acks = u32::try_from(holders).expect("replicas are few");
        let lost = self.replica.as_ref().is_some_and(|replica| replica.names_lost(&pending.request.context));
        let reply = Reply { acks, lost, repeat_unconfirmed, ..self.reply(outcome, context, Some(version)) };
        self.answer(pending.source, reply, effects);
    }

    /// Whether this replica knows that earlier tries of a write have made no copy but the one that it answers with (ADR 4).
    pub(super) fn knows_copies(&self, pending: &Pending) -> bool {
        let Some(replica) = &self.replica else { return false };
        pending.repeat_of == Timestamp::ZERO
            || planted::is(Planted::RepeatConfirmed)
            || (pending.write_id.is_some_and(|id| self.write_ids.is_one(&id))
                && self.views.is_settled()
                && replica.covered >= pending.repeat_of)
    }
}
