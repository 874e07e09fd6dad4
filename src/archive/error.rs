//! What can be wrong with an archive, or with making or reading one.

use std::io;

use crate::domain::BackupId;

/// Put inside an [`io::Error`] by a caller's `Bytes`, `Write` or `Outlet`, it ends the work with
/// [`ArchiveError::Cancelled`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cancelled")]
pub struct Cancelled;

impl From<Cancelled> for io::Error {
    fn from(cancelled: Cancelled) -> Self {
        Self::other(cancelled)
    }
}

/// An archive could not be made or read.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The file is something else.
    #[error("this is not a Coffer archive: {0}")]
    NotAnArchive(String),
    /// Made by a newer Coffer, in a way this one does not understand.
    #[error("the archive is of format {needed}, this Coffer reads up to {known}: use a newer one")]
    NewerFormat {
        /// The oldest reader that understands it.
        needed: u32,
        /// What this one understands.
        known: u32,
    },
    /// The file ends too early.
    #[error("the archive is cut short ({0}): copy it again, or use another backup")]
    Truncated(String),
    /// Bytes are not what was written.
    #[error("the archive{} is damaged: {what}; copy it again, or use another backup", of(*backup))]
    Damaged {
        /// Whose archive, as far as it could be read.
        backup: Option<BackupId>,
        /// What was found.
        what: String,
    },
    /// An archive the one asked for is built on was not given.
    #[error("backup {id} is needed too: {needed_by} is built on it")]
    MissingParent {
        /// The missing one.
        id: BackupId,
        /// The one that needs it.
        needed_by: BackupId,
    },
    /// An archive is not the one its child was built on.
    #[error("the archive of backup {id} does not belong into this chain: {what}")]
    ChainMismatch {
        /// The one that does not fit.
        id: BackupId,
        /// Why.
        what: String,
    },
    /// The source has something the format cannot hold.
    #[error("{0}: the archive format cannot hold it")]
    TooLarge(String),
    /// The caller gave entries or segments against the rules of the writer.
    #[error("the engine broke the writer's rules: {0}")]
    Misuse(String),
    /// A worker thread could not be started, or ended without an answer; or zstd had no memory.
    #[error("the archive's workers failed: {0}")]
    Worker(String),
    /// Reading or writing failed.
    #[error(transparent)]
    Io(io::Error),
    /// The caller wanted no more.
    #[error("cancelled")]
    Cancelled,
}

fn of(backup: Option<BackupId>) -> String {
    backup.map_or_else(String::new, |id| format!(" of backup {id}"))
}

impl From<io::Error> for ArchiveError {
    fn from(error: io::Error) -> Self {
        if error.get_ref().is_some_and(|inner| inner.is::<Cancelled>()) {
            Self::Cancelled
        } else {
            Self::Io(error)
        }
    }
}

impl ArchiveError {
    /// Whether the bytes at hand cannot be used, whatever is tried again.
    pub const fn is_damage(&self) -> bool {
        matches!(
            self,
            Self::NotAnArchive(_)
                | Self::Truncated(_)
                | Self::Damaged { .. }
                | Self::ChainMismatch { .. }
        )
    }

    /// The backup whose archive is to blame, where that is known.
    pub const fn culprit(&self) -> Option<BackupId> {
        match self {
            Self::Damaged { backup, .. } => *backup,
            Self::MissingParent { id, .. } | Self::ChainMismatch { id, .. } => Some(*id),
            _ => None,
        }
    }
}

/// What a parser found wrong, before it is known whose archive it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Flaw(pub(super) String);

impl Flaw {
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }

    /// The flaw as damage of this backup's archive.
    pub(super) fn of(self, backup: Option<BackupId>) -> ArchiveError {
        ArchiveError::Damaged { backup, what: self.0 }
    }
}
