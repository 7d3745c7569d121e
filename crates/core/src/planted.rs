//! Bugs planted on purpose, to prove that the simulator would find them.
//!
//! Each stands for a sentence of the design without which the protocol breaks. They exist only under the feature `planted`,
//! which the simulator's tests turn on; without it [`is`] is the constant `false`, and nothing of them is compiled in. At
//! most one is present at a time, per thread: the simulator runs a whole cluster on one.

use std::fmt;
use std::str::FromStr;

/// A bug that can be planted. The words of each say what the code does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Planted {
    /// 7.2: a replica answers whatever the context says.
    ContextUnchecked,
    /// 5.2: an answer leaves out the dependencies of the version read.
    DependenciesForgotten,
    /// 5.2: the answer to a write leaves out the write itself.
    OwnDotForgotten,
    /// 4.3: a timestamp is taken from the node's own clock, whatever the node has heard.
    WallClockOrder,
    /// 8.2: of two versions with one timestamp each replica keeps the one that it got first.
    TiesByReceiver,
    /// 10.1: all lives of an address are one origin.
    OriginReused,
    /// 10.2: a replica that has not recovered answers reads.
    UnrecoveredAnswers,
    /// 8.1: `applied` advances over a gap.
    AppliedFirst,
    /// 9: tombstones are dropped when they are half a second old.
    TombstonesByTimer,
    /// 8.3: a sync merges the source's vector although its last chunk was lost.
    HandOffLoses,
    /// 5.3: contexts lose the entries of former lives that are not closed.
    UnsettledOriginDropped,
    /// 6.4: the fastest replica says what is stable.
    PrunedByFastest,
    /// 8.1: frames and words of a former life are accepted.
    FormerLifeAccepted,
    /// 7.2: a replica does not hold its own `covered` against the context's `stable`.
    OwnCoveredUnchecked,
    /// 8.3: a full sync does not delete what the source does not name.
    AbsenceUntold,
    /// 7.1: a forwarded write is taken however late it comes.
    NotAfterIgnored,
    /// 8.2: a late copy is applied again.
    LateCopyApplied,
    /// ADR 4: a replica that takes a repeat says that it knows of every copy.
    RepeatConfirmed,
    /// 5.2: the 404 of a DELETE does not count as a read.
    DeleteRevealsNothing,
    /// 6.3: what leaves a full window leaves no dependencies behind.
    FloorForgotten,
    /// 6.3: a version leaves the window when its own shard has it.
    WindowByOwnShard,
    /// 10.2: a replica counts as recovered from its start, so that others copy its emptiness.
    EmptinessCopied,
    /// 10.4: former lives close before everybody has taken what others hold of them.
    ClosedUnresolved,
    /// 8.4: nobody relays what its origin cannot deliver.
    RelayForgotten,
    /// 11.4: the last chunk of a hand-off is lost, and all of it is claimed.
    LegacyChunkLost,
    /// 11.6: a shard settles a former view when one of its replicas has got everything.
    SettledByOne,
    /// 11.4: a key that has not been handed over yet counts as absent.
    AbsentInTransit,
    /// 11.4: what one old owner does not have counts as absent.
    AbsentAtOne,
    /// 9, 11.4: a hand-off does not tell what was deleted and collected there.
    AbsenceNotHandedOver,
    /// 11.3: frames of an earlier view are taken and acknowledged after another was adopted.
    FormerViewAccepted,
    /// 11.5: entries of a former view count as satisfied before it is settled.
    FormerEntriesIgnored,
    /// 11.2: a node that has started again since the view was stamped counts as recovered in it.
    LifeUnnamed,
    /// 6.4: what is stable is said without the members of former views.
    LegacyPrunedByNew,
    /// 11.7: of two views made at once, members of the lesser one stand for what came before, also for the winner's.
    SiblingOutdoes,
    /// 7.7: a barrier does not look at the entries of its context.
    BarrierIgnoresEntries,
    /// 7.6: a replica makes a write again although it knows its name.
    NameIgnored,
    /// 7.6: a replica that has not recovered makes named writes although others have.
    BehindOnNames,
    /// 7.6: a sync leaves out the names of what it brings.
    NamesNotSynced,
    /// 7.6, 11.4: a hand-off leaves out the names of what it brings.
    NamesNotHandedOver,
    /// 7.6, 11.4: an old owner that is asked does not tell what it knows of a name.
    NameNotTold,
    /// 7.6: of two writes with one name the greatest counts.
    GreatestNameCounts,
    /// 5.5: `stable` does not stand for what a context has no room for.
    LeftOutUntold,
    /// 7.7: a barrier does not look at what its context has no room for.
    BarrierIgnoresStable,
}

impl Planted {
    /// All of them.
    pub const ALL: [Self; 43] = [
        Self::ContextUnchecked,
        Self::DependenciesForgotten,
        Self::OwnDotForgotten,
        Self::WallClockOrder,
        Self::TiesByReceiver,
        Self::OriginReused,
        Self::UnrecoveredAnswers,
        Self::AppliedFirst,
        Self::TombstonesByTimer,
        Self::HandOffLoses,
        Self::UnsettledOriginDropped,
        Self::PrunedByFastest,
        Self::FormerLifeAccepted,
        Self::OwnCoveredUnchecked,
        Self::AbsenceUntold,
        Self::NotAfterIgnored,
        Self::LateCopyApplied,
        Self::RepeatConfirmed,
        Self::DeleteRevealsNothing,
        Self::FloorForgotten,
        Self::WindowByOwnShard,
        Self::EmptinessCopied,
        Self::ClosedUnresolved,
        Self::RelayForgotten,
        Self::LegacyChunkLost,
        Self::SettledByOne,
        Self::AbsentInTransit,
        Self::AbsentAtOne,
        Self::AbsenceNotHandedOver,
        Self::FormerViewAccepted,
        Self::FormerEntriesIgnored,
        Self::LifeUnnamed,
        Self::LegacyPrunedByNew,
        Self::SiblingOutdoes,
        Self::BarrierIgnoresEntries,
        Self::NameIgnored,
        Self::BehindOnNames,
        Self::NamesNotSynced,
        Self::NamesNotHandedOver,
        Self::NameNotTold,
        Self::GreatestNameCounts,
        Self::LeftOutUntold,
        Self::BarrierIgnoresStable,
    ];
}

impl fmt::Display for Planted {
    /// The name with hyphens, as on the simulator's command line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, letter) in format!("{self:?}").char_indices() {
            let hyphen = if at > 0 && letter.is_ascii_uppercase() { "-" } else { "" };
            write!(f, "{hyphen}{}", letter.to_ascii_lowercase())?;
        }
        Ok(())
    }
}

impl FromStr for Planted {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|bug| bug.to_string() == text).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(ToString::to_string).collect();
            format!("`{text}` is no planted bug; there are {}", names.join(", "))
        })
    }
}

#[cfg(feature = "planted")]
thread_local! {
    static PRESENT: std::cell::Cell<Option<Planted>> = const { std::cell::Cell::new(None) };
}

/// Plants a bug in every node that runs on this thread, or takes it out.
///
/// # Panics
/// If this was built without the feature `planted` and a bug is named.
pub fn plant(bug: Option<Planted>) {
    #[cfg(feature = "planted")]
    PRESENT.set(bug);
    #[cfg(not(feature = "planted"))]
    assert!(bug.is_none(), "no bug can be planted: this was built without the feature `planted`");
}

/// Whether a bug is present.
#[cfg(feature = "planted")]
#[must_use]
#[inline]
pub fn is(bug: Planted) -> bool {
    PRESENT.get() == Some(bug)
}

/// Whether a bug is present: never, in a build without the feature `planted`.
#[cfg(not(feature = "planted"))]
#[must_use]
#[inline(always)]
pub const fn is(_: Planted) -> bool {
    false
}
