//! Dumps loaded into a new data directory, by a server of our own.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::dumps::Dumps;
use super::fault;
use super::private_server::{PrivateServer, temporary_beside};
use super::programs::Programs;
use crate::domain::Cancel;
use crate::engine::tool::Tool;
use crate::engine::tree::Staging;
use crate::engine::{EngineError, Placed, Staged};

/// The folder in the staging one that becomes the target.
const DATA: &str = "data";

/// The server's log, beside it.
const LOG: &str = "server.log";

/// If the dumps say nothing of root, its account is left as this one: whoever is root on the machine.
const ROOT_OF_THE_MACHINE: &str = "ALTER USER root@localhost IDENTIFIED VIA unix_socket";

/// A data directory about to be made.
#[derive(Debug)]
pub(super) struct Making<'a> {
    pub(super) programs: &'a Programs,
    pub(super) staging: Staging,
    pub(super) target: PathBuf,
    pub(super) cancel: &'a Cancel,
}

/// Makes it, loads every dump, and stops the server again.
pub(super) fn make(making: Making<'_>, dumps: &Dumps) -> Result<Box<dyn Staged>, EngineError> {
    let Making { programs, staging, target, cancel } = making;
    let data = staging.path().join(DATA);
    let log = staging.path().join(LOG);
    install(programs, &data, cancel)?;
    let server = PrivateServer {
        server: programs.server()?,
        client: programs.client()?,
        data: data.clone(),
        log,
        more: Vec::new(),
    };
    let running = server
        .start(cancel)
        .map_err(|error| fault::explain(error, "the server that takes the dumps"))?;
    let loaded = |name: &str, error| fault::explain(error, &format!("loading {name}"));
    for dump in dumps.databases() {
        let (name, file) = dump?;
        running.client.run(file, cancel).map_err(|error| loaded(&format!("{name:?}"), error))?;
    }
    let root = running.client.work(ROOT_OF_THE_MACHINE, cancel);
    root.map_err(|error| loaded("the accounts", error))?;
    if let Some(accounts) = dumps.accounts()? {
        let asked = running.client.run(accounts, cancel);
        asked.map_err(|error| loaded("the accounts", error))?;
    }
    running
        .stop()
        .map_err(|error| fault::explain(error, "stopping the server that took the dumps"))?;
    sync(&data)?;
    Ok(Box::new(MadeDirectory { staging, target }))
}

fn install(programs: &Programs, data: &Path, cancel: &Cancel) -> Result<(), EngineError> {
    let mut folder = std::ffi::OsString::from("--datadir=");
    folder.push(data);
    let temporary = temporary_beside(data)
        .map_err(|error| EngineError::target("making a folder beside", data, error))?;
    let tool = Tool::new(&programs.installer()?)
        .arg("--no-defaults")
        .arg(folder)
        .env("TMPDIR", temporary.path())
        .args(["--auth-root-authentication-method=normal", "--skip-test-db"]);
    let tool = if rustix::process::geteuid().is_root() { tool.arg("--user=root") } else { tool };
    // What it says of a server that it could not start is on its standard output.
    tool.output(cancel)
        .map(drop)
        .map_err(|error| fault::explain(error, "making a new data directory"))
}

fn sync(data: &Path) -> Result<(), EngineError> {
    File::open(data)
        .and_then(|folder| Ok(rustix::fs::syncfs(&folder)?))
        .map_err(|error| EngineError::target("syncing", data, error))
}

/// A data directory that is whole, but not where it belongs yet.
#[derive(Debug)]
struct MadeDirectory {
    staging: Staging,
    target: PathBuf,
}

impl Staged for MadeDirectory {
    fn check(&self) -> Option<&str> {
        Some("loaded")
    }

    fn place(self: Box<Self>) -> Result<Placed, EngineError> {
        self.staging.place_folder_in_it(DATA, &self.target)?;
        Ok(Placed::At(self.target))
    }
}
