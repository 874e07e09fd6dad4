//! When the backups of an instance are proven again, and restored into staging, by themselves.

use super::StagingTarget;
use crate::domain::Timestamp;

/// What is known ahead, if nothing holds it up.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProofTimes {
    /// How often it is drilled, as the configuration says it.
    pub drill: Option<String>,
    /// When a drill came to a result last.
    pub last_drill: Option<Timestamp>,
    pub next_drill: Option<Timestamp>,
    pub staging_to: Option<StagingTarget>,
    pub next_staging: Option<Timestamp>,
    /// When the first of its archives is to be read again.
    pub next_scrub: Option<Timestamp>,
}
