//! A session: operations in sequence, each seeing what those before it saw.

use crate::context::HeadLimits;
use crate::reply::Reply;
use crate::request::Request;
use crate::retry::Deadline;
use crate::{Barrier, Client, Context, Deleted, Error, Found, InvalidToken, ReadOptions, Value, WriteOptions, Written};

/// Half of what a node takes as a head by default, and the number of contexts that it takes.
const HEAD_LIMITS: HeadLimits = HeadLimits { bytes: 8 << 10, tokens: 64 };

/// A session: carries its causal context from answer to request by itself.
///
/// What a session has read or written, it never contradicts later: across keys, shards, nodes and view changes, and in
/// every session that it is forked or merged into. Operations of one session run one after the other; for operations
/// at the same time, [`fork`](Self::fork) it and [`merge`](Self::merge) the forks afterwards.
///
/// An operation that fails or is dropped leaves the context as it was, so that a write of unknown outcome is not in it.
#[derive(Debug, Clone)]
pub struct Session {
    client: Client,
    context: Context,
}

impl Session {
    pub(crate) fn new(client: Client, context: Context) -> Self {
        Self { client, context }
    }

    /// Reads a key. `None` if it does not exist.
    ///
    /// # Errors
    ///
    /// Any [`Error`] but [`Error::OutcomeUnknown`].
    pub async fn get(&mut self, key: &str) -> Result<Option<Found>, Error> {
        self.get_with(key, &ReadOptions::new()).await
    }

    /// Reads a key, as [`get`](Self::get) does, with options.
    ///
    /// # Errors
    ///
    /// Any [`Error`] but [`Error::OutcomeUnknown`].
    pub async fn get_with(&mut self, key: &str, options: &ReadOptions) -> Result<Option<Found>, Error> {
        let deadline = Deadline::after(options.timeout.unwrap_or(self.client.timeout()));
        self.perform(&Request::get(key, options)?, deadline).await?.into_found()
    }

    /// Writes a key.
    ///
    /// # Errors
    ///
    /// Any [`Error`]; which of them leave the outcome open is said there.
    pub async fn put(&mut self, key: &str, value: impl Into<Value>) -> Result<Written, Error> {
        self.put_with(key, value, &WriteOptions::new()).await
    }

    /// Writes a key, as [`put`](Self::put) does, with options.
    ///
    /// # Errors
    ///
    /// Any [`Error`]; which of them leave the outcome open is said there.
    pub async fn put_with(
        &mut self,
        key: &str,
        value: impl Into<Value>,
        options: &WriteOptions,
    ) -> Result<Written, Error> {
        let deadline = Deadline::after(options.timeout.unwrap_or(self.client.timeout()));
        self.perform(&Request::put(key, value.into(), options)?, deadline).await?.into_written()
    }

    /// Deletes a key. `None` if it does not exist.
    ///
    /// # Errors
    ///
    /// Any [`Error`]; which of them leave the outcome open is said there.
    pub async fn delete(&mut self, key: &str) -> Result<Option<Deleted>, Error> {
        self.delete_with(key, &WriteOptions::new()).await
    }

    /// Deletes a key, as [`delete`](Self::delete) does, with options.
    ///
    /// # Errors
    ///
    /// Any [`Error`]; which of them leave the outcome open is said there.
    pub async fn delete_with(&mut self, key: &str, options: &WriteOptions) -> Result<Option<Deleted>, Error> {
        let deadline = Deadline::after(options.timeout.unwrap_or(self.client.timeout()));
        self.perform(&Request::delete(key, options)?, deadline).await?.into_deleted()
    }

    /// Waits until all that the session has seen is on every replica of its shard, for 1 s unless `options` say otherwise. From then on
    /// everybody sees it, with a context or without, and the context is as short as it gets. What is missing when the time is up is no
    /// error: [`Barrier::reached`] tells.
    ///
    /// # Errors
    ///
    /// Any [`Error`] but [`Error::OutcomeUnknown`].
    pub async fn barrier(&mut self, options: &ReadOptions) -> Result<Barrier, Error> {
        let timeout = self.client.timeout().saturating_add(options.wait.unwrap_or_default());
        let deadline = Deadline::after(options.timeout.unwrap_or(timeout));
        self.perform(&Request::barrier(options), deadline).await?.into_barrier()
    }

    /// Takes over what `other` has seen, as if it had been seen here. Sends nothing.
    pub fn merge(&mut self, other: &Self) {
        self.context.merge(&other.context);
    }

    /// Another session that has seen what this one has so far; from here on each goes its own way.
    #[must_use]
    pub fn fork(&self) -> Self {
        self.clone()
    }

    /// Forgets what the session has seen. The way on after [`Error::ContextLost`].
    pub fn reset(&mut self) {
        self.context = Context::default();
    }

    /// The session as a text, for [`from_token`](Self::from_token) in another process or at another time: also a valid
    /// `Causal-Context` header. Empty if nothing has been seen.
    pub fn to_token(&self) -> String {
        self.context.to_string()
    }

    /// The session that was saved as `token`.
    ///
    /// # Errors
    ///
    /// If `token` is not a token by its form. Whether the cluster accepts it shows with the first operation.
    pub fn from_token(client: &Client, token: &str) -> Result<Self, InvalidToken> {
        Ok(Self::new(client.clone(), token.parse()?))
    }

    /// What the session has seen.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// The client that the session was made from.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Sends the request with the context, and takes the answer's context.
    async fn perform(&mut self, request: &Request, deadline: Deadline) -> Result<Reply, Error> {
        self.fold(deadline).await?;
        let reply = self.client.send(request, &self.context, deadline).await?;
        self.context = reply.context()?;
        Ok(reply)
    }

    /// Has a node merge tokens, until the rest fits into the head of one request: after merging many sessions. Ends,
    /// since each step turns two tokens or more into one.
    async fn fold(&mut self, deadline: Deadline) -> Result<(), Error> {
        while !self.context.fits(HEAD_LIMITS) {
            let (some, mut others) = self.context.split(HEAD_LIMITS);
            let merged = self.client.send(&Request::shards(), &some, deadline).await?.context()?;
            if merged.tokens().len() > 1 {
                // More than one token in an answer: nothing to be gained by asking again.
                break;
            }
            others.merge(&merged);
            self.context = others;
        }
        Ok(())
    }
}
