//! Reaching the server of this machine, or the one that the environment names.

use std::env;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::cli::error::{CommandError, Result};
use crate::client::{Client, ClientError, Connection, is_somebody_else};
use crate::config::{AuthMode, Config};
use crate::disk;
use crate::server;
use crate::wire::Health;

/// The server to ask, as a URL. Without it, the one of the configuration.
const URL: &str = "COFFER_URL";
/// The token to send. Without it, the one in the data directory.
const TOKEN: &str = "COFFER_TOKEN";
/// The project to ask about. Without it, `default`; with the token of the data directory, every project.
const PROJECT: &str = "COFFER_PROJECT";

/// What came of it.
pub(super) enum Connected {
    Server(Server),
    /// No server runs on this machine.
    Nobody {
        url: String,
    },
    /// One runs, but this user has no token for it.
    NoToken {
        why: String,
    },
}

/// A server that answers.
pub(super) struct Server {
    pub(super) client: Client,
    pub(super) url: String,
    /// Whether it is asked about every project.
    pub(super) every_project: bool,
}

/// A server that may answer.
pub(super) struct Reached {
    pub(super) connection: Connection,
    pub(super) url: String,
    /// Whether `COFFER_URL` names it.
    pub(super) elsewhere: bool,
}

/// The server that `COFFER_URL` names, or the one of the configuration. Sends no request.
pub(super) fn reach(config: &Config) -> Result<Reached> {
    if let Ok(url) = env::var(URL) {
        return Ok(Reached { connection: Connection::new(&url), url, elsewhere: true });
    }
    let tls = config.server.tls();
    let scheme = if tls.is_some() { "https" } else { "http" };
    let url = format!("{scheme}://{}", reachable(config.server.listen));
    let socket = config.socket_file().and_then(|it| Connection::at_socket(&it));
    let connection =
        match socket {
            Some(connection) => connection,
            None => Connection::at_port(&url, tls.map(|it| it.certificate.as_path())).map_err(
                |error| CommandError::Failed(format!("the server {url} cannot be asked: {error}")),
            )?,
        };
    Ok(Reached { connection, url, elsewhere: false })
}

/// Asks the server whether it answers, and finds a token for it. A server that `COFFER_URL` names has to answer.
pub(super) fn connect(config: &Config) -> Result<Connected> {
    let Reached { connection, url, elsewhere } = reach(config)?;
    match connection.send("GET", "/healthcheck", None) {
        Err(cause) if elsewhere || is_somebody_else(&cause) => {
            let request = format!("GET {url}/healthcheck");
            return Err(ClientError::NoAnswer { request, cause }.into());
        }
        Err(_nobody) => return Ok(Connected::Nobody { url }),
        Ok(mut answer) => {
            let is_coffer =
                answer.status() == 503 || answer.body_mut().read_json::<Health>().is_ok();
            if !is_coffer {
                let why = format!("what answers at {url} is not Coffer; is its address right?");
                return Err(CommandError::Failed(why));
            }
        }
    }
    let (token, may_see_all) = match token(config, elsewhere) {
        Ok(found) => found,
        Err(_missing) if elsewhere => {
            return Err(CommandError::Usage(format!("{URL} is set; set {TOKEN} as well")));
        }
        Err(missing) => {
            let why = format!("the server {url} answers, but {missing}");
            return Ok(Connected::NoToken { why });
        }
    };
    let named = env::var(PROJECT).ok();
    let every_project = may_see_all && named.is_none();
    let project = named.unwrap_or_else(|| "default".to_owned());
    let project =
        project.parse().map_err(|error| CommandError::Usage(format!("{PROJECT}: {error}")))?;
    let client = Client::new(connection.with_token(&token), project);
    Ok(Connected::Server(Server { client, url, every_project }))
}

/// The token to send, and whether it is an administrator's of this machine; or why there is none.
fn token(config: &Config, elsewhere: bool) -> Result<(String, bool), String> {
    if let Ok(token) = env::var(TOKEN) {
        return Ok((token, false));
    }
    if config.auth.mode == AuthMode::None {
        return Ok((String::new(), !elsewhere));
    }
    let path = config.data_dir.join(server::ADMIN_TOKEN);
    match disk::read_small(&path) {
        Ok(secret) if !elsewhere => Ok((secret.trim().to_owned(), true)),
        Ok(_) => Err("its token is not on this machine".to_owned()),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(format!(
            "there is no {}: its tokens are in its configuration, or it has another data_dir; set {TOKEN}",
            path.display()
        )),
        Err(error) => Err(format!(
            "its token {} cannot be read ({error}): {}, or set {TOKEN}",
            path.display(),
            server::mended_by(&path, false)
        )),
    }
}

/// The address to connect to, for one to listen on.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}
