//! What commands show to nodes that ask for it, and which nodes they trust: a token, from a file or said, and
//! authorities of certificates.

use std::path::PathBuf;

use clap::Args;
use precede_client::{Client, Error};

use crate::live_file;
use crate::tls::{self, Trust};

/// The variable that names a file with authorities.
pub(crate) const CA_FILE_VARIABLE: &str = "PRECEDE_CA_FILE";

/// Options of all commands that ask nodes.
#[derive(Args, Clone)]
pub(crate) struct CredentialArgs {
    /// The token to show, where nodes ask for one; other users of this machine can see it here: better say it by the variable or in
    /// a file
    #[arg(long, env = "PRECEDE_TOKEN", hide_env_values = true, global = true, conflicts_with = "token_file")]
    token: Option<String>,
    /// A file with the token to show
    #[arg(long, env = "PRECEDE_TOKEN_FILE", value_name = "FILE", global = true)]
    token_file: Option<PathBuf>,
    /// A file with the authorities of the nodes' certificates, in PEM; with it TLS is spoken
    #[arg(long, env = CA_FILE_VARIABLE, value_name = "FILE", global = true)]
    ca_file: Option<PathBuf>,
}

/// What was said, read from the files, for what is no [`Client`].
pub(crate) struct Shown {
    /// The token to show.
    pub(crate) token: Option<String>,
    /// Whom to trust, if TLS is to be spoken.
    pub(crate) trust: Option<Trust>,
}

impl CredentialArgs {
    /// A client of some nodes that shows them what was said.
    ///
    /// # Errors
    /// As [`Client::new`]; [`Error::BadRequest`] if the file cannot be read, or the token is none.
    pub(crate) fn client(&self, nodes: &[String]) -> Result<Client, Error> {
        let mut builder = Client::builder(nodes);
        if let Some(token) = self.token()? {
            builder = builder.token(token);
        }
        if let Some(authorities) = self.authorities()? {
            builder = builder.authorities(authorities);
        }
        builder.build()
    }

    /// What to show to nodes, and whom to trust.
    ///
    /// # Errors
    /// [`Error::BadRequest`] if a file cannot be read, or is not what it should be.
    pub(crate) fn shown(&self) -> Result<Shown, Error> {
        let trust = self.authorities()?.map(|pem| tls::trust(&pem)).transpose();
        let trust = trust.map_err(|error| Error::BadRequest { message: format!("--ca-file: {error}") })?;
        Ok(Shown { token: self.token()?, trust })
    }

    /// Whether TLS is to be spoken.
    pub(crate) fn speak_tls(&self) -> bool {
        self.ca_file.is_some()
    }

    /// The authorities in PEM, if TLS is to be spoken.
    fn authorities(&self) -> Result<Option<Vec<u8>>, Error> {
        let pem = self.ca_file.as_deref().map(live_file::read).transpose();
        pem.map_err(|error| Error::BadRequest { message: error })
    }

    /// The token, if one was said.
    fn token(&self) -> Result<Option<String>, Error> {
        let Some(path) = &self.token_file else { return Ok(self.token.clone().filter(|token| !token.is_empty())) };
        let content = live_file::read(path).map_err(|error| Error::BadRequest { message: error })?;
        String::from_utf8(content).map(|token| Some(token.trim().to_owned())).map_err(|_| Error::BadRequest {
            message: format!("{}: the token is not UTF-8: is it the right file?", path.display()),
        })
    }
}

impl std::fmt::Debug for CredentialArgs {
    /// All but the token.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CredentialArgs").field("token_file", &self.token_file).finish_non_exhaustive()
    }
}
