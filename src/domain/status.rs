//! The life of a backup, as Trove names its stages.

use std::fmt;

use super::words::words;

words! {
    /// The status of a backup. The words are Trove's (`trove/backup/state.py`). A backup keeps its status while
    /// it is being deleted; its row is marked for removal.
    pub enum Status {
        /// Accepted, waiting for a worker.
        New = "NEW",
        /// A worker reads the source.
        Building = "BUILDING",
        /// The archive is complete and is being proven and published.
        Saving = "SAVING",
        /// Published and proven.
        Completed = "COMPLETED",
        /// It failed; the reason is in the row.
        Failed = "FAILED",
        /// Registered from an archive that was already in the storage, and proven.
        Restored = "RESTORED",
        /// Its archive could not be removed; tried again at every start, and when it is deleted again.
        DeleteFailed = "DELETE_FAILED",
    }
}

impl Status {
    /// The statuses that may follow this one.
    pub const fn next(self) -> &'static [Self] {
        match self {
            Self::New => &[Self::Building, Self::Failed],
            Self::Building => &[Self::Saving, Self::Failed, Self::Restored],
            Self::Saving => &[Self::Completed, Self::Failed],
            Self::Completed | Self::Failed | Self::Restored => &[Self::DeleteFailed],
            Self::DeleteFailed => &[],
        }
    }

    /// The statuses that `to` may follow.
    pub fn before(to: Self) -> impl Iterator<Item = Self> {
        Self::ALL.iter().copied().filter(move |from| from.next().contains(&to))
    }

    /// Whether it waits for a worker or is being made: such a backup cannot be deleted.
    pub const fn is_running(self) -> bool {
        matches!(self, Self::New | Self::Building | Self::Saving)
    }

    /// Whether its archive can be restored and built upon.
    pub const fn is_usable(self) -> bool {
        matches!(self, Self::Completed | Self::Restored)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}
