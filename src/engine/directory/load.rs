//! Bytes into a tree: one new folder.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::domain::{CheckLevel, Entry, FailureCode};
use crate::engine::tree::{Staging, Tree};
use crate::engine::{EngineError, Load, Place, Staged};

/// A restore of a tree.
#[derive(Debug)]
pub(super) struct DirectoryLoad {
    tree: Tree,
    target: PathBuf,
}

impl DirectoryLoad {
    /// Makes sure that `target` is free, and a folder beside it that will become it.
    pub(super) fn prepare(target: &Path) -> Result<Self, EngineError> {
        free(target)?;
        let staging = Staging::beside(target)?;
        Ok(Self { tree: Tree::new(staging)?, target: target.to_owned() })
    }
}

impl Load for DirectoryLoad {
    fn entry(&mut self, entry: &Entry) -> Result<Option<Arc<dyn Place>>, EngineError> {
        self.tree.entry(entry)
    }

    /// A tree has no check of its own: that each byte is what was read, the archive has proven.
    fn finish(self: Box<Self>, _level: CheckLevel) -> Result<Box<dyn Staged>, EngineError> {
        Ok(Box::new(StagedTree { staging: self.tree.finish()?, target: self.target }))
    }
}

/// A tree that is whole and on the disk, but not where it belongs yet.
struct StagedTree {
    staging: Staging,
    target: PathBuf,
}

impl Staged for StagedTree {
    fn check(&self) -> Option<&str> {
        None
    }

    fn place(self: Box<Self>) -> Result<PathBuf, EngineError> {
        self.staging.place_folder(&self.target)?;
        Ok(self.target)
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
