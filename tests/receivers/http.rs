//! An HTTP server that remembers what it got, and answers as a test wants.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use rustls::ServerConfig;
use serde_json::Value;

use super::listener::Listener;
use super::tls::{Authority, Connection, accepted};

/// A request.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) path: String,
    /// By names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Received {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

#[derive(Debug, Default)]
struct Memory {
    received: Mutex<Vec<Received>>,
    /// Answers to the next requests; then all get 200.
    answers: Mutex<VecDeque<(u16, String)>>,
    /// Whether requests get no answer at all.
    silent: AtomicBool,
}

/// A server that runs until this value is dropped.
#[derive(Debug)]
pub(crate) struct HttpReceiver {
    scheme: &'static str,
    listener: Listener,
    memory: Arc<Memory>,
}

impl HttpReceiver {
    pub(crate) fn start() -> Self {
        Self::start_with("http", None)
    }

    /// By TLS, with a certificate of this authority.
    pub(crate) fn start_tls(authority: &Authority) -> Self {
        Self::start_with("https", Some(authority.server()))
    }

    fn start_with(scheme: &'static str, tls: Option<Arc<ServerConfig>>) -> Self {
        let memory = Arc::new(Memory::default());
        let seen = Arc::clone(&memory);
        // Those that get no answer stay open.
        let mut kept = Vec::new();
        let listener = Listener::start(move |stream| {
            kept.extend(serve(accepted(tls.as_ref(), stream), &seen));
        });
        Self { scheme, listener, memory }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.listener.address)
    }

    /// How the next request is answered.
    pub(crate) fn answer_next(&self, status: u16, text: &str) {
        self.memory.answers.lock().unwrap().push_back((status, text.to_owned()));
    }

    /// From now on requests get no answer, or get one again.
    pub(crate) fn set_silent(&self, silent: bool) {
        self.memory.silent.store(silent, Ordering::SeqCst);
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.memory.received.lock().unwrap().clone()
    }
}

/// Reads a request and answers it; gives the connection back if it is to get no answer.
fn serve(connection: Box<dyn Connection>, memory: &Memory) -> Option<Box<dyn Connection>> {
    let mut reader = BufReader::new(connection);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let path = line.split_whitespace().nth(1)?.to_owned();
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let length = headers.get("content-length").and_then(|it| it.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body = String::from_utf8_lossy(&body).into_owned();
    memory.received.lock().unwrap().push(Received { path, headers, body });
    if memory.silent.load(Ordering::SeqCst) {
        return Some(reader.into_inner());
    }
    let answer = memory.answers.lock().unwrap().pop_front();
    let (status, text) = answer.unwrap_or((200, "thanks".to_owned()));
    let length = text.len();
    let connection = reader.get_mut();
    write!(
        connection,
        "HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{text}"
    )
    .ok()?;
    connection.flush().ok()?;
    None
}
