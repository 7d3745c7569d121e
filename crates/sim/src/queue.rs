//! What is going to happen: events in the order of time, and of their making where times are equal.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use bytes::Bytes;

use crate::faults::Fault;

/// Something that will happen.
#[derive(Debug)]
pub enum Event {
    /// A message arrives.
    Deliver {
        /// The sender's index.
        from: usize,
        /// The receiver's index.
        to: usize,
        /// The message, encoded.
        bytes: Bytes,
    },
    /// A transport notices a connection made or lost.
    Hint {
        /// Whose transport.
        at: usize,
        /// The other end.
        peer: usize,
        /// Made or lost.
        up: bool,
    },
    /// A node's deadline has come.
    Wake {
        /// Whose.
        node: usize,
        /// Out of date if the node's own count is another.
        generation: u64,
    },
    /// A session acts.
    Turn {
        /// Which.
        session: usize,
        /// Out of date if the session's own count is another.
        generation: u64,
    },
    /// A client stops waiting.
    GiveUp {
        /// For which request.
        request: u64,
        /// Whose request.
        session: usize,
    },
    /// A request must have been answered by now.
    Overdue {
        /// Which.
        request: u64,
    },
    /// The fault of this number begins or ends.
    Fault(usize),
    /// A fault that was not planned begins or ends.
    Enact(Fault),
    /// A node that crashed outside of the plan comes back.
    ComeBack(usize),
    /// Somebody writes to a node that may be in a view of its own.
    WriteAstray(usize),
    /// A node crashes outside of the plan.
    CrashSingle(usize),
    /// Replicas are looked at.
    Sample,
    /// All faults end, clients stop.
    Heal,
    /// A client asks for another view when all faults have been over for a while.
    ChangeAtRest {
        /// Whom.
        by: usize,
        /// What the new view is drawn from.
        draw: u64,
    },
    /// A client asks whether all that it has seen is on every replica.
    Barrier,
    /// A client makes a write that has a name, or repeats one.
    Named,
    /// A client reads something with the context of such a write.
    NamedRead,
    /// Every kept context is tried at a node: by now all of them are.
    BarriersAtRest,
    /// Every kept context is tried at every node.
    Probe {
        /// Whether contexts must come back without entries.
        last: bool,
    },
}

/// The queue of events.
#[derive(Debug)]
pub struct Queue<E> {
    heap: BinaryHeap<Reverse<Item<E>>>,
    made: u64,
}

#[derive(Debug)]
struct Item<E> {
    time: u64,
    sequence: u64,
    event: E,
}

impl<E> Default for Queue<E> {
    fn default() -> Self {
        Self { heap: BinaryHeap::new(), made: 0 }
    }
}

impl<E> Queue<E> {
    /// Adds an event.
    pub fn push(&mut self, time: u64, event: E) {
        self.made += 1;
        self.heap.push(Reverse(Item { time, sequence: self.made, event }));
    }

    /// Takes the next event if it happens by `end`.
    pub fn pop_until(&mut self, end: u64) -> Option<(u64, E)> {
        if self.heap.peek()?.0.time > end {
            return None;
        }
        self.heap.pop().map(|Reverse(item)| (item.time, item.event))
    }
}

impl<E> PartialEq for Item<E> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<E> Eq for Item<E> {}

impl<E> PartialOrd for Item<E> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> Ord for Item<E> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.time, self.sequence).cmp(&(other.time, other.sequence))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_by_time_and_then_in_the_order_of_their_making() {
        let mut queue = Queue::default();
        for (time, fault) in [(5, 1), (3, 2), (5, 3), (9, 4)] {
            queue.push(time, Event::Fault(fault));
        }
        let mut order = Vec::new();
        while let Some((time, Event::Fault(fault))) = queue.pop_until(8) {
            order.push((time, fault));
        }
        assert_eq!(order, [(3, 2), (5, 1), (5, 3)]);
    }
}
