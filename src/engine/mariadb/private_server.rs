//! A private server on a data directory that nothing else uses.

use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use super::client::{Client, PRIVATE_SOCKET};
use super::programs::Programs;
use crate::domain::Cancel;
use crate::engine::tool::{ServerProcess, Tool, ToolError};
use crate::engine::{EngineError, Result};

/// It may have to recover first.
const START_TIMEOUT: Duration = Duration::from_secs(600);

const STOP_TIMEOUT: Duration = Duration::from_secs(300);

/// One socket, little memory, no activity of its own (events, replication, tables on other servers), and no repairs: a damaged table must
/// stay damaged to be found.
const ARGUMENTS: [&str; 20] = [
    "--pid-file=coffer.pid",
    "--skip-networking",
    "--skip-log-bin",
    "--skip-slave-start",
    "--event-scheduler=OFF",
    "--loose-federated=OFF",
    "--loose-spider=OFF",
    "--strict-password-validation=OFF",
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

/// A running server. When dropped, it is killed.
#[derive(Debug)]
pub(super) struct PrivateServer {
    pub(super) process: ServerProcess,
    pub(super) client: Client,
    /// Removed after the server has ended.
    _temporary: TempDir,
}

impl PrivateServer {
    /// Starts a server on `data` that writes its messages to `log`, and waits until it answers.
    pub(super) fn start(
        programs: &Programs,
        data: &Path,
        log: &Path,
        arguments: Vec<String>,
        cancel: &Cancel,
    ) -> Result<Self> {
        let tool = Tool::new(&programs.server()?)
            .arg("--no-defaults")
            .option("--datadir=", data)
            .option("--socket=", PRIVATE_SOCKET)
            .args(ARGUMENTS)
            .args(arguments)
            .current_dir(data);
        let client = Client::private(programs.client()?, data, cancel);
        let (tool, temporary) = with_temporary_folder(tool, data)?;
        let mut process = tool.start_server(log, cancel)?;
        process.wait_until_up(START_TIMEOUT, || client.is_up())?;
        Ok(Self { process, client, _temporary: temporary })
    }

    pub(super) fn stop(self) -> Result<(), ToolError> {
        self.process.stop(Signal::TERM, STOP_TIMEOUT)
    }
}

/// Makes a program that works on `data` keep its temporary tables in a folder beside that, and run as root if Coffer
/// does. Not in the usual folder: a server that starts removes the temporary tables that it finds there, even those of
/// another running server.
pub(super) fn with_temporary_folder(tool: Tool, data: &Path) -> Result<(Tool, TempDir)> {
    let parent = data.parent().unwrap_or(data);
    let folder = tempfile::Builder::new()
        .prefix(".coffer-tables-")
        .tempdir_in(parent)
        .map_err(|error| EngineError::target("creating a folder in", parent, error))?;
    let tool = tool.env("TMPDIR", folder.path());
    let is_root = rustix::process::geteuid().is_root();
    Ok((if is_root { tool.arg("--user=root") } else { tool }, folder))
}
