//! Repeats of writes that clients gave a name (design 7.6, ADR 12): who knows the name answers with the first outcome.

use crate::causality::context::Context;
use crate::causality::version::Version;
use crate::effect::Effects;
use crate::node::Node;
use crate::placement::hash::key_hash;
use crate::planted::{self, Planted};
use crate::replication::names::Known;
use crate::request::pending::Pending;
use crate::time::Now;
use crate::wire::message::Fetched;
use crate::wire::named::Made;
use crate::wire::request::{Outcome, Refusal};

impl Node {
    /// Answers a write whose name is known here; tells whether it was. The write is not made again, whatever has become of its key.
    pub(super) fn answer_named(&mut self, pending: &Pending, effects: &mut Effects) -> bool {
        let Some(named) = &pending.request.named else { return false };
        let Some(&Known { version, naming }) = self.known_name(pending) else { return false };
        let (source, mut context) = (pending.source, pending.request.context.clone());
        if naming.named.content != named.content {
            self.refuse(source, context, Refusal::NameTaken, effects);
            return true;
        }
        // What the first answer revealed, its write depends on.
        context.merge(&self.dependencies_of(&version));
        let outcome = match naming.made {
            Made::Added | Made::Replaced => {
                Outcome::Written { replaced: naming.made == Made::Replaced, concern_met: true }
            }
            Made::Deleted => Outcome::Deleted { concern_met: true },
        };
        self.confirm_repeat(pending, version, (outcome, context), effects);
        true
    }

    fn known_name(&self, pending: &Pending) -> Option<&Known> {
        let (replica, named) = (self.replica.as_ref()?, pending.request.named.as_ref()?);
        let hash = key_hash(pending.request.action.key()?);
        replica.names.get(hash, &named.name).filter(|_| !planted::is(Planted::NameIgnored))
    }

    fn dependencies_of(&self, version: &Version) -> Context {
        let stable = self.stability.stable();
        self.replica.as_ref().map(|replica| replica.dependencies(version, stable)).unwrap_or_default()
    }

    /// An old owner has told of a name that it was asked for: from now on it is known here, with what its answer must carry.
    pub(super) fn hear_fetched_name(&mut self, now: Now, answer: &Fetched) {
        let (Some(replica), Some(known)) = (&mut self.replica, &answer.known) else { return };
        replica.hear_name(now.monotonic, known);
        replica.window.merge_floor(&answer.floor.0, answer.floor.1);
    }
}
