//! The versions of what nodes say to one another, and the agreement on one of them for each link: so a cluster is upgraded
//! node by node. Who dials offers all that it speaks, the newest first; who is dialled takes the newest that it speaks too.

use precede_core::wire::codec::PROTOCOL_VERSION;

/// The oldest version that this build speaks.
const OLDEST: u16 = 1;
/// The newest. A build that tests make is one ahead of what is released.
const NEWEST: u16 = PROTOCOL_VERSION + if cfg!(feature = "next-wire") { 1 } else { 0 };
/// What stands before the version where a connection is upgraded.
pub(crate) const NAME: &str = "precede-peer/";

/// A version that this build speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wire(u16);

impl Wire {
    /// What is offered when a node is dialled.
    pub(crate) fn offer() -> String {
        let names: Vec<String> = (OLDEST..=NEWEST).rev().map(|version| Self(version).name()).collect();
        names.join(", ")
    }

    /// The newest of those offered that this build speaks too.
    pub(crate) fn agreed(offered: &str) -> Option<Self> {
        let versions = offered.split(',').filter_map(|name| name.trim().strip_prefix(NAME)?.parse().ok());
        versions.filter(|version| (OLDEST..=NEWEST).contains(version)).max().map(Self)
    }

    /// As the upgrade names it.
    pub(crate) fn name(self) -> String {
        format!("{NAME}{}", self.0)
    }

    /// Whether a byte with the version stands before every message: the form of the next version, so far as there is one.
    pub(crate) fn marks_messages(self) -> bool {
        self.0 > PROTOCOL_VERSION
    }

    /// The version itself.
    pub(crate) fn version(self) -> u16 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_that_both_speak_is_agreed_on() {
        assert_eq!(Wire::agreed(&Wire::offer()), Some(Wire(NEWEST)));
        for (offered, agreed) in [
            ("precede-peer/1", Some(1)),
            ("precede-peer/9, precede-peer/1", Some(1)),
            ("precede-peer/1,precede-peer/9", Some(1)),
            ("precede-peer/9", None),
            ("precede-peer/0", None),
            ("precede-peer/-1, precede-peer/, h2c", None),
            ("", None),
        ] {
            assert_eq!(Wire::agreed(offered), agreed.map(Wire), "{offered}");
        }
    }
}
