//! Manual pages and completions, made of the command line itself.

use std::path::Path;
use std::process::ExitCode;

use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;

use crate::cli::{CompletionsArgs, ManArgs};
use crate::exit::{Exit, fail, print};
use crate::help;

/// Runs `precede completions`.
pub(crate) fn completions(args: &CompletionsArgs) -> ExitCode {
    print(&script(args.shell), Exit::Done)
}

fn script(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut help::command(), "precede", &mut script);
    script
}

/// Runs `precede man`.
pub(crate) fn man(args: &ManArgs) -> ExitCode {
    if let Some(dir) = &args.dir {
        return match std::fs::create_dir_all(dir).and_then(|()| write(&root(), dir)) {
            Ok(()) => Exit::Done.into(),
            Err(error) => fail(
                Exit::No,
                format_args!("--dir {}: {error}: name a directory that can be made and written", dir.display()),
            ),
        };
    }
    let Some(command) = find(&args.command) else {
        let path = args.command.join(" ");
        return fail(Exit::Usage, format_args!("there is no command \"{path}\": `precede help` lists all"));
    };
    let mut text = Vec::new();
    match page(&command).render(&mut text) {
        Ok(()) => print(&text, Exit::Done),
        Err(error) => fail(Exit::No, error),
    }
}

/// The command line with the names that pages have (`precede-view-plan`).
fn root() -> Command {
    let mut root = help::command().disable_help_subcommand(true);
    root.build();
    root
}

/// The subcommand of a path.
fn find(path: &[String]) -> Option<Command> {
    let root = root();
    let mut command = &root;
    for name in path {
        command = command.get_subcommands().find(|child| child.get_name() == name && !child.is_hide_set())?;
    }
    Some(command.clone())
}

fn page(command: &Command) -> Man {
    Man::new(command.clone()).manual("Precede")
}

/// Writes the page of a command and those of its subcommands: `precede.1`, `precede-serve.1` and so on.
fn write(command: &Command, dir: &Path) -> std::io::Result<()> {
    for child in command.get_subcommands().filter(|child| !child.is_hide_set()) {
        write(child, dir)?;
    }
    page(command).generate_to(dir).map(|_| ())
}
