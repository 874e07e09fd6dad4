//! Copies of an archive in further places, as clients see them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::{BackupCopy, CopyProof, CopyState, Failure};

use super::UtcTime;

/// The copy of an archive in a place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CopyView {
    /// The name of the place.
    pub place: String,
    /// Where the copy stands.
    pub state: CopyState,
    /// How much of it has arrived.
    #[schema(minimum = 0, maximum = 1)]
    pub progress: f64,
    /// When it was proven.
    #[schema(required)]
    pub proven_at: Option<UtcTime>,
    /// How it was proven.
    #[schema(required)]
    pub proven_by: Option<CopyProof>,
    /// Attempts since the last one that was done.
    pub attempts: u32,
    /// When it is tried again.
    #[schema(required)]
    pub next_attempt: Option<UtcTime>,
    /// What stopped the last attempt.
    #[schema(required)]
    pub failure: Option<Failure>,
    /// Until then the store lets nobody remove or replace it.
    #[schema(required)]
    pub locked_until: Option<UtcTime>,
    /// Whether it is to be removed from its place.
    pub leaving: bool,
}

impl CopyView {
    /// Of an archive of so many bytes.
    pub(super) fn new(copy: BackupCopy, bytes: u64) -> Self {
        let (proven_at, proven_by) = copy.proven.unzip();
        Self {
            progress: share(copy.sent, bytes, copy.state),
            place: copy.place,
            state: copy.state,
            proven_at: proven_at.map(UtcTime::from),
            proven_by,
            attempts: copy.attempts,
            next_attempt: copy.next.map(UtcTime::from),
            failure: copy.failure,
            locked_until: copy.locked_until.map(UtcTime::from),
            leaving: copy.leaving,
        }
    }
}

fn share(sent: u64, bytes: u64, state: CopyState) -> f64 {
    if state == CopyState::Proven {
        return 1.0;
    }
    // In thousandths, which is exact enough, and which a float holds.
    let thousandths = sent.saturating_mul(1000).checked_div(bytes).unwrap_or(0).min(1000);
    f64::from(u32::try_from(thousandths).unwrap_or(1000)) / 1000.0
}
