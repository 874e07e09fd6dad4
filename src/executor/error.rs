//! Why a job failed, and what clients and operators read of it.

use rustix::io::Errno;

use crate::archive::ArchiveError;
use crate::catalog::CatalogError;
use crate::domain::{BackupId, Failure, FailureCode};
use crate::engine::EngineError;
use crate::storage::{Refusal, StorageError};
use crate::undo::UndoError;

pub type Result<T, E = JobError> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum JobError {
    /// The server stops, or the result is no longer wanted.
    #[error("interrupted before it was done; nothing of it was kept")]
    Cancelled,
    /// The database or the place to restore into.
    #[error(transparent)]
    Engine(EngineError),
    #[error(transparent)]
    Archive(ArchiveError),
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// A backup in the chain cannot be used.
    #[error("backup {bad_backup} cannot be used: {why}")]
    ChainBroken { bad_backup: BackupId, why: String, link: BadLink },
    /// The folder of the archives is not there, or holds none of them.
    #[error("{0}")]
    ArchivesMissing(String),
    /// An archive file named on the command line has bad bytes.
    #[error("{path} cannot be used: {source}")]
    BadFile { path: String, source: ArchiveError },
    /// A file named on the command line.
    #[error("there is no file {0}")]
    NoSuchFile(String),
    #[error("this build has no engine named {0:?}")]
    NoEngine(String),
    #[error(transparent)]
    Undo(#[from] UndoError),
    /// A backup that cannot replace what is there, and what to do.
    #[error("{0}")]
    NotInPlace(String),
    /// An archive is not the one that it is said to be: what it is, and what to do.
    #[error("{0}")]
    ArchiveMismatch(String),
    /// What lies in another place, or is to be copied there, is not what was proven.
    #[error("{0}")]
    BadCopy(String),
    /// A backup cannot be built on the one that was asked for: why, and what to do.
    #[error("{0}")]
    NoIncremental(String),
    /// A file operation outside the storage.
    #[error("{action} {what}: {source}")]
    Io { action: &'static str, what: String, source: std::io::Error },
    /// A drill was stopped after this many seconds.
    #[error("it took longer than the {0} seconds of executor.drill_limit_s and was stopped")]
    DrillLimit(u64),
    #[error("an internal error ended the job; the server's log says where")]
    Panicked,
    /// A state that cannot be, if this program is right.
    #[error("an error in this program ended the job: {0}; please report it")]
    Bug(&'static str),
}

/// What is wrong with a backup of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadLink {
    /// Bytes of its archive are not those that were written.
    Damaged,
    /// Its archive is not where it was.
    Missing,
    /// The disk reported an error when it was read. That says nothing of its bytes.
    DiskError,
    /// It cannot be read at the moment, or is not known.
    OutOfReach,
}

impl BadLink {
    pub(super) fn of(error: &ArchiveError) -> Self {
        match error {
            error if error.is_damage() => Self::Damaged,
            ArchiveError::Io(error) if is_disk_error(error) => Self::DiskError,
            _ => Self::OutOfReach,
        }
    }

    /// The same of an archive that could not be opened.
    pub(super) fn of_storage(error: &StorageError) -> Self {
        match error {
            error if error.is_not_found() => Self::Missing,
            StorageError::Io { source, .. } if is_disk_error(source) => Self::DiskError,
            _ => Self::OutOfReach,
        }
    }
}

impl From<ArchiveError> for JobError {
    fn from(error: ArchiveError) -> Self {
        match error {
            ArchiveError::Cancelled => Self::Cancelled,
            other => Self::Archive(other),
        }
    }
}

impl From<EngineError> for JobError {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Cancelled | EngineError::Stopped(_) => Self::Cancelled,
            other => Self::Engine(other),
        }
    }
}

impl JobError {
    /// What the API shows and the catalog keeps.
    pub fn failure(&self) -> Failure {
        let code = match self {
            Self::Cancelled | Self::DrillLimit(_) => FailureCode::Interrupted,
            Self::Engine(error) => {
                return error
                    .failure()
                    .unwrap_or_else(|| Failure::new(FailureCode::Internal, error.to_string()));
            }
            Self::Archive(error) if error.is_damage() => FailureCode::ArchiveDamaged,
            Self::BadFile { .. } => FailureCode::ArchiveDamaged,
            Self::Storage(error) if error.is_damage() => FailureCode::ArchiveDamaged,
            Self::Archive(ArchiveError::Io(cause)) if is_full(cause) => FailureCode::DiskFull,
            Self::Storage(error) if error.is_full() => FailureCode::DiskFull,
            Self::Io { source, .. } if is_full(source) => FailureCode::DiskFull,
            Self::Storage(_) | Self::Archive(_) | Self::ArchivesMissing(_) | Self::BadCopy(_) => {
                FailureCode::Storage
            }
            Self::Catalog(CatalogError::ChainBroken { .. })
            | Self::ChainBroken { .. }
            | Self::NoIncremental(_) => FailureCode::ChainBroken,
            Self::ArchiveMismatch(_) => FailureCode::ArchiveMismatch,
            Self::Undo(_) | Self::NotInPlace(_) => FailureCode::TargetDenied,
            Self::Catalog(_)
            | Self::NoEngine(_)
            | Self::NoSuchFile(_)
            | Self::Io { .. }
            | Self::Panicked
            | Self::Bug(_) => FailureCode::Internal,
        };
        Failure::new(code, self.to_string())
    }

    /// The archive that is damaged or missing, and what the catalog is to say of it.
    pub fn bad_archive(&self) -> Option<(BackupId, Failure)> {
        let Self::ChainBroken { bad_backup, why, link } = self else { return None };
        let code = match link {
            BadLink::Damaged => FailureCode::ArchiveDamaged,
            BadLink::Missing => FailureCode::ArchiveMissing,
            BadLink::DiskError | BadLink::OutOfReach => return None,
        };
        Some((*bad_backup, Failure::new(code, why.clone())))
    }

    /// Whether the disk of the data directory reported an error (EIO): neither damage nor a lack of room.
    pub fn is_disk_error(&self) -> bool {
        match self {
            Self::Storage(StorageError::Io { source, .. })
            | Self::Archive(ArchiveError::Io(source)) => is_disk_error(source),
            Self::ChainBroken { link, .. } => *link == BadLink::DiskError,
            Self::Catalog(error) => error.is_disk_error(),
            _ => false,
        }
    }

    /// Whether a place does not let something be removed: the keys may only add, or it is locked.
    pub fn is_refused_removal(&self) -> bool {
        let Self::Storage(StorageError::Refused { refusal, .. }) = self else { return false };
        matches!(refusal, Refusal::NotAllowed | Refusal::Locked)
    }

    /// Whether a place for copies cannot be used at all for now.
    pub fn is_about_place(&self) -> bool {
        matches!(self, Self::Storage(error) if error.is_about_place())
    }

    /// Whether nothing is wrong but that no key here reads an archive.
    pub fn is_about_key(&self) -> bool {
        matches!(self, Self::Storage(StorageError::Encryption { source, .. }) if source.is_about_key())
    }

    /// Whether bytes of an archive that could be opened are not those that were written.
    pub fn is_damaged_archive(&self) -> bool {
        match self {
            Self::Archive(error) => error.is_damage(),
            Self::Storage(error) => error.is_damage(),
            Self::ChainBroken { link, .. } => *link == BadLink::Damaged,
            _ => false,
        }
    }

    /// Whether data that should be sound is not: exit code 4 on the command line.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Catalog(CatalogError::ChainBroken { damaged, .. }) => *damaged,
            Self::BadFile { .. } => true,
            Self::Engine(error) => error.failure().is_some_and(|failure| failure.code.is_damage()),
            _ => self.is_damaged_archive(),
        }
    }

    /// Whether what was asked for does not exist: exit code 3 on the command line.
    pub fn is_not_found(&self) -> bool {
        match self {
            Self::NoSuchFile(_)
            | Self::Storage(StorageError::NotFound { .. })
            | Self::ChainBroken { link: BadLink::Missing, .. }
            | Self::Catalog(CatalogError::ChainBroken { damaged: false, .. }) => true,
            Self::Catalog(error) => error.is_not_found(),
            Self::Undo(error) => error.is_not_found(),
            _ => false,
        }
    }
}

fn is_disk_error(error: &std::io::Error) -> bool {
    error.raw_os_error() == Some(Errno::IO.raw_os_error())
}

/// Whether the system says that there is no room.
pub(super) fn is_full(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_error_of_a_chains_archive_is_one_of_the_disk_and_no_damage() {
        let broken = |error: &std::io::Error| {
            let source = std::io::Error::from_raw_os_error(error.raw_os_error().unwrap());
            let opening = StorageError::Io { action: "opening", what: "x".to_owned(), source };
            let source = std::io::Error::from_raw_os_error(error.raw_os_error().unwrap());
            [BadLink::of_storage(&opening), BadLink::of(&ArchiveError::Io(source))].map(|link| {
                let bad_backup = BackupId::generate();
                JobError::ChainBroken { bad_backup, why: opening.to_string(), link }
            })
        };
        for error in broken(&Errno::IO.into()) {
            assert!(error.is_disk_error() && !error.is_damage() && error.bad_archive().is_none());
        }
        for error in broken(&Errno::ACCESS.into()) {
            assert!(!error.is_disk_error() && !error.is_damage());
        }
    }
}
