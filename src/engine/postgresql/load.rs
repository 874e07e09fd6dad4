//! Restores: of a data directory, of dumps into a new data directory, of dumps into a running server.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::client::Client;
use super::cluster::{Cluster, DATA_FOLDER, TABLESPACES};
use super::dump_loader::DumpLoader;
use super::logical::check_name;
use super::new_cluster;
use super::options::databases;
use super::programs::Programs;
use super::refresh::{Slot, StagedRefresh};
use super::session::Session;
use crate::domain::{Cancel, CheckLevel, Entry, EntryKind, FailureCode, LeftOut, Source, WriteAt};
use crate::engine::tree::{FolderLoad, StagedFolder, Staging, damaged_dumps};
use crate::engine::{EngineError, Load, LoadRequest, Placed, Result, Staged, Target};

/// The links to tablespaces in an archive begin like this; the OID follows.
const RELATIVE: &[u8] = b"../../tablespaces/";

#[derive(Debug, Clone)]
enum Destination {
    /// A new folder, by its absolute path.
    Folder(PathBuf),
    Server(Source),
    /// One of its databases, from the one of the backup that has this name.
    Database(Box<Slot>, String),
}

#[derive(Debug)]
pub(super) struct ClusterLoad {
    tree: FolderLoad,
    destination: Destination,
    programs: Programs,
    cancel: Cancel,
}

impl ClusterLoad {
    /// Makes sure that the target is free. Dumps for a server are kept with the temporary files until they are
    /// loaded.
    pub(super) fn prepare(request: &LoadRequest<'_>) -> Result<Self> {
        let (tree, destination, instance) = match request.target {
            Target::Path(path) => {
                let absolute = std::path::absolute(path)
                    .map_err(|error| EngineError::target("resolving", path, error))?;
                let tree = FolderLoad::prepare(request)?;
                (tree, Destination::Folder(absolute), request.source)
            }
            Target::Server { source, within } => {
                let tree = FolderLoad::beside(&within.join("dumps"))?;
                (tree, Destination::Server(source.clone()), Some(source))
            }
            Target::Database(refresh) => {
                let slot = Box::new(Slot::open(&refresh, request.cancel)?);
                let of_source = request.source.map(databases).transpose()?;
                let from = of_source.and_then(|it| it.into_iter().next()).unwrap_or_default();
                let tree = FolderLoad::beside(&refresh.within.join("dumps"))?;
                (tree, Destination::Database(slot, from), Some(refresh.server))
            }
        };
        let programs = Programs::of(instance);
        Ok(Self { tree, destination, programs, cancel: request.cancel.clone() })
    }
}

impl Load for ClusterLoad {
    fn entry(&mut self, entry: &Entry) -> Result<Option<Arc<dyn WriteAt>>> {
        match &self.destination {
            Destination::Server(_) | Destination::Database(..)
                if entry.path.as_bytes() == DATA_FOLDER.as_bytes() =>
            {
                Err(EngineError::known(
                    FailureCode::TargetDenied,
                    "a physical backup holds a data directory, which cannot be restored into a running \
                     server: restore it with --to PATH and start a server there",
                ))
            }
            Destination::Folder(target) => match with_absolute_link(entry, target) {
                Some(entry) => self.tree.entry(&entry),
                None => self.tree.entry(entry),
            },
            Destination::Server(_) | Destination::Database(..) => self.tree.entry(entry),
        }
    }

    fn finish(self: Box<Self>, check: CheckLevel) -> Result<Box<dyn Staged>> {
        let Self { tree, destination, programs, cancel } = *self;
        let staging = tree.into_staging()?;
        let cluster = Cluster::read(staging.path())?;
        match destination {
            Destination::Folder(target) if staging.path().join(DATA_FOLDER).is_dir() => {
                Ok(Box::new(StagedFolder { staging, inside: "", target, check: None }))
            }
            Destination::Folder(target) => {
                let refused = new_cluster::make(staging.path(), &cluster, &programs, &cancel)?;
                let check = Some("pg_restore");
                let folder = StagedFolder { staging, inside: "", target, check };
                Ok(Box::new(StagedCluster { folder, refused }))
            }
            Destination::Server(source) => {
                let Session { client, server, .. } = Session::open(&source, &cancel)?;
                let address = server.shown();
                let login = client.login.for_loading();
                let loader =
                    DumpLoader { client: Client { login, ..client }.in_present_database() };
                loader.check(staging.path(), &cluster, check)?;
                loader.require_absent(staging.path(), &cluster)?;
                let check = (check != CheckLevel::Off).then(|| check_name(check));
                Ok(Box::new(StagedDumps { staging, cluster, loader, address, check }))
            }
            Destination::Database(slot, from) => {
                slot.loader().check(staging.path(), &cluster, check)?;
                let check = (check != CheckLevel::Off).then(|| check_name(check));
                Ok(Box::new(StagedRefresh { staging, cluster, slot: *slot, from, check }))
            }
        }
    }

    fn finish_salvaged(self: Box<Self>) -> Result<Box<dyn Staged>> {
        match self.destination {
            Destination::Folder(_) => Box::new(self.tree).finish(CheckLevel::Off),
            Destination::Server(_) | Destination::Database(..) => Err(damaged_dumps()),
        }
    }
}

/// The link to a tablespace, made absolute. The server accepts a relative one, but `pg_basebackup` of that server
/// would silently leave out the tablespace.
fn with_absolute_link(entry: &Entry, target: &Path) -> Option<Entry> {
    let EntryKind::Symlink { target: relative } = &entry.kind else { return None };
    let oid = relative.strip_prefix(RELATIVE)?;
    let absolute = target.join(TABLESPACES).join(OsStr::from_bytes(oid));
    let kind = EntryKind::Symlink { target: absolute.into_os_string().into_encoded_bytes() };
    Some(Entry { kind, ..entry.clone() })
}

/// A data directory made from dumps.
struct StagedCluster {
    folder: StagedFolder,
    /// What could not be created in it.
    refused: Vec<LeftOut>,
}

impl Staged for StagedCluster {
    fn check(&self) -> Option<&str> {
        self.folder.check()
    }

    fn place(self: Box<Self>, left_out: &mut Vec<LeftOut>) -> Result<Placed> {
        left_out.extend(self.refused);
        Box::new(self.folder).place(left_out)
    }
}

/// Complete, checked dumps, not yet loaded into their server.
struct StagedDumps {
    staging: Staging,
    cluster: Cluster,
    loader: DumpLoader,
    address: String,
    check: Option<&'static str>,
}

impl Staged for StagedDumps {
    fn check(&self) -> Option<&str> {
        self.check
    }

    fn place(self: Box<Self>, left_out: &mut Vec<LeftOut>) -> Result<Placed> {
        let folder = self.staging.path();
        let names = self.loader.load_into_running(folder, &self.cluster, left_out)?.join(", ");
        Ok(Placed::In(format!("the server at {}, databases {names}", self.address)))
    }
}
