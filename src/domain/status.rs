//! The life of a backup, as Trove names its stages.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The status of a backup. The words are Trove's (`trove/backup/state.py`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    /// Accepted, waiting for a worker.
    New,
    /// A worker reads the source.
    Building,
    /// The archive is complete and is being proven and published.
    Saving,
    /// Published and proven.
    Completed,
    /// It failed; the reason is in the row.
    Failed,
    /// Registered from an archive that was already in the store, and proven.
    Restored,
    /// Its archive could not be removed; tried again at every start and every delete.
    DeleteFailed,
}

impl Status {
    /// Every status, in the order of a backup's life.
    pub const ALL: [Self; 7] = [
        Self::New,
        Self::Building,
        Self::Saving,
        Self::Completed,
        Self::Failed,
        Self::Restored,
        Self::DeleteFailed,
    ];

    /// The word on the wire and in the catalog.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::New => "NEW",
            Self::Building => "BUILDING",
            Self::Saving => "SAVING",
            Self::Completed => "COMPLETED",
            Self::Failed => "FAILED",
            Self::Restored => "RESTORED",
            Self::DeleteFailed => "DELETE_FAILED",
        }
    }

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

    /// The statuses from which `to` may be reached.
    pub fn before(to: Self) -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(move |from| from.next().contains(&to))
    }

    /// Whether a worker has it or will take it: such a backup cannot be deleted.
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

impl FromStr for Status {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|status| status.as_str() == text).ok_or(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backup_goes_forward_only() {
        assert!(Status::New.next().contains(&Status::Building));
        assert!(Status::Saving.next().contains(&Status::Completed));
        for (from, to) in [
            (Status::New, Status::Completed),
            (Status::Building, Status::Completed),
            (Status::Completed, Status::Failed),
            (Status::Failed, Status::Building),
            (Status::DeleteFailed, Status::Completed),
        ] {
            assert!(!from.next().contains(&to), "{from} to {to}");
        }
    }

    #[test]
    fn every_word_reads_back_as_its_status() {
        for status in Status::ALL {
            assert_eq!(status.as_str().parse(), Ok(status));
        }
        assert_eq!("completed".parse::<Status>(), Err(()));
    }
}
