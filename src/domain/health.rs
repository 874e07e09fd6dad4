//! What the health of an instance is judged by.

use std::time::Duration;

use super::{BackupId, Failure, Kind, RowsByTable, Timestamp, Verdict, VerifyLevel};

/// An attempt that failed, with no good backup since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedAttempt {
    pub id: BackupId,
    pub asked: Timestamp,
    pub ended: Timestamp,
    /// When the first one of these failures in a row was asked for.
    pub since: Timestamp,
    pub failure: Failure,
}

/// A backup that was completed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompletedBackup {
    pub id: BackupId,
    pub kind: Kind,
    pub created: Timestamp,
    pub stored_bytes: u64,
    pub source_bytes: u64,
    pub verified_at: Timestamp,
    pub verify_level: VerifyLevel,
    /// How long it took to make, if that is known.
    pub took: Option<Duration>,
}

/// A backup that is damaged, or whose archive is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadBackup {
    pub id: BackupId,
    /// When its row changed last: it was found out by then.
    pub found: Timestamp,
    pub failure: Failure,
}

/// A drill that ended by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DrillRun {
    pub backup: BackupId,
    /// Whether that was deleted since.
    pub deleted: bool,
    pub ended: Timestamp,
    pub verdict: Verdict<()>,
}

/// A drill that passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassedDrill {
    pub backup: BackupId,
    pub ended: Timestamp,
    /// How long the restore took, with its check.
    pub took: Duration,
    pub rows: RowsByTable,
}

/// How much room the filesystem of the archives has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskRoom {
    pub free_bytes: u64,
    pub total_bytes: u64,
    /// What backups leave free.
    pub headroom_bytes: u64,
}

/// How many jobs of each kind wait for a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Queues {
    pub backups: u64,
    pub registrations: u64,
    pub drills: u64,
    pub restores: u64,
    /// Of backups and of restored instances.
    pub removals: u64,
}
