//! `precede token` and `precede secret`: make tokens and secrets. They read and write no file: a token is shown once, and
//! its hash is what nodes are told.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::access::role::Role;
use crate::access::{secret, tokens};
use crate::exit::{Exit, fail, print_line};

/// Options of `precede token`.
#[derive(Debug, Args)]
pub(crate) struct TokenArgs {
    /// What to do.
    #[command(subcommand)]
    command: TokenCommand,
}

#[derive(Debug, Subcommand)]
enum TokenCommand {
    /// Make a token: prints the secret, which is kept nowhere else, and the line for the nodes' file of tokens
    New(NewArgs),
}

#[derive(Debug, Args)]
struct NewArgs {
    /// What its holder may do; each role includes those before it
    #[arg(long, value_enum)]
    role: Role,
    /// Who that is, for the audit: letters, digits, and any of . _ - @
    #[arg(long)]
    name: String,
}

/// Runs `precede secret`.
pub(crate) fn secret() -> ExitCode {
    match secret::random() {
        Ok(secret) => print_line(&secret::hex(&secret), Exit::Done),
        Err(error) => fail(Exit::No, error),
    }
}

/// Runs `precede token`.
pub(crate) fn command(args: &TokenArgs) -> ExitCode {
    let TokenCommand::New(new) = &args.command;
    if !tokens::is_name(&new.name) {
        return fail(Exit::Usage, "--name: give 1 to 64 letters, digits, and any of . _ - @");
    }
    match secret::token() {
        Ok(secret) => {
            let line = tokens::line(new.role, &secret, &new.name);
            print_line(&format!("token: {secret}\nline: {line}"), Exit::Done)
        }
        Err(error) => fail(Exit::No, error),
    }
}
