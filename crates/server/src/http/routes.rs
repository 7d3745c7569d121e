//! The table of routes: where a path leads, which methods it knows, and how it is described. A path that is not in the table is unknown,
//! and `service` answers each [`To`]: there is no route without a description.

use crate::http::health::Probe;
use crate::http::openapi::operation::Operation;
use crate::http::{barrier, dashboard, health, keys, metrics, openapi, shards, status, view_change};

/// The path that tells of the view and changes it.
pub(crate) const VIEW_CHANGE: &str = "/kv-store/view-change";

/// The path that waits until all is on every replica.
pub(crate) const BARRIER: &str = "/kv-store/barrier";

/// Where a path leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum To {
    /// A key.
    Key,
    /// The number of keys here.
    KeyCount,
    /// All shards.
    Shards,
    /// One shard.
    Shard,
    /// The view.
    ViewChange,
    /// Whether all is on every replica.
    Barrier,
    /// Whether the node is well.
    Probe(Probe),
    /// The description of all this.
    OpenApi,
    /// The state of the cluster.
    Status,
    /// What this node says of itself, for Prometheus.
    Metrics,
    /// The dashboard.
    Page,
    /// What belongs to its page.
    Asset,
}

/// Requests that are counted apart: the label `route` of the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Keys.
    Keys,
    /// The number of keys here.
    KeyCount,
    /// Shards.
    Shards,
    /// The view.
    ViewChange,
    /// Barriers.
    Barrier,
    /// The state of the cluster.
    Status,
    /// Metrics.
    Metrics,
    /// Probes.
    Health,
    /// The dashboard.
    Dashboard,
    /// The description.
    OpenApi,
    /// Links of other nodes.
    Peer,
    /// Paths that lead nowhere.
    Unknown,
}

/// The names of the kinds, in their order.
pub(crate) const KINDS: [&str; 12] = [
    "keys",
    "key-count",
    "shards",
    "view-change",
    "barrier",
    "status",
    "metrics",
    "health",
    "dashboard",
    "openapi",
    "peer",
    "unknown",
];

impl To {
    /// Whether it is served however busy the node is: probes, and what tells of its state.
    pub(crate) fn is_open(self) -> bool {
        matches!(self, Self::Probe(_) | Self::Status | Self::Metrics | Self::Page | Self::Asset)
    }

    /// Whether it is for everybody, where tokens are asked for too: it tells nothing.
    pub(crate) fn is_public(self) -> bool {
        matches!(self, Self::Probe(_) | Self::Page | Self::Asset)
    }

    /// What it is counted as.
    pub(crate) fn kind(self) -> Kind {
        match self {
            Self::Key => Kind::Keys,
            Self::KeyCount => Kind::KeyCount,
            Self::Shards | Self::Shard => Kind::Shards,
            Self::ViewChange => Kind::ViewChange,
            Self::Barrier => Kind::Barrier,
            Self::Status => Kind::Status,
            Self::Metrics => Kind::Metrics,
            Self::Probe(_) => Kind::Health,
            Self::Page | Self::Asset => Kind::Dashboard,
            Self::OpenApi => Kind::OpenApi,
        }
    }
}

/// What the part of a path in braces may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// There is none.
    None,
    /// What is left of the path, with its slashes; nothing too.
    Rest,
    /// What is left of the path, which has no slash.
    Segment,
}

/// One route.
#[derive(Debug)]
pub(crate) struct Route {
    /// Where it leads.
    pub(crate) to: To,
    /// The path, as it is described.
    pub(crate) path: &'static str,
    /// The path up to the part in braces, without the slash before it.
    fixed: &'static str,
    part: Part,
    /// The methods that it knows.
    pub(crate) methods: &'static [&'static str],
    /// Describes each of them, in their order.
    pub(crate) operations: fn() -> Vec<Operation>,
}

/// All routes. Keys are the hot path: they are first.
pub(crate) static ROUTES: [Route; 13] = [
    Route {
        to: To::Key,
        path: "/kv-store/keys/{key}",
        fixed: "/kv-store/keys",
        part: Part::Rest,
        methods: &["GET", "PUT", "DELETE"],
        operations: keys::operations,
    },
    fixed(To::KeyCount, "/kv-store/key-count", &["GET"], shards::key_count_operations),
    fixed(To::Shards, "/kv-store/shards", &["GET"], shards::shards_operations),
    Route {
        to: To::Shard,
        path: "/kv-store/shards/{id}",
        fixed: "/kv-store/shards",
        part: Part::Segment,
        methods: &["GET"],
        operations: shards::shard_operations,
    },
    fixed(To::ViewChange, VIEW_CHANGE, &["GET", "PUT"], view_change::operations),
    fixed(To::Barrier, BARRIER, &["POST"], barrier::operations),
    fixed(To::Probe(Probe::Alive), "/healthz", &["GET"], health::alive_operations),
    fixed(To::Probe(Probe::Ready), "/readyz", &["GET"], health::ready_operations),
    fixed(To::OpenApi, "/openapi.json", &["GET"], openapi::operations),
    fixed(To::Status, "/kv-store/status", &["GET"], status::operations),
    fixed(To::Metrics, "/metrics", &["GET"], metrics::operations),
    fixed(To::Page, "/", &["GET"], dashboard::page_operations),
    Route {
        to: To::Asset,
        path: "/assets/{file}",
        fixed: "/assets",
        part: Part::Segment,
        methods: &["GET"],
        operations: dashboard::asset_operations,
    },
];

const fn fixed(
    to: To,
    path: &'static str,
    methods: &'static [&'static str],
    operations: fn() -> Vec<Operation>,
) -> Route {
    Route { to, path, fixed: path, part: Part::None, methods, operations }
}

impl Route {
    /// The part of the path that is not fixed, if the path is this route's.
    fn part_of<'a>(&self, path: &'a str) -> Option<&'a str> {
        let rest = path.strip_prefix(self.fixed)?;
        match self.part {
            Part::None => rest.is_empty().then_some(rest),
            Part::Rest if rest.is_empty() => Some(rest),
            Part::Rest => rest.strip_prefix('/'),
            Part::Segment => rest.strip_prefix('/').filter(|part| !part.contains('/')),
        }
    }

    /// Whether it knows a method.
    pub(crate) fn knows(&self, method: &str) -> bool {
        self.methods.contains(&method)
    }
}

/// The route of a path, if there is one, and the part of the path that is not fixed.
pub(crate) type Found<'a> = Option<(&'static Route, &'a str)>;

/// Finds the route of a path.
pub(crate) fn find(path: &str) -> Found<'_> {
    ROUTES.iter().find_map(|route| route.part_of(path).map(|part| (route, part)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_where_they_are_described_to_lead() {
        for route in &ROUTES {
            let (path, part) = match route.part {
                Part::None => (route.path.to_owned(), ""),
                Part::Rest | Part::Segment => {
                    let (fixed, _) = route.path.split_once("/{").unwrap();
                    assert_eq!(fixed, route.fixed);
                    (format!("{fixed}/x"), "x")
                }
            };
            let (found, rest) = find(&path).unwrap();
            assert_eq!((found.to, rest), (route.to, part), "{path}");
        }
        let to = |path| find(path).map(|(route, part)| (route.to, part));
        assert_eq!(to("/kv-store/keys"), Some((To::Key, "")));
        assert_eq!(to("/kv-store/keys/"), Some((To::Key, "")));
        assert_eq!(to("/kv-store/keys/a/b"), Some((To::Key, "a/b")));
        assert_eq!(to("/kv-store/shards/"), Some((To::Shard, "")));
        for path in
            ["/assets", "/kv-store", "/kv-store/keysx", "/kv-store/shards/1/2", "/healthz/", "/kv-store/key-count/x"]
        {
            assert_eq!(to(path), None, "{path}");
        }
    }
}
