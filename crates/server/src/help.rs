//! The whole command line as its users see it: the options of `cli`, with examples and exit codes. Help, manual pages and
//! completions are made of it.

use std::fmt::Write;

use clap::{Command, CommandFactory};

use crate::cli::Cli;
use crate::exit::MEANINGS;

/// Examples of each subcommand: what it does, and the line to type. Tests parse every one.
pub(crate) const EXAMPLES: [(&str, &[(&str, &str)]); 25] = [
    (
        "serve",
        &[
            ("One node alone, on 127.0.0.1:8080", "precede serve"),
            (
                "The first of two nodes that hold the same data",
                "precede serve --address 10.0.0.1:8080 --bind 0.0.0.0 --view 10.0.0.1:8080,10.0.0.2:8080 --repl-factor 2",
            ),
            ("With what a file says", "precede serve --config /etc/precede.toml"),
        ],
    ),
    ("config", &[("Is node.toml good?", "precede config check node.toml")]),
    ("config check", &[("In a script, before a node is started again", "precede config check /etc/precede.toml")]),
    (
        "config show",
        &[
            ("What would a node start with, and why?", "precede config show --config node.toml"),
            ("The defaults", "precede config show"),
        ],
    ),
    (
        "dev",
        &[
            ("Two shards of two replicas, on ports 8080 to 8083", "precede dev"),
            (
                "One shard of three, and a node to try view changes with",
                "precede dev --nodes 3 --repl-factor 3 --spares 1",
            ),
        ],
    ),
    (
        "put",
        &[
            ("A JSON number", "precede put x 1"),
            (
                "A text, at another node, keeping the context in the file s",
                "precede put greeting hello --node 127.0.0.1:8083 --session s",
            ),
            (
                "Again after no answer came: made once where the first is known",
                "precede put x 1 --idempotency-key order-17",
            ),
        ],
    ),
    (
        "get",
        &[
            ("The value", "precede get x"),
            ("Never older than what the session has seen", "precede get x --session s --node 127.0.0.1:8083"),
            ("With its version and who served it", "precede get x --json"),
        ],
    ),
    ("delete", &[("A key, after what the session has seen", "precede delete x --session s")]),
    (
        "barrier",
        &[
            ("Is all that the session has seen on every replica?", "precede barrier --session s"),
            ("Wait for it for ten seconds", "precede barrier --session s --wait-ms 10000"),
        ],
    ),
    (
        "health",
        &[
            ("Is it ready for clients?", "precede health --node 127.0.0.1:8080"),
            ("Does the process answer at all?", "precede health --alive --port 8080"),
        ],
    ),
    (
        "status",
        &[
            ("How is every member?", "precede status --node 127.0.0.1:8080"),
            ("Again every second, with rates", "precede status --watch"),
        ],
    ),
    ("view", &[("Who holds which shard, and has everything moved?", "precede view --node 127.0.0.1:8080")]),
    ("view show", &[("The same as a JSON object", "precede view show --json")]),
    ("view plan", &[("What taking in a node would move", "precede view plan --add 127.0.0.1:8084")]),
    (
        "view change",
        &[
            ("Take a node in, and another out", "precede view change --add 127.0.0.1:8084 --remove 127.0.0.1:8080"),
            ("Another replication factor", "precede view change --repl-factor 3"),
        ],
    ),
    ("cert", &[("An authority, in certs/", "precede cert ca --dir certs")]),
    ("cert ca", &[("An authority, in certs/", "precede cert ca --dir certs")]),
    ("cert node", &[("A node's certificate, by that authority", "precede cert node n1 localhost --dir certs")]),
    ("secret", &[("A line for the file of secrets that all nodes get", "precede secret")]),
    ("token", &[("For an administrator", "precede token new --role admin --name ada")]),
    ("token new", &[("For an application that writes", "precede token new --role write --name shop")]),
    (
        "bench",
        &[
            ("Reads over 32 connections for ten seconds", "precede bench"),
            ("One write in ten, at a fixed rate", "precede bench --mix mixed:90 --rate 10000 --seconds 30"),
            (
                "Nodes that speak TLS and ask for tokens",
                "precede bench --node n1:8080,n2:8080 --ca-file certs/ca.pem --token-file token",
            ),
        ],
    ),
    ("completions", &[("For bash", "precede completions bash")]),
    ("openapi", &[("For tools that read OpenAPI 3.1", "precede openapi")]),
    (
        "man",
        &[
            ("The page of one command", "precede man view change"),
            ("All pages, for man(1)", "precede man --dir /usr/local/share/man/man1"),
        ],
    ),
];

/// The command line, complete.
pub(crate) fn command() -> Command {
    complete(Cli::command().after_help(EXIT_CODES_IN_SHORT), "")
}

const EXIT_CODES_IN_SHORT: &str = "Exit codes: 0 done, 1 the answer is no, 2 a mistake of the caller, 3 not now. \
Each command's --help says what it means by them.";

fn complete(mut command: Command, path: &str) -> Command {
    let names: Vec<String> = command.get_subcommands().map(|child| child.get_name().to_owned()).collect();
    for name in names {
        let path = if path.is_empty() { name.clone() } else { format!("{path} {name}") };
        command = command.mut_subcommand(name, |child| {
            let more = after_help(&path);
            let child = if more.is_empty() { child } else { child.after_help(more) };
            complete(child, &path)
        });
    }
    command
}

/// Examples and exit codes of a subcommand.
fn after_help(path: &str) -> String {
    let mut text = String::new();
    for (about, line) in EXAMPLES.iter().filter(|(of, _)| *of == path).flat_map(|(_, examples)| *examples) {
        let title = if text.is_empty() { "Examples:\n" } else { "" };
        let _ = writeln!(text, "{title}  # {about}\n  {line}");
    }
    let codes = codes(path);
    if !codes.is_empty() {
        let separator = if text.is_empty() { "" } else { "\n" };
        let _ = write!(text, "{separator}Exit codes: {codes}");
    }
    text
}

/// What the exit codes of a subcommand mean, in one line.
fn codes(path: &str) -> String {
    let meanings = MEANINGS.iter().find(|meanings| meanings.commands.contains(&path));
    let codes = meanings.iter().flat_map(|meanings| meanings.codes.iter().enumerate());
    let said: Vec<String> =
        codes.filter(|(_, text)| !text.is_empty()).map(|(code, text)| format!("{code} {text}")).collect();
    said.join(", ")
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::exit::Meanings;

    /// The paths of all subcommands that users see.
    fn paths(command: &Command, path: &str) -> Vec<String> {
        let seen = command.get_subcommands().filter(|child| !child.is_hide_set() && child.get_name() != "help");
        seen.flat_map(|child| {
            let path = format!("{path} {}", child.get_name()).trim_start().to_owned();
            std::iter::once(path.clone()).chain(paths(child, &path)).collect::<Vec<_>>()
        })
        .collect()
    }

    #[test]
    fn every_subcommand_has_examples_that_parse_as_that_subcommand_and_exit_codes() {
        let paths = paths(&command(), "");
        for path in &paths {
            assert!(EXAMPLES.iter().any(|(of, examples)| of == path && !examples.is_empty()), "{path} has no example");
            assert!(!codes(path).is_empty(), "{path} does not say its exit codes");
        }
        let known = EXAMPLES.iter().map(|(path, _)| *path).chain(MEANINGS.iter().flat_map(|m| m.commands).copied());
        for path in known {
            assert!(paths.iter().any(|known| known == path), "there is no subcommand {path}");
        }
        for (path, examples) in EXAMPLES {
            for (_, line) in examples {
                assert!(line.starts_with(&format!("precede {path}")), "{line}");
                Cli::try_parse_from(line.split(' ')).unwrap_or_else(|error| panic!("{line}: {error}"));
            }
        }
    }

    /// What a page says that one should type: the lines of its blocks that begin with the tool, perhaps behind settings.
    fn typed(page: &str) -> impl Iterator<Item = Vec<&str>> {
        let blocks = page.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
        blocks.flat_map(str::lines).filter_map(|line| {
            let command = line.split(['#', '>', '|']).next().unwrap_or_default();
            let words: Vec<&str> = command.split_whitespace().skip_while(|word| word.contains('=')).collect();
            (words.first() == Some(&"precede")).then_some(words)
        })
    }

    /// Tests run these pages, but for what starts their nodes; of the other pages they run all.
    #[test]
    fn what_the_guide_and_the_readme_tell_to_type_can_be_typed() {
        let pages = [(include_str!("../../../README.md"), 5), (include_str!("../../../docs/guide.md"), 4)];
        for (page, least) in pages {
            let lines: Vec<_> = typed(page).collect();
            assert!(lines.len() >= least, "{lines:?}");
            for line in lines {
                Cli::try_parse_from(&line).unwrap_or_else(|error| panic!("{line:?}: {error}"));
            }
        }
    }

    #[test]
    fn the_reference_of_exit_codes_is_what_the_code_says() {
        let mut table = "| command | 0 | 1 | 2 | 3 |\n|---|---|---|---|---|\n".to_owned();
        for Meanings { commands, codes } in &MEANINGS {
            let names: Vec<String> = commands.iter().map(|name| format!("`{name}`")).collect();
            let _ = writeln!(table, "| {} | {} |", names.join(", "), codes.join(" | "));
        }
        let reference = include_str!("../../../docs/cli.md");
        assert!(reference.contains(&table), "docs/cli.md has another table than this:\n{table}");
    }
}
