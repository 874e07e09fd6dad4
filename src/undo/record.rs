//! What an undo point knows of itself: `undo.json`.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::error::{Result, UndoError, failed};
use crate::disk;
use crate::domain::{BackupId, words};

/// How the names of the folders of undo points begin.
pub(super) const PREFIX: &str = ".coffer-undo-";

/// The version that is written, and the newest that is read.
const VERSION: u32 = 1;
/// A longer file is not one that Coffer wrote.
const LONGEST: u64 = 1 << 20;
const FILE: &str = "undo.json";
const NEW: &str = "undo.json.new";

words! {
    /// What an undo point holds.
    pub enum Holds {
        /// A restore that is not complete: nothing was replaced.
        Unfinished = "unfinished",
        /// What the restore replaced.
        Replaced = "replaced",
        /// What was restored, because the restore was undone.
        Restored = "restored",
        /// It is being removed, and some of it may be gone.
        Discarded = "discarded",
    }
}

/// A file or folder, whatever its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Identity {
    pub(super) device: u64,
    pub(super) inode: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) version: u32,
    /// The name of what was restored, in the folder that the undo point is in.
    pub(super) name: String,
    pub(super) backup: BackupId,
    /// When the restore began, in UTC.
    pub(super) made: String,
    /// The endings of files that belong to it: `-wal`…
    pub(super) companions: Vec<String>,
    pub(super) holds: Holds,
    /// The number of the folder with what it holds.
    pub(super) slot: u32,
    /// What is to be at the target once the exchange is done that is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) incoming: Option<Identity>,
}

impl Record {
    pub(super) fn new(name: String, backup: BackupId, made: String, companions: &[&str]) -> Self {
        Self {
            version: VERSION,
            name,
            backup,
            made,
            companions: companions.iter().map(|it| (*it).to_owned()).collect(),
            holds: Holds::Unfinished,
            slot: 1,
            incoming: None,
        }
    }

    /// The record in this undo point's folder; `None`: there is none.
    pub(super) fn read(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join(FILE);
        let opened = match disk::open_regular(&path, OpenOptions::new().read(true)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(failed("opening", &path))?,
        };
        let mut json = Vec::new();
        opened.take(LONGEST).read_to_end(&mut json).map_err(failed("reading", &path))?;
        let unreadable = |why: String| UndoError::Unreadable { path: path.clone(), why };
        let record: Self =
            serde_json::from_slice(&json).map_err(|error| unreadable(error.to_string()))?;
        if record.version > VERSION {
            return Err(unreadable(format!("version {}, of a newer Coffer", record.version)));
        }
        let is_name = |name: &str| !name.is_empty() && name != ".." && !name.contains('/');
        if !is_name(&record.name) || record.companions.iter().any(|it| it.contains('/')) {
            return Err(unreadable("it names a path outside of its folder".to_owned()));
        }
        Ok(Some(record))
    }

    /// Replaces the record in one step, durably.
    pub(super) fn write(&self, folder: &Path) -> Result<()> {
        let (path, new) = (folder.join(FILE), folder.join(NEW));
        let json =
            serde_json::to_vec_pretty(self).expect("a record of texts and numbers is valid JSON");
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let written = options.open(&new).and_then(|mut file| {
            file.write_all(&json)?;
            file.sync_all()
        });
        written.map_err(failed("writing", &new))?;
        rustix::fs::rename(&new, &path).map_err(failed("placing", &path))?;
        sync(folder)
    }
}

/// Makes the names in a folder durable.
pub(super) fn sync(folder: &Path) -> Result<()> {
    File::open(folder).and_then(|it| it.sync_all()).map_err(failed("syncing", folder))
}
