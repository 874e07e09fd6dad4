//! Many connections that ask at the same time, again and again. Also part of the bench.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

/// How long an answer may take before a connection is given up.
const LONGEST: Duration = Duration::from_secs(60);
/// How often an idle crowd looks whether it is over.
const MOMENT: Duration = Duration::from_millis(20);

/// Connections, and what they ask.
#[derive(Debug)]
pub(crate) struct Readers<'a> {
    pub(crate) address: &'a str,
    pub(crate) connections: usize,
    /// Each connection sends the next of these in each round.
    pub(crate) requests: &'a [String],
    /// After so many rounds they are idle.
    pub(crate) rounds: usize,
}

impl Readers<'_> {
    /// Asks until `ended`, and counts the answers. A connection that ends is opened again.
    pub(crate) fn run(&self, ended: &AtomicBool, answers: &AtomicU64) {
        let mut streams: Vec<Option<TcpStream>> = (0..self.connections).map(|_| None).collect();
        for round in 0..self.rounds {
            let numbered = streams.iter_mut().zip(self.requests.iter().cycle().skip(round));
            for (stream, request) in numbered {
                let mut open = stream.take().or_else(|| self.connect());
                let sent = open.as_mut().map(|it| it.write_all(request.as_bytes()));
                *stream = open.filter(|_| matches!(sent, Some(Ok(()))));
            }
            for stream in &mut streams {
                if ended.load(Ordering::Acquire) {
                    return;
                }
                let answered = stream.as_mut().is_some_and(has_answer);
                answers.fetch_add(answered.into(), Ordering::Relaxed);
                stream.take_if(|_| !answered);
            }
        }
        while !ended.load(Ordering::Acquire) {
            thread::park_timeout(MOMENT);
        }
    }

    fn connect(&self) -> Option<TcpStream> {
        let stream = TcpStream::connect(self.address).ok()?;
        stream.set_read_timeout(Some(LONGEST)).ok()?;
        Some(stream)
    }
}

/// Reads an answer, which must have a length, and says whether it was the one that was asked for.
fn has_answer(stream: &mut TcpStream) -> bool {
    let (mut answer, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        let text = String::from_utf8_lossy(&answer);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|it| it.strip_prefix("content-length: "));
            let length = length.and_then(|it| it.parse::<usize>().ok()).unwrap_or(0);
            if body.len() >= length {
                return head.starts_with("HTTP/1.1 200");
            }
        }
        match stream.read(&mut piece) {
            Ok(bytes @ 1..) => answer.extend(piece.iter().take(bytes)),
            Ok(0) | Err(_) => return false,
        }
    }
}
