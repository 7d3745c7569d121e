//! Executions as text: commands, `----`, and what was recorded. A text plays as it was recorded, or the test fails;
//! `PRECEDE_RECORD=1` records anew. The texts double as documentation: `docs/protocol/README.md` links them.
//!
//! | command | what |
//! |---|---|
//! | `cluster 4 nodes, 2 replicas` | a fresh cluster, recovered; told only with `from the start` behind it |
//! | `ann: put A x 1`, `ann: get A x`, `ann: delete A x` | a client asks a node, with its context, and keeps the answer's |
//! | `bob takes ann` | merges the context of one client into another's |
//! | `cut A B`, `cut A>B`, `heal` | loses messages both ways or one way; none any more |
//! | `crash A`, `start A` | ends a node; starts one with nothing in memory |
//! | `run 100ms` | lets time pass |
//! | `state A`, `shard x y` | what a node holds; who holds a key |
//!
//! Each line of output has the milliseconds since its command. `A>B` is a message; `x` marks one that is lost.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use precede_core::causality::context::Context;
use precede_core::placement::hash::key_hash;
use precede_core::table::value::Value;
use precede_core::wire::request::Action;

use crate::lab::{Happening, Lab};
use crate::names::{Names, letter};

/// Plays commands.
#[derive(Default)]
struct Stage {
    lab: Option<Lab>,
    names: Names,
    contexts: BTreeMap<String, Context>,
    told: usize,
    began_ms: u64,
}

impl Stage {
    fn play(&mut self, command: &str) -> String {
        self.began_ms = self.lab.as_ref().map_or(0, |lab| lab.now_ms);
        let mut output = String::new();
        let words: Vec<&str> = command.split([' ', ',']).filter(|word| !word.is_empty()).collect();
        match words[..] {
            ["cluster", nodes, "nodes", factor, "replicas", ref told @ ..] => {
                let lab = Lab::new(nodes.parse().unwrap(), factor.parse().unwrap());
                for (node, _, _) in lab.view.members() {
                    self.names.add_node(lab.index(node).unwrap(), node);
                }
                self.lab = Some(lab);
                // What is not to be told has names all the same.
                let mut unheard = String::new();
                let told = told == ["from", "the", "start"];
                self.tell(if told { &mut output } else { &mut unheard });
            }
            ["cut", link] => {
                let (from, to) = link.split_once('>').unwrap();
                self.lab().cut.insert((node(from), node(to)));
            }
            ["cut", a, b] => self.lab().cut(node(a), node(b)),
            ["heal"] => self.lab().heal(),
            ["crash", at] => self.lab().crash(node(at)),
            ["start", at] => self.lab().start(node(at)),
            ["run", time] => self.lab().run(time.strip_suffix("ms").unwrap().parse().unwrap()),
            ["state", at] => self.state(node(at), &mut output),
            ["shard", ref keys @ ..] => self.shards(keys, &mut output),
            [client, "takes", other] => {
                let context = self.contexts[other].clone();
                self.contexts.entry(client.to_owned()).or_default().merge(&context);
            }
            [client, verb, at, key, ref value @ ..] if client.ends_with(':') => {
                self.ask(client, verb, node(at), key, value, &mut output);
            }
            _ => panic!("`{command}` is no command"),
        }
        self.tell(&mut output);
        output
    }

    fn lab(&mut self) -> &mut Lab {
        self.lab.as_mut().expect("a text begins with `cluster`")
    }

    fn ask(&mut self, client: &str, verb: &str, at: usize, key: &str, value: &[&str], output: &mut String) {
        let client = client.trim_end_matches(':').to_owned();
        let key = Bytes::copy_from_slice(key.as_bytes());
        let action = match (verb, value) {
            ("get", []) => Action::Get { key },
            ("put", [value]) => Action::Put { key, value: Value::json(Bytes::copy_from_slice(value.as_bytes())) },
            ("delete", []) => Action::Delete { key },
            _ => panic!("`{verb}` is no request"),
        };
        let context = self.contexts.entry(client.clone()).or_default().clone();
        let reply = self.lab().ask(at, action, &context);
        self.contexts.insert(client, reply.context.clone());
        self.tell(output);
        let ms = self.lab().now_ms - self.began_ms;
        writeln!(output, "{ms:>4}ms {} = {}", letter(at), self.names.reply(&reply)).unwrap();
    }

    /// Tells what has happened since the last time.
    fn tell(&mut self, output: &mut String) {
        let Some(lab) = &self.lab else { return };
        for (ms, happening) in &lab.story[self.told..] {
            let line = match *happening {
                Happening::Sent(at, lost) => {
                    let (from, to, envelope) = &lab.sent[at];
                    let mark = if lost { " x" } else { "" };
                    self.names.message(envelope).map(|text| format!("{}>{}{mark} {text}", letter(*from), letter(*to)))
                }
                Happening::Told(at) => {
                    let (node, event) = &lab.events[at];
                    Some(format!("{} {}", letter(*node), self.names.event(event)))
                }
            };
            if let Some(line) = line {
                writeln!(output, "{:>4}ms {line}", ms - self.began_ms).unwrap();
            }
        }
        self.told = lab.story.len();
    }

    fn state(&mut self, at: usize, output: &mut String) {
        let lab = self.lab.as_ref().expect("a text begins with `cluster`");
        let node = lab.node(at);
        writeln!(output, "{}", self.names.state(&node.report(lab.now()), &node.dump())).unwrap();
    }

    fn shards(&mut self, keys: &[&str], output: &mut String) {
        let lab = self.lab();
        for key in keys {
            let shard = lab.view.shard_of_hash(key_hash(key.as_bytes()));
            let replicas: Vec<_> =
                shard.replicas.iter().map(|a| letter(lab.index(a.node_id()).unwrap()).to_string()).collect();
            writeln!(output, "{key} is in shard {}, at {}", shard.id.0, replicas.join(" ")).unwrap();
        }
    }
}

fn node(name: &str) -> usize {
    match name.as_bytes() {
        [letter @ b'A'..=b'Z'] => usize::from(letter - b'A'),
        _ => panic!("`{name}` is no node"),
    }
}

/// Plays a text; returns it with the output that it has now. Comments and empty lines stay.
fn play(text: &str) -> String {
    let mut stage = Stage::default();
    let mut played = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.is_empty() || line.starts_with('#') {
            writeln!(played, "{line}").unwrap();
            continue;
        }
        writeln!(played, "{line}\n----\n{}", stage.play(line)).unwrap();
        // What was recorded reaches to the next empty line.
        let _ = lines.by_ref().take_while(|line| !line.is_empty()).count();
    }
    format!("{}\n", played.trim_end())
}

fn texts() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios/text");
    let mut texts: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    texts.sort();
    texts
}

#[test]
fn texts_play_as_recorded() {
    let record = std::env::var_os("PRECEDE_RECORD").is_some();
    let mut differing = Vec::new();
    for path in texts() {
        let recorded = std::fs::read_to_string(&path).unwrap();
        assert!(recorded.starts_with("# "), "{} begins with what it shows", path.display());
        let played = play(&recorded);
        if played == recorded {
            continue;
        }
        if record {
            std::fs::write(&path, played).unwrap();
            continue;
        }
        let first = played.lines().zip(recorded.lines()).position(|(one, other)| one != other);
        let at = first.unwrap_or_else(|| played.lines().count().min(recorded.lines().count()));
        let line = |text: &str| text.lines().nth(at).unwrap_or("(the end)").to_owned();
        let (was, is) = (line(&recorded), line(&played));
        differing.push(format!("{}:{}\n  recorded: {was}\n  now:      {is}", path.display(), at + 1));
    }
    let differing = differing.join("\n");
    assert!(
        differing.is_empty(),
        "{differing}\nIf that is meant, record with PRECEDE_RECORD=1 and review the difference."
    );
}

#[test]
fn a_text_plays_the_same_twice() {
    for path in texts() {
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(play(&text), play(&text), "{}", path.display());
    }
}
