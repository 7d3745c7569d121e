//! A session in a file, for programs that run once per operation.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use xxhash_rust::xxh3::xxh3_64;

use crate::{Client, Context, Session};

/// The first line of a session file: what it is, and the version of its form.
const FIRST_LINE: &str = "precede-session 1";
/// The largest session file read, in bytes.
const BYTES_MAX: u64 = 4 << 20;

/// A file that keeps a session: three lines, of what it is, its token, and the token's checksum (`xxh3_64`, as 16
/// hexadecimal digits).
///
/// The calls block, for a small file only. A save replaces the file whole or not at all. Among several processes that
/// save the same file the last one wins: use one file per sequence of operations.
#[derive(Debug, Clone)]
pub struct SessionFile {
    path: PathBuf,
}

/// Why a session file could not be used. The file is as it was before.
#[derive(Debug, thiserror::Error)]
pub enum SessionFileError {
    /// The file cannot be read: permissions, or the disk.
    #[error("cannot read the session file {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The file cannot be written: permissions, a missing folder, or the disk.
    #[error("cannot write the session file {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The file is not a whole session file. What the session has seen is lost; remove the file to begin a new one.
    #[error("the session file {} is damaged: {reason}; remove it to begin a new session", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

impl SessionFile {
    /// The session file at `path`, which need not exist. Touches nothing.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The session in the file, or a new one if there is no file.
    ///
    /// # Errors
    ///
    /// If there is a file that cannot be read, or that is damaged.
    pub fn load(&self, client: &Client) -> Result<Session, SessionFileError> {
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(client.session()),
            Err(source) => return Err(SessionFileError::Read { path: self.path.clone(), source }),
        };
        let mut bytes = Vec::new();
        file.take(BYTES_MAX + 1)
            .read_to_end(&mut bytes)
            .map_err(|source| SessionFileError::Read { path: self.path.clone(), source })?;
        let context = decode(&bytes).map_err(|reason| SessionFileError::Damaged { path: self.path.clone(), reason })?;
        Ok(Session::new(client.clone(), context))
    }

    /// Saves the session: writes a new file beside the old one, then takes its place.
    ///
    /// # Errors
    ///
    /// If the file cannot be written. An earlier file is still whole then.
    pub fn save(&self, session: &Session) -> Result<(), SessionFileError> {
        let written = self.temporary().and_then(|temporary| {
            let replaced =
                write_new(&temporary, &encode(session.context())).and_then(|()| fs::rename(&temporary, &self.path));
            if replaced.is_err() {
                // Best effort: the first error is the one to tell.
                let _ = fs::remove_file(&temporary);
            }
            replaced
        });
        written.map_err(|source| SessionFileError::Write { path: self.path.clone(), source })
    }

    /// A name for the new file, in the same folder, that no other save uses.
    fn temporary(&self) -> io::Result<PathBuf> {
        static SAVES: AtomicU64 = AtomicU64::new(0);
        let Some(name) = self.path.file_name() else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the path names no file"));
        };
        let mut temporary = OsString::from(".");
        temporary.push(name);
        temporary.push(format!(".{}.{}.tmp", std::process::id(), SAVES.fetch_add(1, Ordering::Relaxed)));
        Ok(self.path.with_file_name(temporary))
    }
}

fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(text.as_bytes())?;
    // Else a crash could leave the new name with no contents.
    file.sync_all()
}

fn encode(context: &Context) -> String {
    let token = context.to_string();
    format!("{FIRST_LINE}\n{token}\n{:016x}\n", xxh3_64(token.as_bytes()))
}

fn decode(bytes: &[u8]) -> Result<Context, String> {
    if bytes.len() as u64 > BYTES_MAX {
        return Err(format!("it is larger than {BYTES_MAX} bytes"));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| "it is not text".to_owned())?;
    let mut lines = text.lines();
    if lines.next() != Some(FIRST_LINE) {
        return Err(format!("its first line is not \"{FIRST_LINE}\""));
    }
    let (Some(token), Some(checksum), None) = (lines.next(), lines.next(), lines.next()) else {
        return Err("it does not have three lines".to_owned());
    };
    if checksum != format!("{:016x}", xxh3_64(token.as_bytes())) {
        return Err("its checksum does not match".to_owned());
    }
    token.parse().map_err(|error| format!("it holds {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_is_pinned_and_round_trips() {
        let context: Context = "abc,d".parse().unwrap();
        let text = encode(&context);
        assert_eq!(text.lines().collect::<Vec<_>>()[..2], ["precede-session 1", "abc,d"]);
        assert_eq!(decode(text.as_bytes()), Ok(context));
        assert_eq!(decode(encode(&Context::default()).as_bytes()), Ok(Context::default()));
    }

    #[test]
    fn every_cut_and_every_changed_byte_is_noticed() {
        let text = encode(&"abc".parse().unwrap()).into_bytes();
        for length in 0..text.len() - 1 {
            assert!(decode(&text[..length]).is_err(), "cut to {length} bytes");
        }
        for index in 0..text.len() - 1 {
            let mut changed = text.clone();
            changed[index] ^= 1;
            assert!(decode(&changed).is_err(), "byte {index} changed");
        }
        assert!(decode(&vec![b'x'; 5 << 20]).is_err());
        assert!(decode(&[0xff]).is_err());
    }
}
