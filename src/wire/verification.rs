//! Verifications: what came of reading every byte of a backup again.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::{BackupId, Failure, Run, RunResult};

use super::UtcTime;

/// The verification of a backup that waits or runs, or else the last one that came to an end, whoever asked for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VerificationView {
    /// The backup. What it is built on is read too.
    pub backup_id: BackupId,
    /// Null: its archive was not read again yet.
    #[schema(required)]
    pub status: Option<VerificationStatus>,
    /// When it was asked for, or begun if nobody asked for it.
    #[schema(required)]
    pub asked: Option<UtcTime>,
    /// When it ended.
    #[schema(required)]
    pub ended: Option<UtcTime>,
    /// What is damaged, or what stopped it.
    #[schema(required)]
    pub failure: Option<Failure>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum VerificationStatus {
    /// It waits for its turn.
    Waiting,
    Running,
    /// Every byte is what was proven.
    Passed,
    /// A byte is not what was proven.
    Damaged,
    /// Something else stopped it, which says nothing of the backup.
    Inconclusive,
}

impl VerificationStatus {
    fn of(run: &Run) -> Option<Self> {
        Some(match (&run.end, run.begun) {
            (None, None) => Self::Waiting,
            (None, Some(_)) => Self::Running,
            (Some(end), _) => match end.result {
                RunResult::Done => Self::Passed,
                RunResult::Damaged(_) => Self::Damaged,
                RunResult::Failed(_) => Self::Inconclusive,
                RunResult::Cancelled | RunResult::Interrupted => return None,
            },
        })
    }
}

impl VerificationView {
    pub fn new(backup_id: BackupId, run: Option<&Run>) -> Self {
        let end = run.and_then(|it| it.end.as_ref());
        Self {
            backup_id,
            status: run.and_then(VerificationStatus::of),
            asked: run.map(|it| it.asked.into()),
            ended: end.map(|it| it.at.into()),
            failure: end.and_then(|it| it.result.failure().cloned()),
        }
    }
}
