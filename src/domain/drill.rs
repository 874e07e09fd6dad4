//! A drill: a real restore of a backup, made only to prove it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::words::words;
use super::{Failure, Timestamp};

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Drill {
    /// The one that waits or runs.
    pub next: Option<NextDrill>,
    /// The last one that ended by itself.
    pub last: Option<DrillOutcome>,
}

words! {
    /// The state of a drill that has not ended.
    pub enum NextDrill {
        /// It waits for a worker.
        Waiting = "waiting",
        /// A worker has it.
        Running = "running",
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DrillOutcome {
    pub at: Timestamp,
    /// How long it took, to the millisecond.
    pub took: Duration,
    pub verdict: Verdict,
}

/// What a drill said, with what it found if it passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict<Found = DrillFacts> {
    /// It was restored and used.
    Passed(Found),
    /// Its data was shown to be wrong; the evidence.
    Damaged(Failure),
    /// Nothing: this stopped the drill, and takes nothing from the backup.
    Inconclusive(Failure),
}

impl Verdict {
    pub const fn facts(&self) -> Option<&DrillFacts> {
        match self {
            Self::Passed(facts) => Some(facts),
            Self::Damaged(_) | Self::Inconclusive(_) => None,
        }
    }
}

impl<Found> Verdict<Found> {
    /// What is damaged, or what stopped the drill.
    pub const fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Passed(_) => None,
            Self::Damaged(failure) | Self::Inconclusive(failure) => Some(failure),
        }
    }
}

/// What a drill that passed found, in short.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DrillFacts {
    /// The version of the server or library that read what was restored.
    pub version: String,
    pub check: String,
    pub tables: u64,
    pub rows: u64,
}

/// Rows in each table, for the first thousand.
pub type RowsByTable = BTreeMap<String, u64>;
