//! Consolidations: how far a full backup is that is made of an incremental one.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::{BackupId, Failure, Run, RunResult};

use super::UtcTime;

/// How far the consolidation of a backup is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConsolidationView {
    /// The incremental backup. It stays as it is.
    pub backup_id: BackupId,
    /// Null: nobody asked for it, or long ago.
    #[schema(required)]
    pub status: Option<ConsolidationStatus>,
    /// The full backup of the same moment, once it is COMPLETED.
    #[schema(required)]
    pub full_id: Option<BackupId>,
    /// When it was asked for last.
    #[schema(required)]
    pub asked: Option<UtcTime>,
    /// When it ended.
    #[schema(required)]
    pub ended: Option<UtcTime>,
    /// Why it failed, if so.
    #[schema(required)]
    pub failure: Option<Failure>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ConsolidationStatus {
    /// It waits for a worker.
    Waiting,
    Running,
    Done,
    Failed,
    /// It is not wanted any more.
    Cancelled,
}

impl ConsolidationStatus {
    /// Whether it has not ended.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Waiting | Self::Running)
    }

    fn of(run: &Run) -> Self {
        match (&run.end, run.begun) {
            (None, None) => Self::Waiting,
            (None, Some(_)) => Self::Running,
            (Some(end), _) => match end.result {
                RunResult::Done => Self::Done,
                RunResult::Failed(_) | RunResult::Damaged(_) => Self::Failed,
                RunResult::Cancelled | RunResult::Interrupted => Self::Cancelled,
            },
        }
    }
}

impl ConsolidationView {
    /// What the last run of it and the full backup of the same moment say.
    pub fn new(backup_id: BackupId, run: Option<&Run>, full_id: Option<BackupId>) -> Self {
        let end = run.and_then(|it| it.end.as_ref());
        Self {
            backup_id,
            status: run.map(ConsolidationStatus::of),
            full_id,
            asked: run.map(|it| it.asked.into()),
            ended: end.map(|it| it.at.into()),
            failure: end.and_then(|it| it.result.failure().cloned()),
        }
    }
}
