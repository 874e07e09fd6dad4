//! Requests to a store: signed, sent, sent again where that may help, and sorted by what came back.
//!
//! A signed URL is a secret for as long as it is valid: it is in no error and no log line.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use parking_lot::{Condvar, Mutex};
use rusty_s3::S3Action;
use ureq::http::request::Builder;
use ureq::http::{HeaderMap, Request, Response};
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body, SendBody};

use crate::domain::num::to_u64;
use crate::storage::{Result, StorageError};

use super::S3Settings;
use super::answer::{Refusal, element};

/// How long a signed request may be on its way.
const VALID: Duration = Duration::from_secs(3600);
/// How often a request is sent, in all.
const ATTEMPTS: u32 = 5;
/// The longest answer that is read into memory.
const LONGEST_ANSWER: u64 = 16 << 20;

/// A store, and how it is reached.
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

/// What a request is about, for errors.
#[derive(Debug, Clone, Copy)]
pub(super) struct About<'a> {
    pub(super) action: &'static str,
    pub(super) what: &'a str,
}

impl Requests {
    pub(super) fn new(settings: &S3Settings) -> Result<Self> {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_resolve(Some(Duration::from_secs(20)))
            .timeout_connect(Some(Duration::from_secs(20)))
            .timeout_per_read(Some(settings.patience))
            .timeout_per_write(Some(settings.patience))
            .max_idle_connections(2)
            .tls_config(tls(settings)?)
            .build();
        Ok(Self {
            agent: config.into(),
            retry_after: settings.retry_after,
            timer: Default::default(),
        })
    }

    /// Sends a request until it is answered, at most a few times. `make` makes it for these keys.
    pub(super) fn send<'k, A: S3Action<'k>>(
        &self,
        about: About<'_>,
        headers: &[(&'static str, String)],
        content: Content<'_>,
        make: impl Fn() -> A,
    ) -> Result<Answer, StorageError> {
        self.send_with(about, (headers, content), make, read_answer)
    }

    /// The same, with a body that `read` takes as it comes.
    pub(super) fn send_with<'k, A: S3Action<'k>, T>(
        &self,
        about: About<'_>,
        (headers, content): (&[(&'static str, String)], Content<'_>),
        make: impl Fn() -> A,
        mut read: impl FnMut(Response<Body>) -> io::Result<T>,
    ) -> Result<T, StorageError> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let mut action = make();
            for (name, value) in headers.iter().filter(|(name, _)| is_signed(name)) {
                action.headers_mut().insert(*name, value.clone());
            }
            let url = action.sign(VALID);
            let mut request = Request::builder().method(method_of::<A>()).uri(url.as_str());
            for (name, value) in headers {
                request = request.header(*name, value);
            }
            let fault = match self.attempt(request, content, &mut read) {
                Ok(answer) => return Ok(answer),
                Err(fault) => fault,
            };
            let again = match &fault {
                Fault::Refused(refusal) => refusal.may_pass(),
                Fault::Broken(_) => true,
                Fault::Source(_) => false,
            };
            if !again || attempt >= ATTEMPTS {
                return Err(about.failed(fault));
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
        request: Builder,
        content: Content<'_>,
        read: &mut impl FnMut(Response<Body>) -> io::Result<T>,
    ) -> Result<T, Fault> {
        let answered = match content {
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
        let code = body.ok().and_then(|it| element(&it, "Code").map(str::to_owned));
        Err(Fault::Refused(Refusal::new(status, &code.unwrap_or_default())))
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

/// The SHA-256 of what is sent, with which a store compares what arrives.
pub(super) fn checksum_header(sha256: &[u8; 32]) -> (&'static str, String) {
    ("x-amz-checksum-sha256", BASE64_STANDARD.encode(sha256))
}

/// Whether a header is a part of the signature.
fn is_signed(name: &str) -> bool {
    name.starts_with("x-amz-") || name == "if-none-match"
}

fn method_of<'k, A: S3Action<'k>>() -> &'static str {
    match A::METHOD {
        rusty_s3::Method::Head => "HEAD",
        rusty_s3::Method::Get => "GET",
        rusty_s3::Method::Post => "POST",
        rusty_s3::Method::Put => "PUT",
        rusty_s3::Method::Delete => "DELETE",
    }
}

/// An error of the HTTP client without the URL of the request.
fn shown(error: &ureq::Error) -> String {
    match error {
        ureq::Error::BadUri(_url) => "its address is not one that can be asked".to_owned(),
        other => other.to_string(),
    }
}

fn read_answer(mut response: Response<Body>) -> io::Result<Answer> {
    let mut body = Vec::new();
    let expected = response.body().content_length();
    let mut reader = response.body_mut().as_reader().take(LONGEST_ANSWER);
    reader.read_to_end(&mut body)?;
    if expected.is_some_and(|expected| expected != to_u64(body.len())) && !body.is_empty() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Answer { headers: response.headers().clone(), body })
}

fn tls(settings: &S3Settings) -> Result<TlsConfig> {
    let builder = TlsConfig::builder();
    let Some(path) = &settings.ca_file else { return Ok(builder.build()) };
    let failed = |source| StorageError::Io {
        action: "reading the certificates in",
        what: path.display().to_string(),
        source,
    };
    let pem = std::fs::read(path).map_err(failed)?;
    let certificates = parse_pem(&pem).filter_map(|item| match item {
        Ok(PemItem::Certificate(certificate)) => Some(Ok(certificate)),
        Ok(_other) => None,
        Err(error) => Some(Err(io::Error::other(shown(&error)))),
    });
    let certificates = certificates.collect::<io::Result<Vec<_>>>().map_err(failed)?;
    if certificates.is_empty() {
        let why = "there is none in it; it has to be a PEM file";
        return Err(failed(io::Error::new(io::ErrorKind::InvalidData, why)));
    }
    Ok(builder.root_certs(RootCerts::Specific(Arc::new(certificates))).build())
}

/// Remembers why what was to be sent could not be read: the HTTP client does not tell that from a broken connection.
struct Watched<'a> {
    inner: Box<dyn Read + 'a>,
    failure: Option<io::Error>,
}

impl Read for Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buffer).map_err(|error| {
            let again = io::Error::new(error.kind(), "the source cannot be read");
            self.failure = Some(error);
            again
        })
    }
}
