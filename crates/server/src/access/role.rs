//! Roles, and which one a request needs. Each includes those below it.

use std::fmt;
use std::str::FromStr;

use http::Method;

use crate::http::{BARRIER, VIEW_CHANGE};

/// What the holder of a token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Role {
    /// Look: keys, counts, the view, and whether what was seen is on every replica.
    Read,
    /// And write and delete keys.
    Write,
    /// And change the cluster.
    Admin,
}

impl Role {
    /// Whether who has this role may do what needs another.
    pub(crate) fn includes(self, needed: Self) -> bool {
        self >= needed
    }

    /// The role that a request needs. What is not known to be harmless needs more.
    pub(crate) fn for_request(method: &Method, path: &str) -> Self {
        match *method {
            Method::GET | Method::HEAD => Self::Read,
            // It waits and changes nothing; POST because it may carry a context in its body.
            Method::POST if path == BARRIER => Self::Read,
            _ if is_administration(method, path) => Self::Admin,
            _ => Self::Write,
        }
    }
}

/// Whether a request changes the cluster.
pub(crate) fn is_administration(method: &Method, path: &str) -> bool {
    path == VIEW_CHANGE && *method != Method::GET && *method != Method::HEAD
}

impl FromStr for Role {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::Read, Self::Write, Self::Admin].into_iter().find(|role| role.name() == text).ok_or(())
    }
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_includes_those_below() {
        for (role, allowed) in [(Role::Read, 1), (Role::Write, 2), (Role::Admin, 3)] {
            let all = [Role::Read, Role::Write, Role::Admin];
            assert_eq!(all.iter().filter(|needed| role.includes(**needed)).count(), allowed);
            assert_eq!(role.to_string().parse(), Ok(role));
        }
        assert_eq!("root".parse::<Role>(), Err(()));
    }

    #[test]
    fn requests_need_what_they_do() {
        let needed = |method: Method, path| Role::for_request(&method, path);
        assert_eq!(needed(Method::GET, "/kv-store/keys/k"), Role::Read);
        assert_eq!(needed(Method::GET, VIEW_CHANGE), Role::Read);
        assert_eq!(needed(Method::PUT, "/kv-store/keys/k"), Role::Write);
        assert_eq!(needed(Method::DELETE, "/kv-store/keys/k"), Role::Write);
        assert_eq!(needed(Method::POST, BARRIER), Role::Read);
        assert_eq!(needed(Method::PUT, BARRIER), Role::Write);
        assert_eq!(needed(Method::POST, "/kv-store/barrier/"), Role::Write);
        assert_eq!(needed(Method::POST, "/not/known"), Role::Write);
        assert_eq!(needed(Method::PUT, VIEW_CHANGE), Role::Admin);
    }
}
