//! Repeats of writes that clients gave a name (design 7.6, ADR 12): who knows the name answers with the first outcome.

use crate::causality::context::Context;
use crate::causality::version::Version;
use crate::effect::Effects;
use crate::node::Node;
use crate::placement::hash::key_hash;
use crate::planted::{self, Planted};
use crate::request::pending::Pending;
use crate::wire::named::{Made, Named};
use crate::wire::request::{Outcome, Refusal};

impl Node {
    /// Answers a write whose name is known here; tells whether it was. The write is not made again, whatever has become of its key.
    pub(super) fn answer_named(&mut self, pending: &Pending, effects: &mut Effects) -> bool {
        let Some(named) = &pending.request.named else { return false };
        let Some((version, first, made)) = self.known_name(pending) else { return false };
        let (source, mut context) = (pending.source, pending.request.context.clone());
        if first.content != named.content {
            self.refuse(source, context, Refusal::NameTaken, effects);
            return true;
        }
        // What the first answer revealed, its write depends on.
        context.merge(&self.dependencies_of(&version));
        pending.fetched.floors().for_each(|floor| context.merge(floor));
        let outcome = match made {
            Made::Added | Made::Replaced => Outcome::Written { replaced: made == Made::Replaced, concern_met: true },
            Made::Deleted => Outcome::Deleted { concern_met: true },
        };
        self.confirm_repeat(pending, version, (outcome, context), effects);
        true
    }

    /// What is known of a name: here, or to old owners that were asked for it. Theirs counts for the request that asked, and is kept
    /// nowhere: an old owner may be lost with the write.
    fn known_name(&self, pending: &Pending) -> Option<(Version, Named, Made)> {
        let (replica, named) = (self.replica.as_ref()?, pending.request.named.as_ref()?);
        let hash = key_hash(pending.request.action.key()?);
        let own = replica.names.get(hash, &named.name);
        let own = own.map(|known| (known.version, known.naming.named, known.naming.made));
        let fetched = pending.fetched.names().map(|known| (known.version, known.write.named, known.write.made));
        let least = own.into_iter().chain(fetched).min_by_key(|(version, ..)| *version);
        least.filter(|_| !planted::is(Planted::NameIgnored))
    }

    /// Whether a write may be taken here although its context is not satisfied.
    pub(super) fn may_take(&self, pending: &Pending) -> bool {
        let hash = pending.request.action.key().map_or(0, |key| key_hash(key));
        self.may_write(hash) && !self.is_behind_on_names(pending)
    }

    /// Whether a write has a name that others of the shard may know, and this replica not yet: it has not recovered.
    pub(super) fn is_behind_on_names(&self, pending: &Pending) -> bool {
        let is_recovered = self.replica.as_ref().is_none_or(|replica| replica.recovered);
        let is_left = !is_recovered && self.has_recovered_peer() && !planted::is(Planted::BehindOnNames);
        pending.request.named.is_some() && is_left
    }

    fn dependencies_of(&self, version: &Version) -> Context {
        let stable = self.stability.stable();
        self.replica.as_ref().map(|replica| replica.dependencies(version, stable)).unwrap_or_default()
    }
}
