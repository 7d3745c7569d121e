//! The views that a node knows: the current one, former ones that are not known to be settled, and which are settled
//! (design 3.4). The current view is a register that only grows; former views and what is settled spread with it, by union.

use std::collections::{BTreeMap, BTreeSet};

use crate::causality::hlc::Timestamp;
use crate::id::{Life, NodeId, Origin, ViewId};
use crate::limits::{FORMER_VIEWS_MAX, SETTLED_VIEWS_MAX};
use crate::placement::view::{View, ViewError, ViewRecord};

/// What a view id means to a node.
#[derive(Debug, Clone, Copy)]
pub enum Place<'a> {
    /// It is the current view.
    Current,
    /// It is a view below the current that is not known to be settled.
    Former(&'a View),
    /// Everything of it has been handed over.
    Settled,
    /// The node has not heard of it.
    Unknown,
}

/// The views that a node knows.
#[derive(Debug, Clone)]
pub struct Views {
    current: View,
    former: BTreeMap<ViewId, View>,
    settled: BTreeSet<ViewId>,
    /// Lives in which members have handed over although the current view names earlier ones.
    late: BTreeMap<NodeId, Timestamp>,
}

impl Views {
    /// Begins with the bootstrap view.
    #[must_use]
    pub fn new(bootstrap: View) -> Self {
        Self { current: bootstrap, former: BTreeMap::new(), settled: BTreeSet::new(), late: BTreeMap::new() }
    }

    /// The current view.
    #[must_use]
    pub fn current(&self) -> &View {
        &self.current
    }

    /// The former views, oldest first.
    pub fn former(&self) -> impl DoubleEndedIterator<Item = &View> {
        self.former.values()
    }

    /// Whether every view below the current is known to be settled.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.former.is_empty()
    }

    /// The views known to be settled under the current one.
    #[must_use]
    pub fn settled(&self) -> &BTreeSet<ViewId> {
        &self.settled
    }

    /// What a view id means here.
    #[must_use]
    pub fn place(&self, id: &ViewId) -> Place<'_> {
        if *id == self.current.id {
            return Place::Current;
        }
        if let Some(view) = self.former.get(id) {
            return Place::Former(view);
        }
        let is_old = usize::try_from(self.current.id.epoch - id.epoch.min(self.current.id.epoch))
            .is_ok_and(|epochs| epochs >= SETTLED_VIEWS_MAX);
        if *id < self.current.id && (is_old || self.settled.contains(id)) { Place::Settled } else { Place::Unknown }
    }

    /// What the view of an origin means here. One that began in an old view after a node had been reached, and after it had handed
    /// over, has handed nothing over: it started with nothing but that view, and did not know that it was over.
    #[must_use]
    pub fn place_of(&self, origin: &Origin) -> Place<'_> {
        let handed_over = self.late.get(&origin.node).copied();
        let is_late =
            || self.current.life(origin.node).is_some_and(|named| Some(origin.start) > handed_over.max(Some(named)));
        match self.place(&origin.view) {
            Place::Settled if is_late() => Place::Unknown,
            place @ (Place::Current | Place::Former(_) | Place::Settled | Place::Unknown) => place,
        }
    }

    /// Whether a view after this one was made before a life began.
    #[must_use]
    pub fn was_reached_before(&self, id: &ViewId, life: Life) -> bool {
        let later = self.former.values().chain([&self.current]).filter(|view| view.comes_after(id));
        later.filter_map(|view| view.life(life.node)).any(|named| named < life.start)
    }

    /// A member has handed over in this life.
    pub fn hear_late(&mut self, life: Life) {
        let known = self.current.life(life.node).max(self.late.get(&life.node).copied());
        if known.is_some_and(|known| known < life.start) {
            self.late.insert(life.node, life.start);
        }
    }

    /// The lives in which members have handed over although the current view names earlier ones.
    pub fn late(&self) -> impl Iterator<Item = Life> {
        self.late.iter().map(|(node, start)| Life { node: *node, start: *start })
    }

    /// The view that a record describes, without computing again who owns what where it is known.
    ///
    /// # Errors
    /// See [`View::from_record`].
    pub fn view_of(&self, record: ViewRecord) -> Result<View, ViewError> {
        match self.place(&record.id) {
            Place::Current => Ok(self.current.clone()),
            Place::Former(view) => Ok(view.clone()),
            Place::Settled | Place::Unknown => View::from_record(record),
        }
    }

    /// Takes over a greater view, with the former views and the settled ones that came along with it. A bootstrap view that
    /// does not belong to the new view's history is none of its former views: nobody hands over what it held.
    ///
    /// # Panics
    /// If the view is not greater.
    pub fn adopt(&mut self, view: View, former: impl IntoIterator<Item = View>) {
        assert!(view.id > self.current.id, "a view that is not greater is not adopted");
        let old = std::mem::replace(&mut self.current, view);
        self.settled.clone_from(&self.current.record().settled);
        self.late.clear();
        let told: Vec<View> = former.into_iter().collect();
        let belongs = old.id.epoch > 0 || told.iter().any(|view| view.id == old.id);
        let mine = std::mem::take(&mut self.former);
        for view in told.into_iter().chain(mine.into_values()).chain(belongs.then_some(old)) {
            self.hear(view);
        }
    }

    /// Hears of a view below the current; tells whether it is a former one that was not known. There is room for several times
    /// what a message names.
    pub fn hear(&mut self, view: View) -> bool {
        let room = self.former.len() < 4 * FORMER_VIEWS_MAX;
        let news = room && view.id < self.current.id && matches!(self.place(&view.id), Place::Unknown);
        if news {
            self.former.insert(view.id, view);
        }
        news
    }

    /// A view is settled under the current one; tells whether that is news.
    pub fn settle(&mut self, id: ViewId) -> bool {
        let news = id < self.current.id && self.settled.insert(id);
        // With one from the other side of a cut, so is what only that side has ever known.
        let before = self.former.remove(&id).map(|view| view.record().ancestors.clone()).unwrap_or_default();
        let is_theirs = |view: &ViewId| !self.former.contains_key(view) && !self.current.comes_after(view);
        self.settled.extend(before.into_iter().filter(is_theirs));
        while self.settled.len() > SETTLED_VIEWS_MAX {
            self.settled.pop_first();
        }
        news
    }

    /// The members of all former views, written off or not.
    #[must_use]
    pub fn old_members(&self) -> BTreeSet<NodeId> {
        self.former.values().flat_map(|view| view.members().map(|(node, _, _)| node)).collect()
    }
}
