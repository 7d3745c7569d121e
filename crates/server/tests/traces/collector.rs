//! A collector of traces on a real socket: OTLP over HTTP, with bodies of JSON.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::Value;

use crate::cluster::wait_for;

/// What was received.
pub struct Collector {
    /// What nodes are told.
    pub endpoint: String,
    spans: Arc<Mutex<Vec<Span>>>,
}

/// A span, and who sent it.
#[derive(Debug, Clone)]
pub struct Span {
    pub node: String,
    pub service: String,
    pub json: Value,
}

impl Span {
    pub fn text(&self, field: &str) -> &str {
        self.json[field].as_str().unwrap()
    }

    pub fn nanos(&self, field: &str) -> u64 {
        self.text(field).parse().unwrap()
    }

    /// The text of an attribute, or the digits of a number; empty if there is none.
    pub fn attribute(&self, key: &str) -> &str {
        attribute(&self.json, key)
    }
}

fn attribute<'a>(holder: &'a Value, key: &str) -> &'a str {
    let attributes = holder["attributes"].as_array().unwrap();
    let found = attributes.iter().find(|attribute| attribute["key"] == key);
    let value = found.map(|attribute| &attribute["value"]);
    value.and_then(|value| value["stringValue"].as_str().or(value["intValue"].as_str())).unwrap_or_default()
}

impl Collector {
    pub fn start() -> Self {
        Self::start_refusing(0).0
    }

    /// One that answers so many requests with 503 first; and how many it has.
    pub fn start_refusing(refuse: usize) -> (Self, impl Fn() -> usize) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let (spans, refused): (Arc<Mutex<Vec<Span>>>, _) = (Arc::default(), Arc::new(AtomicUsize::new(0)));
        let (all, count) = (Arc::clone(&spans), Arc::clone(&refused));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (all, count) = (Arc::clone(&all), Arc::clone(&count));
                std::thread::spawn(move || serve(stream.unwrap(), &all, &count, refuse));
            }
        });
        (Self { endpoint, spans }, move || refused.load(Ordering::Relaxed))
    }

    /// All spans so far.
    pub fn spans(&self) -> Vec<Span> {
        self.spans.lock().unwrap().clone()
    }

    pub fn wait_for_spans(&self, what: &str, is_enough: impl Fn(&[Span]) -> bool) -> Vec<Span> {
        wait_for(what, || Some(self.spans()).filter(|spans| is_enough(spans)))
    }
}

/// Takes what comes on a connection, as strictly as a collector would.
fn serve(mut stream: TcpStream, all: &Mutex<Vec<Span>>, refused: &AtomicUsize, refuse: usize) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    loop {
        let (mut length, mut is_json, mut line) = (0, false, String::new());
        if reader.read_line(&mut line).unwrap_or_default() == 0 {
            return;
        }
        assert_eq!(line, "POST /v1/traces HTTP/1.1\r\n");
        while line != "\r\n" {
            line.clear();
            reader.read_line(&mut line).unwrap();
            let (name, value) = line.split_once(':').unwrap_or_default();
            match name.to_lowercase().as_str() {
                "content-length" => length = value.trim().parse().unwrap(),
                "content-type" => is_json = value.trim() == "application/json",
                _ => {}
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        assert!(is_json && length > 0);
        if refused.load(Ordering::Relaxed) < refuse {
            refused.fetch_add(1, Ordering::Relaxed);
            stream.write_all(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n").unwrap();
            continue;
        }
        let body: Value = serde_json::from_slice(&body).unwrap();
        for of_node in body["resourceSpans"].as_array().unwrap() {
            let node = attribute(&of_node["resource"], "service.instance.id").to_owned();
            let service = attribute(&of_node["resource"], "service.name").to_owned();
            for scope in of_node["scopeSpans"].as_array().unwrap() {
                let spans = scope["spans"].as_array().unwrap().iter();
                let spans = spans.map(|json| Span { node: node.clone(), service: service.clone(), json: json.clone() });
                all.lock().unwrap().extend(spans);
            }
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}").unwrap();
    }
}
