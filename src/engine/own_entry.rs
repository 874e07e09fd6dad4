//! Entries that are not files of the source: dumps, notes, and their folders.

use super::EngineError;
use super::file_stat::now_ns;
use crate::domain::{Entry, EntryKind, EntryPath, FailureCode};

/// A private entry that is owned by the user that runs Coffer and was modified now.
pub(super) fn own_entry(path: &str, kind: EntryKind) -> Result<Entry, EngineError> {
    let path = EntryPath::new(path)
        .map_err(|error| EngineError::known(FailureCode::Internal, error.to_string()))?;
    let mode = if kind == EntryKind::Directory { 0o700 } else { 0o600 };
    Ok(Entry {
        path,
        kind,
        mode,
        uid: rustix::process::geteuid().as_raw(),
        gid: rustix::process::getegid().as_raw(),
        mtime_ns: now_ns(),
        xattrs: Vec::new(),
        stamp: None,
    })
}
