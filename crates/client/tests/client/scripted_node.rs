//! A node for tests: speaks the contract on a loopback socket, alone, from a map; and misbehaves as told.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use percent_encoding::percent_decode_str;
use precede_client::{Client, ClientBuilder};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value as Json, json};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

/// What a node does with a request on a key, once it has read it whole.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Act {
    /// Answers with this status and serves nothing; a 503 with this `Retry-After`, in seconds.
    Status(u16, Option<u32>),
    /// Closes the connection.
    Break,
    /// Never answers.
    Hang,
    /// Writes, and answers that the write concern was not reached.
    MissConcern,
    /// Serves, with an answer that lacks the context.
    ForgetContext,
}

/// A request on a key as the node saw it.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    pub(crate) target: String,
    pub(crate) key: String,
    pub(crate) contexts: Vec<String>,
    pub(crate) idempotency_key: Option<String>,
    pub(crate) body: Bytes,
}

#[derive(Debug, Default)]
struct State {
    address: String,
    /// Key → value and content type.
    entries: HashMap<String, (Bytes, String)>,
    answers: u64,
    script: VecDeque<Act>,
    always: Option<Act>,
    seen: Vec<Seen>,
    /// The contexts of requests that are not on a key.
    other_contexts: Vec<Vec<String>>,
    /// Shards as told to clients.
    shards: Vec<(u32, Vec<String>)>,
    /// What the next requests to change the view meet.
    view_script: VecDeque<Act>,
    /// The view and its progress, as told to clients.
    view: Json,
}

/// A running node. Its socket and all its connections close when it is dropped.
pub(crate) struct ScriptedNode {
    state: Arc<Mutex<State>>,
    server: JoinHandle<()>,
}

impl ScriptedNode {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let address = listener.local_addr().expect("a bound socket has an address").to_string();
        let state = Arc::new(Mutex::new(State { address, ..State::default() }));
        let server = tokio::spawn(serve(listener, Arc::clone(&state)));
        Self { state, server }
    }

    pub(crate) fn address(&self) -> String {
        self.state.lock().expect("no test panics in a node").address.clone()
    }

    /// Lets the next requests on keys meet these acts, one each.
    pub(crate) fn then(&self, acts: impl IntoIterator<Item = Act>) {
        self.state.lock().expect("no test panics in a node").script.extend(acts);
    }

    /// Lets every request on a key meet this act.
    pub(crate) fn always(&self, act: Act) {
        self.state.lock().expect("no test panics in a node").always = Some(act);
    }

    /// Sets the view that the node tells.
    pub(crate) fn tell_shards(&self, shards: &[(u32, &[&ScriptedNode])]) {
        let named = |nodes: &[&ScriptedNode]| nodes.iter().map(|node| node.address()).collect();
        let shards = shards.iter().map(|&(id, nodes)| (id, named(nodes))).collect();
        self.state.lock().expect("no test panics in a node").shards = shards;
    }

    /// Lets the next requests to change the view meet these acts, one each; others are told the view.
    pub(crate) fn then_on_view(&self, acts: impl IntoIterator<Item = Act>) {
        self.state.lock().expect("no test panics in a node").view_script.extend(acts);
    }

    /// Sets the view and the progress that the node tells.
    pub(crate) fn tell_view(&self, view: Json) {
        self.state.lock().expect("no test panics in a node").view = view;
    }

    /// The requests on keys so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.state.lock().expect("no test panics in a node").seen.clone()
    }

    /// The contexts of the requests so far that were not on a key.
    pub(crate) fn other_contexts(&self) -> Vec<Vec<String>> {
        self.state.lock().expect("no test panics in a node").other_contexts.clone()
    }
}

impl ScriptedNode {
    /// Closes the socket and all connections, and awaits that it is done.
    pub(crate) async fn stop(mut self) {
        self.server.abort();
        // Cancelled, as just asked.
        let _ = (&mut self.server).await;
    }
}

impl Drop for ScriptedNode {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// A client that asks these nodes only, in this order.
pub(crate) fn client(nodes: &[&ScriptedNode]) -> Client {
    builder(nodes).direct(false).build().expect("sockets have valid addresses")
}

pub(crate) fn builder(nodes: &[&ScriptedNode]) -> ClientBuilder {
    Client::builder(nodes.iter().map(|node| node.address()))
}

/// An address that refuses connections for as long as the socket lives: bound, but not listening.
pub(crate) fn refusing() -> (TcpSocket, String) {
    let socket = TcpSocket::new_v4().expect("sockets are available");
    socket.bind("127.0.0.1:0".parse().expect("an address")).expect("loopback has a free port");
    let address = socket.local_addr().expect("a bound socket has an address").to_string();
    (socket, address)
}

/// An address that swallows connection attempts, as a network that loses packets does: a listener whose queue is full.
pub(crate) async fn swallowing() -> (TcpListener, Vec<TcpStream>, String) {
    let socket = TcpSocket::new_v4().expect("sockets are available");
    socket.bind("127.0.0.1:0".parse().expect("an address")).expect("loopback has a free port");
    let listener = socket.listen(1).expect("a bound socket can listen");
    let address = listener.local_addr().expect("a bound socket has an address");
    let mut queued = Vec::new();
    while let Ok(connected) = timeout(Duration::from_millis(200), TcpStream::connect(address)).await {
        queued.push(connected.expect("a listening socket takes connections"));
        assert!(queued.len() < 100, "a queue of one entry is full by now");
    }
    (listener, queued, address.to_string())
}

async fn serve(listener: TcpListener, state: Arc<Mutex<State>>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let state = Arc::clone(&state);
        let service = service_fn(move |request| answer(request, Arc::clone(&state)));
        connections.spawn(async move {
            // An act that breaks the connection ends here with the service's error.
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(request: Request<Incoming>, state: Arc<Mutex<State>>) -> io::Result<Response<Full<Bytes>>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let act = {
        let mut state = state.lock().expect("no test panics in a node");
        let contexts = head.headers.get_all("causal-context");
        let contexts = contexts.iter().map(|v| v.to_str().expect("tokens are ASCII").to_owned()).collect();
        let Some(key) = head.uri.path().strip_prefix("/kv-store/keys/") else {
            state.other_contexts.push(contexts);
            let act = if head.method == Method::PUT { state.view_script.pop_front() } else { None };
            match act {
                Some(Act::Break) => return Err(io::Error::other("told to break")),
                Some(Act::Status(status, _)) => {
                    return Ok(state.json(status, &json!({"message": "Error in PUT", "error": "told to refuse"})));
                }
                _ => {}
            }
            return Ok(state.other(head.uri.path()));
        };
        state.seen.push(Seen {
            method: head.method.clone(),
            target: head.uri.to_string(),
            key: percent_decode_str(key).decode_utf8().expect("keys are UTF-8").into_owned(),
            contexts,
            idempotency_key: head.headers.get("idempotency-key").map(|v| v.to_str().expect("it is ASCII").to_owned()),
            body: body.clone(),
        });
        state.script.pop_front().or(state.always)
    };
    match act {
        Some(Act::Break) => return Err(io::Error::other("told to break")),
        Some(Act::Hang) => match std::future::pending::<Infallible>().await {},
        Some(Act::Status(status, retry_after)) => {
            let mut state = state.lock().expect("no test panics in a node");
            let mut response = state.json(status, &json!({"message": "Error in TEST", "error": "told to refuse"}));
            if let Some(seconds) = retry_after {
                response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
            }
            return Ok(response);
        }
        Some(Act::MissConcern | Act::ForgetContext) | None => {}
    }
    let mut state = state.lock().expect("no test panics in a node");
    let mut response = state.on_key(&head, body);
    match act {
        Some(Act::MissConcern) => *response.status_mut() = StatusCode::ACCEPTED,
        Some(Act::ForgetContext) => drop(response.headers_mut().remove("causal-context")),
        _ => {}
    }
    Ok(response)
}

impl State {
    fn on_key(&mut self, head: &http::request::Parts, body: Bytes) -> Response<Full<Bytes>> {
        let seen = self.seen.last().expect("the request was recorded");
        let (key, is_raw) = (seen.key.clone(), head.uri.query().is_some_and(|q| q.split('&').any(|p| p == "raw")));
        let absent = json!({"message": "Error in TEST", "error": "Key does not exist", "doesExist": false});
        if head.method == Method::PUT {
            let content_type = head.headers[header::CONTENT_TYPE].to_str().expect("types are ASCII").to_owned();
            let entry = if is_raw {
                (body, content_type)
            } else {
                #[derive(Deserialize)]
                struct Envelope {
                    value: Box<RawValue>,
                }
                let envelope: Envelope = serde_json::from_slice(&body).expect("clients send valid JSON");
                (Bytes::from(envelope.value.get().to_owned()), content_type)
            };
            let replaced = self.entries.insert(key, entry).is_some();
            return self.json(if replaced { 200 } else { 201 }, &json!({"replaced": replaced}));
        }
        if head.method == Method::DELETE {
            return match self.entries.remove(&key) {
                Some(_) => self.json(200, &json!({"doesExist": true})),
                None => self.json(404, &absent),
            };
        }
        assert!(is_raw, "the client reads values as they are");
        match self.entries.get(&key).cloned() {
            Some((value, content_type)) => self.response(200, value, &content_type),
            None => self.json(404, &absent),
        }
    }

    fn other(&mut self, path: &str) -> Response<Full<Bytes>> {
        if path == "/kv-store/view-change" {
            let view = self.view.clone();
            return self.json(200, &view);
        }
        if path == "/kv-store/shards" {
            let ids: Vec<u32> = self.shards.iter().map(|shard| shard.0).collect();
            return self.json(200, &json!({"shards": ids}));
        }
        let id: Option<u32> = path.strip_prefix("/kv-store/shards/").and_then(|id| id.parse().ok());
        match self.shards.iter().find(|shard| Some(shard.0) == id).cloned() {
            Some((id, replicas)) => self.json(200, &json!({"shard-id": id, "replicas": replicas})),
            None => self.json(404, &json!({"message": "Error in GET", "error": "Shard does not exist"})),
        }
    }

    fn json(&mut self, status: u16, body: &Json) -> Response<Full<Bytes>> {
        self.response(status, body.to_string().into(), "application/json")
    }

    /// An answer with a context of its own: the answer's number and the node.
    fn response(&mut self, status: u16, body: Bytes, content_type: &str) -> Response<Full<Bytes>> {
        self.answers += 1;
        Response::builder()
            .status(status)
            .header(header::CONTENT_TYPE, content_type)
            .header("causal-context", format!("t{}@{}", self.answers, self.address))
            .header("precede-version", format!("v{}", self.answers))
            .header("precede-acks", "2")
            .header("precede-node", &self.address)
            .body(Full::new(body))
            .expect("the parts are valid")
    }
}
