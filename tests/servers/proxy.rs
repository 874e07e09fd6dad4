//! A proxy between a program and an HTTP server that breaks what goes through it: by the numbers of a seed, it drops
//! connections before, in and after a request, cuts answers off, delays them, says a wrong length, repeats the answer to an
//! earlier request, loses what is written and says that it was not, and answers itself that the server is overloaded.
//!
//! A test includes this file with `#[path = "servers/proxy.rs"]`; it needs nothing else of the project.

#![allow(dead_code, reason = "each test uses a part of this")]

use std::collections::HashMap;
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// Of a hundred connections so many are broken.
const BROKEN: u64 = 40;

/// What is done to a connection.
#[derive(Debug, Clone, Copy)]
enum Fault {
    None,
    /// It ends before anything arrives.
    Refuse,
    /// It ends after so many bytes of the request.
    CutRequest(u64),
    /// The server does what it was asked for, and the answer is lost after so many bytes.
    CutAnswer(u64),
    /// This status instead of the server's answer.
    Answer(&'static str),
    /// The answer comes so many milliseconds later.
    Delay(u64),
    /// The answer says that it is so much longer than it is.
    Length(i64),
    /// What is written is lost, and the answer says that it arrived.
    Lose,
    /// The last answer to a request of the same method.
    Repeat,
}

/// A running proxy. Its thread ends with the process.
#[derive(Debug)]
pub(crate) struct Proxy {
    base: String,
    seed: Arc<AtomicU64>,
    watch: Arc<Watch>,
}

/// What is held up, and what has come by.
#[derive(Debug, Default)]
struct Watch {
    held: Mutex<Option<String>>,
    /// Of the next request with this text the answer is lost.
    unanswered: Mutex<Option<String>>,
    released: Condvar,
    requests: Mutex<Vec<String>>,
    /// The last answer to each method.
    answers: Mutex<HashMap<String, Vec<u8>>>,
}

impl Watch {
    /// Takes note of a request, and holds it up for as long as those like it are.
    fn see(&self, request: &str) {
        self.requests.lock().unwrap().push(request.to_owned());
        let held = self.held.lock().unwrap();
        let is_held =
            |held: &mut Option<String>| held.as_ref().is_some_and(|it| request.contains(it));
        drop(self.released.wait_while(held, is_held).unwrap());
    }

    /// Whether the answer to this request is to be lost. Only that to the first of its kind is.
    fn loses_answer_to(&self, request: &str) -> bool {
        self.unanswered.lock().unwrap().take_if(|it| request.contains(&**it)).is_some()
    }
}

impl Proxy {
    /// One in front of this address. Connections through it carry one request each.
    pub(crate) fn before(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let (server, seed) = (server.to_owned(), Arc::new(AtomicU64::new(0)));
        let (shared, watch) = (Arc::clone(&seed), Arc::<Watch>::default());
        let watched = Arc::clone(&watch);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (server, fault) = (server.clone(), fault(&shared));
                let watch = Arc::clone(&watched);
                std::thread::spawn(move || pass(&client, &server, fault, &watch));
            }
        });
        Self { base, seed, watch }
    }

    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// Holds up requests whose first line has this text; `None`: lets all pass.
    pub(crate) fn hold(&self, text: Option<&str>) {
        *self.watch.held.lock().unwrap() = text.map(str::to_owned);
        self.watch.released.notify_all();
    }

    /// The next request whose first line has this text reaches the server, and its answer is lost.
    pub(crate) fn lose_answer_to(&self, text: &str) {
        *self.watch.unanswered.lock().unwrap() = Some(text.to_owned());
    }

    /// How many requests have come by whose first line has this text.
    pub(crate) fn seen(&self, text: &str) -> usize {
        self.watch.requests.lock().unwrap().iter().filter(|it| it.contains(text)).count()
    }

    /// From now on connections are broken by this seed; 0: none is.
    pub(crate) fn break_by(&self, seed: u64) {
        self.seed.store(seed, Ordering::SeqCst);
    }
}

/// What is done to the next connection.
fn fault(seed: &AtomicU64) -> Fault {
    let next = |state: u64| {
        (state != 0).then(|| {
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407)
                | 1
        })
    };
    let Ok(state) = seed.fetch_update(Ordering::SeqCst, Ordering::SeqCst, next) else {
        return Fault::None;
    };
    let drawn = state >> 33;
    if drawn % 100 >= BROKEN {
        return Fault::None;
    }
    let bytes = (drawn >> 8) % 2_000_000;
    match (drawn / 100) % 13 {
        0 => Fault::Refuse,
        1 => Fault::CutRequest(bytes),
        2 => Fault::CutAnswer(bytes % 400),
        3 => Fault::CutAnswer(0),
        4 => Fault::Answer("500 Internal Server Error"),
        5 => Fault::Answer("503 Slow Down"),
        6 => Fault::Answer("429 Too Many Requests"),
        7 => Fault::Delay(bytes % 20),
        8 => Fault::Length(7),
        9 => Fault::Length(-7),
        10 => Fault::Lose,
        11 => Fault::CutAnswer(bytes),
        _ => Fault::Repeat,
    }
}

fn pass(client: &TcpStream, server: &str, fault: Fault, watch: &Watch) {
    // A connection that breaks is what this is for.
    drop(try_pass(client, server, fault, watch));
    drop(client.shutdown(Shutdown::Both));
}

fn read_head(mut client: &TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

fn body_length(head: &str) -> u64 {
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    });
    length.unwrap_or(0)
}

fn try_pass(mut client: &TcpStream, server: &str, fault: Fault, watch: &Watch) -> io::Result<()> {
    if matches!(fault, Fault::Refuse) {
        return Ok(());
    }
    let text = read_head(client)?;
    watch.see(text.lines().next().unwrap_or_default());
    let length = body_length(&text);
    let method = text.split(' ').next().unwrap_or_default().to_owned();
    if matches!(fault, Fault::Lose) && method == "PUT" {
        io::copy(&mut client.take(length), &mut io::sink())?;
        let lost =
            "HTTP/1.1 200 OK\r\nConnection: close\r\nETag: \"lost\"\r\nContent-Length: 0\r\n\r\n";
        return client.write_all(lost.as_bytes());
    }
    let repeated = match fault {
        Fault::Repeat => watch.answers.lock().unwrap().get(&method).cloned(),
        _ => None,
    };
    if let Some(answer) = repeated {
        io::copy(&mut client.take(length), &mut io::sink())?;
        return client.write_all(&answer);
    }
    if let Fault::Answer(status) = fault {
        io::copy(&mut client.take(length), &mut io::sink())?;
        let body = "<Error><Code>SlowDown</Code></Error>";
        return write!(
            client,
            "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
    }
    let mut upstream = TcpStream::connect(server)?;
    // One request a connection, so that its end is that of the answer.
    let head = text.replacen("\r\n", "\r\nConnection: close\r\n", 1);
    upstream.write_all(head.as_bytes())?;
    let arriving = if let Fault::CutRequest(bytes) = fault { length.min(bytes) } else { length };
    io::copy(&mut client.take(arriving), &mut upstream)?;
    if arriving < length {
        return upstream.shutdown(Shutdown::Both);
    }
    let mut answer = Vec::new();
    upstream.read_to_end(&mut answer)?;
    if watch.loses_answer_to(text.lines().next().unwrap_or_default()) {
        return Ok(());
    }
    watch.answers.lock().unwrap().insert(method, answer.clone());
    match fault {
        Fault::CutAnswer(bytes) => {
            let cut = answer.get(..usize::try_from(bytes).unwrap());
            client.write_all(cut.unwrap_or(&answer[..answer.len() / 2]))
        }
        Fault::Delay(milliseconds) => {
            #[expect(clippy::disallowed_methods, reason = "a slow network")]
            std::thread::sleep(Duration::from_millis(milliseconds));
            client.write_all(&answer)
        }
        Fault::Length(more) => client.write_all(&with_length(&answer, more)),
        _ => client.write_all(&answer),
    }
}

/// An answer that says that it is so much longer than it is.
fn with_length(answer: &[u8], more: i64) -> Vec<u8> {
    let end = answer.windows(4).position(|it| it == b"\r\n\r\n").unwrap_or(answer.len());
    let (head, rest) = answer.split_at(end);
    let lines = String::from_utf8_lossy(head).into_owned();
    let lines = lines.split("\r\n").map(|line| match line.split_once(':') {
        Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
            let length: i64 = value.trim().parse().unwrap_or(0);
            format!("{name}: {}", (length + more).max(0))
        }
        _ => line.to_owned(),
    });
    [lines.collect::<Vec<_>>().join("\r\n").as_bytes(), rest].concat()
}
