//! The Unix socket beside the port: for the commands and health checks of this machine, whatever happens at the
//! port. It has connections and a thread of its own: the main one, which otherwise only waits for the end.

use std::io;
use std::os::unix::net::UnixListener;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_service::{Service as _, ServiceFactory as _};
use actix_web::rt::net::{self, UnixStream};
use actix_web::rt::spawn;
use actix_web::rt::task::JoinHandle;
use actix_web::rt::time::{sleep, timeout};

use crate::api::Entrance;
use crate::config::Config;
use crate::disk::SocketFile;

use super::gate::{Client, Gate, GateSettings, HeldBytes};
use super::http::{Application, REQUEST_GRACE_S};
use super::stream::ClientStream;

/// Connections at once.
const CONNECTIONS: usize = 64;
/// How long to wait after a connection could not be accepted, such as for lack of descriptors.
const RETRY: Duration = Duration::from_millis(500);
/// How often the end of the last answer is looked for.
const LOOK: Duration = Duration::from_millis(20);

/// Listens on the configured socket. Without it the server works too, so an error is only logged.
pub(super) fn listen(config: &Config) -> Option<(SocketFile, UnixListener)> {
    let path = config.socket_file()?;
    let (mode, group) = (config.server.socket_permissions(), &config.server.socket_group);
    match SocketFile::listen(&path, mode, group) {
        Ok(listening) => {
            log::info!("the commands of this machine connect to {}", path.display());
            Some(listening)
        }
        Err(error) => {
            log::warn!(
                "there is no socket {}: {error}; set server.socket to a place where one can be made, or to \
                 \"\". Until then the commands of this machine use the port",
                path.display()
            );
            None
        }
    }
}

/// Answers at the socket, on the thread that starts it.
#[derive(Debug)]
pub(super) struct SocketServer {
    accepting: JoinHandle<()>,
    gate: Arc<Gate>,
}

impl SocketServer {
    pub(super) fn start(listener: UnixListener, application: &Application) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let listener = net::UnixListener::from_std(listener)?;
        let settings = GateSettings {
            entrance: Entrance::Socket,
            most: CONNECTIONS,
            per_address: CONNECTIONS,
            is_tls: false,
        };
        let gate = Gate::new(settings, HeldBytes::clone(&application.held_bytes));
        let accepting = spawn(accept(listener, Arc::clone(&gate), application.clone()));
        Ok(Self { accepting, gate })
    }

    /// Accepts nothing more, and waits for the answers that are not sent yet.
    pub(super) async fn stop(self) {
        self.accepting.abort();
        let last = async {
            while !self.gate.is_empty() {
                sleep(LOOK).await;
            }
        };
        if timeout(Duration::from_secs(REQUEST_GRACE_S), last).await.is_err() {
            log::warn!("clients at the socket did not take their answers in time");
        }
    }
}

async fn accept(listener: net::UnixListener, gate: Arc<Gate>, application: Application) {
    // Most servers are never asked here, and what answers takes memory.
    let mut answers = None;
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _address)) => stream,
            Err(error) => {
                log::warn!("a connection to the socket could not be accepted: {error}");
                sleep(RETRY).await;
                continue;
            }
        };
        if answers.is_none() {
            let made = application.service::<UnixStream>().new_service(()).await;
            answers = made.ok().map(Rc::new);
        }
        let Some(answers) = answers.clone() else { continue };
        let (gate, times) = (Arc::clone(&gate), application.times);
        spawn(async move {
            let pid = stream.peer_cred().ok().and_then(|it| it.pid());
            let place = gate.wait_to_enter(pid.map(Client::Process), None).await;
            if let Some(place) = place.map(Rc::new) {
                // What goes wrong with one connection is its end.
                drop(answers.call((ClientStream::new(stream, place, times), None)).await);
            }
        });
    }
}
