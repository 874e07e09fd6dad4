//! A private server on a data directory that nothing else uses.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use super::client::{Client, PRIVATE_SOCKET};
use super::programs::Programs;
use crate::domain::Cancel;
use crate::engine::EngineError;
use crate::engine::tool::{ServerProcess, Tool, ToolError};

/// It may have to recover first.
const START_TIMEOUT: Duration = Duration::from_secs(600);

const STOP_TIMEOUT: Duration = Duration::from_secs(300);

/// One socket, little memory, no activity of its own (events, replication), and no repairs: a damaged table must
/// stay damaged to be found.
const ARGUMENTS: [&str; 17] = [
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

/// What to start.
#[derive(Debug)]
pub(super) struct Launch {
    server: PathBuf,
    client: PathBuf,
    data: PathBuf,
    log: PathBuf,
    arguments: Vec<String>,
}

/// A running server. When dropped, it is killed.
#[derive(Debug)]
pub(super) struct PrivateServer {
    pub(super) process: ServerProcess,
    pub(super) client: Client,
    /// Removed after the server has ended.
    _temporary: TempDir,
}

/// A folder beside `data` for temporary tables. Not the usual one: a server that starts removes the temporary
/// tables that it finds there, even those of another running server.
pub(super) fn temporary_beside(data: &Path) -> std::io::Result<TempDir> {
    let parent = data.parent().unwrap_or(data);
    tempfile::Builder::new().prefix(".coffer-tables-").tempdir_in(parent)
}

impl Launch {
    /// Finds the programs for a server on `data` that writes its messages to `log`.
    pub(super) fn new(
        programs: &Programs,
        data: &Path,
        log: &Path,
        arguments: Vec<String>,
    ) -> Result<Self, EngineError> {
        let (server, client) = (programs.server()?, programs.client()?);
        Ok(Self { server, client, data: data.to_owned(), log: log.to_owned(), arguments })
    }

    /// Starts the server and waits until it answers.
    pub(super) fn start(self, cancel: &Cancel) -> Result<PrivateServer, ToolError> {
        let temporary = temporary_beside(&self.data)
            .map_err(|source| ToolError::Start { path: self.server.clone(), source })?;
        let tool = Tool::new(&self.server)
            .arg("--no-defaults")
            .option("--datadir=", &self.data)
            .option("--socket=", PRIVATE_SOCKET)
            .args(ARGUMENTS)
            .args(self.arguments)
            .env("TMPDIR", temporary.path())
            .current_dir(&self.data);
        let tool =
            if rustix::process::geteuid().is_root() { tool.arg("--user=root") } else { tool };
        let client = Client::private(self.client, &self.data, cancel);
        let mut process = tool.start_server(&self.log, cancel)?;
        process.wait_until_up(START_TIMEOUT, || client.query("SELECT 1").is_ok())?;
        Ok(PrivateServer { process, client, _temporary: temporary })
    }
}

impl PrivateServer {
    /// Shuts it down.
    pub(super) fn stop(self) -> Result<(), ToolError> {
        self.process.stop(Signal::TERM, STOP_TIMEOUT)
    }
}
