//! Restores: of a data directory, of dumps into a new data directory, of dumps into a running server.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::cluster::{Cluster, DATA_FOLDER, TABLESPACES};
use super::fill::{self, Filling};
use super::logical::check_name;
use super::options::tools_of;
use super::session::Session;
use super::toolbox::Toolbox;
use crate::domain::{Cancel, CheckLevel, Entry, EntryKind, FailureCode, Source, WriteAt};
use crate::engine::tree::{FolderLoad, Staging};
use crate::engine::{EngineError, Load, LoadOrder, Placed, Staged, Target};

/// What stands before the OID in the links of an archive.
const RELATIVE: &[u8] = b"../../tablespaces/";

/// Where it goes in the end.
#[derive(Debug, Clone)]
enum Aim {
    /// A new folder, by its absolute path.
    Folder(PathBuf),
    /// A server.
    Server(Source),
}

/// A restore.
#[derive(Debug)]
pub(super) struct ClusterLoad {
    tree: FolderLoad,
    aim: Aim,
    toolbox: Toolbox,
    cancel: Cancel,
}

impl ClusterLoad {
    /// Makes sure that the target is free. Dumps for a server are kept among temporary files meanwhile.
    pub(super) fn prepare(order: &LoadOrder<'_>) -> Result<Self, EngineError> {
        let cancel = order.cancel.clone();
        let (tree, aim, tools) = match order.target {
            Target::Path(path) => {
                let absolute = std::path::absolute(path)
                    .map_err(|error| EngineError::target("looking at", path, error))?;
                (FolderLoad::prepare(order)?, Aim::Folder(absolute), tools_of(order.source))
            }
            Target::Server(source) => {
                let place = std::env::temp_dir().join("dumps");
                let tree = FolderLoad::beside(&place)?;
                (tree, Aim::Server(source.clone()), tools_of(Some(source)))
            }
        };
        Ok(Self { tree, aim, toolbox: Toolbox::new(tools), cancel })
    }
}

impl Load for ClusterLoad {
    fn entry(&mut self, entry: &Entry) -> Result<Option<Arc<dyn WriteAt>>, EngineError> {
        match &self.aim {
            Aim::Server(_) if entry.path.as_bytes() == DATA_FOLDER.as_bytes() => {
                Err(EngineError::known(
                    FailureCode::TargetDenied,
                    "a physical backup holds a whole data directory, which no running server takes: \
                     restore it with --to PATH and start a server there",
                ))
            }
            Aim::Folder(target) => match absolute_link(entry, target) {
                Some(linked) => self.tree.entry(&linked),
                None => self.tree.entry(entry),
            },
            Aim::Server(_) => self.tree.entry(entry),
        }
    }

    fn finish(self: Box<Self>, check: CheckLevel) -> Result<Box<dyn Staged>, EngineError> {
        let Self { tree, aim, toolbox, cancel } = *self;
        let staging = tree.settle()?;
        let cluster = Cluster::read(staging.path())?;
        match aim {
            Aim::Folder(target) if staging.path().join(DATA_FOLDER).is_dir() => {
                Ok(Box::new(StagedCluster { staging, target, check: None }))
            }
            Aim::Folder(target) => {
                fill::new_cluster(staging.path(), &cluster, &toolbox, &cancel)?;
                Ok(Box::new(StagedCluster { staging, target, check: Some("pg_restore") }))
            }
            Aim::Server(source) => {
                let session = Session::with(&source)?;
                let filling = Filling::of(session.login, session.toolbox, cancel);
                filling.check(staging.path(), &cluster, check)?;
                filling.refuse_occupied(staging.path(), &cluster)?;
                let check = (check != CheckLevel::Off).then(|| check_name(check));
                Ok(Box::new(StagedDumps { staging, cluster, filling, shown: session.shown, check }))
            }
        }
    }
}

/// A link to a tablespace with the place it will have. The server itself would take a relative one, but
/// `pg_basebackup` of that server silently leaves out the tablespaces behind relative links.
fn absolute_link(entry: &Entry, target: &Path) -> Option<Entry> {
    let EntryKind::Symlink { target: relative } = &entry.kind else { return None };
    let oid = relative.strip_prefix(RELATIVE)?;
    let place = target.join(TABLESPACES).join(OsStr::from_bytes(oid));
    let kind = EntryKind::Symlink { target: place.as_os_str().as_bytes().to_vec() };
    Some(Entry { kind, ..entry.clone() })
}

/// A data directory that is whole, but not where it belongs yet.
struct StagedCluster {
    staging: Staging,
    target: PathBuf,
    check: Option<&'static str>,
}

impl Staged for StagedCluster {
    fn check(&self) -> Option<&str> {
        self.check
    }

    fn place(self: Box<Self>) -> Result<Placed, EngineError> {
        self.staging.place_folder(&self.target)?;
        Ok(Placed::At(self.target))
    }
}

/// Dumps that are whole and checked, for a server where their databases are not there yet.
struct StagedDumps {
    staging: Staging,
    cluster: Cluster,
    filling: Filling,
    shown: String,
    check: Option<&'static str>,
}

impl Staged for StagedDumps {
    fn check(&self) -> Option<&str> {
        self.check
    }

    fn place(self: Box<Self>) -> Result<Placed, EngineError> {
        let made = self.filling.fill_server(self.staging.path(), &self.cluster)?;
        let names = made.join(", ");
        Ok(Placed::In(format!("the server at {}, databases {names}", self.shown)))
    }
}
