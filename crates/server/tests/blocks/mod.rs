//! What pages tell to type: their blocks of code, and a directory in which these are run with the tool in reach.
#![allow(dead_code, unreachable_pub, missing_docs, clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A block of code, and what it prints.
#[derive(Debug)]
pub struct Block {
    /// The heading above it.
    pub section: String,
    pub language: String,
    pub text: String,
    pub output: Option<String>,
}

/// The text of a page.
pub fn page(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name)).unwrap()
}

/// The blocks of a page.
pub fn blocks(page: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let (mut section, mut lines) = (String::new(), page.lines());
    while let Some(line) = lines.next() {
        if line.starts_with('#') {
            line.trim_start_matches('#').trim().clone_into(&mut section);
        }
        let Some(language) = line.strip_prefix("```") else { continue };
        let text = lines.by_ref().take_while(|line| *line != "```").map(|line| format!("{line}\n")).collect();
        match language {
            "text" => {}
            "output" => blocks.last_mut().expect("output has code above it").output = Some(text),
            language => {
                let (section, language) = (section.clone(), language.to_owned());
                blocks.push(Block { section, language, text, output: None });
            }
        }
    }
    blocks
}

/// A directory for a page's blocks, where the tool has its name.
pub struct Home(PathBuf);

impl Home {
    pub fn new(name: &str) -> Self {
        let home = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        std::fs::create_dir_all(&home).unwrap();
        Self(home)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Lets a command find the directory and the tool.
    pub fn prepare(&self, command: &mut Command) {
        let tool = Path::new(env!("CARGO_BIN_EXE_precede")).parent().unwrap().to_owned();
        let others = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths(std::iter::once(tool).chain(std::env::split_paths(&others))).unwrap();
        command.current_dir(&self.0).env("PATH", path).stdin(Stdio::null());
    }

    /// Runs a command to its end, which is a good one. What it has printed.
    pub fn run(&self, mut command: Command, what: &str) -> String {
        self.prepare(&mut command);
        let output = command.output().unwrap();
        let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{what}: {stdout}{stderr}");
        stdout.into_owned()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
