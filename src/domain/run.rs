//! Runs: every attempt at a job, from the moment it is asked for to its end.

use serde::{Deserialize, Serialize};

use super::words::words;
use super::{
    BackupId, DrillFacts, Failure, FailureCode, InstanceId, ProjectId, RowsByTable, RunId,
    Timestamp,
};

words! {
    pub enum RunKind {
        /// Making a backup.
        Backup = "backup",
        /// Proving an archive that is already in the storage, and taking it into the catalog.
        Registration = "registration",
        /// Restoring a backup into a new instance.
        Restore = "restore",
        /// Restoring a backup only to prove it.
        Drill = "drill",
        /// Making a full backup of an incremental one, from its archives.
        Consolidation = "consolidation",
        /// Proving the bytes of an archive again.
        Verify = "verify",
        /// Deleting a backup.
        Removal = "removal",
        /// Deleting a restored instance.
        InstanceRemoval = "instance_removal",
        /// Restoring a backup to where its instance is refreshed for staging.
        Staging = "staging",
        /// Copying an archive to another place, and proving it there.
        Copy = "copy",
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunResult {
    /// It did what was asked for.
    Done,
    Failed(Failure),
    Damaged(Failure),
    /// It was no longer wanted.
    Cancelled,
    /// The server stopped or lost power. What was asked for may be attempted again, as another run.
    Interrupted,
}

impl RunResult {
    /// The result of an attempt that failed with this.
    pub fn from_failure(failure: Failure) -> Self {
        if failure.code.is_damage() { Self::Damaged(failure) } else { Self::Failed(failure) }
    }

    /// The result for a word of the catalog; `None` if there is no such word, or if `failure` does not fit it.
    pub fn from_parts(word: &str, failure: Option<Failure>) -> Option<Self> {
        match (word, failure) {
            ("done", None) => Some(Self::Done),
            ("failed", Some(failure)) => Some(Self::Failed(failure)),
            ("damaged", Some(failure)) => Some(Self::Damaged(failure)),
            ("cancelled", None) => Some(Self::Cancelled),
            ("interrupted", None) => Some(Self::Interrupted),
            _ => None,
        }
    }

    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed(_) => "failed",
            Self::Damaged(_) => "damaged",
            Self::Cancelled => "cancelled",
            Self::Interrupted => "interrupted",
        }
    }

    pub const fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Failed(failure) | Self::Damaged(failure) => Some(failure),
            Self::Done | Self::Cancelled | Self::Interrupted => None,
        }
    }
}

/// What a run measured and counted. In the catalog this is a JSON object with these keys; what does not
/// apply to a run is left out.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RunNumbers {
    /// How long it took, by a monotonic clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub took_ms: Option<u64>,
    /// Bytes of content that were read from the source, or decoded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_bytes: Option<u64>,
    /// Bytes of the archive that was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stored_bytes: Option<u64>,
    /// Where an archive was copied to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// Where the time of a backup went.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phases: Option<BackupPhases>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drill: Option<DrillFacts>,
    /// The rows that a drill counted in each table.
    #[serde(skip_serializing_if = "RowsByTable::is_empty")]
    pub rows_by_table: RowsByTable,
}

/// Milliseconds that the parts of a backup took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupPhases {
    /// From opening the source to the synced archive, without the engine's check.
    pub write_ms: u64,
    /// The engine's check of what was read.
    pub check_ms: u64,
    /// Reading the archive back, decoding it and comparing every hash.
    pub proof_ms: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunEnd {
    pub at: Timestamp,
    pub result: RunResult,
    pub numbers: RunNumbers,
}

impl RunEnd {
    pub fn new(at: Timestamp, result: RunResult) -> Self {
        Self { at, result, numbers: RunNumbers::default() }
    }
}

/// One attempt, as the catalog has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    pub id: RunId,
    pub kind: RunKind,
    pub project: ProjectId,
    pub instance: Option<InstanceId>,
    pub backup: Option<BackupId>,
    pub asked: Timestamp,
    /// When a worker began; `None` while it waits.
    pub begun: Option<Timestamp>,
    /// How it ended; `None` while it waits for a worker or runs.
    pub end: Option<RunEnd>,
}

/// How an earlier run of something that recurs ended, in short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PastRun {
    pub ended: Timestamp,
    pub outcome: PastOutcome,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PastOutcome {
    /// It did what it was for: it passed, or it found damage.
    Concluded,
    /// Something stopped it.
    Failed(FailureCode),
    /// It was cancelled or interrupted, which says nothing.
    Dropped,
}
