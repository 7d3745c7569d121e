//! Files that are read again while the node runs: when they change, and on SIGHUP. What cannot be read leaves in force
//! what was read before.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::{Mutex, RwLock};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::interval;

/// Between two looks whether a file has changed.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// The largest file that is read.
const BYTES_MAX: u64 = 1 << 20;

/// How the files' content is understood.
type Parse<T> = fn(&[Vec<u8>]) -> Result<T, String>;

/// What some files say, as of late.
pub(crate) struct Live<T> {
    paths: Vec<PathBuf>,
    parse: Parse<T>,
    value: RwLock<T>,
    /// The state in which the files were read last.
    seen: Mutex<Vec<Stamp>>,
}

/// By what it is told that a file has changed: time, size, and which file it is.
type Stamp = Option<(SystemTime, u64, u64)>;

/// Something that can be read again.
pub(crate) trait Reload: Send + Sync {
    /// Reads the files again if they have changed, or in any case.
    fn reload(&self, in_any_case: bool);
}

impl<T> Live<T> {
    /// Reads the files, in their order.
    ///
    /// # Errors
    /// What is wrong with which of them.
    pub(crate) fn open(paths: Vec<PathBuf>, parse: Parse<T>) -> Result<Self, String> {
        let seen = Mutex::new(stamps(&paths));
        let value = RwLock::new(load(&paths, parse)?);
        Ok(Self { paths, parse, value, seen })
    }

    /// Looks at what the files say.
    pub(crate) fn look<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        look(&self.value.read())
    }
}

impl<T: Send + Sync> Reload for Live<T> {
    fn reload(&self, in_any_case: bool) {
        // Before they are read: what changes meanwhile is seen the next time.
        let now = stamps(&self.paths);
        {
            let mut seen = self.seen.lock();
            if *seen == now && !in_any_case {
                return;
            }
            *seen = now;
        }
        let files = shown(&self.paths);
        match load(&self.paths, self.parse) {
            Ok(value) => {
                *self.value.write() = value;
                tracing::info!(files, "read again");
            }
            Err(error) => tracing::error!(error, "cannot be read again: what was read before stays in force"),
        }
    }
}

/// Reads files again when they change or the process gets SIGHUP, as long as it runs. Without files SIGHUP stays what it is.
pub(crate) fn keep(files: Vec<Arc<dyn Reload>>) {
    if files.is_empty() {
        return;
    }
    let mut hangup = match signal(SignalKind::hangup()) {
        Ok(hangup) => Some(hangup),
        Err(error) => {
            tracing::warn!(%error, "SIGHUP cannot be heard: files are read again only when they change");
            None
        }
    };
    tokio::spawn(async move {
        let mut looks = interval(LOOK_INTERVAL);
        loop {
            let asked = async {
                match &mut hangup {
                    Some(hangup) => hangup.recv().await,
                    None => std::future::pending().await,
                }
            };
            let in_any_case = tokio::select! {
                _ = looks.tick() => false,
                _ = asked => true,
            };
            files.iter().for_each(|file| file.reload(in_any_case));
        }
    });
}

fn stamps(paths: &[PathBuf]) -> Vec<Stamp> {
    let stamp = |path: &PathBuf| {
        let data = std::fs::metadata(path).ok()?;
        Some((data.modified().ok()?, data.len(), data.ino()))
    };
    paths.iter().map(stamp).collect()
}

fn load<T>(paths: &[PathBuf], parse: Parse<T>) -> Result<T, String> {
    let contents = paths.iter().map(|path| read(path)).collect::<Result<Vec<_>, _>>()?;
    parse(&contents).map_err(|error| format!("{}: {error}", shown(paths)))
}

/// The content of a file of a size that makes sense.
///
/// # Errors
/// The file and what is wrong with it.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, String> {
    let mut content = Vec::new();
    let file = File::open(path).and_then(|file| file.take(BYTES_MAX + 1).read_to_end(&mut content));
    match file {
        Ok(bytes) if bytes as u64 > BYTES_MAX => {
            Err(format!("{}: larger than {BYTES_MAX} bytes: is it the right file?", path.display()))
        }
        Ok(_) => Ok(content),
        Err(error) => Err(format!("{}: {error}", path.display())),
    }
}

fn shown(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changed_is_read_again_and_what_is_wrong_changes_nothing() {
        let path = std::env::temp_dir().join(format!("precede-live-{}", std::process::id()));
        let number = |content: &[Vec<u8>]| {
            let text = String::from_utf8_lossy(&content[0]).into_owned();
            text.trim().parse::<u32>().map_err(|error| error.to_string())
        };
        std::fs::write(&path, "1").unwrap();
        let live = Live::open(vec![path.clone()], number).unwrap();
        for (content, expected) in [("20", 20), ("no number", 20), ("300", 300)] {
            std::fs::write(&path, content).unwrap();
            live.reload(false);
            assert_eq!(live.look(|number| *number), expected, "{content}");
        }
        std::fs::remove_file(&path).unwrap();
        live.reload(true);
        assert_eq!(live.look(|number| *number), 300, "a file that has gone changes nothing");
        assert!(Live::open(vec![path], number).err().unwrap().contains("precede-live"));
    }

    #[test]
    fn a_file_of_any_size_is_not_read() {
        assert!(read(Path::new("/dev/zero")).unwrap_err().contains("larger than 1048576 bytes"));
    }
}
