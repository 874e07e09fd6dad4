//! The files that SQLite creates beside a database in WAL mode, and whether its application can use them.
//!
//! The first process to open such a database creates `-wal` and `-shm`, with the database's mode but owned by its own
//! user (root gives them to the database's owner). If that is Coffer, as another user, and the application may not
//! write to those files, the application cannot open its database. A backup must never cause that, so it fails
//! instead, and says which permissions are needed.

use std::fs::{File, Metadata};
use std::io::Read as _;
use std::os::unix::fs::FileExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{Access, access, getxattr};
use rustix::io::Errno;
use rustix::process::{Flock, FlockOffsetType, FlockType, fcntl_getlk, geteuid};

use super::fault::{companion, permission_advice};
use crate::domain::FailureCode;
use crate::engine::{EngineError, Result};

/// The offset of the read version in a database's header; 2 means WAL mode.
const READ_VERSION_AT: usize = 19;

/// An access control list in Linux's format: a version of four bytes, then entries of a tag (two bytes), permissions
/// (two bytes; read is 4, write is 2) and a user or group (four bytes). A longer list is ignored.
const MAX_ACL_BYTES: usize = 4096;
/// The tag of a named user's entry.
const USER_TAG: [u8; 2] = 0x02_u16.to_le_bytes();
/// The tag of the entry that limits the others.
const MASK_TAG: [u8; 2] = 0x10_u16.to_le_bytes();

/// The bytes that every connection locks while it has a database open ("File Locking", and `wal.html`, 2.3), and the byte
/// of `-shm` that it locks in WAL mode.
const SHARED_BYTES: (u64, u64) = (0x4000_0002, 510);
const SHM_BYTE: (u64, u64) = (128, 1);

/// How long an application may take between opening a database and its log.
const OPENING: Duration = Duration::from_secs(1);
const OPENING_POLL: Duration = Duration::from_millis(20);

/// Refuses a database that an application has open under another name: through a mount of this one file, or a hard
/// link. Its log is then beside that name, and what it holds of the latest commits cannot be seen from here. `file` is
/// an open handle.
pub(super) fn refuse_if_log_is_elsewhere(file: &File, path: &Path) -> Result<()> {
    let mut header = [0_u8; 20];
    let read = file.read_exact_at(&mut header, 0);
    if read.is_err() || header.get(READ_VERSION_AT) != Some(&2) {
        return Ok(());
    }
    let deadline = Instant::now() + OPENING;
    while is_open_elsewhere(file, path) {
        if Instant::now() >= deadline {
            return Err(EngineError::known(
                FailureCode::SourceInvalid,
                format!(
                    "{} is in WAL mode, and a program has it open under another name (a mount of this one \
                     file, or a hard link), so the log with its latest commits is not here: mount the \
                     folder instead of the file, or set source.path to the name that the program uses",
                    path.display()
                ),
            ));
        }
        std::thread::park_timeout(OPENING_POLL);
    }
    let links = file.metadata().map_or(1, |found| found.nlink());
    if links > 1 && !companion(path, "-wal").exists() {
        log::warn!(
            "{} has {links} names: if a program that uses another one has crashed, its last commits are in a \
             log beside that name, and not in this backup",
            path.display()
        );
    }
    Ok(())
}

/// Whether a program has the database open, and none has the log here open.
fn is_open_elsewhere(file: &File, path: &Path) -> bool {
    if is_log_in_use(path) || locked(file, SHARED_BYTES) != Some(FlockType::ReadLock) {
        return false;
    }
    // Nothing in this process has it open, so closing it releases no lock.
    File::open(companion(path, "-shm")).ok().is_none_or(|shm| locked(&shm, SHM_BYTE).is_none())
}

/// How another process has locked some of the bytes.
fn locked(file: &File, (start, length): (u64, u64)) -> Option<FlockType> {
    let mut lock = Flock::from(FlockType::WriteLock);
    (lock.start, lock.length, lock.offset_type) = (start, length, FlockOffsetType::Set);
    fcntl_getlk(file, &lock).ok().flatten().map(|found| found.typ)
}

/// Whether nothing can be written there, because the filesystem is read-only: a snapshot, or a mount that is.
pub(super) fn is_on_read_only_filesystem(path: &Path) -> bool {
    access(path, Access::WRITE_OK) == Err(Errno::ROFS)
}

/// Whether the log of the database at `path` is not empty. If it is empty, the last connection to close removes it.
pub(super) fn is_log_in_use(path: &Path) -> bool {
    std::fs::metadata(companion(path, "-wal")).is_ok_and(|found| found.len() > 0)
}

/// Refuses a database for which SQLite could create log files that it cannot remove again: one in WAL mode, in a
/// folder that Coffer may write to, but itself only readable. Also while its application has it open, since that may
/// close it at any moment.
pub(super) fn refuse_if_not_removable(path: &Path) -> Result<()> {
    let Some(folder) = path.parent() else { return Ok(()) };
    let may_create = access(folder, Access::WRITE_OK).is_ok();
    let may_remove = access(path, Access::WRITE_OK).is_ok();
    if may_remove || !may_create || !is_wal(path) {
        return Ok(());
    }
    Err(would_lock_out(path))
}

/// Refuses a database whose log files Coffer has just created and whose owner may not write to them. Closing the
/// connection removes them.
pub(super) fn refuse_if_owner_locked_out(path: &Path) -> Result<()> {
    let log = companion(path, "-wal");
    let (Ok(database), Ok(found)) = (std::fs::metadata(path), std::fs::metadata(&log)) else {
        return Ok(());
    };
    let ours = found.uid() == geteuid().as_raw() && found.uid() != database.uid();
    if ours && !is_shared(&found, &database) && !is_writable_by(&log, database.uid()) {
        return Err(would_lock_out(path));
    }
    Ok(())
}

/// Whether log and database belong to one group that may write to the log.
fn is_shared(log: &Metadata, database: &Metadata) -> bool {
    log.gid() == database.gid() && database.permissions().mode() & 0o060 == 0o060
}

/// Whether an access control list lets `user` read and write the file.
fn is_writable_by(path: &Path, user: u32) -> bool {
    let mut list = [0_u8; MAX_ACL_BYTES];
    let length = getxattr(path, "system.posix_acl_access", &mut list[..]).unwrap_or(0);
    let entries = || list.get(4..length).unwrap_or_default().chunks_exact(8);
    let grants = |tag: [u8; 2], id: Option<u32>| {
        entries().any(|entry| {
            entry.starts_with(&tag)
                && entry.get(2).is_some_and(|permissions| permissions & 6 == 6)
                && id.is_none_or(|id| entry.ends_with(&id.to_le_bytes()))
        })
    };
    grants(USER_TAG, Some(user)) && grants(MASK_TAG, None)
}

/// Reads the header. Closing the file releases the locks that other connections of this process have on it, so this
/// is only for files that nothing else in this process reads: other users' files, in one backup at a time.
fn is_wal(path: &Path) -> bool {
    let mut header = [0_u8; 20];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut header));
    read.is_ok() && header.get(READ_VERSION_AT) == Some(&2)
}

fn would_lock_out(path: &Path) -> EngineError {
    EngineError::known(
        FailureCode::SourceDenied,
        format!(
            "{} is in WAL mode, and reading it while no application has it open would leave behind \
             -wal and -shm files that its owner may not write to, and lock its application out. {}",
            path.display(),
            permission_advice(path)
        ),
    )
}
