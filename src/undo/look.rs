//! Looking at undo points without changing anything.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::error::{Result, UndoError, failed};
use super::record::{Holds, PREFIX, Record};
use crate::domain::BackupId;

/// An undo point as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Its short name, for commands.
    pub id: String,
    pub folder: PathBuf,
    /// What it belongs to.
    pub target: PathBuf,
    /// The backup that was restored.
    pub backup: BackupId,
    /// When that restore began, in UTC.
    pub made: String,
    pub holds: Holds,
    /// Whether an exchange was begun and not ended: the process was killed, or works on it now.
    pub is_under_way: bool,
    /// What it takes on the disk.
    pub bytes: u64,
}

/// The undo points in a folder, the newest first, and why others cannot be read.
pub fn look(folder: &Path) -> Result<(Vec<Seen>, Vec<UndoError>)> {
    let (mut found, mut unreadable) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(folder).map_err(failed("listing", folder))?.flatten() {
        let name = entry.file_name();
        let Some(id) = name.to_str().and_then(|it| it.strip_prefix(PREFIX)) else { continue };
        let point = entry.path();
        match Record::read(&point) {
            Ok(Some(record)) => found.push(Seen {
                id: id.to_owned(),
                target: folder.join(&record.name),
                backup: record.backup,
                made: record.made,
                holds: record.holds,
                is_under_way: record.incoming.is_some(),
                bytes: bytes_below(&point),
                folder: point,
            }),
            Ok(None) => {}
            Err(error) => unreadable.push(error),
        }
    }
    found.sort_by(|a, b| (&b.made, &b.folder).cmp(&(&a.made, &a.folder)));
    Ok((found, unreadable))
}

/// What the files of a tree take.
pub(super) fn bytes_below(folder: &Path) -> u64 {
    let (mut bytes, mut folders) = (0_u64, vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(found) if found.is_dir() => folders.push(entry.path()),
                Ok(found) => bytes = bytes.saturating_add(found.blocks().saturating_mul(512)),
                Err(_gone) => {}
            }
        }
    }
    bytes
}
