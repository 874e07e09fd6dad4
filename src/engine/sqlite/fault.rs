//! SQLite's errors, as failures with advice for the user.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{ErrorCode, ffi};
use rustix::fs::{Access, access};

use crate::domain::FailureCode;
use crate::domain::shell_word;
use crate::engine::{EngineError, hidden_home};

/// The failure that `error` is, when it occurred while reading the database at `path`.
pub(super) fn explain(path: &Path, wait: Duration, error: &rusqlite::Error) -> EngineError {
    let shown = path.display();
    let (code, message) = match error.sqlite_error_code().unwrap_or(ErrorCode::Unknown) {
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => (
            FailureCode::SourceLocked,
            format!(
                "{shown} was locked for {} s by an application (a long transaction, or \
                 locking_mode=EXCLUSIVE); end that, or raise source.lock_wait_s",
                wait.as_secs()
            ),
        ),
        ErrorCode::NotADatabase => (
            FailureCode::SourceInvalid,
            format!(
                "{shown} is not a SQLite database, or it is encrypted, or of a format that SQLite itself does not know: \
                 correct source.path; of one that only the application reads, back up a copy that it makes, in a folder \
                 (engine = \"directory\")"
            ),
        ),
        ErrorCode::DatabaseCorrupt => (
            FailureCode::SourceDamaged,
            format!(
                "{shown} is damaged ({error}): restore an earlier backup, or save what is readable \
                 with `sqlite3 FILE .recover`"
            ),
        ),
        ErrorCode::CannotOpen | ErrorCode::PermissionDenied | ErrorCode::ReadOnly => {
            return denied(path, error);
        }
        ErrorCode::SystemIoFailure => (
            if is_cut(error) { FailureCode::SourceDamaged } else { FailureCode::Internal },
            format!("{shown} could not be read ({error}): look for disk errors in the system log"),
        ),
        ErrorCode::DiskFull => {
            (FailureCode::DiskFull, format!("the disk is full while reading {shown}: {error}"))
        }
        _ => (FailureCode::Internal, format!("reading {shown}: {error}")),
    };
    EngineError::known(code, message)
}

/// Whether an error of reading says that the file is shorter than its pages, or that its filesystem is damaged. Any
/// other is of the machine.
fn is_cut(error: &rusqlite::Error) -> bool {
    let extended = error.sqlite_error().map(|it| it.extended_code);
    matches!(extended, Some(ffi::SQLITE_IOERR_SHORT_READ | ffi::SQLITE_IOERR_CORRUPTFS))
}

/// SQLite may not open the file, or one of those beside it. access(2) tells which permission is missing: opening
/// and closing the file here would release every lock that this process has on it.
fn denied(path: &Path, error: &rusqlite::Error) -> EngineError {
    let shown = path.display();
    let uid = rustix::process::geteuid().as_raw();
    let message = match access(path, Access::READ_OK) {
        Err(rustix::io::Errno::NOENT) => return missing(path),
        Err(_unreadable) => format!(
            "{shown} may not be read by the user Coffer runs as (uid {uid}): give it the right, \
             with `setfacl -m u:{uid}:r {}` and x on the folders above",
            shell_word(path)
        ),
        Ok(()) => companions_denied(path, error),
    };
    EngineError::known(FailureCode::SourceDenied, message)
}

/// The file can be read, but not written beside: to the -shm file that every reader of a WAL database shares with
/// the writers, or to roll back a journal.
fn companions_denied(path: &Path, error: &rusqlite::Error) -> String {
    let shown = path.display();
    let what = if companion(path, "-journal").exists() {
        "a transaction was interrupted and must be rolled back before the database can be read"
    } else {
        "a reader of a database in WAL mode writes to its -shm file"
    };
    format!(
        "{shown} can be read, but not the files that SQLite needs beside it ({error}): {what}. {}",
        permission_advice(path)
    )
}

/// The commands that let Coffer's user and the database's owner share it. SQLite removes `-wal` and `-shm` and
/// creates them again, so the folder's permissions decide who may use the new files.
pub(super) fn permission_advice(path: &Path) -> String {
    let uid = rustix::process::geteuid().as_raw();
    let shown = shell_word(path);
    let folder = path.parent().unwrap_or(Path::new("/"));
    let owner = std::fs::metadata(path).map_or(0, |found| found.uid());
    format!(
        "Let the user Coffer runs as (uid {uid}) and the database's owner (uid {owner}) both write \
         there: with one group that both are in and that owns the files, `chmod g+rw {shown}*` and \
         `chmod g+rwxs {folder}`; or with `setfacl -m u:{uid}:rwx,d:u:{uid}:rw,d:u:{owner}:rw \
         {folder}` and `setfacl -m u:{uid}:rw {shown}*`. Under systemd also \
         `ReadWritePaths={}`",
        folder.display(),
        folder = shell_word(folder)
    )
}

pub(super) fn unreachable(path: &Path) -> EngineError {
    if let Some(hidden) = hidden_home::failure(path) {
        return hidden;
    }
    let uid = rustix::process::geteuid().as_raw();
    let folder = shell_word(path.parent().unwrap_or(Path::new("/")));
    EngineError::known(
        FailureCode::SourceDenied,
        format!(
            "{} cannot be reached by the user Coffer runs as (uid {uid}): give it x on every folder \
             above, with `setfacl -m u:{uid}:x {folder}` and so on upwards",
            path.display()
        ),
    )
}

pub(super) fn missing(path: &Path) -> EngineError {
    if let Some(hidden) = hidden_home::failure(path) {
        return hidden;
    }
    EngineError::known(
        FailureCode::SourceMissing,
        format!("{} does not exist: correct source.path, or create the database", path.display()),
    )
}

/// The file beside a database that has `suffix` added to its name: `-wal`, `-shm`, `-journal`.
pub(super) fn companion(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code_and_text(extended: i32, path: &Path) -> (FailureCode, String) {
        let error = rusqlite::Error::SqliteFailure(ffi::Error::new(extended), None);
        let failure = explain(path, Duration::from_secs(7), &error).failure().unwrap();
        (failure.code, failure.message)
    }

    #[test]
    fn a_missing_permission_for_the_shm_file_is_reported_with_the_commands_that_grant_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let file = tempfile::NamedTempFile::new_in(&folder).unwrap();
        file.persist(&path).unwrap();
        let (code, text) = code_and_text(ffi::SQLITE_CANTOPEN, &path);
        assert_eq!(code, FailureCode::SourceDenied);
        for word in ["-shm", "group", "setfacl -m", "ReadWritePaths="] {
            assert!(text.contains(word), "{word}: {text}");
        }
        assert!(text.contains(&path.display().to_string()), "{text}");
    }

    #[test]
    fn every_sqlite_error_has_a_code_and_names_the_file() {
        let gone = Path::new("/nowhere/b.db");
        for (extended, expected) in [
            (ffi::SQLITE_BUSY_RECOVERY, FailureCode::SourceLocked),
            (ffi::SQLITE_NOTADB, FailureCode::SourceInvalid),
            (ffi::SQLITE_CORRUPT_VTAB, FailureCode::SourceDamaged),
            (ffi::SQLITE_IOERR_SHORT_READ, FailureCode::SourceDamaged),
            (ffi::SQLITE_IOERR_READ, FailureCode::Internal),
            (ffi::SQLITE_CANTOPEN, FailureCode::SourceMissing),
            (ffi::SQLITE_FULL, FailureCode::DiskFull),
            (ffi::SQLITE_NOMEM, FailureCode::Internal),
        ] {
            let (code, text) = code_and_text(extended, gone);
            assert_eq!(code, expected, "{extended}");
            assert!(text.contains("/nowhere/b.db"), "{text}");
        }
        let (_, text) = code_and_text(ffi::SQLITE_BUSY, gone);
        assert!(text.contains("7 s") && text.contains("lock_wait_s"), "{text}");
    }
}
