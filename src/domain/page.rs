//! Paging by position in the order of a list, never by offset.

use super::{BackupId, Timestamp};

/// How many rows a page may hold: at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit(u32);

impl Limit {
    /// `wanted` rows, at least 1 and at most `most`.
    pub fn clamped(wanted: u32, most: u32) -> Self {
        Self(wanted.clamp(1, most.max(1)))
    }

    /// The number of rows.
    pub const fn rows(self) -> u32 {
        self.0
    }
}

/// A place in the list of backups, which is ordered by (`created`, `id`), newest first.
/// A page that starts behind it neither repeats nor skips rows, whatever was added or deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// When the last backup of the page before was created.
    pub created: Timestamp,
    /// Its id.
    pub id: BackupId,
}
