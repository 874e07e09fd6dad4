//! Where the dumps of a backup are until a running server has loaded them.

use std::io;

use crate::executor::JobError;
use crate::storage::{StorageError, Workspace};

use super::error::Result;
use super::offline::Opened;

/// A folder for them, in the data directory if the backup is of a catalog, and with the temporary files otherwise or
/// if nothing can be written there. Fails, and names it, if there is no room.
pub(super) fn folder(opened: &Opened) -> Result<Workspace> {
    let needed = opened.manifest().totals.restored_bytes();
    let temporary = || Workspace::make(&std::env::temp_dir(), needed, 0);
    let made = match &opened.context {
        None => temporary(),
        Some(context) => {
            let headroom = opened.config.storage.headroom_bytes();
            let within = context.local.scratch();
            match within.and_then(|within| Workspace::make(within, needed, headroom)) {
                Err(error) if is_closed(&error) => temporary(),
                made => made,
            }
        }
    };
    Ok(made.map_err(JobError::from)?)
}

/// Whether nothing can be written there.
fn is_closed(error: &StorageError) -> bool {
    let StorageError::Io { source, .. } = error else { return false };
    [io::ErrorKind::ReadOnlyFilesystem, io::ErrorKind::PermissionDenied].contains(&source.kind())
}
