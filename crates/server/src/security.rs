//! What keeps strangers out, as it was said: the files are found, read and understood here, before anything starts.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use crate::access::Access;
use crate::live_file::{self, Live, Reload};
use crate::peer::guard::Shared;
use crate::secrets::Secrets;
use crate::settings::said::{Said, Told};
use crate::tls::{Identity, Tls};

/// Everything that a node asks of whom it speaks to.
#[derive(Default)]
pub(crate) struct Security {
    /// Who may do what.
    pub(crate) access: Access,
    /// What other nodes must know.
    pub(crate) secrets: Shared,
    /// How connections are encrypted.
    pub(crate) tls: Tls,
}

impl std::fmt::Debug for Security {
    /// Nothing of what the files say.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Security")
            .field("tokens", &self.access.is_guarded())
            .field("secrets", &self.secrets.is_some())
            .field("tls", &self.tls.is_some())
            .finish()
    }
}

impl Security {
    /// Resolves what was said; and what is wrong, by the setting and the file, and never by what a file says.
    pub(crate) fn resolve(said: &Said) -> (Self, Vec<String>) {
        let mut problems = Vec::new();
        let mut noted = |error| problems.push(error);
        let secrets = |path| Live::open(vec![path], |contents| Secrets::parse(&contents[0]));
        let security = Self {
            access: open(said, "tokens_file", Access::by_tokens).map_err(&mut noted).ok().flatten().unwrap_or_default(),
            secrets: open(said, "peer_secret_file", secrets).map_err(&mut noted).ok().flatten().map(Arc::new),
            tls: tls(said).map_err(&mut noted).ok().flatten().map(Arc::new),
        };
        (security, problems)
    }

    /// What is to be said, once and loudly, of a node that listens on this address: what is open to whoever reaches it.
    pub(crate) fn warning(&self, listens_on: IpAddr) -> Option<String> {
        let doors = [
            (self.access.is_guarded(), "anybody may read, write and change the cluster (TOKENS_FILE)"),
            (self.secrets.is_some() || self.tls.is_some(), "anybody may speak as a node (PEER_SECRET_FILE)"),
            (self.tls.is_some(), "nothing is encrypted (TLS_CERT_FILE)"),
        ];
        let open: Vec<&str> = doors.into_iter().filter_map(|(shut, what)| (!shut).then_some(what)).collect();
        (!listens_on.is_loopback() && !open.is_empty()).then(|| open.join("; "))
    }

    /// From now on the files are read again when they change, and on SIGHUP.
    pub(crate) fn keep_fresh(&self) {
        let secrets = self.secrets.clone().map(|secrets| secrets as Arc<dyn Reload>);
        let tls = self.tls.clone().map(|tls| tls as Arc<dyn Reload>);
        live_file::keep(self.access.file().into_iter().chain(secrets).chain(tls).collect());
    }
}

/// The files of TLS: all three, or none.
fn tls(said: &Said) -> Result<Option<Live<Identity>>, String> {
    let files = ["tls_cert_file", "tls_key_file", "tls_ca_file"];
    let told: Vec<_> = files.iter().filter_map(|id| said.get(id)).collect();
    let missing: Vec<_> = files.iter().filter(|id| said.get(id).is_none()).map(|id| id.to_uppercase()).collect();
    let Some(first) = told.first() else { return Ok(None) };
    if !missing.is_empty() {
        let why =
            "a node shows a certificate, holds its key and judges others by the authorities of their certificates";
        return Err(format!("{first} needs {} besides: {why}", missing.join(" and ")));
    }
    let paths = told.iter().map(|told| PathBuf::from(&told.value)).collect();
    // What cannot be read is named by its path, what it says by its setting.
    let is_about =
        |told: &&Told, error: &str| error.strip_prefix(&told.value).is_some_and(|rest| rest.starts_with(": "));
    Live::open(paths, Identity::parse).map(Some).map_err(|error| {
        let about = told.into_iter().find(|told| is_about(told, &error));
        about.map_or_else(|| error.clone(), |told| format!("{}: {error}", told.name()))
    })
}

/// What the file of a setting says, if it was said.
fn open<T>(said: &Said, id: &str, open: impl FnOnce(PathBuf) -> Result<T, String>) -> Result<Option<T>, String> {
    let Some(told) = said.get(id) else { return Ok(None) };
    open(PathBuf::from(&told.value)).map(Some).map_err(|error| format!("{}: {error}", told.name()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_open_is_said_where_others_can_reach_it() {
        let (open, far) = (Security::default(), "0.0.0.0".parse().unwrap());
        let told = open.warning(far).unwrap();
        assert!(["TOKENS_FILE", "PEER_SECRET_FILE", "TLS_CERT_FILE"].iter().all(|name| told.contains(name)), "{told}");
        for near in ["127.0.0.1", "127.0.0.5", "::1"] {
            assert_eq!(open.warning(near.parse().unwrap()), None, "{near}");
        }
    }
}
