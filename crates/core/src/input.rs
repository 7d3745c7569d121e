//! What can happen to a node.

use crate::id::{NodeId, RequestId};
use crate::wire::message::Envelope;
use crate::wire::request::Request;

/// One input of [`crate::node::Node::step`].
#[expect(
    clippy::large_enum_variant,
    reason = "an input is taken at once, and a box would cost each request an allocation"
)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A client of this node asks. Exactly one [`crate::effect::Effect::Reply`] with this id will follow, no later than
    /// the request's deadline.
    Request {
        /// To be named in the reply.
        id: RequestId,
        /// What is asked.
        request: Request,
    },
    /// A message from another node has arrived, in any order, perhaps twice.
    Message(Box<Envelope>),
    /// The transport has a connection to a node. A hint.
    Connected(NodeId),
    /// The transport lost its connection to a node, or cannot make one. A hint: what was sent may be lost.
    Disconnected(NodeId),
    /// The time of [`crate::node::Node::next_deadline`] has come, or any other time.
    Tick,
}
