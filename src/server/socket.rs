//! The Unix socket beside the port: for the commands and health checks of this machine, whatever happens at the
//! port.

use std::os::unix::net::UnixListener;

use crate::config::Config;
use crate::disk::SocketFile;

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
