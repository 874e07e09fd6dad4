//! What can go wrong while an archive is written or read.

use std::io;

use crate::domain::BackupId;

pub type Result<T, E = ArchiveError> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    #[error("this is not a Coffer archive: {0}")]
    NotAnArchive(String),
    /// The archive was made by a newer Coffer, in a format that this one does not know.
    #[error(
        "the archive has format {needed}, but this Coffer reads formats up to {known}: use a newer one"
    )]
    NewerFormat {
        /// The oldest format that a reader of this archive must know.
        needed: u32,
        /// The newest format that this Coffer knows.
        known: u32,
    },
    #[error(
        "the archive does not end as it did ({0}): it was cut short, or its end was overwritten. Copy it again, or use \
         another backup"
    )]
    Truncated(String),
    /// Bytes differ from those that were written.
    #[error("the archive{} is damaged: {what}; copy it again, or use another backup", of(*backup))]
    Damaged { backup: Option<BackupId>, what: String },
    /// An archive that this one is built on was not given.
    #[error("backup {id} is needed too: {needed_by} is built on it")]
    MissingParent { id: BackupId, needed_by: BackupId },
    /// An archive is not the one that its child was built on.
    #[error("the archive of backup {id} does not belong to this chain: {what}")]
    ChainMismatch { id: BackupId, what: String },
    /// The source has something that the format cannot hold.
    #[error("{0}: the archive format cannot hold it")]
    TooLarge(String),
    /// The engine did not keep the rules of the writer.
    #[error("the engine broke the archive writer's rules: {0}")]
    Misuse(String),
    /// A thread could not be started or panicked, there was no memory for zstd, or a check of our own failed.
    #[error("writing or reading the archive failed: {0}")]
    Internal(String),
    /// The archive could not be read or written.
    #[error(transparent)]
    Io(io::Error),
    /// The restored content could not be written.
    #[error(transparent)]
    Target(io::Error),
    #[error("cancelled")]
    Cancelled,
}

fn of(backup: Option<BackupId>) -> String {
    backup.map_or_else(String::new, |id| format!(" of backup {id}"))
}

impl From<io::Error> for ArchiveError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl ArchiveError {
    /// Whether the archives themselves are bad, so that trying again cannot help.
    pub const fn is_damage(&self) -> bool {
        matches!(
            self,
            Self::NotAnArchive(_)
                | Self::Truncated(_)
                | Self::Damaged { .. }
                | Self::ChainMismatch { .. }
        )
    }

    /// What is wrong, for a sentence that names the backup at fault already.
    pub fn without_backup(&self) -> String {
        match self {
            Self::Damaged { what, .. } => {
                format!("its archive is damaged: {what}; copy it again, or use another backup")
            }
            Self::MissingParent { needed_by, .. } => {
                format!("its archive is needed too: {needed_by} is built on it")
            }
            Self::ChainMismatch { what, .. } => {
                format!("its archive does not belong to this chain: {what}")
            }
            other => other.to_string(),
        }
    }

    /// The backup whose archive is at fault, if that is known.
    pub const fn bad_backup(&self) -> Option<BackupId> {
        match self {
            Self::Damaged { backup, .. } => *backup,
            Self::MissingParent { id, .. } | Self::ChainMismatch { id, .. } => Some(*id),
            _ => None,
        }
    }
}

/// Damage that a parser found. It does not know whose archive it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Damage(pub(crate) String);

impl Damage {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }

    /// The error for the archive of this backup; `None` if it is not known whose archive it is.
    pub(crate) fn in_backup(self, backup: Option<BackupId>) -> ArchiveError {
        ArchiveError::Damaged { backup, what: self.0 }
    }
}

impl From<Damage> for ArchiveError {
    fn from(damage: Damage) -> Self {
        damage.in_backup(None)
    }
}
