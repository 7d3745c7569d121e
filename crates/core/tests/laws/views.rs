//! What a node knows of views is joined from what it is told, whatever the order (design 3.4).

use std::collections::BTreeSet;

use precede_core::causality::hlc::Timestamp;
use precede_core::id::{Address, NodeId, ViewId};
use precede_core::placement::view::{View, ViewRecord};
use precede_core::placement::views::{Place, Views};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

/// Views of one cluster, least first. Each carries, by number, which of those before it were settled when it was stamped: two
/// coordinators may not have known the same.
fn history() -> impl Strategy<Value = Vec<View>> {
    vec((0..3u32, 1..3u64, vec(any::<Index>(), 0..3)), 2..7).prop_map(|stamps| {
        let address = Address::parse("10.0.0.1:80", None).unwrap();
        let bootstrap = View::bootstrap(&[address], 1).unwrap();
        let id = |epoch: u32, coordinator| ViewId {
            epoch: 1 + epoch,
            activation: Timestamp(u64::from(epoch) + 1),
            coordinator: NodeId(coordinator),
        };
        let ids: BTreeSet<ViewId> = stamps.iter().map(|(epoch, coordinator, _)| id(*epoch, *coordinator)).collect();
        let ids: Vec<ViewId> = ids.into_iter().collect();
        let with_settled = ids.iter().enumerate().zip(&stamps).map(|((at, id), (_, _, settled))| {
            let before = |index: &Index| (at > 0).then(|| ids[index.index(at.max(1))]);
            let settled = settled.iter().filter_map(before).collect();
            View::from_record(ViewRecord { id: *id, settled, ..bootstrap.record().clone() }).unwrap()
        });
        with_settled.collect()
    })
}

/// Takes what another node says, as a node does: a greater view is adopted, with the former ones that come along.
fn told(views: &mut Views, current: &View, former: &[View]) {
    if current.id > views.current().id {
        views.adopt(current.clone(), former.iter().cloned());
    } else {
        views.hear(current.clone());
        for view in former {
            views.hear(view.clone());
        }
    }
}

proptest! {
    /// Whoever is told of all views, in whatever portions and order and however often, ends in the greatest of them; every other one is
    /// a former view unless the greatest itself says that it is settled. What was settled under a lesser one does not count.
    #[test]
    fn former_views_are_joined(
        history in history(),
        portions in vec((any::<Index>(), any::<u64>()), 0..12),
        settled_first in any::<Index>(),
    ) {
        let newest = history.last().unwrap();
        let mut views = Views::new(history[0].clone());
        for (current, others) in portions {
            let at = current.index(history.len());
            let former: Vec<View> =
                history[..at].iter().enumerate().filter(|(other, _)| others >> other & 1 == 1).map(|(_, view)| view.clone()).collect();
            told(&mut views, &history[at], &former);
            if views.current().id != newest.id {
                views.settle(settled_first.get(&history).id);
            }
        }
        let before = &history[..history.len() - 1];
        told(&mut views, newest, before);
        // Somebody who is behind says what it knows, and somebody who is not, once more.
        told(&mut views, &history[0], &[]);
        told(&mut views, newest, before);
        prop_assert_eq!(views.current().id, newest.id);
        let settled = &newest.record().settled;
        let former: Vec<ViewId> = views.former().map(|view| view.id).collect();
        let expected: Vec<ViewId> = before.iter().map(|view| view.id).filter(|id| !settled.contains(id)).collect();
        prop_assert_eq!(former, expected);
        for view in before {
            let is_settled = matches!(views.place(&view.id), Place::Settled);
            prop_assert_eq!(is_settled, settled.contains(&view.id));
        }
    }

    /// What is settled stays settled under the same view, whoever speaks of it afterwards.
    #[test]
    fn what_is_settled_stays_settled(history in history(), order in Just((0..6usize).collect::<Vec<_>>()).prop_shuffle()) {
        let newest = history.last().unwrap();
        let mut views = Views::new(newest.clone());
        for at in order.iter().filter(|at| **at < history.len() - 1) {
            views.hear(history[*at].clone());
            views.settle(history[*at].id);
            views.hear(history[*at].clone());
            prop_assert!(matches!(views.place(&history[*at].id), Place::Settled));
        }
        prop_assert!(views.is_settled());
    }
}
