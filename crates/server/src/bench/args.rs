//! What was said to `precede bench` and `precede bare`.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use clap::{Args, ValueEnum};
use precede_client::Address;

use crate::credentials::CredentialArgs;

/// Options of `precede bench`.
#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    /// The nodes to load, host:port; the connections take turns
    #[arg(long = "node", value_name = "ADDR", value_delimiter = ',', default_value = "127.0.0.1:8080")]
    pub(crate) nodes: Vec<Address>,
    /// How many connections
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=65_535))]
    pub(crate) connections: u32,
    /// How many requests a connection sends before it waits for their answers
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) pipeline: u32,
    /// How many requests a second are sent over all connections, whether the nodes keep up or not; latencies count from when a request
    /// was due [default: as many as are answered]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    pub(crate) rate: Option<u64>,
    /// For how long
    #[arg(long, value_name = "S", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) seconds: u64,
    /// What is asked for: get, put, or mixed:<percent of reads>
    #[arg(long, default_value = "get")]
    pub(crate) mix: Mix,
    /// Over how many keys
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    pub(crate) keys: u64,
    /// Which keys are asked for how often: uniform, or zipf:<exponent>
    #[arg(long, default_value = "uniform")]
    pub(crate) distribution: Distribution,
    /// How many characters a value has
    #[arg(long, value_name = "B", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=16_777_216))]
    pub(crate) value_bytes: u32,
    /// Whether each connection carries its causal context from response to request
    #[arg(long, value_enum, default_value_t = Switch::On)]
    pub(crate) contexts: Switch,
    /// On how many replicas a write is to be when it is answered; one that is on fewer counts as an error [default: as the nodes do]
    #[arg(long, value_enum)]
    pub(crate) write_concern: Option<Concern>,
    /// The keys to read are there already: do not write them first
    #[arg(long)]
    pub(crate) loaded: bool,
    /// Print a JSON object instead of a text
    #[arg(long)]
    pub(crate) json: bool,
    /// What is shown to the nodes.
    #[command(flatten)]
    pub(crate) credentials: CredentialArgs,
}

impl BenchArgs {
    /// The node of a connection.
    pub(crate) fn node_of(&self, connection: u64) -> &str {
        let count = self.nodes.len().max(1) as u64;
        usize::try_from(connection % count).ok().and_then(|at| self.nodes.get(at)).map_or("", Address::as_str)
    }
}

/// Options of `precede bare`.
#[derive(Debug, Args)]
pub(crate) struct BareArgs {
    /// Where to listen; port 0 for one that is free
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    pub(crate) bind: SocketAddr,
    /// How many bytes the body of every response has
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = clap::value_parser!(u32).range(14..=16_777_216))]
    pub(crate) body_bytes: u32,
    /// How many the body of a response to a PUT has [default: as many]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(14..=16_777_216))]
    pub(crate) put_body_bytes: Option<u32>,
}

/// How often each key is asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Distribution {
    /// All alike.
    Uniform,
    /// The n-th most asked for in proportion to n to the power of minus this exponent.
    Zipf(f64),
}

impl FromStr for Distribution {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let exponent = |text: &str| text.parse().ok().filter(|exponent| (0.0..=10.0).contains(exponent));
        match text.split_once(':') {
            None if text == "uniform" => Some(Self::Uniform),
            Some(("zipf", text)) => exponent(text).map(Self::Zipf),
            _ => None,
        }
        .ok_or_else(|| "give uniform, or zipf:<exponent from 0 to 10>, for example zipf:0.99".to_owned())
    }
}

impl fmt::Display for Distribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uniform => f.write_str("uniform"),
            Self::Zipf(exponent) => write!(f, "zipf:{exponent}"),
        }
    }
}

/// On or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Switch {
    /// Yes.
    On,
    /// No.
    Off,
}

/// On how many replicas a write is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Concern {
    /// On one.
    #[value(name = "1")]
    One,
    /// On two.
    #[value(name = "2")]
    Two,
    /// On more than half of them.
    Majority,
    /// On all.
    All,
}

impl Concern {
    /// As it is asked for.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::One => "1",
            Self::Two => "2",
            Self::Majority => "majority",
            Self::All => "all",
        }
    }
}

/// What a request does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    /// Reads a key.
    Get,
    /// Writes a key.
    Put,
}

/// How many of a hundred requests read; the others write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mix(u8);

impl Mix {
    /// Whether anything is read, so that there must be something to read.
    pub(crate) fn reads(self) -> bool {
        self.0 > 0
    }

    /// The operation for a random number.
    pub(crate) fn pick(self, random: u32) -> Operation {
        if random % 100 < u32::from(self.0) { Operation::Get } else { Operation::Put }
    }
}

impl FromStr for Mix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let percent = match text {
            "get" => Some(100),
            "put" => Some(0),
            _ => text.strip_prefix("mixed:").and_then(|percent| percent.parse().ok()).filter(|percent| *percent <= 100),
        };
        percent.map(Self).ok_or_else(|| "give get, put, or mixed:<percent of reads>, for example mixed:90".to_owned())
    }
}

impl fmt::Display for Mix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("put"),
            100 => f.write_str("get"),
            percent => write!(f, "mixed:{percent}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distributions_are_parsed() {
        for text in ["uniform", "zipf:0", "zipf:0.99", "zipf:10"] {
            assert_eq!(text.parse::<Distribution>().unwrap().to_string(), text);
        }
        for text in ["", "zipf", "zipf:", "zipf:-1", "zipf:11", "zipf:nan", "uniform:1"] {
            assert!(text.parse::<Distribution>().is_err(), "{text}");
        }
    }

    #[test]
    fn mixes_are_parsed_and_picked_from() {
        for (text, reads) in [("get", 100), ("put", 0), ("mixed:90", 90)] {
            let mix: Mix = text.parse().unwrap();
            assert_eq!(mix.to_string(), text);
            assert_eq!((0..1000).filter(|random| mix.pick(*random) == Operation::Get).count(), reads * 10);
        }
        for text in ["", "delete", "mixed", "mixed:", "mixed:101", "mixed:-1"] {
            assert!(text.parse::<Mix>().is_err(), "{text}");
        }
    }
}
