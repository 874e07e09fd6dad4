//! The address of the server. It is taken before anything is made, so that a second server on it leaves
//! nothing behind, and answers only once everything is ready.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

use crate::config::ServerConfig;

use super::ServerError;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 2048;

/// An address that belongs to this process. Connections to it are refused until it listens.
#[derive(Debug)]
pub(super) struct Bound {
    address: SocketAddr,
    socket: Socket,
}

impl Bound {
    /// Takes the address.
    pub(super) fn new(address: SocketAddr) -> Result<Self, ServerError> {
        let bind = || {
            let socket =
                Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
            // Connections of a server that ended a moment ago do not hold the address.
            socket.set_reuse_address(true)?;
            socket.bind(&address.into())?;
            Ok(socket)
        };
        let socket = bind().map_err(|source| refused(address, source))?;
        Ok(Self { address, socket })
    }

    pub(super) fn listen(self) -> Result<TcpListener, ServerError> {
        self.socket.listen(BACKLOG).map_err(|source| refused(self.address, source))?;
        Ok(self.socket.into())
    }
}

fn refused(address: SocketAddr, source: io::Error) -> ServerError {
    let advice = match source.kind() {
        io::ErrorKind::AddrInUse => "is another server running there?",
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 need root, or AmbientCapabilities=CAP_NET_BIND_SERVICE in the systemd unit"
        }
        io::ErrorKind::AddrNotAvailable => "no network interface of this machine has it",
        _ => "is server.listen right?",
    };
    ServerError::Bind { address: address.to_string(), source, advice }
}

/// Warns if what this server is told and answers can be read on the way.
pub(super) fn warn_without_tls(config: &ServerConfig) {
    let behind_tls = config.public_url().is_some_and(|url| url.starts_with("https://"));
    let is_plain = config.tls().is_none() && !behind_tls;
    if is_plain && !config.listen.ip().to_canonical().is_loopback() {
        log::warn!(
            "server.listen = \"{}\" can be reached from other machines, and without TLS: tokens and \
             archives can be read on the way; give it a certificate in [server.tls], or put a reverse proxy with \
             TLS before it and set server.public_url to its https:// address",
            config.listen
        );
    }
}
