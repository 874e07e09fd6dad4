//! Requests to a store, signed.
//!
//! A signed URL is a secret for as long as it is valid.

use std::io;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rusty_s3::S3Action;
use ureq::Body;
use ureq::http::{HeaderMap, Request, Response, StatusCode};

use crate::storage::Result;
use crate::storage::requests::{About, Answer, Call, Content, Refusal, Requests, read_answer};

use super::answer::{self, element};

/// How long a signed request may be on its way.
const VALID: Duration = Duration::from_secs(3600);

/// Requests that are signed with the keys of a store.
#[derive(Debug)]
pub(super) struct Signed(Requests);

impl Signed {
    pub(super) fn new(requests: Requests) -> Self {
        Self(requests)
    }

    /// Sends a request until it is answered, at most a few times. `make` makes it for these keys.
    pub(super) fn send<'k, A: S3Action<'k>>(
        &self,
        about: About<'_>,
        headers: &[(&'static str, String)],
        content: Content<'_>,
        make: impl Fn() -> A,
    ) -> Result<Answer> {
        self.send_with(about, (headers, content), make, read_answer)
    }

    /// The same, with a body that `read` takes as it comes.
    pub(super) fn send_with<'k, A: S3Action<'k>, T>(
        &self,
        about: About<'_>,
        (headers, content): (&[(&'static str, String)], Content<'_>),
        make: impl Fn() -> A,
        read: impl FnMut(Response<Body>) -> io::Result<T>,
    ) -> Result<T> {
        let make = || {
            let mut action = make();
            for (name, value) in headers.iter().filter(|(name, _)| is_signed(name)) {
                action.headers_mut().insert(*name, value.clone());
            }
            let url = action.sign(VALID);
            let request = Request::builder().method(method_of::<A>()).uri(url.as_str());
            headers.iter().fold(request, |request, (name, value)| request.header(*name, value))
        };
        self.0.run(&Call { about, content, make: &make, sort: &sort }, read)
    }
}

fn sort(status: StatusCode, _headers: &HeaderMap, text: &str) -> Refusal {
    answer::refusal(status, element(text, "Code").unwrap_or_default())
}

/// The SHA-256 of what is sent, with which a store compares what arrives.
pub(super) fn checksum_header(sha256: &[u8; 32]) -> (&'static str, String) {
    ("x-amz-checksum-sha256", BASE64_STANDARD.encode(sha256))
}

/// The same of a whole object. Where objects are locked, one is taken only if its checksum is announced so, too.
pub(super) fn checksum_headers(sha256: &[u8; 32]) -> [(&'static str, String); 2] {
    [checksum_header(sha256), ("x-amz-sdk-checksum-algorithm", "SHA256".to_owned())]
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
