//! What can go wrong between an engine and its database.

use std::io;
use std::path::{Path, PathBuf};

use super::tool::ToolError;
use crate::domain::{Failure, FailureCode};

/// The dump must stop: it was cancelled, or the archive cannot be written. The intake knows which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the backup was stopped")]
pub struct Stop;

pub type Result<T, E = EngineError> = std::result::Result<T, E>;

/// An error of an engine. Its text says what happened, to which file, and what to do next.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A failure of a known kind; the message is for the user who asked for the backup.
    #[error("{message}")]
    Known {
        code: FailureCode,
        /// What happened, to which file, and what to do next.
        message: String,
    },
    #[error("{action} {}: {source}", path.display())]
    Io {
        /// What was tried: `reading`, `writing`…
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    /// A tool failed, and no rule of the engine says what that means.
    #[error(transparent)]
    Tool(ToolError),
    #[error("cancelled")]
    Cancelled,
    /// The intake stopped the dump, and knows why.
    #[error(transparent)]
    Stopped(#[from] Stop),
}

impl From<ToolError> for EngineError {
    fn from(error: ToolError) -> Self {
        match error {
            ToolError::Cancelled => Self::Cancelled,
            other => Self::Tool(other),
        }
    }
}

impl EngineError {
    pub fn known(code: FailureCode, message: impl Into<String>) -> Self {
        Self::Known { code, message: message.into() }
    }

    /// A tool's error as a failure of this kind, in the form `context: error; advice`. Context and advice may be
    /// empty.
    pub(super) fn from_tool(
        error: &ToolError,
        code: FailureCode,
        context: &str,
        advice: &str,
    ) -> Self {
        if matches!(error, ToolError::Cancelled) {
            return Self::Cancelled;
        }
        let context = if context.is_empty() { String::new() } else { format!("{context}: ") };
        let advice = if advice.is_empty() { String::new() } else { format!("; {advice}") };
        Self::known(code, format!("{context}{error}{advice}"))
    }

    pub(super) fn io(action: &'static str, path: &Path, source: impl Into<io::Error>) -> Self {
        Self::Io { action, path: path.to_owned(), source: source.into() }
    }

    /// A file operation that failed at the target of a restore.
    pub fn target(action: &str, path: &Path, source: impl Into<io::Error>) -> Self {
        let source = source.into();
        let (code, advice) = match source.kind() {
            io::ErrorKind::AlreadyExists
            | io::ErrorKind::DirectoryNotEmpty
            | io::ErrorKind::NotADirectory => {
                (FailureCode::TargetOccupied, "choose a path where nothing exists yet")
            }
            io::ErrorKind::NotFound => {
                (FailureCode::TargetDenied, "create the folder first, or choose another")
            }
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                (FailureCode::TargetDenied, "give Coffer the right to write there")
            }
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                (FailureCode::DiskFull, "make room, or choose another path")
            }
            _ => (FailureCode::Internal, "look for disk errors in the system log"),
        };
        Self::known(code, format!("{action} {}: {source}; {advice}", path.display()))
    }

    /// A restored file that cannot be read. Only if it is not in its folder, which is there, did the archive not hold it.
    pub(super) fn unread(path: &Path, source: impl Into<io::Error>) -> Self {
        let source = source.into();
        let is_missing =
            source.kind() == io::ErrorKind::NotFound && path.parent().is_some_and(Path::is_dir);
        if is_missing {
            let name = path.file_name().unwrap_or_default().display();
            return Self::archive(format!("the archive does not hold {name}"));
        }
        Self::target("reading", path, source)
    }

    /// The archive holds something that no backup of this engine does.
    pub(super) fn archive(message: impl Into<String>) -> Self {
        Self::known(FailureCode::ArchiveDamaged, message)
    }

    /// The failure as the API shows it. Cancellation has none, nor has a stop by the
    /// intake: ask the intake.
    pub fn failure(&self) -> Option<Failure> {
        let code = match self {
            Self::Known { code, .. } => *code,
            Self::Tool(_) => FailureCode::Tool,
            Self::Io { source, .. } => match source.kind() {
                io::ErrorKind::NotFound => FailureCode::SourceMissing,
                io::ErrorKind::PermissionDenied => FailureCode::SourceDenied,
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => FailureCode::DiskFull,
                _ => FailureCode::Internal,
            },
            Self::Cancelled | Self::Stopped(_) => return None,
        };
        Some(Failure::new(code, self.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_restored_file_that_is_missing_in_its_folder_is_damage() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cluster.json");
        let code = |path: &Path, kind: io::ErrorKind| {
            EngineError::unread(path, kind).failure().unwrap().code
        };
        assert_eq!(code(&path, io::ErrorKind::NotFound), FailureCode::ArchiveDamaged);
        for kind in
            [io::ErrorKind::PermissionDenied, io::ErrorKind::Other, io::ErrorKind::StorageFull]
        {
            assert!(!code(&path, kind).is_damage(), "{kind}");
        }
        assert!(!code(&folder.path().join("gone/x"), io::ErrorKind::NotFound).is_damage());
    }
}
