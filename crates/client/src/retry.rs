//! Which node is asked when, and when to stop: failover, back-off and deadlines.
//!
//! The nodes are asked one after the other, a round at a time, with a pause between rounds. Every attempt and every
//! pause ends before the operation's deadline.

use std::time::Duration;

use tokio::time::Instant;

use crate::reply::{Reply, Verdict};
use crate::request::Request;
use crate::transport::{Attempt, Limits};
use crate::{Address, Client, Context, Error};

/// The pause after the first round in which no node served the request; doubled after each further round.
const PAUSE_MIN: Duration = Duration::from_millis(20);
/// The longest pause, unless the nodes ask for a longer one.
const PAUSE_MAX: Duration = Duration::from_millis(500);
/// The shortest time that an attempt is given, while the deadline allows it.
const ATTEMPT_MIN: Duration = Duration::from_millis(50);

/// The time that an operation has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline {
    at: Instant,
    timeout: Duration,
}

impl Deadline {
    /// The deadline `timeout` from now.
    pub(crate) fn after(timeout: Duration) -> Self {
        // A time-out beyond what the clock can express is cut to a year.
        let timeout = timeout.min(Duration::from_secs(365 * 24 * 3600));
        Self { at: Instant::now() + timeout, timeout }
    }

    fn remaining(&self) -> Duration {
        self.at.saturating_duration_since(Instant::now())
    }

    /// The limits of the next attempt. Half of what remains, so that a node that silently swallows packets does not
    /// cost all of it; but a request that could not be repeated afterwards is given all of it once it is sent.
    fn limits(&self, request: &Request) -> Limits {
        let remaining = self.remaining();
        let share = (remaining / 2).max(ATTEMPT_MIN).max(request.attempt_min).min(remaining);
        let sent_by = self.at - (remaining - share);
        Limits { sent_by, answered_by: if request.repeatable { sent_by } else { self.at } }
    }
}

/// What the attempts of one operation ended with so far.
#[derive(Debug, Default)]
struct Attempts {
    count: u32,
    /// How the last one ended, with its node.
    last: Option<String>,
    /// The first one that may have taken effect, and how it ended.
    perhaps_applied: Option<(Address, String)>,
    /// The shortest pause asked for in this round.
    retry_after: Option<Duration>,
}

impl Attempts {
    fn on_failure(&mut self, node: &Address, reason: &str) {
        self.last = Some(format!("{node}: {reason}"));
    }

    /// The end of the operation without an answer.
    fn give_up(self, deadline: Deadline) -> Error {
        let reason = self.last.unwrap_or_else(|| "there was no time to ask".to_owned());
        let unavailable = Error::Unavailable { timeout: deadline.timeout, attempts: self.count, reason };
        unless_applied(self.perhaps_applied, unavailable)
    }
}

/// `error`, unless an earlier attempt may have taken effect: then nobody knows.
fn unless_applied(perhaps_applied: Option<(Address, String)>, error: Error) -> Error {
    match perhaps_applied {
        Some((node, reason)) => {
            Error::OutcomeUnknown { node, reason: format!("{reason}; a repeat ended with: {error}") }
        }
        None => error,
    }
}

impl Client {
    /// Sends the request, with the context, to one node after the other until one settles it.
    pub(crate) async fn send(&self, request: &Request, context: &Context, deadline: Deadline) -> Result<Reply, Error> {
        let mut attempts = Attempts::default();
        for round in 0.. {
            attempts.retry_after = None;
            for node in self.candidates(request.key.as_deref()) {
                if deadline.remaining().is_zero() {
                    return Err(attempts.give_up(deadline));
                }
                attempts.count += 1;
                if let Some(reply) = self.ask(&node, request, context, deadline, &mut attempts).await? {
                    return Ok(reply);
                }
            }
            let pause = self.jittered(pause_after(round)).max(attempts.retry_after.unwrap_or_default());
            if pause >= deadline.remaining() {
                break;
            }
            tokio::time::sleep(pause).await;
        }
        Err(attempts.give_up(deadline))
    }

    /// Asks one node. `None` if another may be asked.
    async fn ask(
        &self,
        node: &Address,
        request: &Request,
        context: &Context,
        deadline: Deadline,
        attempts: &mut Attempts,
    ) -> Result<Option<Reply>, Error> {
        let failure = match self.transport().attempt(node, request, context, deadline.limits(request)).await {
            Attempt::Replied(reply) => {
                self.on_reply(request, &reply);
                match reply.verdict() {
                    Verdict::Served => return Ok(Some(reply)),
                    Verdict::Refused(error) => return Err(unless_applied(attempts.perhaps_applied.take(), error)),
                    Verdict::NotNow { reason, retry_after } => {
                        attempts.last = Some(reason);
                        attempts.retry_after = attempts.retry_after.into_iter().chain(retry_after).min();
                        return Ok(None);
                    }
                    Verdict::Failed(reason) => reason,
                }
            }
            Attempt::NotSent(reason) => {
                self.on_failure(request, node);
                attempts.on_failure(node, &reason);
                return Ok(None);
            }
            Attempt::Broken(reason) => {
                self.on_failure(request, node);
                reason
            }
            Attempt::TooLarge => {
                let message = format!("it is larger than {} bytes", self.transport().response_bytes_max());
                return Err(Error::Protocol { node: node.clone(), message });
            }
        };
        attempts.on_failure(node, &failure);
        if request.writes {
            if !request.repeatable {
                return Err(Error::OutcomeUnknown { node: node.clone(), reason: failure });
            }
            attempts.perhaps_applied.get_or_insert_with(|| (node.clone(), failure));
        }
        Ok(None)
    }
}

/// The pause after the given round, counted from 0.
fn pause_after(round: u32) -> Duration {
    PAUSE_MIN.saturating_mul(2u32.saturating_pow(round)).min(PAUSE_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ReadOptions, WriteOptions};

    #[test]
    fn pauses_grow_to_a_limit() {
        assert_eq!(pause_after(0), PAUSE_MIN);
        assert_eq!(pause_after(1), PAUSE_MIN * 2);
        assert_eq!(pause_after(u32::MAX), PAUSE_MAX);
    }

    #[tokio::test]
    async fn a_read_gets_a_share_of_the_deadline_and_a_write_all_of_it_once_sent() {
        let deadline = Deadline::after(Duration::from_secs(1000));
        let share = |limits: Limits| (deadline.at - limits.sent_by, deadline.at - limits.answered_by);
        let near = |span: Duration, seconds: u64| span.abs_diff(Duration::from_secs(seconds)) < Duration::from_secs(50);

        let read = Request::get("k", &ReadOptions::new()).unwrap();
        let (unsent, unanswered) = share(deadline.limits(&read));
        assert!(near(unsent, 500) && unsent == unanswered);

        let waiting = Request::get("k", &ReadOptions::new().wait(Duration::from_secs(800))).unwrap();
        assert!(near(share(deadline.limits(&waiting)).0, 200));

        let write = Request::delete("k", &WriteOptions::new()).unwrap();
        let (unsent, unanswered) = share(deadline.limits(&write));
        assert!(near(unsent, 500) && unanswered.is_zero());
    }

    #[test]
    fn an_error_after_a_lost_attempt_is_an_unknown_outcome() {
        assert_eq!(unless_applied(None, Error::ContextLost), Error::ContextLost);
        let lost = Some(("a:1".parse().unwrap(), "it broke".to_owned()));
        assert!(matches!(unless_applied(lost, Error::ContextLost), Error::OutcomeUnknown { .. }));
    }
}
