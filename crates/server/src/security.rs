//! What keeps strangers out, as it was said: the files are found, read and understood here, before anything starts.

use std::path::PathBuf;

use crate::access::Access;
use crate::cli::Said;
use crate::live_file;
use crate::settings::SettingsError;

/// Everything that a node asks of whom it speaks to.
#[derive(Default)]
pub(crate) struct Security {
    /// Who may do what.
    pub(crate) access: Access,
}

impl std::fmt::Debug for Security {
    /// Nothing of what the files say.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Security").field("tokens", &self.access.is_guarded()).finish()
    }
}

impl Security {
    /// Resolves what was said.
    ///
    /// # Errors
    /// [`SettingsError`] names the setting and the file, and never what a file says.
    pub(crate) fn resolve(said: &Said) -> Result<Self, SettingsError> {
        let access = match said.0.get("tokens_file") {
            None => Access::default(),
            Some(told) => Access::by_tokens(PathBuf::from(&told.value))
                .map_err(|error| SettingsError(format!("{}: {error}", told.name)))?,
        };
        Ok(Self { access })
    }

    /// From now on the files are read again when they change, and on SIGHUP.
    pub(crate) fn keep_fresh(&self) {
        live_file::keep(self.access.file().into_iter().collect());
    }
}
