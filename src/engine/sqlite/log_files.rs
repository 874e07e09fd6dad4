//! The files SQLite makes beside a database in WAL mode, and whether its application can use them.
//!
//! Whoever opens such a database first makes `-wal` and `-shm`, with the database's mode but as its own
//! user (only root's are given to the database's owner). If Coffer comes first, as another user, and the
//! application may not write to those files, then it cannot open its database. A backup must never do
//! that, so it would rather fail, with the lines that mend it.

use std::fs::Metadata;
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use rustix::fs::{Access, access, getxattr};
use rustix::process::geteuid;

use super::fault::{beside, lines_that_mend};
use crate::domain::FailureCode;
use crate::engine::EngineError;

/// Where the header of a database says how it is read; 2 there is WAL mode.
const READ_VERSION_AT: usize = 19;

/// An access control list as Linux shows it: a version of four bytes, then for each entry a tag, rights
/// (read is 4, write is 2) and a user or group, in two, two and four bytes. A longer one counts as none.
const LONGEST_LIST: usize = 4096;
/// The tag of a named user's entry.
const USER_TAG: [u8; 2] = 0x02_u16.to_le_bytes();
/// The tag of the entry that bounds the others.
const MASK_TAG: [u8; 2] = 0x10_u16.to_le_bytes();

/// Whether the log that a transaction over `path` has open holds anything. If not, the last to close the
/// database removes it.
pub(super) fn holds_something(path: &Path) -> bool {
    std::fs::metadata(beside(path, "-wal")).is_ok_and(|found| found.len() > 0)
}

/// Refuses a database over which SQLite could make log files that it cannot remove again: in WAL mode, in
/// a folder that we may write to, but itself only readable. Also while its application has it open: that
/// may close it at any moment.
pub(super) fn refuse_if_left_behind(path: &Path) -> Result<(), EngineError> {
    let Some(folder) = path.parent() else { return Ok(()) };
    let could_make = access(folder, Access::WRITE_OK).is_ok();
    let could_remove = access(path, Access::WRITE_OK).is_ok();
    if could_remove || !could_make || !is_wal(path) {
        return Ok(());
    }
    Err(unwelcome(path))
}

/// Refuses a database whose log files are ours since a moment ago and whose owner may not write to them.
/// Closing the connection removes them.
pub(super) fn refuse_if_locked_out(path: &Path) -> Result<(), EngineError> {
    let log = beside(path, "-wal");
    let (Ok(database), Ok(found)) = (std::fs::metadata(path), std::fs::metadata(&log)) else {
        return Ok(());
    };
    let ours = found.uid() == geteuid().as_raw() && found.uid() != database.uid();
    if ours && !is_shared(&found, &database) && !is_open_to(&log, database.uid()) {
        return Err(unwelcome(path));
    }
    Ok(())
}

/// Whether the two are of one group that may write to the log.
fn is_shared(log: &Metadata, database: &Metadata) -> bool {
    log.gid() == database.gid() && database.permissions().mode() & 0o060 == 0o060
}

/// Whether an access control list gives `user` the right to read and write, as laid down for the folder.
fn is_open_to(path: &Path, user: u32) -> bool {
    let mut list = [0_u8; LONGEST_LIST];
    let length = getxattr(path, "system.posix_acl_access", &mut list[..]).unwrap_or(0);
    let entries = || list.get(4..length).unwrap_or_default().chunks_exact(8);
    let gives = |tag: [u8; 2], id: Option<u32>| {
        entries().any(|entry| {
            entry.starts_with(&tag)
                && entry.get(2).is_some_and(|rights| rights & 6 == 6)
                && id.is_none_or(|id| entry.ends_with(&id.to_le_bytes()))
        })
    };
    gives(USER_TAG, Some(user)) && gives(MASK_TAG, None)
}

/// Reads the header with a plain open. Closing that drops the locks other connections of this process hold
/// on the file, so it is for files that nothing else here reads: foreign ones, in one backup at a time.
fn is_wal(path: &Path) -> bool {
    let mut header = [0_u8; 20];
    let read = std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut header));
    read.is_ok() && header.get(READ_VERSION_AT) == Some(&2)
}

fn unwelcome(path: &Path) -> EngineError {
    EngineError::known(
        FailureCode::SourceDenied,
        format!(
            "{} is in WAL mode, and reading it while no application has it open would leave -wal and \
             -shm files that its owner may not write to, and so lock its application out. {}",
            path.display(),
            lines_that_mend(path)
        ),
    )
}
