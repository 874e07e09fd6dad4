//! A server of our own on a data directory that nobody else uses.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use super::client::{Client, PRIVATE_SOCKET};
use crate::domain::Cancel;
use crate::engine::tool::{Servant, Tool, ToolError};

/// How long it may take to come up: it may have to recover.
const START_WAIT: Duration = Duration::from_secs(600);

/// How long it may take to end.
const STOP_WAIT: Duration = Duration::from_secs(300);

/// It listens at one socket, keeps to little memory, does nothing by itself (no events, no replication) and
/// repairs nothing: a table that is damaged stays so, to be found.
const MANNERS: [&str; 17] = [
    "--pid-file=coffer.pid",
    "--skip-networking",
    "--skip-log-bin",
    "--skip-slave-start",
    "--event-scheduler=OFF",
    "--performance-schema=OFF",
    "--aria-recover-options=OFF",
    "--myisam-recover-options=OFF",
    "--innodb-buffer-pool-size=32M",
    "--innodb-log-file-size=16M",
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-buffer-pool-dump-at-shutdown=OFF",
    "--key-buffer-size=8M",
    "--aria-pagecache-buffer-size=8M",
    "--max-connections=10",
    "--max-allowed-packet=1G",
    "--character-set-server=utf8mb4",
];

/// A server about to be started.
#[derive(Debug)]
pub(super) struct PrivateServer {
    pub(super) server: PathBuf,
    pub(super) client: PathBuf,
    pub(super) data: PathBuf,
    pub(super) log: PathBuf,
    pub(super) more: Vec<String>,
}

/// A running one. Dropped, it is killed.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) servant: Servant,
    pub(super) client: Client,
    /// Goes when the server has.
    _temporary: TempDir,
}

/// A folder beside `data` for a server's temporary tables. Never the usual one: a server that starts removes
/// the temporary tables it finds there, also those of another server that runs.
pub(super) fn temporary_beside(data: &Path) -> std::io::Result<TempDir> {
    let beside = data.parent().unwrap_or(data);
    tempfile::Builder::new().prefix(".coffer-tables-").tempdir_in(beside)
}

impl PrivateServer {
    /// Starts it and waits until it answers.
    pub(super) fn start(self, cancel: &Cancel) -> Result<Running, ToolError> {
        let mut folder = OsString::from("--datadir=");
        folder.push(&self.data);
        let temporary = temporary_beside(&self.data)
            .map_err(|source| ToolError::Start { path: self.server.clone(), source })?;
        let tool = Tool::new(&self.server)
            .arg("--no-defaults")
            .arg(folder)
            .arg(format!("--socket={PRIVATE_SOCKET}"))
            .args(MANNERS)
            .args(self.more)
            .env("TMPDIR", temporary.path())
            .folder(&self.data);
        let tool =
            if rustix::process::geteuid().is_root() { tool.arg("--user=root") } else { tool };
        let client = Client::of_private(self.client, &self.data);
        let mut servant = tool.serve(&self.log, cancel)?;
        servant.wait_until_up(START_WAIT, || client.ask("SELECT 1", cancel).is_ok())?;
        Ok(Running { servant, client, _temporary: temporary })
    }
}

impl Running {
    /// Lets it write everything down and end.
    pub(super) fn stop(self) -> Result<(), ToolError> {
        self.servant.stop(Signal::TERM, STOP_WAIT)
    }
}
