//! A drill: a real restore of a backup, made only to prove it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use super::{Failure, Timestamp};

/// Where a backup stands with drills.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Drill {
    /// The one that is to come.
    pub next: Option<DrillTurn>,
    /// How the last one ended.
    pub last: Option<DrillOutcome>,
}

/// Where a drill stands that is to come: its name is its word in the catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DrillTurn {
    /// To be made.
    Asked,
    /// A worker makes it.
    Claimed,
}

/// How a drill ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DrillOutcome {
    /// When.
    pub at: Timestamp,
    /// How long it took, to the millisecond.
    pub took: Duration,
    /// What it found; or what is wrong with the data, or why it could not be made.
    pub found: Result<DrillFacts, Failure>,
}

/// What a drill that passed found, in short.
#[derive(Debug, Clone, PartialEq, Eq)]
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
