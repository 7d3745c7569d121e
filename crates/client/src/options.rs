//! What may be asked for with a single operation.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// On how many replicas a write is to be before it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteConcern {
    /// One replica.
    One,
    /// Two replicas.
    Two,
    /// More than half of the shard's replicas.
    Majority,
    /// All replicas of the shard.
    All,
}

/// A text names no write concern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown write concern \"{0}\": one of 1, 2, majority, all")]
pub struct UnknownConcern(String);

impl WriteConcern {
    /// The name on the wire: `1`, `2`, `majority` or `all`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::One => "1",
            Self::Two => "2",
            Self::Majority => "majority",
            Self::All => "all",
        }
    }
}

impl fmt::Display for WriteConcern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for WriteConcern {
    type Err = UnknownConcern;

    fn from_str(text: &str) -> Result<Self, UnknownConcern> {
        [Self::One, Self::Two, Self::Majority, Self::All]
            .into_iter()
            .find(|concern| concern.as_str() == text)
            .ok_or_else(|| UnknownConcern(text.to_owned()))
    }
}

/// Options of a read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadOptions {
    pub(crate) wait: Option<Duration>,
    pub(crate) timeout: Option<Duration>,
}

impl ReadOptions {
    /// The store's and the client's defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// How long the node may wait for what the session's context needs, to the millisecond. The store's default is 1 s.
    #[must_use]
    pub fn wait(mut self, wait: Duration) -> Self {
        self.wait = Some(wait);
        self
    }

    /// The deadline of the whole operation, all attempts included, instead of the client's.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}

/// Options of a write.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WriteOptions {
    pub(crate) wait: Option<Duration>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) concern: Option<WriteConcern>,
    pub(crate) retry_unknown: bool,
    pub(crate) idempotency_key: Option<String>,
}

impl WriteOptions {
    /// The store's and the client's defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// How long the node may wait for what the session's context needs, to the millisecond. A write is not refused
    /// for it: afterwards it is taken all the same.
    #[must_use]
    pub fn wait(mut self, wait: Duration) -> Self {
        self.wait = Some(wait);
        self
    }

    /// The deadline of the whole operation, all attempts included, instead of the client's.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// On how many replicas the write is to be. The store's default is 2, or 1 where a shard has but one replica. The
    /// write stands even if fewer are reached: see `concern_reached` of the result.
    #[must_use]
    pub fn concern(mut self, concern: WriteConcern) -> Self {
        self.concern = Some(concern);
        self
    }

    /// Whether to repeat the write at another node when nobody can tell whether the first took it, instead of
    /// [`Error::OutcomeUnknown`](crate::Error::OutcomeUnknown).
    ///
    /// Every attempt has the same [name](Self::idempotency_key), one that is drawn for this write unless one is given: a
    /// replica that has heard of the first attempt returns its outcome. **One that has not makes the write again**, with a
    /// version of its own: such a repeat wins over what others wrote to the key in between, and the result describes the
    /// last attempt only (`replaced` may be about the first, and a delete may report that the key did not exist).
    #[must_use]
    pub fn retry_unknown(mut self, retry_unknown: bool) -> Self {
        self.retry_unknown = retry_unknown;
        self
    }

    /// A name for the write, new for each: 1 to 255 visible ASCII characters. A repeat of the write under its name, from
    /// this process or another, gets the first outcome and is not made again, for ten minutes and where the first is
    /// known. Another write of the same key under that name is refused with 422.
    #[must_use]
    pub fn idempotency_key(mut self, name: impl Into<String>) -> Self {
        self.idempotency_key = Some(name.into());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn concerns_are_named_as_on_the_wire() {
        for name in ["1", "2", "majority", "all"] {
            assert_eq!(name.parse::<WriteConcern>().unwrap().to_string(), name);
        }
        assert!("3".parse::<WriteConcern>().is_err());
    }
}
