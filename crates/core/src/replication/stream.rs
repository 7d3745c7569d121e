//! Streams: each replica sends its own writes to each shard peer in timestamp order (design 8.1).
//!
//! The window is the queue: the sender remembers how far it has sent, and goes on from there while what is in flight is
//! bounded. What the window no longer holds reaches the peer by sync.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use crate::causality::hlc::Timestamp;
use crate::id::Origin;
use crate::limits::{FRAME_BYTES_TARGET, IN_FLIGHT_BYTES_MAX};
use crate::replication::window::{Window, WindowWrite};
use crate::time::Instant;
use crate::wire::message::{Ack, Frame, StreamWrite};

/// The sender's side of a stream to one peer.
#[derive(Debug, Clone, Default)]
pub struct Outgoing {
    sent: Timestamp,
    acked: Timestamp,
    in_flight: VecDeque<(Timestamp, usize)>,
    in_flight_bytes: usize,
    rewound_at: Instant,
}

impl Outgoing {
    /// A stream that has sent nothing of an origin that started at `start`.
    #[must_use]
    pub fn new(start: Timestamp) -> Self {
        Self { sent: start, acked: start, ..Self::default() }
    }

    /// All writes up to here are known to be at the peer.
    #[must_use]
    pub fn acked(&self) -> Timestamp {
        self.acked
    }

    /// The next frame, if there is anything to send. `complete_to` is the sender's own entry of its vector, read under
    /// the exclusion that makes a write atomic (design 6.5); a heartbeat is sent even if there is nothing new.
    pub fn next_frame(
        &mut self,
        now: Instant,
        origin: Origin,
        window: &Window,
        complete_to: Timestamp,
        heartbeat: bool,
    ) -> Option<Frame> {
        let previous = self.sent.max(window.left(&origin));
        let mut writes = Vec::new();
        let mut bytes = 0;
        let mut up_to = complete_to;
        for write in window.after(&origin, previous) {
            if bytes >= FRAME_BYTES_TARGET || self.in_flight_bytes + bytes >= IN_FLIGHT_BYTES_MAX {
                up_to = writes.last().map_or(previous, |last: &StreamWrite| last.timestamp);
                break;
            }
            bytes += write.bytes();
            writes.push(stream_write(now, write));
        }
        if writes.is_empty() && !heartbeat {
            return None;
        }
        let up_to = up_to.max(previous);
        if let Some(last) = writes.last() {
            self.in_flight.push_back((last.timestamp, bytes));
            self.in_flight_bytes += bytes;
        }
        self.sent = up_to;
        Some(Frame { origin, previous, writes, up_to })
    }

    /// The peer says what it has. On a gap the sender goes back in its window, at most once per `pace`, unless the
    /// window no longer reaches back.
    pub fn on_ack(&mut self, now: Instant, ack: &Ack, window: &Window, pace: Duration) {
        self.acked = self.acked.max(ack.applied);
        let delivered = ack.beyond.iter().copied().fold(ack.applied, Timestamp::max);
        while self.in_flight.front().is_some_and(|frame| frame.0 <= delivered) {
            let (_, bytes) = self.in_flight.pop_front().expect("it was just seen");
            self.in_flight_bytes -= bytes;
        }
        if ack.gap && ack.applied >= window.left(&ack.origin) && now.since(self.rewound_at) >= pace {
            self.sent = ack.applied;
            self.in_flight.clear();
            self.in_flight_bytes = 0;
            self.rewound_at = now;
        }
    }
}

fn stream_write(now: Instant, write: &WindowWrite) -> StreamWrite {
    StreamWrite {
        timestamp: write.entry.timestamp(),
        key: Bytes::copy_from_slice(write.entry.key()),
        value: write.entry.value().map(|value| value.to_owned()),
        dependencies: (*write.dependencies).clone(),
        write_id: write.write_id,
        named: write.named.as_ref().and_then(|naming| naming.told(now)),
    }
}
