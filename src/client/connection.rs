//! Sends HTTP requests to one server; bodies are bytes.

use std::fmt;
use std::io::ErrorKind;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use ureq::config::Config;
use ureq::http::{Request, Response};
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::{Connector as _, TcpConnector};
use ureq::{Agent, Body};

use crate::tls::{self, Certificate, TlsError};

use super::pinned::PinnedConnector;
use super::socket::SocketConnector;

/// No request takes long: the server answers before it does long work.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A server, and the headers that go with every request to it.
#[derive(Clone)]
pub struct Connection {
    agent: Agent,
    base: String,
    headers: Vec<(String, String)>,
}

impl Connection {
    /// The server at `base`, like `http://127.0.0.1:8779`. Opens nothing yet.
    pub fn new(base: &str) -> Self {
        let base = base.trim_end_matches('/').to_owned();
        Self { agent: settings().into(), base, headers: Vec::new() }
    }

    /// The same, where a server that speaks TLS has this certificate and no other, whoever signed it and whatever name it is
    /// for.
    pub fn trusting_only(base: &str, certificate: Certificate) -> Self {
        let tls = PinnedConnector(tls::trusting_only(certificate));
        let connector = ().chain(TcpConnector::default()).chain(tls);
        let agent = Agent::with_parts(settings(), connector, DefaultResolver::default());
        Self { agent, ..Self::new(base) }
    }

    /// The server on this machine, at its Unix socket, if one listens there.
    pub fn at_socket(path: &Path) -> Option<Self> {
        UnixStream::connect(path).is_ok().then(|| Self::to_socket(path))
    }

    /// The server on this machine, at its port, with the certificate in this file if it speaks TLS.
    pub fn at_port(base: &str, certificate: Option<&Path>) -> Result<Self, TlsError> {
        let certificate = certificate.map(Certificate::read).transpose()?;
        Ok(match certificate {
            Some(certificate) => Self::trusting_only(base, certificate),
            None => Self::new(base),
        })
    }

    fn to_socket(path: &Path) -> Self {
        let connector = SocketConnector(path.to_owned());
        let agent = Agent::with_parts(settings(), connector, DefaultResolver::default());
        // An address, so that no name is looked up. It goes into the header Host only.
        Self { agent, base: "http://127.0.0.1".to_owned(), headers: Vec::new() }
    }

    #[must_use]
    pub fn with_token(self, secret: &str) -> Self {
        self.with_header("X-Auth-Token", secret)
    }

    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sends a request and gives the answer, whatever its status. `path` begins with a slash, or is a
    /// URL that the server gave, such as a `next` link: the headers go there too. A body is JSON.
    pub fn send(
        &self,
        method: &str,
        path: &str,
        body: Option<&[u8]>,
    ) -> Result<Response<Body>, ureq::Error> {
        let url = if path.starts_with('/') { format!("{}{path}", self.base) } else { path.into() };
        let mut request = Request::builder().method(method).uri(url);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        match body {
            None => self.agent.run(request.body(())?),
            Some(bytes) => {
                self.agent.run(request.header("Content-Type", "application/json").body(bytes)?)
            }
        }
    }
}

/// Whether something answered, but not with the certificate of the server, or not by TLS at all.
pub fn is_somebody_else(error: &ureq::Error) -> bool {
    matches!(error, ureq::Error::Io(error) if error.kind() == ErrorKind::InvalidData)
}

fn settings() -> Config {
    Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(None)
        .timeout_global(Some(TIMEOUT))
        .build()
}

/// Leaves out the headers, which may hold a secret.
impl fmt::Debug for Connection {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Connection").field("base", &self.base).finish_non_exhaustive()
    }
}
