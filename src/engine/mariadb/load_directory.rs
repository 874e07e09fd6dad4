//! Dumps loaded into a new data directory by a private server.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::dumps::Dumps;
use super::faults::classify;
use super::private_server::{Launch, temporary_beside};
use super::programs::Programs;
use crate::domain::Cancel;
use crate::engine::tool::Tool;
use crate::engine::tree::{StagedFolder, Staging};
use crate::engine::{EngineError, Staged};

/// The folder in the staging folder that becomes the target.
const DATA: &str = "data";

/// Root's account if the dumps do not define it: only the machine's root can use it.
const DEFAULT_ROOT: &str = "ALTER USER root@localhost IDENTIFIED VIA unix_socket";

/// Makes a data directory of `dumps` in `staging`.
pub(super) fn make(
    programs: &Programs,
    staging: Staging,
    target: PathBuf,
    dumps: &Dumps,
    cancel: &Cancel,
) -> Result<Box<dyn Staged>, EngineError> {
    let data = staging.path().join(DATA);
    initialise(programs, &data, cancel)?;
    let launch = Launch::new(programs, &data, &staging.path().join("server.log"), Vec::new())?;
    let server =
        launch.start(cancel).map_err(|error| classify(error, "the server for the dumps"))?;
    for dump in dumps.databases() {
        let (name, file) = dump?;
        let loaded = server.client.run_script(file);
        loaded.map_err(|error| classify(error, &format!("loading {name:?}")))?;
    }
    let root = server.client.execute(DEFAULT_ROOT);
    root.map_err(|error| classify(error, "loading the accounts"))?;
    if let Some(accounts) = dumps.accounts()? {
        let loaded = server.client.run_script(accounts);
        loaded.map_err(|error| classify(error, "loading the accounts"))?;
    }
    server.stop().map_err(|error| classify(error, "stopping the server for the dumps"))?;
    sync(&data)?;
    Ok(Box::new(StagedFolder { staging, inside: DATA, target, check: Some("loaded") }))
}

/// Initialises an empty data directory.
fn initialise(programs: &Programs, data: &Path, cancel: &Cancel) -> Result<(), EngineError> {
    let temporary = temporary_beside(data)
        .map_err(|error| EngineError::target("creating a folder beside", data, error))?;
    let tool = Tool::new(&programs.installer()?)
        .arg("--no-defaults")
        .option("--datadir=", data)
        .env("TMPDIR", temporary.path())
        .args(["--auth-root-authentication-method=normal", "--skip-test-db"]);
    let tool = if rustix::process::geteuid().is_root() { tool.arg("--user=root") } else { tool };
    tool.run(cancel).map_err(|error| classify(error, "creating a new data directory"))
}

fn sync(data: &Path) -> Result<(), EngineError> {
    File::open(data)
        .and_then(|folder| Ok(rustix::fs::syncfs(&folder)?))
        .map_err(|error| EngineError::target("syncing", data, error))
}
