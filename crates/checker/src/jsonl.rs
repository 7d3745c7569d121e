//! The file form of a history, as [`History::read_jsonl`] documents it.

use std::io::{self, BufRead, Write};

use serde::{Deserialize, Serialize};

use crate::history::{FinalRead, History, Operation};

/// Why a history could not be read. Nothing of it was judged.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The reader failed.
    #[error("cannot read the history: {0}")]
    Read(#[from] io::Error),
    /// A line is not an operation or final read.
    #[error("line {line} is no operation and no final read: {source}")]
    Syntax {
        /// The number of the line, from 1.
        line: usize,
        /// What the JSON parser says.
        source: serde_json::Error,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Op(Operation),
    Final(FinalRead),
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum LineRef<'a> {
    Op(&'a Operation),
    Final(&'a FinalRead),
}

impl History {
    /// Reads a history from JSON lines, one object a line; blank lines are ignored.
    ///
    /// ```text
    /// {"op":{"session":1,"key":"x","action":{"put":{"value":"a"}},"start":10,"end":20,"outcome":"written"}}
    /// {"op":{"session":2,"key":"x","action":"get","start":30,"end":35,"outcome":{"read":{"value":"a"}},"received_from":[0]}}
    /// {"op":{"session":2,"key":"y","action":"delete","start":40,"end":45,"outcome":"unknown","carries_context":false}}
    /// {"final":{"replica":"node-1","key":"x","value":"a"}}
    /// ```
    ///
    /// Actions are `{"put":{"value":…}}`, `"get"` and `"delete"`; outcomes `{"read":{"value":…}}` (`null` for absent),
    /// `"written"`, `"not_found"`, `"failed"` and `"unknown"`. `received_from` counts the `op` lines from 0; it
    /// defaults to `[]`, and `carries_context` to `true`. Final reads may stand anywhere.
    ///
    /// # Errors
    ///
    /// If the reader fails, or a line is not of the documented form.
    pub fn read_jsonl(reader: impl BufRead) -> Result<Self, HistoryError> {
        let mut history = Self::default();
        for (position, line) in reader.lines().enumerate() {
            let line = line?;
            if line.trim().is_empty() {
                continue;
            }
            let parsed =
                serde_json::from_str(&line).map_err(|source| HistoryError::Syntax { line: position + 1, source })?;
            match parsed {
                Line::Op(operation) => history.operations.push(operation),
                Line::Final(read) => history.final_reads.push(read),
            }
        }
        Ok(history)
    }

    /// Writes this history as JSON lines: the operations in their order, then the final reads.
    ///
    /// # Errors
    ///
    /// If the writer fails.
    pub fn write_jsonl(&self, mut w: impl Write) -> io::Result<()> {
        let operations = self.operations.iter().map(LineRef::Op);
        let finals = self.final_reads.iter().map(LineRef::Final);
        for line in operations.chain(finals) {
            serde_json::to_writer(&mut w, &line)?;
            w.write_all(b"\n")?;
        }
        w.flush()
    }
}
