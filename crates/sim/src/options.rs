//! How a run is made: its mix and length, the bug planted in the core if any, and what is left out to make it shorter.
//!
//! An [`Options`] prints as the arguments that the command line takes, so that every run can be told to somebody else.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use precede_core::planted::Planted;

use crate::mix::Mix;

/// How to run a seed.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The mix; none: the seed says.
    pub mix: Option<Mix>,
    /// Simulated seconds of one run. Its faults are drawn for this length.
    pub seconds: u64,
    /// The bug planted in every node.
    pub bug: Option<Planted>,
    /// What is left out.
    pub less: Less,
}

/// What is left out of a run. What remains is drawn as if nothing was.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Less {
    /// The run ends after so many simulated seconds.
    pub until: Option<u64>,
    /// At most so many members.
    pub members: Option<usize>,
    /// At most so many sessions.
    pub sessions: Option<usize>,
    /// Only these faults, by the number of their stroke.
    pub faults: Option<Strokes>,
    /// Nobody asks for barriers, and no write has a name.
    pub plain: bool,
}

/// Numbers of strokes: faults that were drawn together, such as a crash and the return from it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Strokes(pub BTreeSet<usize>);

impl Options {
    /// Runs of a mix, with nothing left out.
    #[must_use]
    pub fn of(mix: Mix, seconds: u64) -> Self {
        Self { mix: Some(mix), seconds, ..Self::default() }
    }

    /// The same without barriers and named writes.
    #[must_use]
    pub fn plain(mut self) -> Self {
        self.less.plain = true;
        self
    }

    /// The mix of a seed.
    #[must_use]
    pub fn mix_of(&self, seed: u64) -> Mix {
        self.mix.unwrap_or_else(|| Mix::of_seed(seed))
    }

    /// The command that runs this seed again.
    #[must_use]
    pub fn command(&self, seed: u64) -> String {
        let features = if self.bug.is_some() { " --features planted" } else { "" };
        let named = Self { mix: Some(self.mix_of(seed)), ..self.clone() };
        format!("cargo run --release -p precede-sim{features} -- replay --seed {seed}{named}")
    }
}

impl fmt::Display for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(mix) = self.mix {
            write!(f, " --mix {mix}")?;
        }
        write!(f, " --seconds {}", self.seconds)?;
        if let Some(bug) = self.bug {
            write!(f, " --bug {bug}")?;
        }
        let Less { until, members, sessions, faults, plain } = &self.less;
        if let Some(until) = until {
            write!(f, " --until {until}")?;
        }
        if let Some(members) = members {
            write!(f, " --members {members}")?;
        }
        if let Some(sessions) = sessions {
            write!(f, " --sessions {sessions}")?;
        }
        if let Some(faults) = faults {
            write!(f, " --faults {faults}")?;
        }
        if *plain {
            write!(f, " --plain")?;
        }
        Ok(())
    }
}

impl fmt::Display for Strokes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        let numbers: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&numbers.join(","))
    }
}

impl FromStr for Strokes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "none" {
            return Ok(Self::default());
        }
        let number = |part: &str| part.parse().map_err(|_| format!("`{part}` is no number of a fault"));
        text.split(',').map(number).collect::<Result<_, _>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_print_as_the_arguments_that_are_read() {
        let strokes: Strokes = "4,2".parse().unwrap();
        assert_eq!(strokes.to_string().parse(), Ok(strokes.clone()));
        assert_eq!("none".parse(), Ok(Strokes::default()));
        assert!("1,x".parse::<Strokes>().is_err());
        let less = Less { until: Some(14), members: Some(3), faults: Some(strokes), plain: true, ..Less::default() };
        let options = Options { less, ..Options::of(Mix::Crash, 60) };
        assert_eq!(options.to_string(), " --mix crash --seconds 60 --until 14 --members 3 --faults 2,4 --plain");
    }
}
