//! The story of a run, one line per event, for people.

use std::collections::VecDeque;
use std::fmt::Arguments;

use precede_core::wire::message::{Envelope, Message};

/// What the letters mean.
pub const LEGEND: &str = "\
# seconds.micros  what
#   A..L        the nodes, in the order of the first view (see the first lines for addresses)
#   s3 get k    session 3 asks (#n: the request's number; {n+s}: entries of its context, s if it has a stable timestamp)
#   A = #n      node A answers request n (r: the reader answered, without a step)
#   A>B x       A sends x to B (x: lost or cut; without mark: arrives at the time that follows)
#   A! event    an event of node A
#   ** fault    a fault begins or ends
# Heartbeats that carry no write are left out.";

/// Where lines go.
#[derive(Debug, Default)]
pub enum Trace {
    /// Nowhere.
    #[default]
    Off,
    /// To standard output.
    Print,
    /// Into memory, the last so many.
    Keep {
        /// The lines.
        lines: VecDeque<String>,
        /// How many.
        most: usize,
    },
}

impl Trace {
    /// A trace that remembers its last lines.
    #[must_use]
    pub fn keep(most: usize) -> Self {
        Self::Keep { lines: VecDeque::new(), most }
    }

    /// Whether lines are wanted: making one takes time.
    #[must_use]
    pub fn is_on(&self) -> bool {
        match self {
            Self::Off => false,
            Self::Print | Self::Keep { .. } => true,
        }
    }

    /// Writes a line.
    pub fn line(&mut self, time: u64, text: Arguments<'_>) {
        let line = || format!("{:>3}.{:06}  {text}", time / 1_000_000, time % 1_000_000);
        match self {
            Self::Off => {}
            Self::Print => println!("{}", line()),
            Self::Keep { lines, most } => {
                if lines.len() == *most {
                    lines.pop_front();
                }
                lines.push_back(line());
            }
        }
    }
}

/// The letter of a node.
#[must_use]
pub fn letter(node: usize) -> char {
    char::from(b'A' + u8::try_from(node % 26).unwrap_or(0))
}

/// A message in a few words; none for a heartbeat without writes.
#[must_use]
pub fn sketch(envelope: &Envelope) -> Option<String> {
    let text = match &envelope.body {
        Message::Frame(frame) if frame.writes.is_empty() => return None,
        Message::Ack(_) | Message::Status(_) | Message::Gossip { .. } | Message::Swim(_) => return None,
        Message::Frame(frame) => {
            let writes: Vec<_> = frame.writes.iter().map(|w| format!("{}@{}", text(&w.key), w.timestamp)).collect();
            format!("frame after {} to {}: {}", frame.previous, frame.up_to, writes.join(" "))
        }
        Message::Hello { .. } => "hello".to_owned(),
        Message::Welcome { recovered, known_life, .. } => format!("welcome recovered={recovered} knows={known_life:?}"),
        Message::SyncPull(pull) => format!("pull pass={} from={:x} full={}", pull.pass, pull.from, pull.full),
        Message::SyncChunk(chunk) => {
            let next = chunk.next;
            format!("chunk pass={} entries={} next={next:?} horizon={}", chunk.pass, chunk.entries.len(), chunk.horizon)
        }
        Message::Forward(forward) => {
            let (id, hops, repeat) = (forward.id, forward.hops, forward.repeat_of);
            format!("forward {id} hops={hops} repeat-of={repeat} {:?}", forward.request.action)
        }
        Message::ForwardReply { id, reply } => format!("forward-reply {id} {:?}", reply.outcome),
        Message::Superseded { by } => format!("superseded by {by}"),
        Message::ViewAsk => "ask for view".to_owned(),
        Message::Views(news) => format!("view {:?} with {} former", news.current.id, news.former.len()),
        Message::Prepare(asked) => format!("prepare {:x}", asked.change),
        Message::Prepared(answer) => {
            let (granted, life, recovered) = (answer.granted, answer.life, answer.recovered);
            format!("prepared granted={granted} life={life:?} recovered={recovered} former={}", answer.former.len())
        }
        Message::Release { change } => format!("release {change:x}"),
        Message::Confirm { round, entries } => format!("confirm {round:x} {entries:?}"),
        Message::Confirmed { round, has } => format!("confirmed {round:x} {has}"),
        Message::Fetch { id, view, key, .. } => format!("fetch {id:x} of view {} {}", view.epoch, text(key)),
        Message::Fetched(answer) => format!("fetched {:x} {:?}", answer.id, answer.entry.as_ref().map(|e| e.version)),
    };
    Some(text)
}

fn text(key: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(key)
}
