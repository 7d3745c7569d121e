//! Stability, one number: the cluster's stable timestamp (design 6.4).

use std::collections::BTreeMap;

use crate::causality::hlc::Timestamp;
use crate::id::{NodeId, ViewId};
use crate::placement::view::View;
use crate::placement::views::Views;
use crate::planted::{self, Planted};

/// The greatest `covered` heard of each member, and the least of them.
///
/// Words only rise, over lives too: a word of a life that is over may be above what the present life has. That is safe
/// because whoever answers checks its own `covered` against the context (design 7.2).
#[derive(Debug)]
pub struct Stability {
    covered: BTreeMap<NodeId, Timestamp>,
    /// Per former view the least last word of its members, as far as this node has heard them.
    former: BTreeMap<ViewId, Timestamp>,
    stable: Timestamp,
}

impl Stability {
    /// Nothing is known to be stable.
    #[must_use]
    pub fn new(view: &View) -> Self {
        Self {
            covered: view.members().map(|(node, _, _)| (node, view.id.activation)).collect(),
            former: BTreeMap::new(),
            stable: view.id.activation,
        }
    }

    /// A view is adopted by a node that knew nothing of its history: what came before it may not be everywhere.
    #[must_use]
    pub fn of_stranger(view: &View) -> Self {
        Self { stable: Timestamp::ZERO, ..Self::new(view) }
    }

    /// A new view begins: its members have said nothing under it, and those of the old one have said their last word.
    pub fn adopt(&mut self, old: ViewId, view: &View) {
        self.former.insert(old, self.covered.values().min().copied().unwrap_or_default());
        self.covered = view.members().map(|(node, _, _)| (node, view.id.activation)).collect();
    }

    /// Former views are settled, or heard of for the first time: of those nothing is known but when they began.
    pub fn on_views(&mut self, views: &Views) {
        self.former.retain(|id, _| views.former().any(|former| former.id == *id));
        for former in views.former() {
            self.former.entry(former.id).or_insert(former.id.activation);
        }
    }

    /// A member's `covered`, from itself or by hearsay; words of strangers are ignored.
    pub fn hear(&mut self, node: NodeId, covered: Timestamp) {
        if let Some(known) = self.covered.get_mut(&node) {
            *known = (*known).max(covered);
        }
    }

    /// The least last word of the members of a former view, as another node of this view knows it.
    pub fn hear_former(&mut self, view: &ViewId, least: Timestamp) {
        if let Some(known) = self.former.get_mut(view) {
            *known = (*known).max(least);
        }
    }

    /// Recomputes the stable timestamp; tells whether it rose.
    pub fn advance(&mut self) -> bool {
        let former = self.former.values().filter(|_| !planted::is(Planted::LegacyPrunedByNew));
        let words = self.covered.values().chain(former);
        let least = if planted::is(Planted::PrunedByFastest) { words.max() } else { words.min() };
        let least = least.copied().unwrap_or_default();
        let rose = least > self.stable;
        self.stable = self.stable.max(least);
        rose
    }

    /// The least word of these members.
    #[must_use]
    pub fn least(&self, members: &[NodeId]) -> Timestamp {
        members.iter().filter_map(|node| self.covered.get(node)).min().copied().unwrap_or_default()
    }

    /// The cluster's stable timestamp.
    #[must_use]
    pub fn stable(&self) -> Timestamp {
        self.stable
    }

    /// Everything known, for gossip.
    #[must_use]
    pub fn words(&self) -> Vec<(NodeId, Timestamp)> {
        self.covered.iter().map(|(node, covered)| (*node, *covered)).collect()
    }

    /// What is known of former views, for whoever was no member of them.
    #[must_use]
    pub fn former_words(&self) -> Vec<(ViewId, Timestamp)> {
        self.former.iter().map(|(view, least)| (*view, *least)).collect()
    }

    /// The member that holds the stable timestamp back.
    #[must_use]
    pub fn slowest(&self) -> Option<NodeId> {
        self.covered.iter().min_by_key(|(_, covered)| **covered).map(|(node, _)| *node)
    }
}
