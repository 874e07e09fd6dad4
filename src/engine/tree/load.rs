//! A restore that makes one new folder: of a tree, or of a database's data directory.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Staging, Tree};
use crate::domain::{CheckLevel, Entry, FailureCode, WriteAt};
use crate::engine::{EngineError, Load, LoadOrder, Owners, Placed, Staged, Target};

/// A restore of a folder.
#[derive(Debug)]
pub(in crate::engine) struct FolderLoad {
    tree: Tree,
    target: PathBuf,
    /// Whose everything becomes; `None`: whose it was.
    owner: Option<(u32, u32)>,
}

impl FolderLoad {
    /// Makes sure that the target is free, and a folder beside it that will become it.
    pub(in crate::engine) fn prepare(order: &LoadOrder<'_>) -> Result<Self, EngineError> {
        let target = path_of(order)?;
        free(target)?;
        let staging = Staging::beside(target)?;
        let owner = match order.owners {
            Owners::Kept => None,
            Owners::Mine => {
                Some((rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw()))
            }
        };
        Ok(Self { tree: Tree::new(staging)?, target: target.to_owned(), owner })
    }

    /// Ends it as [`Load::finish`] does, with a check of the whole folder, which gives its name if it was made.
    pub(in crate::engine) fn finish_checked(
        self,
        check: impl FnOnce(&Path) -> Result<Option<String>, EngineError>,
    ) -> Result<Box<dyn Staged>, EngineError> {
        let staging = self.tree.finish()?;
        let check = check(staging.path())?;
        Ok(Box::new(StagedFolder { staging, target: self.target, check }))
    }
}

impl FolderLoad {
    /// A folder beside `place`, for whoever runs Coffer, that becomes nothing: what is restored into it is
    /// only passed on.
    pub(in crate::engine) fn beside(place: &Path) -> Result<Self, EngineError> {
        let owner = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        let tree = Tree::new(Staging::beside(place)?)?;
        Ok(Self { tree, target: place.to_owned(), owner: Some(owner) })
    }

    /// Everything is written: gives the folder, for an engine that has more to do with it.
    pub(in crate::engine) fn settle(self) -> Result<Staging, EngineError> {
        self.tree.finish()
    }
}

impl Load for FolderLoad {
    fn entry(&mut self, entry: &Entry) -> Result<Option<Arc<dyn WriteAt>>, EngineError> {
        match self.owner {
            None => self.tree.entry(entry),
            Some((uid, gid)) => self.tree.entry(&Entry { uid, gid, ..entry.clone() }),
        }
    }

    /// Files have no check of their own: that each byte is what was read, the archive has proven.
    fn finish(self: Box<Self>, _level: CheckLevel) -> Result<Box<dyn Staged>, EngineError> {
        self.finish_checked(|_folder| Ok(None))
    }
}

/// A folder that is whole and on the disk, but not where it belongs yet.
struct StagedFolder {
    staging: Staging,
    target: PathBuf,
    check: Option<String>,
}

impl Staged for StagedFolder {
    fn check(&self) -> Option<&str> {
        self.check.as_deref()
    }

    fn place(self: Box<Self>) -> Result<Placed, EngineError> {
        self.staging.place_folder(&self.target)?;
        Ok(Placed::At(self.target))
    }
}

/// The path to restore to: files do not go into a server.
pub(in crate::engine) fn path_of<'a>(order: &LoadOrder<'a>) -> Result<&'a Path, EngineError> {
    match order.target {
        Target::Path(target) => Ok(target),
        Target::Server(_) => Err(EngineError::known(
            FailureCode::TargetDenied,
            "a backup of files is restored to a path, not into a server: give --to PATH",
        )),
    }
}

/// Nothing may lie at `target` but an empty folder that a new one can take the place of.
fn free(target: &Path) -> Result<(), EngineError> {
    let occupied = |why: &str| {
        let text = format!("{} {why}; restore to another place", target.display());
        Err(EngineError::known(FailureCode::TargetOccupied, text))
    };
    let failed = |error| EngineError::target("looking at", target, error);
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
        return occupied("is where a filesystem is mounted, which no folder can take the place of");
    }
    Ok(())
}
