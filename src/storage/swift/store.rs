//! A container, the names in it, and requests to it with a token.

use std::io;
use std::sync::Arc;

use parking_lot::Mutex;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use ureq::Body;
use ureq::http::{HeaderMap, Request, Response, StatusCode};
use url::Url;

use crate::domain::Location;
use crate::storage::requests::{
    About, Answer, Call, Content, Ranges, Refusal, Requests, read_answer,
};
use crate::storage::{Result, StorageError};

use super::SwiftSettings;
use super::name::Name;
use super::session::{self, Session};

/// What stands before the location of an archive.
const ARCHIVES: &str = "archives/";
/// What stands before the names of uploads that were begun.
const UPLOADS: &str = "uploads/";
/// What stands before the parts of archives.
const SEGMENTS: &str = "segments/";
/// What stands for itself in the path of a URL.
const PLAIN: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');

#[derive(Debug)]
pub(super) struct Store {
    pub(super) settings: SwiftSettings,
    requests: Requests,
    session: Mutex<Option<Arc<Session>>>,
}

/// A request to the container or, with a key, to an object in it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ask<'a> {
    pub(super) method: &'static str,
    pub(super) key: &'a str,
    pub(super) query: &'a str,
    pub(super) headers: &'a [(&'static str, String)],
}

impl<'a> Ask<'a> {
    pub(super) fn new(method: &'static str, key: &'a str) -> Self {
        Self { method, key, query: "", headers: &[] }
    }
}

impl Store {
    pub(super) fn new(settings: SwiftSettings) -> Result<Self> {
        let wrong = |why| StorageError::Unreachable {
            action: "finding",
            what: format!("the store of {}", settings.auth_url),
            why,
        };
        let url: Url = settings
            .auth_url
            .parse()
            .map_err(|error| wrong(format!("its auth_url is not a URL: {error}")))?;
        if !url.has_host() || !["http", "https"].contains(&url.scheme()) {
            return Err(wrong("its auth_url is neither http nor https with a host".to_owned()));
        }
        let ca_file = settings.ca_file.as_deref();
        let requests = Requests::new(ca_file, settings.patience, settings.retry_after)?;
        Ok(Self { settings, requests, session: Mutex::default() })
    }

    /// The same store below this folder of its prefix. It begins with the token at hand.
    pub(super) fn below(&self, folder: &str) -> Result<Self> {
        let settings = SwiftSettings { prefix: self.key(folder), ..self.settings.clone() };
        let session = Mutex::new(Some(self.session()?));
        Ok(Self { session, ..Self::new(settings)? })
    }

    /// The token at hand, or a new one.
    pub(super) fn session(&self) -> Result<Arc<Session>> {
        let mut known = self.session.lock();
        if let Some(session) = &*known {
            return Ok(Arc::clone(session));
        }
        let begun = Arc::new(session::begin(&self.requests, &self.settings)?);
        *known = Some(Arc::clone(&begun));
        Ok(begun)
    }

    fn forget(&self, session: &Arc<Session>) {
        let mut known = self.session.lock();
        known.take_if(|known| Arc::ptr_eq(known, session));
    }

    pub(super) fn send(
        &self,
        about: About<'_>,
        ask: Ask<'_>,
        content: Content<'_>,
    ) -> Result<Answer> {
        self.send_with(about, ask, content, &mut read_answer)
    }

    /// Sends a request until it is answered, at most a few times. A token that is not taken any more is renewed once.
    pub(super) fn send_with<T>(
        &self,
        about: About<'_>,
        ask: Ask<'_>,
        content: Content<'_>,
        read: &mut dyn FnMut(Response<Body>) -> io::Result<T>,
    ) -> Result<T> {
        let first = self.session()?;
        match self.send_as(about, (ask, Some(&first)), content, read) {
            Err(StorageError::Refused { refusal: Refusal::TokenExpired, .. }) => {}
            sent => return sent,
        }
        self.forget(&first);
        let second = self.session()?;
        match self.send_as(about, (ask, Some(&second)), content, read) {
            Err(StorageError::Refused { refusal: Refusal::TokenExpired, .. }) => {
                Err(about.refused(Refusal::NotAllowed))
            }
            sent => sent,
        }
    }

    /// What a stranger gets.
    pub(super) fn send_without_token(&self, about: About<'_>, ask: Ask<'_>) -> Result<Answer> {
        self.send_as(about, (ask, None), Content::Nothing, &mut read_answer)
    }

    fn send_as<T>(
        &self,
        about: About<'_>,
        (ask, session): (Ask<'_>, Option<&Session>),
        content: Content<'_>,
        read: &mut dyn FnMut(Response<Body>) -> io::Result<T>,
    ) -> Result<T> {
        let base = match session {
            Some(session) => session.url.clone(),
            None => self.session()?.url.clone(),
        };
        let url = self.url(&base, ask);
        let name = Name::new();
        let make = || {
            let request = name.on(Request::builder().method(ask.method).uri(&url));
            let request = match session {
                Some(session) => request.header("x-auth-token", &session.token),
                None => request,
            };
            ask.headers.iter().fold(request, |request, (name, value)| request.header(*name, value))
        };
        let sort = |status, headers: &HeaderMap, text: &str| {
            if name.is_not_in(headers) { Refusal::Busy } else { refusal(ask, status, text) }
        };
        let call = Call { about, content, make: &make, sort: &sort };
        self.requests.run(&call, |response| {
            name.require(&response)?;
            read(response)
        })
    }

    fn url(&self, base: &str, ask: Ask<'_>) -> String {
        let encoded = |text: &str| utf8_percent_encode(text, PLAIN).to_string();
        let mut url = format!("{base}/{}", encoded(&self.settings.container));
        for (mark, part) in [("/", encoded(ask.key)), ("?", ask.query.to_owned())] {
            if !part.is_empty() {
                url.push_str(mark);
                url.push_str(&part);
            }
        }
        url
    }

    /// `<prefix>/` and what follows, without the prefix if there is none.
    pub(super) fn key(&self, rest: &str) -> String {
        let prefix = self.settings.prefix.trim_matches('/');
        if prefix.is_empty() { rest.to_owned() } else { format!("{prefix}/{rest}") }
    }

    pub(super) fn key_of(&self, location: &Location) -> String {
        self.key(&format!("{ARCHIVES}{location}"))
    }

    pub(super) fn key_of_upload(&self, upload: &str) -> String {
        self.key(&format!("{UPLOADS}{upload}"))
    }

    /// What the parts of an upload begin with.
    pub(super) fn key_of_segments(&self, token: &str) -> String {
        self.key(&format!("{SEGMENTS}{token}/"))
    }

    pub(super) fn prefix_of_archives(&self) -> String {
        self.key(ARCHIVES)
    }

    pub(super) fn prefix_of_uploads(&self) -> String {
        self.key(UPLOADS)
    }

    /// The name of an object for people.
    pub(super) fn shown(&self, key: &str) -> String {
        format!("swift://{}/{key}", self.settings.container)
    }
}

impl Ranges for Store {
    fn read_range(
        &self,
        key: &str,
        range: String,
        read: &mut dyn FnMut(Response<Body>) -> io::Result<Vec<u8>>,
    ) -> Result<Vec<u8>> {
        let what = self.shown(key);
        let about = About { action: "reading", what: &what };
        let headers = [("range", range)];
        let ask = Ask { headers: &headers, ..Ask::new("GET", key) };
        self.send_with(about, ask, Content::Nothing, read)
    }
}

/// What it means that this was answered with this status.
fn refusal(ask: Ask<'_>, status: StatusCode, text: &str) -> Refusal {
    let is_about_container = ask.key.is_empty() || ask.method == "PUT";
    match status.as_u16() {
        // A part of a large object is not there, or is not what the manifest says.
        400 if text.contains("404 Not Found") || text.contains("Mismatch") => Refusal::NoUpload,
        401 => Refusal::TokenExpired,
        403 => Refusal::NotAllowed,
        404 if is_about_container => Refusal::NoContainer,
        404 => Refusal::NoObject,
        405 | 501 => Refusal::NotImplemented,
        409 if ask.method == "GET" => Refusal::Incomplete,
        412 => Refusal::Taken,
        413 | 507 => Refusal::Full,
        422 => Refusal::BadChecksum,
        408 | 409 | 425 | 429 | 498..=500 | 502..=504 => Refusal::Busy,
        other => Refusal::other(other, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_is_known_by_its_status_and_what_was_asked() {
        for (method, key, status, refusal, again) in [
            ("GET", "a", 401, Refusal::TokenExpired, false),
            ("GET", "a", 403, Refusal::NotAllowed, false),
            ("GET", "a", 404, Refusal::NoObject, false),
            ("PUT", "a", 404, Refusal::NoContainer, false),
            ("GET", "", 404, Refusal::NoContainer, false),
            ("GET", "a", 409, Refusal::Incomplete, false),
            ("PUT", "a", 409, Refusal::Busy, true),
            ("PUT", "a", 412, Refusal::Taken, false),
            ("PUT", "a", 413, Refusal::Full, false),
            ("PUT", "a", 507, Refusal::Full, false),
            ("PUT", "a", 422, Refusal::BadChecksum, true),
            ("PUT", "a", 498, Refusal::Busy, true),
            ("PUT", "a", 429, Refusal::Busy, true),
            ("PUT", "a", 418, Refusal::Other(418, String::new()), false),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            let found = super::refusal(Ask::new(method, key), status, "");
            assert_eq!(found, refusal, "{method} {key} {status}");
            assert_eq!(found.may_pass(), again, "{method} {key} {status}");
        }
    }
}
