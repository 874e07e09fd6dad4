//! Why a job failed, in words for the person who asked for it.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::BackupId;
use super::words::words;

words! {
    /// The kind of a failure. Scripts may match these words: they do not change.
    pub enum FailureCode {
        /// The server stopped or lost power while it ran.
        Interrupted = "interrupted",
        /// The source does not exist.
        SourceMissing = "source_missing",
        /// The source may not be read.
        SourceDenied = "source_denied",
        /// The source stayed locked longer than the configured wait.
        SourceLocked = "source_locked",
        /// The source is not what its engine reads.
        SourceInvalid = "source_invalid",
        /// The engine's own check found damage in the source.
        SourceDamaged = "source_damaged",
        /// The source changed while it was read, at every try.
        SourceChanged = "source_changed",
        /// A tool the engine needs is missing, too old, or failed.
        Tool = "tool",
        /// The disk has too little room.
        DiskFull = "disk_full",
        /// The storage of archives failed.
        Storage = "storage",
        /// An archive this one is built on is missing or damaged; the message names its id.
        ChainBroken = "chain_broken",
        /// The archive read back is not what was written, or not an archive at all.
        ArchiveDamaged = "archive_damaged",
        /// The archive is not where it was; once it is there again, the backup is as before.
        ArchiveMissing = "archive_missing",
        /// The archive is not what the request says: it is of another kind of database.
        ArchiveMismatch = "archive_mismatch",
        /// The place to restore into is occupied.
        TargetOccupied = "target_occupied",
        /// The place to restore into cannot be written.
        TargetDenied = "target_denied",
        /// Something that should not happen; the log has more.
        Internal = "internal",
    }
}

impl FailureCode {
    /// Whether the data itself is bad, and not the place, the tools or the moment.
    pub const fn is_damage(self) -> bool {
        matches!(self, Self::ArchiveDamaged | Self::SourceDamaged)
    }
}

/// A failure as the API shows it and the catalog keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Failure {
    pub code: FailureCode,
    /// What happened, to which file or id, and what to do next. Holds no secret.
    pub message: String,
}

impl Failure {
    pub fn new(code: FailureCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.message)
    }
}

words! {
    /// Where damage was found: only a proof of the same thing clears it.
    pub enum DamageIn {
        /// In the bytes of the archive.
        Archive = "archive",
        /// In the database that they restore to.
        Data = "data",
    }
}

/// Damage that was found in a finished backup, or that its archive is missing. Nothing is built on it from then
/// on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    pub id: BackupId,
    pub place: DamageIn,
    pub failure: Failure,
}
