//! Bytes into a SQLite database: one new file.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::OpenFlags;

use super::check::check;
use super::fault::beside;
use super::snapshot::connect;
use crate::domain::{Cancel, CheckLevel, Entry, EntryKind, EntryPath, FailureCode, WriteAt};
use crate::engine::tree::{Staging, Tree, path_of};
use crate::engine::{EngineError, Load, LoadOrder, Placed, Refused, Staged};

/// What the database is called until it is placed. It lies alone in a staging folder, so that the
/// files SQLite makes beside it during the check never lie beside the target.
const STAGED_NAME: &str = "database";

/// The files SQLite would take for a part of a database of this name.
const COMPANIONS: [&str; 3] = ["-wal", "-shm", "-journal"];

/// A restore of one database file.
#[derive(Debug)]
pub(super) struct SqliteLoad {
    tree: Tree,
    target: PathBuf,
    begun: bool,
    cancel: Cancel,
}

impl SqliteLoad {
    /// Makes sure that `target` is free, and a folder beside it to work in.
    pub(super) fn prepare(order: &LoadOrder<'_>) -> Result<Self, EngineError> {
        let target = path_of(order)?;
        free(target)?;
        let staging = Staging::beside(target)?;
        Ok(Self {
            tree: Tree::new(staging)?,
            target: target.to_owned(),
            begun: false,
            cancel: order.cancel.clone(),
        })
    }
}

impl Load for SqliteLoad {
    fn entry(&mut self, entry: &Entry) -> Result<Option<Arc<dyn WriteAt>>, EngineError> {
        if !matches!(entry.kind, EntryKind::File { .. }) || self.begun {
            return Err(EngineError::archive(format!(
                "{} is not what a backup of a SQLite database holds: one file",
                crate::engine::printable(&entry.path)
            )));
        }
        self.begun = true;
        let path = EntryPath::new(STAGED_NAME)
            .map_err(|error| EngineError::known(FailureCode::Internal, error.to_string()))?;
        self.tree.entry(&Entry { path, ..entry.clone() })
    }

    fn finish(self: Box<Self>, level: CheckLevel) -> Result<Box<dyn Staged>, EngineError> {
        if !self.begun {
            return Err(EngineError::archive("the archive holds no database file"));
        }
        let staging = self.tree.finish()?;
        let file = staging.path().join(STAGED_NAME);
        // Closed again before SQLite opens it, which keeps locks by file, not by handle.
        std::fs::File::open(&file)
            .and_then(|opened| opened.sync_all())
            .map_err(|error| EngineError::target("syncing", &file, error))?;
        let checked = sound(&file, level, &self.cancel)?;
        Ok(Box::new(StagedDatabase { staging, target: self.target, checked }))
    }
}

/// Runs SQLite's check on the file as it was written. The connection only reads: in WAL mode it makes
/// `-wal` and `-shm` beside the file and removes them again, and never touches the file itself.
fn sound(
    path: &Path,
    level: CheckLevel,
    cancel: &Cancel,
) -> Result<Option<&'static str>, EngineError> {
    if level == CheckLevel::Off {
        return Ok(None);
    }
    let explain = |error: rusqlite::Error| {
        if cancel.is_cancelled() {
            return Refused.into();
        }
        EngineError::archive(format!("the restored database cannot be read: {error}"))
    };
    let connection =
        connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY, Duration::ZERO).map_err(explain)?;
    let checked = check(&connection, level, cancel).map_err(explain)?;
    if checked.damage.is_empty() {
        return Ok(checked.name);
    }
    Err(EngineError::known(
        FailureCode::ArchiveDamaged,
        format!(
            "the restored database is damaged, says SQLite's {}: {}; nothing was put in place",
            checked.name.unwrap_or("check"),
            checked.damage.join("; ")
        ),
    ))
}

/// A database that is whole, checked and on the disk, but not where it belongs yet.
struct StagedDatabase {
    staging: Staging,
    target: PathBuf,
    checked: Option<&'static str>,
}

impl Staged for StagedDatabase {
    fn check(&self) -> Option<&str> {
        self.checked
    }

    fn place(self: Box<Self>) -> Result<Placed, EngineError> {
        free(&self.target)?;
        self.staging.place_file(STAGED_NAME, &self.target)?;
        Ok(Placed::At(self.target))
    }
}

/// Nothing may lie at `target`, nor anything beside it that SQLite would read into a new database there:
/// a stale journal would be played back over it.
fn free(target: &Path) -> Result<(), EngineError> {
    let names = [PathBuf::from(target)].into_iter();
    for path in names.chain(COMPANIONS.iter().map(|suffix| beside(target, suffix))) {
        match std::fs::symlink_metadata(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(EngineError::target("looking at", &path, error)),
            Ok(_) => {
                return Err(EngineError::known(
                    FailureCode::TargetOccupied,
                    format!(
                        "{} exists, and a restore never replaces anything: move it away, or \
                         restore to another place",
                        path.display()
                    ),
                ));
            }
        }
    }
    Ok(())
}
