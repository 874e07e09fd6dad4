//! The restore of a SQLite database: one new file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::check::{check_restored, described};
use super::fault::companion;
use crate::domain::{Cancel, CheckLevel, Entry, EntryKind, LeftOut, WriteAt};
use crate::engine::file_name::entry_path;
use crate::engine::tree::{Staging, Tree, occupied, path_of};
use crate::engine::{EngineError, Load, LoadRequest, Placed, Result, Staged};

/// The file's name in the staging folder. It is alone there, so that the files that SQLite creates beside it during
/// the check are never beside the target.
const STAGED_NAME: &str = "database";

/// Files that SQLite would treat as part of a database with this name.
pub(super) const COMPANIONS: [&str; 3] = ["-wal", "-shm", "-journal"];

#[derive(Debug)]
pub(super) struct SqliteLoad {
    tree: Tree,
    target: PathBuf,
    has_file: bool,
    cancel: Cancel,
}

impl SqliteLoad {
    /// Checks that the target does not exist, and creates a staging folder beside it.
    pub(super) fn prepare(request: &LoadRequest<'_>) -> Result<Self> {
        let target = path_of(request)?;
        ensure_free(target)?;
        let staging = Staging::beside(target)?;
        Ok(Self {
            tree: Tree::new(staging, request.owners)?,
            target: target.to_owned(),
            has_file: false,
            cancel: request.cancel.clone(),
        })
    }
}

impl Load for SqliteLoad {
    fn entry(&mut self, entry: &Entry) -> Result<Option<Arc<dyn WriteAt>>> {
        if !matches!(entry.kind, EntryKind::File { .. }) || self.has_file {
            return Err(EngineError::archive(format!(
                "{} does not belong in a backup of a SQLite database, which is one file",
                crate::engine::printable(&entry.path)
            )));
        }
        self.has_file = true;
        self.tree.entry(&Entry { path: entry_path(STAGED_NAME)?, ..entry.without_extents() })
    }

    fn finish(self: Box<Self>, level: CheckLevel) -> Result<Box<dyn Staged>> {
        if !self.has_file {
            return Err(EngineError::archive("the archive holds no database file"));
        }
        let staging = self.tree.finish()?;
        let file = staging.path().join(STAGED_NAME);
        // Closed before SQLite opens it: closing a handle releases SQLite's locks.
        std::fs::File::open(&file)
            .and_then(|opened| opened.sync_all())
            .map_err(|error| EngineError::target("syncing", &file, error))?;
        let check = if level == CheckLevel::Off {
            None
        } else {
            let outcome = check_restored(&file, level, &self.cancel)?.1;
            outcome.name.map(|name| described(name, &outcome.unchecked))
        };
        Ok(Box::new(StagedDatabase { staging, target: self.target, check }))
    }
}

struct StagedDatabase {
    staging: Staging,
    target: PathBuf,
    check: Option<String>,
}

impl Staged for StagedDatabase {
    fn check(&self) -> Option<&str> {
        self.check.as_deref()
    }

    fn place(self: Box<Self>, left_out: &mut Vec<LeftOut>) -> Result<Placed> {
        ensure_free(&self.target)?;
        left_out.extend(self.staging.place_file(STAGED_NAME, &self.target)?);
        Ok(Placed::At(self.target))
    }
}

/// Fails if anything exists at `target`, or beside it under a name that SQLite would treat as part of the new
/// database: it would apply an old journal to it.
fn ensure_free(target: &Path) -> Result<()> {
    let names = [PathBuf::from(target)].into_iter();
    for path in names.chain(COMPANIONS.iter().map(|suffix| companion(target, suffix))) {
        match std::fs::symlink_metadata(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(EngineError::target("inspecting", &path, error)),
            Ok(_) => return Err(occupied(&path, "exists, and a restore never replaces anything")),
        }
    }
    Ok(())
}
