//! The name of a request, which Swift repeats in its answer.

use std::io;

use ureq::Body;
use ureq::http::request::Builder;
use ureq::http::{HeaderMap, Response};

/// What every name begins with.
const MARK: &str = "-coffer-";

/// It tells the answer to a request from one to another, which something on the way repeats.
#[derive(Debug)]
pub(super) struct Name(String);

impl Name {
    pub(super) fn new() -> Self {
        Self(format!("{MARK}{:016x}", fastrand::u64(..)))
    }

    /// The request with its name.
    pub(super) fn on(&self, request: Builder) -> Builder {
        request.header("x-trans-id-extra", self.0.trim_start_matches('-'))
    }

    /// Whether this answers another request. A store that is not Swift may say nothing of which it answers.
    pub(super) fn is_not_in(&self, headers: &HeaderMap) -> bool {
        let said = headers.get("x-trans-id").and_then(|it| it.to_str().ok()).unwrap_or_default();
        said.contains(MARK) && !said.ends_with(&self.0)
    }

    /// Fails if this answers another request.
    pub(super) fn require(&self, response: &Response<Body>) -> io::Result<()> {
        if self.is_not_in(response.headers()) {
            return Err(io::Error::other("the answer is one to another request"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_to_another_request_is_known_by_its_name() {
        let with = |id: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("x-trans-id", id.parse().unwrap());
            headers
        };
        let name = Name("-coffer-0a".to_owned());
        assert!(!name.is_not_in(&with("tx1-2-coffer-0a")));
        assert!(name.is_not_in(&with("tx1-2-coffer-0b")));
        for other in [with("tx1-2"), HeaderMap::new()] {
            assert!(!name.is_not_in(&other), "it does not say");
        }
    }
}
