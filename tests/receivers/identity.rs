//! An HTTP server that answers as OpenStack's Keystone does when it is asked about a token, or in a way that is wrong.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use rustls::ServerConfig;
use serde_json::{Value, json};

use super::tls::{Authority, Connection, accepted};

/// How it answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Manner {
    /// As Keystone does.
    Right,
    /// Not until this is changed.
    Held,
    /// This status with this body.
    Status(u16, String),
    /// The beginning of an answer.
    Cut,
    /// That what is asked for is at this address.
    Elsewhere(String),
    /// What is no HTTP.
    Noise,
}

#[derive(Debug)]
struct Shared {
    tokens: Mutex<HashMap<String, Value>>,
    manner: Mutex<Manner>,
    changed: Condvar,
    /// The token and the path of each request.
    asked: Mutex<Vec<(String, String)>>,
    stopping: AtomicBool,
}

/// It answers until this value is dropped.
#[derive(Debug)]
pub(crate) struct IdentityServer {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl IdentityServer {
    pub(crate) fn start() -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap())
    }

    /// At the address of one that was dropped.
    pub(crate) fn start_at(address: SocketAddr) -> Self {
        Self::start_with(address, None)
    }

    /// By TLS, with the certificate of this authority.
    pub(crate) fn start_by_tls(authority: &Authority) -> Self {
        Self::start_with("127.0.0.1:0".parse().unwrap(), Some(authority.server()))
    }

    fn start_with(address: SocketAddr, tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let shared = Arc::new(Shared {
            tokens: Mutex::default(),
            manner: Mutex::new(Manner::Right),
            changed: Condvar::new(),
            asked: Mutex::default(),
            stopping: AtomicBool::new(false),
        });
        let address = listener.local_addr().unwrap();
        let seen = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if seen.stopping.load(Ordering::SeqCst) {
                    return;
                }
                let (shared, tls) = (Arc::clone(&seen), tls.clone());
                thread::spawn(move || {
                    stream.ok().and_then(|it| serve(accepted(tls.as_ref(), it), &shared))
                });
            }
        });
        Self { address, shared }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/v3", self.address)
    }

    /// By TLS, under this name of this machine.
    pub(crate) fn tls_url(&self, name: &str) -> String {
        format!("https://{name}:{}/v3", self.address.port())
    }

    /// From now on it knows this token, of a user `mia` with these roles in the project.
    pub(crate) fn add(&self, token: &str, project: &str, roles: &[&str]) {
        let roles: Vec<_> = roles.iter().map(|it| json!({"id": "r", "name": it})).collect();
        let project =
            json!({"id": project, "name": "demo", "domain": {"id": "default", "name": "Default"}});
        self.set(token, json!({"project": project, "roles": roles}));
    }

    /// The same for no project.
    pub(crate) fn add_unscoped(&self, token: &str) {
        self.set(token, json!({}));
    }

    fn set(&self, token: &str, mut fields: Value) {
        fields["methods"] = json!(["password"]);
        fields["expires_at"] = json!("2999-01-01T00:00:00.000000Z");
        fields["user"] =
            json!({"id": "u1", "name": "mia", "domain": {"id": "default", "name": "Default"}});
        self.shared.tokens.lock().unwrap().insert(token.to_owned(), json!({"token": fields}));
    }

    pub(crate) fn revoke(&self, token: &str) {
        self.shared.tokens.lock().unwrap().remove(token);
    }

    pub(crate) fn answer(&self, manner: Manner) {
        *self.shared.manner.lock().unwrap() = manner;
        self.shared.changed.notify_all();
    }

    /// How often it was asked about this token.
    pub(crate) fn asked(&self, token: &str) -> usize {
        self.shared.asked.lock().unwrap().iter().filter(|(of, _)| of == token).count()
    }

    /// The paths that it was asked for.
    pub(crate) fn paths(&self) -> Vec<String> {
        self.shared.asked.lock().unwrap().iter().map(|(_, path)| path.clone()).collect()
    }
}

impl Drop for IdentityServer {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        self.answer(Manner::Noise);
        // Wakes the thread.
        drop(TcpStream::connect(self.address));
    }
}

/// Reads a request and answers it.
fn serve(stream: Box<dyn Connection>, shared: &Shared) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let path = line.split_whitespace().nth(1)?.to_owned();
    let mut tokens = [String::new(), String::new()];
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "x-auth-token" => value.clone_into(&mut tokens[0]),
            "x-subject-token" => value.clone_into(&mut tokens[1]),
            _ => {}
        }
    }
    shared.asked.lock().unwrap().push((tokens[0].clone(), path.clone()));
    let manner = shared.manner.lock().unwrap();
    let manner = shared.changed.wait_while(manner, |it| *it == Manner::Held).unwrap().clone();
    let mut stream = reader.into_inner();
    match manner {
        Manner::Right | Manner::Held => {
            let (status, body) = right(shared, &path, &tokens);
            send(&mut stream, status, "", &body)
        }
        Manner::Status(status, body) => send(&mut stream, status, "", &body),
        Manner::Cut => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"token\": {").ok()
        }
        Manner::Elsewhere(url) => send(&mut stream, 302, &format!("Location: {url}\r\n"), ""),
        Manner::Noise => stream.write_all(b"220 mail.example.org ESMTP\r\n").ok(),
    }
}

fn right(shared: &Shared, path: &str, [auth, subject]: &[String; 2]) -> (u16, String) {
    let error = |code: u16| {
        json!({"error": {"code": code, "message": "The request you have made requires authentication.",
            "title": "Unauthorized"}})
    };
    if path == "/v3" {
        return (200, json!({"version": {"id": "v3.14", "status": "stable"}}).to_string());
    }
    let tokens = shared.tokens.lock().unwrap();
    match tokens.get(auth).filter(|_| auth == subject && path == "/v3/auth/tokens?nocatalog") {
        Some(token) => (200, token.to_string()),
        None => (401, error(401).to_string()),
    }
}

fn send(stream: &mut impl Write, status: u16, headers: &str, body: &str) -> Option<()> {
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status} X\r\n{headers}Content-Type: application/json\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{body}"
    )
    .ok()
}
