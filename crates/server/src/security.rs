//! What keeps strangers out, as it was said: the files are found, read and understood here, before anything starts.

use std::path::PathBuf;
use std::sync::Arc;

use crate::access::Access;
use crate::cli::Said;
use crate::live_file::{self, Live, Reload};
use crate::peer::guard::Shared;
use crate::secrets::Secrets;
use crate::settings::SettingsError;

/// Everything that a node asks of whom it speaks to.
#[derive(Default)]
pub(crate) struct Security {
    /// Who may do what.
    pub(crate) access: Access,
    /// What other nodes must know.
    pub(crate) secrets: Shared,
}

impl std::fmt::Debug for Security {
    /// Nothing of what the files say.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Security")
            .field("tokens", &self.access.is_guarded())
            .field("secrets", &self.secrets.is_some())
            .finish()
    }
}

impl Security {
    /// Resolves what was said.
    ///
    /// # Errors
    /// [`SettingsError`] names the setting and the file, and never what a file says.
    pub(crate) fn resolve(said: &Said) -> Result<Self, SettingsError> {
        let tokens = open(said, "tokens_file", Access::by_tokens)?;
        let secrets = |path| Live::open(vec![path], |contents| Secrets::parse(&contents[0]));
        let secrets = open(said, "peer_secret_file", secrets)?;
        Ok(Self { access: tokens.unwrap_or_default(), secrets: secrets.map(Arc::new) })
    }

    /// From now on the files are read again when they change, and on SIGHUP.
    pub(crate) fn keep_fresh(&self) {
        let secrets = self.secrets.clone().map(|secrets| secrets as Arc<dyn Reload>);
        live_file::keep(self.access.file().into_iter().chain(secrets).collect());
    }
}

/// What the file of a setting says, if it was said.
fn open<T>(said: &Said, id: &str, open: impl FnOnce(PathBuf) -> Result<T, String>) -> Result<Option<T>, SettingsError> {
    let Some(told) = said.0.get(id) else { return Ok(None) };
    open(PathBuf::from(&told.value)).map(Some).map_err(|error| SettingsError(format!("{}: {error}", told.name)))
}
