//! Dumps loaded into a new data directory by a private server.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::dumps::Dumps;
use super::faults::classify;
use super::private_server::{PrivateServer, with_temporary_folder};
use super::programs::Programs;
use crate::domain::Cancel;
use crate::engine::tool::Tool;
use crate::engine::tree::StagedFolder;
use crate::engine::{EngineError, Staged};

/// The folder in the staging folder that becomes the target.
const DATA: &str = "data";

/// Root's account if the dumps do not define it: only the machine's root can use it.
const DEFAULT_ROOT: &str = "ALTER USER root@localhost IDENTIFIED VIA unix_socket";

/// Makes a data directory of `dumps`, in their staging folder.
pub(super) fn make(
    programs: &Programs,
    dumps: Dumps,
    target: PathBuf,
    cancel: &Cancel,
) -> Result<Box<dyn Staged>, EngineError> {
    let data = dumps.staging.path().join(DATA);
    initialise(programs, &data, cancel)?;
    let log = dumps.staging.path().join("server.log");
    let server = PrivateServer::start(programs, &data, &log, Vec::new(), cancel)
        .map_err(|error| classify(error, "the server for the dumps"))?;
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
    let Dumps { staging, .. } = dumps;
    Ok(Box::new(StagedFolder { staging, inside: DATA, target, check: Some("loaded") }))
}

/// Initialises an empty data directory.
fn initialise(programs: &Programs, data: &Path, cancel: &Cancel) -> Result<(), EngineError> {
    let tool = Tool::new(&programs.installer()?)
        .arg("--no-defaults")
        .option("--datadir=", data)
        .args(["--auth-root-authentication-method=normal", "--skip-test-db"]);
    let (tool, _temporary) = with_temporary_folder(tool, data)?;
    tool.run(cancel).map_err(|error| classify(error, "creating a new data directory"))
}

fn sync(data: &Path) -> Result<(), EngineError> {
    File::open(data)
        .and_then(|folder| Ok(rustix::fs::syncfs(&folder)?))
        .map_err(|error| EngineError::target("syncing", data, error))
}
