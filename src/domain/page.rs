//! Paging through lists by position, never by offset.

use super::{BackupId, Timestamp};

/// The most rows that a page may have; at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit(u32);

impl Limit {
    /// `wanted` rows, but at least 1 and at most `max`.
    pub fn clamped(wanted: u32, max: u32) -> Self {
        Self(wanted.clamp(1, max.max(1)))
    }

    pub const fn rows(self) -> u32 {
        self.0
    }
}

/// A position in the list of backups, which is ordered by (`created`, `id`), newest first. The page after it
/// neither repeats nor skips rows, whatever was added or deleted in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    pub created: Timestamp,
    pub id: BackupId,
}
