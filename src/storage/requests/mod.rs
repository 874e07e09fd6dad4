//! Requests to stores over HTTP, whatever they speak: sent, sent again where that may help, and sorted by what came
//! back.
//!
//! What a request is signed with, and the tokens in its headers, are secrets: they are in no error and no log line.

mod in_order;
pub(super) mod key_file;
mod object;
mod refusal;
mod stream;
mod tls;

use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use ureq::http::request::Builder;
use ureq::http::{HeaderMap, Response, StatusCode};
use ureq::{Agent, Body, SendBody};

use crate::domain::num::to_u64;

use super::{Result, StorageError};

pub(super) use object::{Object, Ranges};
pub use refusal::Refusal;
pub(super) use stream::piece_reader;

use stream::Watched;

/// How long a store may be silent, unless set otherwise.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);
/// How long after a failure a request is sent again, unless set otherwise.
pub(super) const RETRY_AFTER: Duration = Duration::from_millis(250);
/// How often a request is sent, in all.
const ATTEMPTS: u32 = 5;
/// The longest answer that is read into memory.
const LONGEST_ANSWER: u64 = 16 << 20;

/// How a store is reached.
#[derive(Debug)]
pub(super) struct Requests {
    agent: Agent,
    retry_after: Duration,
    /// Never notified: waiting on it is a sleep.
    timer: (Mutex<()>, Condvar),
}

/// What is sent.
#[derive(Clone, Copy)]
pub(super) enum Content<'a> {
    Nothing,
    Bytes(&'a [u8]),
    /// What this makes anew for each attempt, and how long it is.
    Stream(&'a dyn Fn() -> Box<dyn Read + 'a>, u64),
}

/// What a request is about, for errors.
#[derive(Debug, Clone, Copy)]
pub(super) struct About<'a> {
    pub(super) action: &'static str,
    pub(super) what: &'a str,
}

/// A request, as it is made for each attempt.
pub(super) struct Call<'a, 'c> {
    pub(super) about: About<'a>,
    pub(super) content: Content<'c>,
    pub(super) make: &'a dyn Fn() -> Builder,
    /// What a status means that is none of success, with the headers and the text of the answer.
    pub(super) sort: &'a dyn Fn(StatusCode, &HeaderMap, &str) -> Refusal,
}

/// An answer whose body was read.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub(super) fn text(&self) -> &str {
        str::from_utf8(&self.body).unwrap_or_default()
    }
}

/// Why an attempt failed.
#[derive(Debug)]
enum Fault {
    Refused(Refusal),
    /// Nothing, or only a part of an answer, came back.
    Broken(String),
    /// What was to be sent cannot be read.
    Source(io::Error),
}

impl Requests {
    /// `patience`: how long a store may take for the next piece of an answer. `retry_after`: how long after a first
    /// failure a request is sent again; longer after each further one.
    pub(super) fn new(
        ca_file: Option<&Path>,
        patience: Duration,
        retry_after: Duration,
    ) -> Result<Self> {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_resolve(Some(Duration::from_secs(20)))
            .timeout_connect(Some(Duration::from_secs(20)))
            .timeout_per_read(Some(patience))
            .timeout_per_write(Some(patience))
            .max_idle_connections(2)
            .tls_config(tls::config(ca_file)?)
            .build();
        Ok(Self { agent: config.into(), retry_after, timer: Default::default() })
    }

    /// Sends a request until it is answered, at most a few times. `read` takes the answer's body as it comes.
    pub(super) fn run<T>(
        &self,
        call: &Call<'_, '_>,
        mut read: impl FnMut(Response<Body>) -> io::Result<T>,
    ) -> Result<T> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let fault = match self.attempt(call, &mut read) {
                Ok(answer) => return Ok(answer),
                Err(fault) => fault,
            };
            let again = match &fault {
                Fault::Refused(refusal) => refusal.may_pass(),
                Fault::Broken(_) => true,
                Fault::Source(_) => false,
            };
            if !again || attempt >= ATTEMPTS {
                return Err(call.about.failed(fault));
            }
            self.pause(attempt);
        }
    }

    /// Longer after each attempt, and not the same for all who wait.
    fn pause(&self, attempt: u32) {
        let longest = self.retry_after.saturating_mul(1 << attempt.min(6));
        let (mutex, timer) = &self.timer;
        timer.wait_for(&mut mutex.lock(), longest.mul_f64(0.5 + fastrand::f64() / 2.0));
    }

    fn attempt<T>(
        &self,
        call: &Call<'_, '_>,
        read: &mut impl FnMut(Response<Body>) -> io::Result<T>,
    ) -> Result<T, Fault> {
        let request = (call.make)();
        let answered = match call.content {
            Content::Nothing => {
                request.body(()).map_err(ureq::Error::from).and_then(|it| self.agent.run(it))
            }
            Content::Bytes(bytes) => {
                request.body(bytes).map_err(ureq::Error::from).and_then(|it| self.agent.run(it))
            }
            Content::Stream(make, length) => {
                let mut stream = Watched { inner: make(), failure: None };
                let request = request.header("content-length", length);
                let body = SendBody::from_reader(&mut stream);
                let answered =
                    request.body(body).map_err(ureq::Error::from).and_then(|it| self.agent.run(it));
                if let Some(failure) = stream.failure {
                    return Err(Fault::Source(failure));
                }
                answered
            }
        };
        let mut response = answered.map_err(|error| Fault::Broken(shown(&error)))?;
        let status = response.status();
        if status.is_success() {
            return read(response).map_err(|error| Fault::Broken(error.to_string()));
        }
        let body = response.body_mut().with_config().limit(LONGEST_ANSWER).read_to_string();
        let text = body.unwrap_or_default();
        Err(Fault::Refused((call.sort)(status, response.headers(), &text)))
    }
}

impl About<'_> {
    fn failed(self, fault: Fault) -> StorageError {
        let (action, what) = (self.action, self.what.to_owned());
        match fault {
            Fault::Refused(Refusal::NoObject) => StorageError::NotFound { what },
            Fault::Refused(Refusal::Taken) => StorageError::Exists { what },
            Fault::Refused(refusal) => StorageError::Refused { action, what, refusal },
            Fault::Broken(why) => StorageError::Unreachable { action, what, why },
            Fault::Source(source) => StorageError::Io { action: "reading", what, source },
        }
    }

    pub(super) fn refused(self, refusal: Refusal) -> StorageError {
        self.failed(Fault::Refused(refusal))
    }

    pub(super) fn unclear(self, why: impl Into<String>) -> StorageError {
        self.failed(Fault::Broken(why.into()))
    }
}

/// An error of the HTTP client without the URL of the request.
fn shown(error: &ureq::Error) -> String {
    match error {
        ureq::Error::BadUri(_url) => "its address is not one that can be asked".to_owned(),
        other => other.to_string(),
    }
}

/// The whole of an answer. One that was cut off is an error.
pub(super) fn read_answer(mut response: Response<Body>) -> io::Result<Answer> {
    let mut body = Vec::new();
    let expected = response.body().content_length();
    let mut reader = response.body_mut().as_reader().take(LONGEST_ANSWER);
    reader.read_to_end(&mut body)?;
    if expected.is_some_and(|expected| expected != to_u64(body.len())) && !body.is_empty() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Answer { headers: response.headers().clone(), body })
}
