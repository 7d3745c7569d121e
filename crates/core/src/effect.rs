//! What a node wants done.

use crate::event::Event;
use crate::id::{Address, NodeId, RequestId};
use crate::replication::replica::Replica;
use crate::wire::message::Envelope;
use crate::wire::request::Reply;

/// One thing to do. EFFECTS ARE EXECUTED IN ORDER.
#[derive(Debug)]
pub enum Effect {
    /// Send a message to a node. It may be lost; the protocol repeats what matters.
    Send {
        /// To whom.
        to: NodeId,
        /// What.
        envelope: Box<Envelope>,
    },
    /// Answer a client of this node.
    Reply {
        /// The request's id.
        id: RequestId,
        /// The answer.
        reply: Box<Reply>,
    },
    /// Something worth a log line or a count.
    Event(Event),
    /// Nobody needs this any more. To free its entries takes longer than a step may.
    Discard(Box<Replica>),
    /// From now on these nodes are spoken to, besides those that have spoken first: keep connections to them.
    Reach(Vec<Address>),
    /// End this process: a later life of this address exists (design 15.1). Nothing comes after it.
    Stop,
}

/// The effects of a step, in order.
pub type Effects = Vec<Effect>;
