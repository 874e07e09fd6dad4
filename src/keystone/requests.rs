//! Requests to Keystone. The token is in no error and no log line.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Error};

use crate::certificates;
use crate::domain::Secret;

use super::KeystoneError;
use super::answer::{self, Token};

/// The longest answer that is read, in bytes.
const LONGEST_ANSWER: u64 = 256 << 10;
/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(3);

/// Where Keystone is, and how it is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reached {
    /// As in a `clouds.yaml`: with or without `/v3` at the end.
    pub auth_url: String,
    /// Certificates to trust, instead of those that this machine does.
    pub ca_file: Option<PathBuf>,
    /// How long an answer may take.
    pub timeout: Duration,
}

/// The version of the identity API there, such as `v3.14`. Blocks.
pub fn find_version(reached: &Reached) -> Result<String, KeystoneError> {
    Requests::new(reached.clone()).version()
}

#[derive(Debug)]
pub(super) struct Requests {
    reached: Reached,
    base: String,
    /// Made for the first request, and after one that failed: certificates may have changed.
    agent: Mutex<Option<Agent>>,
}

impl Requests {
    pub(super) fn new(reached: Reached) -> Self {
        let base = reached.auth_url.trim_end_matches('/');
        let base = base.strip_suffix("/v3").unwrap_or(base).trim_end_matches('/').to_owned();
        Self { reached, base, agent: Mutex::default() }
    }

    pub(super) fn version(&self) -> Result<String, KeystoneError> {
        match self.get("/v3", None)? {
            (200, body) => answer::version(&body),
            (status, _) => Err(unexpected(status)),
        }
    }

    /// What Keystone says of the token, which asks for itself.
    pub(super) fn token(&self, token: &Secret) -> Result<Token, KeystoneError> {
        match self.get("/v3/auth/tokens?nocatalog", Some(token))? {
            (200, body) => answer::token(&body),
            (401 | 404, _) => Err(KeystoneError::Unknown),
            (status, _) => Err(unexpected(status)),
        }
    }

    fn get(&self, path: &str, token: Option<&Secret>) -> Result<(u16, Vec<u8>), KeystoneError> {
        let agent = self.agent()?;
        let mut get = agent.get(format!("{}{path}", self.base));
        for name in ["X-Auth-Token", "X-Subject-Token"] {
            if let Some(token) = token {
                get = get.header(name, token.reveal());
            }
        }
        let mut answer = get.call().map_err(|error| self.failed(&error))?;
        let status = answer.status().as_u16();
        let body = answer.body_mut().with_config().limit(LONGEST_ANSWER).read_to_vec();
        match body {
            Ok(body) => Ok((status, body)),
            Err(Error::BodyExceedsLimit(_)) => {
                let why = format!("its answer is longer than {} KiB", LONGEST_ANSWER >> 10);
                Err(KeystoneError::BadAnswer(why))
            }
            Err(error) => Err(self.failed(&error)),
        }
    }

    fn agent(&self) -> Result<Agent, KeystoneError> {
        let mut agent = self.agent.lock();
        if let Some(known) = &*agent {
            return Ok(known.clone());
        }
        let tls = TlsConfig::builder().root_certs(self.authorities()?).build();
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            // A connection that Keystone closed meanwhile would look like one that is away.
            .max_idle_connections(0)
            .timeout_connect(Some(CONNECT.min(self.reached.timeout)))
            .timeout_global(Some(self.reached.timeout))
            .user_agent(concat!("coffer/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls);
        Ok(agent.insert(config.build().into()).clone())
    }

    fn authorities(&self) -> Result<RootCerts, KeystoneError> {
        let found = match &self.reached.ca_file {
            None if !self.base.starts_with("https:") => Vec::new(),
            None => certificates::of_machine(),
            Some(file) => certificates::in_file(file)
                .map_err(|error| KeystoneError::Authorities(error.to_string()))?,
        };
        let is_none = found.is_empty();
        Ok(if is_none { RootCerts::WebPki } else { RootCerts::Specific(Arc::new(found)) })
    }

    /// What went wrong. Not the error's own text: it may hold the URL.
    fn failed(&self, error: &Error) -> KeystoneError {
        *self.agent.lock() = None;
        let why = match error {
            Error::Io(error) => error.to_string(),
            Error::Timeout(_) => {
                format!("no answer within {} ms", self.reached.timeout.as_millis())
            }
            Error::HostNotFound => "its host is not known".to_owned(),
            Error::ConnectionFailed => "the connection failed".to_owned(),
            Error::Tls(what) => format!("TLS: {what}"),
            Error::Rustls(error) => format!("TLS: {error}"),
            Error::BadUri(_) | Error::Http(_) => "its URL cannot be used".to_owned(),
            Error::Protocol(error) => {
                return KeystoneError::BadAnswer(format!("its answer is not HTTP: {error}"));
            }
            _ => "the request failed".to_owned(),
        };
        KeystoneError::NoAnswer(why)
    }
}

fn unexpected(status: u16) -> KeystoneError {
    KeystoneError::BadAnswer(match status {
        300..=399 => format!(
            "it answers {status} and sends clients elsewhere, which is not followed; set auth.keystone.auth_url to \
             where Keystone is"
        ),
        _ => format!("it answers {status}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_taken_as_clouds_yaml_has_it() {
        let base = |auth_url: &str| {
            let (auth_url, timeout) = (auth_url.to_owned(), CONNECT);
            Requests::new(Reached { auth_url, ca_file: None, timeout }).base
        };
        for same in ["http://h:5000", "http://h:5000/", "http://h:5000/v3", "http://h:5000/v3/"] {
            assert_eq!(base(same), "http://h:5000");
        }
        assert_eq!(base("https://h/identity/v3"), "https://h/identity");
        assert_eq!(base("https://h/identity"), "https://h/identity");
    }
}
