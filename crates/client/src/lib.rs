//! The Rust client of Precede, a distributed, causally consistent key-value store.
//!
//! A [`Client`] knows some nodes of one cluster and keeps connections to them; a [`Session`] made from it
//! carries a causal context from every answer into the next request, so that nothing it is told ever contradicts what
//! it has seen or written before.
//!
//! ```no_run
//! # async fn example() -> Result<(), precede_client::Error> {
//! use precede_client::{Client, Value};
//!
//! let client = Client::new(["10.0.0.1:8080", "10.0.0.2:8080"])?;
//! let mut session = client.session();
//! session.put("user:1", Value::json(&"Ada")?).await?;
//! if let Some(found) = session.get("user:1").await? {
//!     println!("{} as of {}", found.value, found.version);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # What a failure means
//!
//! Every operation ends before its deadline. A read goes on to the next node when one fails. A write goes on only when
//! the failed node surely did not get it, or refused it; otherwise it ends with [`Error::OutcomeUnknown`], unless
//! [`WriteOptions::retry_unknown`] allows a repeat, which is recognised where the first is known. [`Error`] says for each variant what happened to the data.
//!
//! # What the crate is not
//!
//! It holds no data and judges no context: contexts are opaque to it. It speaks HTTP/1.1, by TLS if
//! it is given the [authorities](ClientBuilder::authorities) of the nodes' certificates.

mod address;
mod administration;
mod avoidance;
mod builder;
mod client;
mod context;
mod error;
mod options;
mod outcome;
mod placement;
mod reply;
mod request;
mod retry;
mod session;
mod session_file;
mod status;
mod tls;
mod transport;
mod value;
mod view;
mod withdrawal;

pub use address::Address;
pub use administration::{Move, ShardState, ViewChange, ViewChanged, ViewState};
pub use builder::ClientBuilder;
pub use client::Client;
pub use context::{Context, InvalidToken};
pub use error::Error;
pub use options::{ReadOptions, UnknownConcern, WriteConcern, WriteOptions};
pub use outcome::{Barrier, Deleted, Found, Lagging, Written};
pub use placement::{SLOTS, slot};
pub use session::Session;
pub use session_file::{SessionFile, SessionFileError};
pub use status::{
    ClusterStatus, HandOffStatus, Health, MemberStatus, NodeStatus, PeerStatus, RequestCounts, ShardStatus, ViewStatus,
    WindowStatus, WorkStatus,
};
pub use value::Value;
pub use view::{Shard, View};
