//! Exit codes: every one that `precede` ends with, and what each means for each subcommand. Nothing else defines one.

use std::io::{ErrorKind, Write};
use std::process::ExitCode;

/// How a command ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It is done.
    Done = 0,
    /// The answer is no, or it failed.
    No = 1,
    /// A mistake of the caller: an argument, a setting, a request that cannot be right.
    Usage = 2,
    /// Not now: nobody could do it, or nobody can tell whether it was done. For a node: another one has taken its place.
    Unavailable = 3,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// What the codes mean for some subcommands.
#[derive(Debug)]
pub(crate) struct Meanings {
    /// The subcommands.
    pub(crate) commands: &'static [&'static str],
    /// What 0 to 3 mean; empty where they do not end so.
    pub(crate) codes: [&'static str; 4],
}

/// What the codes mean, for the help, the manual and `docs/cli.md`.
pub(crate) const MEANINGS: [Meanings; 11] = [
    Meanings {
        commands: &["serve"],
        codes: [
            "it was asked to end",
            "it cannot listen",
            "a wrong argument or setting",
            "another process with its address started later",
        ],
    },
    Meanings {
        commands: &["config", "config check", "config show"],
        codes: ["the settings are good", "", "a wrong argument or setting", "they could not be printed"],
    },
    Meanings { commands: &["dev"], codes: ["it was asked to end", "a node did not start", "a wrong argument", ""] },
    Meanings {
        commands: &["put", "get", "delete"],
        codes: [
            "done",
            "the key does not exist",
            "a mistake of the caller",
            "nothing could serve it, or its outcome is unknown or could not be printed",
        ],
    },
    Meanings {
        commands: &["barrier"],
        codes: [
            "everything is on every replica",
            "something is missing",
            "a mistake of the caller",
            "nothing could answer, or the answer could not be printed",
        ],
    },
    Meanings {
        commands: &["health"],
        codes: ["the node is well", "it answers that it is not ready", "a wrong argument", "it does not answer"],
    },
    Meanings {
        commands: &["view", "view show", "view plan", "view change"],
        codes: [
            "done",
            "signals cannot be heard",
            "a mistake of the caller",
            "refused for now, not done yet, nobody answers, or the answer could not be printed",
        ],
    },
    Meanings {
        commands: &["status"],
        codes: [
            "every member is ready",
            "some are not",
            "a mistake of the caller",
            "no node answers, or it could not be printed",
        ],
    },
    Meanings {
        commands: &["bench"],
        codes: ["requests were answered", "none was", "a wrong argument", "the figures could not be printed"],
    },
    Meanings {
        commands: &["cert", "cert ca", "cert node", "secret", "token", "token new"],
        codes: ["done", "it could not be made or written", "a wrong argument", "it could not be printed"],
    },
    Meanings {
        commands: &["completions", "man", "openapi"],
        codes: ["done", "the files could not be written", "a wrong argument", "it could not be printed"],
    },
];

/// Prints to standard output and ends with `exit` if that was possible. A reader that has read enough is told nothing more.
pub(crate) fn print(out: &[u8], exit: Exit) -> ExitCode {
    let mut stdout = std::io::stdout();
    match stdout.write_all(out).and_then(|()| stdout.flush()) {
        Ok(()) => exit.into(),
        Err(error) => {
            if error.kind() != ErrorKind::BrokenPipe {
                eprintln!("error: standard output cannot be written: {error}");
            }
            Exit::Unavailable.into()
        }
    }
}

/// The same for a line of text.
pub(crate) fn print_line(text: &str, exit: Exit) -> ExitCode {
    print(format!("{text}\n").as_bytes(), exit)
}

/// Prints a line for whoever reads it. If nobody does, the work goes on.
pub(crate) fn say(text: impl std::fmt::Display) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Reports an error and ends.
pub(crate) fn fail(exit: Exit, error: impl std::fmt::Display) -> ExitCode {
    eprintln!("error: {error}");
    exit.into()
}
