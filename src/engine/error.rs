//! What can go wrong between an engine and its database.

use std::io;
use std::path::{Path, PathBuf};

use crate::domain::{Failure, FailureCode};

/// An error of an engine. The text says what happened, to which file, and what to do next.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A failure whose kind is known; the sentence is for whoever asked for the backup.
    #[error("{message}")]
    Known {
        /// Its kind.
        code: FailureCode,
        /// What happened, to which file, what to do next.
        message: String,
    },
    /// A file operation failed.
    #[error("{action} {}: {source}", path.display())]
    Io {
        /// What was tried: `reading`, `writing`…
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The intake said no; it knows why.
    #[error(transparent)]
    Refused(#[from] super::Refused),
}

impl EngineError {
    /// A failure of this kind.
    pub fn known(code: FailureCode, message: impl Into<String>) -> Self {
        Self::Known { code, message: message.into() }
    }

    /// A file operation on `path` that failed.
    pub(super) fn io(action: &'static str, path: &Path, source: impl Into<io::Error>) -> Self {
        Self::Io { action, path: path.to_owned(), source: source.into() }
    }

    /// A file operation that failed in the place a restore goes to.
    pub fn target(action: &str, path: &Path, source: impl Into<io::Error>) -> Self {
        let source = source.into();
        let (code, next) = match source.kind() {
            io::ErrorKind::AlreadyExists
            | io::ErrorKind::DirectoryNotEmpty
            | io::ErrorKind::NotADirectory => {
                (FailureCode::TargetOccupied, "choose a place where nothing is")
            }
            io::ErrorKind::NotFound => {
                (FailureCode::TargetDenied, "make the folder first, or choose another")
            }
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                (FailureCode::TargetDenied, "give Coffer the right to write there")
            }
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                (FailureCode::DiskFull, "make room, or choose another place")
            }
            _ => (FailureCode::Internal, "look for disk errors in the system log"),
        };
        Self::known(code, format!("{action} {}: {source}; {next}", path.display()))
    }

    /// An archive that asks for something no backup of ours holds.
    pub(super) fn archive(message: impl Into<String>) -> Self {
        Self::known(FailureCode::ArchiveDamaged, message)
    }

    /// The failure as the API shows it. `Refused` has none of its own: ask whoever refused.
    pub fn failure(&self) -> Option<Failure> {
        match self {
            Self::Known { code, message } => Some(Failure::new(*code, message.clone())),
            Self::Io { source, .. } => {
                let code = match source.kind() {
                    io::ErrorKind::NotFound => FailureCode::SourceMissing,
                    io::ErrorKind::PermissionDenied => FailureCode::SourceDenied,
                    io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                        FailureCode::DiskFull
                    }
                    _ => FailureCode::Internal,
                };
                Some(Failure::new(code, self.to_string()))
            }
            Self::Refused(_) => None,
        }
    }
}
