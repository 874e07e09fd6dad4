//! Where the last backup of an instance is restored to by itself, and when.

use std::path::PathBuf;

use super::Timetable;

/// A restore into staging on a schedule.
#[derive(Debug, Clone, PartialEq)]
pub struct StagingPlan {
    /// What is refreshed. Absolute.
    pub to: PathBuf,
    pub timetable: Timetable,
}
