//! Errors of the catalog's database.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use rusqlite::ErrorCode;

use crate::domain::{BackupId, Status};

pub type Result<T, E = StoreError> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the catalog {path}: {source}", path = path.display())]
    Unreachable { path: PathBuf, source: io::Error },
    #[error(
        "{path} is not a Coffer catalog; move it away and run `coffer catalog rebuild`, which makes a new one from the archives",
        path = path.display()
    )]
    NotACatalog { path: PathBuf },
    /// The file was written by a newer program, and is left as it is.
    #[error(
        "the catalog {path} has schema {found} and this program knows schemas up to {known}; use the newer Coffer that wrote it",
        path = path.display()
    )]
    Newer {
        path: PathBuf,
        found: i64,
        /// The newest this program knows.
        known: i64,
    },
    #[error(
        "the catalog is damaged ({why}); move catalog.db away and run `coffer catalog rebuild`, which makes a new one from the archives"
    )]
    Damaged { why: String },
    /// The file is no longer the one that was opened.
    #[error(
        "the catalog {path} was removed or replaced while Coffer used it, cut short or written over, and is not written any more ({why}). If it was moved, move it back: the same file, not a copy. Else stop Coffer, move catalog.db, catalog.db-wal and catalog.db-shm away together, and start it: a catalog that is missing is rebuilt from the archives. A copy of the catalog can be put there before the start, with its own -wal or none, never with that of another one",
        path = path.display()
    )]
    Moved { path: PathBuf, why: &'static str },
    /// One of the files is not the catalog's own.
    #[error("{path} {why}: it is not Coffer's; move it away", path = path.display())]
    Foreign { path: PathBuf, why: &'static str },
    /// The write-ahead log beside the file has commits of another one.
    #[error(
        "the catalog {path} and the log {path}-wal beside it do not belong together: one of them is an older copy or of another catalog, and opened together they would be mixed. Put the copy there alone or with its own -wal, or move catalog.db, catalog.db-wal and catalog.db-shm away together: a catalog that is missing is rebuilt from the archives",
        path = path.display()
    )]
    OtherLog { path: PathBuf },
    /// The disk is full, and this would fill it further.
    #[error(
        "the disk of the catalog is full ({free} bytes are free, or no file can be made: see df -i), and nothing new is accepted until there is room: make some, or delete backups"
    )]
    Full { free: u64 },
    #[error(
        "the filesystem of the catalog {path} is read-only, so nothing can be written: see in the kernel's log why (dmesg), and mount it for writing again",
        path = path.display()
    )]
    ReadOnly { path: PathBuf },
    #[error("the catalog's database: {0}")]
    Sqlite(#[source] rusqlite::Error),
    /// The transaction could not be begun or committed: none of its writes was made.
    #[error("the catalog could not commit: {0}")]
    Commit(#[source] Arc<rusqlite::Error>),
    /// No connection for reading was free in time.
    #[error("no connection to the catalog was free: {0}")]
    Pool(#[from] r2d2::Error),
    /// A step that a backup of this status cannot take.
    #[error("backup {id} is {from} and cannot become {to}")]
    IllegalTransition { id: BackupId, from: Status, to: Status },
    /// A write panicked and was rolled back.
    #[error("a write to the catalog panicked; the log has the place")]
    Panicked,
    /// The catalog was closed before the write was made.
    #[error("the catalog is closed")]
    Closed,
}

impl StoreError {
    /// Whether the text says which file it is about.
    pub const fn names_its_file(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::NotACatalog { .. }
                | Self::Newer { .. }
                | Self::Moved { .. }
                | Self::Foreign { .. }
                | Self::OtherLog { .. }
                | Self::ReadOnly { .. }
        )
    }

    /// Whether there was no room for the write.
    pub fn is_full(&self) -> bool {
        let code = match self {
            Self::Full { .. } => return true,
            Self::Sqlite(error) => error.sqlite_error_code(),
            Self::Commit(error) => error.sqlite_error_code(),
            _ => None,
        };
        code == Some(ErrorCode::DiskFull)
    }

    /// Whether the disk reported an error when it was read or written.
    pub fn is_disk_error(&self) -> bool {
        let code = match self {
            Self::Sqlite(error) => error.sqlite_error_code(),
            Self::Commit(error) => error.sqlite_error_code(),
            _ => None,
        };
        code == Some(ErrorCode::SystemIoFailure)
    }

    /// Whether the same write may work later: the disk is full, failing or not mounted, or another process has
    /// locked the database.
    pub fn is_transient(&self) -> bool {
        let code = match self {
            Self::Sqlite(error) => error.sqlite_error_code(),
            Self::Commit(error) => error.sqlite_error_code(),
            Self::Pool(_) | Self::Moved { .. } | Self::Full { .. } | Self::ReadOnly { .. } => {
                return true;
            }
            _ => None,
        };
        matches!(
            code,
            Some(
                ErrorCode::DiskFull
                    | ErrorCode::ReadOnly
                    | ErrorCode::DatabaseBusy
                    | ErrorCode::DatabaseLocked
                    | ErrorCode::SystemIoFailure
                    | ErrorCode::OutOfMemory
                    | ErrorCode::CannotOpen
            )
        )
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Self::Damaged { why: error.to_string() }
            }
            _ => Self::Sqlite(error),
        }
    }
}
