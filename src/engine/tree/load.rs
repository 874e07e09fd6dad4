//! The restore of one folder: a tree, or a database's data directory.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Staging, Tree};
use crate::domain::{CheckLevel, Entry, FailureCode, LeftOut, WriteAt};
use crate::engine::{EngineError, Load, LoadRequest, Owners, Placed, Result, Staged, Target};

#[derive(Debug)]
pub(in crate::engine) struct FolderLoad {
    tree: Tree,
    target: PathBuf,
    /// The owner and group of everything; `None` keeps those in the archive.
    owner: Option<(u32, u32)>,
}

impl FolderLoad {
    /// Checks that the target is free, and creates the staging folder beside it.
    pub(in crate::engine) fn prepare(request: &LoadRequest<'_>) -> Result<Self> {
        let target = path_of(request)?;
        ensure_free(target)?;
        let staging = Staging::beside(target)?;
        let owner = match request.owners {
            Owners::FromArchive => None,
            Owners::CurrentUser => Some(current_user()),
        };
        Ok(Self { tree: Tree::new(staging, request.owners)?, target: target.to_owned(), owner })
    }

    /// A staging folder beside `path`, owned by the current user, for data that is only passed on: it is never placed.
    pub(in crate::engine) fn beside(path: &Path) -> Result<Self> {
        let tree = Tree::new(Staging::beside(path)?, Owners::CurrentUser)?;
        Ok(Self { tree, target: path.to_owned(), owner: Some(current_user()) })
    }

    /// The complete folder, for an engine that has more to do with it.
    pub(in crate::engine) fn into_staging(self) -> Result<Staging> {
        self.tree.finish()
    }

    /// Like [`Load::finish`], with a check of the complete folder. `check` returns the name of the check, if it made one.
    pub(in crate::engine) fn finish_checked(
        self,
        check: impl FnOnce(&Path) -> Result<Option<&'static str>>,
    ) -> Result<Box<dyn Staged>> {
        let staging = self.tree.finish()?;
        let check = check(staging.path())?;
        Ok(Box::new(StagedFolder { staging, inside: "", target: self.target, check }))
    }
}

impl Load for FolderLoad {
    fn entry(&mut self, entry: &Entry) -> Result<Option<Arc<dyn WriteAt>>> {
        match self.owner {
            None => self.tree.entry(entry),
            Some((uid, gid)) => self.tree.entry(&Entry { uid, gid, ..entry.without_extents() }),
        }
    }

    fn entry_again(&mut self, entry: &Entry) -> Result<Option<Arc<dyn WriteAt>>> {
        self.tree.remove(&entry.path)?;
        self.entry(entry)
    }

    /// There is no further check: the archive has compared every byte's hash.
    fn finish(self: Box<Self>, _level: CheckLevel) -> Result<Box<dyn Staged>> {
        self.finish_checked(|_folder| Ok(None))
    }
}

/// A complete, synced folder that is not at its target yet.
#[derive(Debug)]
pub(in crate::engine) struct StagedFolder {
    pub(in crate::engine) staging: Staging,
    /// The name of the folder in the staging folder; empty if it is the staging folder itself.
    pub(in crate::engine) inside: &'static str,
    pub(in crate::engine) target: PathBuf,
    pub(in crate::engine) check: Option<&'static str>,
}

impl Staged for StagedFolder {
    fn check(&self) -> Option<&str> {
        self.check
    }

    fn place(self: Box<Self>, left_out: &mut Vec<LeftOut>) -> Result<Placed> {
        left_out.extend(self.staging.place_folder(self.inside, &self.target)?);
        Ok(Placed::At(self.target))
    }
}

/// The path to restore to. Files cannot be restored into a server.
pub(in crate::engine) fn path_of<'a>(request: &LoadRequest<'a>) -> Result<&'a Path> {
    match request.target {
        Target::Path(target) => Ok(target),
        Target::Server { .. } | Target::Database(_) => Err(EngineError::known(
            FailureCode::TargetDenied,
            "a backup of files is restored to a path, not into a server: give --to PATH",
        )),
    }
}

/// The failure of a salvage into a server.
pub(in crate::engine) fn damaged_dumps() -> EngineError {
    let text = "dumps of which bytes were lost are not loaded into a server: salvage them to a path (--to PATH)";
    EngineError::known(FailureCode::TargetDenied, text)
}

/// The failure of a target that is not free.
pub(in crate::engine) fn occupied(target: &Path, why: &str) -> EngineError {
    let text = format!("{} {why}; restore to another place", target.display());
    EngineError::known(FailureCode::TargetOccupied, text)
}

fn current_user() -> (u32, u32) {
    (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw())
}

/// Fails if anything exists at `target` but an empty folder that can be replaced.
fn ensure_free(target: &Path) -> Result<()> {
    let occupied = |why| Err(occupied(target, why));
    let failed = |error| EngineError::target("inspecting", target, error);
    let found = match std::fs::symlink_metadata(target) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(failed)?,
    };
    if !found.is_dir() {
        return occupied("exists and is not a folder, and a restore never replaces anything");
    }
    if std::fs::read_dir(target).map_err(failed)?.next().is_some() {
        return occupied("is not empty, and a restore never replaces anything");
    }
    let above = target.parent().and_then(|folder| std::fs::symlink_metadata(folder).ok());
    if above.is_some_and(|above| above.is_dir() && above.dev() != found.dev()) {
        return occupied("is a mount point, which a restored folder cannot replace");
    }
    Ok(())
}
