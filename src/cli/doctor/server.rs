//! The server, if one runs on the data directory, and what it says of itself.

use std::fs::OpenOptions;
use std::io;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::client::Connection;
use crate::config::Config;
use crate::disk;
use crate::wire::{Health, HealthStatus};

use super::catalog::RUN_AS_COFFER;
use super::finding::Findings;

/// Whether a server runs on this data directory: it then holds the lock.
pub(super) fn server(config: &Config, findings: &mut Findings) -> bool {
    let path = config.data_dir.join("lock");
    match is_locked(&path) {
        Ok(true) => {
            match why_stopped(config) {
                Some(why) => findings.problem(
                    "server",
                    "runs on this data directory, and begins no backup, restore or removal",
                    why,
                ),
                None => findings.ok(
                    "server",
                    format!(
                        "runs on this data directory (server.listen is {})",
                        config.server.listen
                    ),
                ),
            }
            true
        }
        Ok(false) => {
            if answers_at_port(config) {
                findings.problem(
                    "server",
                    format!(
                        "a server answers at server.listen ({}), and not on this data directory",
                        config.server.listen
                    ),
                    "is the disk of data_dir mounted? If it is, the server there has another configuration",
                );
            } else {
                findings.ok("server", "does not run on this data directory now");
            }
            false
        }
        Err(error) => {
            findings.warning("server", format!("{}: {error}", path.display()), RUN_AS_COFFER);
            false
        }
    }
}

fn is_locked(path: &Path) -> io::Result<bool> {
    let file = match disk::open_regular(path, OpenOptions::new().read(true)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        file => file?,
    };
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(false),
        Err(Errno::WOULDBLOCK) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

/// Whether a Coffer server answers at the configured address: it may have its data directory on a disk that is gone.
fn answers_at_port(config: &Config) -> bool {
    let listen = config.server.listen;
    if listen.port() == 0 {
        return false;
    }
    let tls = config.server.tls();
    let scheme = if tls.is_some() { "https" } else { "http" };
    let certificate = tls.map(|it| it.certificate.as_path());
    let Ok(port) = Connection::at_port(&format!("{scheme}://{listen}"), certificate) else {
        return false;
    };
    port.send("GET", "/healthcheck", None)
        .is_ok_and(|mut it| it.body_mut().read_json::<Health>().is_ok())
}

/// What the server says, over its socket, of why it begins nothing; `None` if it works, or says nothing.
fn why_stopped(config: &Config) -> Option<String> {
    let socket = config.socket_file()?;
    let connection = Connection::at_socket(&socket)?;
    let mut answer = connection.send("GET", "/healthcheck", None).ok()?;
    if answer.status() == 503 {
        return Some("it cannot use its catalog; its log says why, and what to do".to_owned());
    }
    let health = answer.body_mut().read_json::<Health>().ok()?;
    (health.status == HealthStatus::Stopped).then(|| health.notices.join("; "))
}
