//! Design 7.6: whoever has heard of a write answers a repeat under its name with the first outcome, and does not make it again.
//!
//! A replica has heard of a write if its vector claims it, or if the write is in its table. Of several with one name, made by replicas
//! that had not heard of one another, the least counts where they meet: so an answer names no greater one than the replica had heard of
//! when the repeat was sent, and whatever it makes itself would be greater.

use std::collections::BTreeMap;

use precede_core::causality::version::Version;
use precede_core::wire::named::{Made, Named};
use precede_core::wire::request::{Outcome, Refusal, Reply};

/// The writes that were made under one name, as streams and answers have told: what each was, and did.
pub type MadeUnder = BTreeMap<Version, (u64, Made)>;

/// What an outcome says that a write did.
#[must_use]
pub fn made(outcome: &Outcome) -> Option<Made> {
    match outcome {
        Outcome::Written { replaced: true, .. } => Some(Made::Replaced),
        Outcome::Written { replaced: false, .. } => Some(Made::Added),
        Outcome::Deleted { .. } => Some(Made::Deleted),
        _ => None,
    }
}

/// Judges an answer. `heard`: the least write under the name that its giver had heard of when the request was sent. `is_shared`:
/// whether another write was ever asked for under the name.
///
/// # Errors
/// Says what it should have been.
pub fn answer(
    named: &Named,
    known: &MadeUnder,
    (heard, is_shared): (Option<Version>, bool),
    reply: &Reply,
) -> Result<(), String> {
    match (&reply.outcome, heard) {
        (Outcome::Refused(Refusal::NameTaken), _) if !is_shared => {
            Err("the name is said to be another write's, and there is none".to_owned())
        }
        (Outcome::Refused(_), _) => Ok(()),
        (outcome, Some(heard)) if reply.version.is_none_or(|version| version > heard) || made(outcome).is_none() => {
            Err(format!("answered {outcome:?} {:?} by who had heard of the first, {heard:?}", reply.version))
        }
        (outcome, _) => match (made(outcome), reply.version) {
            (Some(made), Some(version)) => same(named, known, made, &version, reply),
            _ => Ok(()),
        },
    }
}

/// Judges a write as it is made. `by_peers`: the least one under its name that recovered replicas have heard of to whom this one must
/// leave it; `told`: that an old owner has told of to the request that made it.
///
/// # Errors
/// Says whom the replica has not listened to.
pub fn made_at(version: &Version, by_peers: Option<Version>, told: Option<Version>) -> Result<(), String> {
    match (by_peers, told) {
        (Some(first), _) => Err(format!("made {version:?} without having recovered, and one that has knows {first:?}")),
        (None, Some(first)) => Err(format!("made {version:?}, and an old owner that was asked knows {first:?}")),
        (None, None) => Ok(()),
    }
}

/// Judges what is said of a write: what was said of it before, and to whom it may concern.
fn same(named: &Named, known: &MadeUnder, made: Made, version: &Version, reply: &Reply) -> Result<(), String> {
    if let Some(first) = known.get(version)
        && *first != (named.content, made)
    {
        return Err(format!("{version:?} was {first:?}, and is told as {:?}", (named.content, made)));
    }
    let context = &reply.context;
    if context.entries.get(&version.origin) < version.timestamp && context.stable < version.timestamp {
        return Err(format!("the context does not cover {version:?}: {context:?}"));
    }
    Ok(())
}
