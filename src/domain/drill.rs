//! A drill: a real restore of a backup, made only to prove it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Failure, Timestamp};

/// The drills of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Drill {
    /// The one that waits or runs.
    pub next: Option<DrillTurn>,
    /// The last one that passed or failed.
    pub last: Option<DrillOutcome>,
}

/// The state of a drill that has not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DrillTurn {
    /// It waits for a worker.
    Asked,
    /// A worker has it.
    Claimed,
}

/// How a drill ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DrillOutcome {
    /// When.
    pub at: Timestamp,
    /// How long it took, to the millisecond.
    pub took: Duration,
    /// What it found; an error if the data is bad or the drill could not be made.
    pub found: Result<DrillFacts, Failure>,
}

/// What a drill that passed found, in short.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DrillFacts {
    /// The version of the server or library that read what was restored.
    pub version: String,
    /// The checks that passed.
    pub check: String,
    /// Tables in all.
    pub tables: u64,
    /// Rows in all.
    pub rows: u64,
}

/// Rows in each table, for the first thousand.
pub type RowsByTable = BTreeMap<String, u64>;
