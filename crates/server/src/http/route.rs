//! The paths, each by its name.

use crate::http::dashboard::{self, Asset};
use crate::http::shards;
use crate::peer;

const KEYS: &str = "/kv-store/keys";
const SHARDS: &str = "/kv-store/shards";

/// What a path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route<'a> {
    /// `/kv-store/keys/<key>`: the key as it stands in the path.
    Key(&'a str),
    /// What tells of shards.
    Shards(shards::Route<'a>),
    /// `/kv-store/view-change`.
    ViewChange,
    /// `/kv-store/status`.
    Status,
    /// `/metrics`.
    Metrics,
    /// `/healthz`.
    Alive,
    /// `/readyz`.
    Ready,
    /// `/`, and what belongs to that page.
    Dashboard(&'static Asset),
    /// The link of another node.
    Peer,
    /// Nothing.
    Unknown,
}

/// Routes that are counted apart, by [`Route::kind`]: the label `route` of the metrics.
pub(crate) const KINDS: [&str; 10] =
    ["keys", "key-count", "shards", "view-change", "status", "metrics", "health", "dashboard", "peer", "unknown"];

impl<'a> Route<'a> {
    /// The route of a path.
    pub(crate) fn of(path: &'a str) -> Self {
        if let Some(key) = key_of(path) {
            return Self::Key(key);
        }
        match path {
            "/kv-store/view-change" => Self::ViewChange,
            "/kv-store/status" => Self::Status,
            "/metrics" => Self::Metrics,
            "/healthz" => Self::Alive,
            "/readyz" => Self::Ready,
            peer::PATH => Self::Peer,
            "/kv-store/key-count" => Self::Shards(shards::Route::KeyCount),
            SHARDS => Self::Shards(shards::Route::Shards),
            _ => match path.strip_prefix(SHARDS).and_then(|rest| rest.strip_prefix('/')) {
                Some(id) if !id.contains('/') => Self::Shards(shards::Route::Shard(id)),
                Some(_) | None => dashboard::asset(path).map_or(Self::Unknown, Self::Dashboard),
            },
        }
    }

    /// The methods that it knows.
    pub(crate) fn methods(self) -> &'static str {
        match self {
            Self::Key(_) => "GET, PUT, DELETE",
            Self::ViewChange => "GET, PUT",
            Self::Shards(_)
            | Self::Status
            | Self::Metrics
            | Self::Alive
            | Self::Ready
            | Self::Dashboard(_)
            | Self::Peer
            | Self::Unknown => "GET",
        }
    }

    /// Whether it is served however busy the node is: probes, and what tells of its state.
    pub(crate) fn is_open(self) -> bool {
        matches!(self, Self::Status | Self::Metrics | Self::Alive | Self::Ready | Self::Dashboard(_))
    }

    /// Its place in [`KINDS`].
    pub(crate) fn kind(self) -> usize {
        match self {
            Self::Key(_) => 0,
            Self::Shards(shards::Route::KeyCount) => 1,
            Self::Shards(shards::Route::Shards | shards::Route::Shard(_)) => 2,
            Self::ViewChange => 3,
            Self::Status => 4,
            Self::Metrics => 5,
            Self::Alive | Self::Ready => 6,
            Self::Dashboard(_) => 7,
            Self::Peer => 8,
            Self::Unknown => 9,
        }
    }
}

/// The key, as it stands in the path, if the path is that of a key.
fn key_of(path: &str) -> Option<&str> {
    let key = path.strip_prefix(KEYS)?;
    if key.is_empty() { Some(key) } else { key.strip_prefix('/') }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_has_its_route_and_every_route_its_name() {
        for (path, route, kind) in [
            ("/kv-store/keys/a/b", Route::Key("a/b"), "keys"),
            ("/kv-store/keys/", Route::Key(""), "keys"),
            ("/kv-store/keys", Route::Key(""), "keys"),
            ("/kv-store/keysx", Route::Unknown, "unknown"),
            ("/kv-store/key-count", Route::Shards(shards::Route::KeyCount), "key-count"),
            ("/kv-store/shards", Route::Shards(shards::Route::Shards), "shards"),
            ("/kv-store/shards/1", Route::Shards(shards::Route::Shard("1")), "shards"),
            ("/kv-store/shards/1/2", Route::Unknown, "unknown"),
            ("/kv-store/view-change", Route::ViewChange, "view-change"),
            ("/kv-store/status", Route::Status, "status"),
            ("/metrics", Route::Metrics, "metrics"),
            ("/healthz", Route::Alive, "health"),
            ("/readyz", Route::Ready, "health"),
            ("/", Route::Dashboard(dashboard::asset("/").unwrap()), "dashboard"),
            ("/precede/peer", Route::Peer, "peer"),
        ] {
            assert_eq!((Route::of(path), KINDS[Route::of(path).kind()]), (route, kind), "{path}");
        }
    }
}
