//! What a backup does not hold.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Something of the source that a backup does not hold, or cannot vouch for, and that a person could miss.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LeftOut {
    /// What: a path below the source's root, a database, an account…
    pub what: String,
    /// Why, and where it can be had instead.
    pub why: String,
    /// Of what a restore could not create: whether it holds no data of its own. It leads to another server, is made
    /// again from other data, or says how data is to be kept.
    #[serde(skip)]
    pub holds_no_data: bool,
}

impl LeftOut {
    pub fn new(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self { what: what.into(), why: why.into(), holds_no_data: false }
    }

    /// The first `most` of a list, and how many more there are.
    pub fn first(mut all: Vec<Self>, most: usize) -> Vec<Self> {
        let more = all.len().saturating_sub(most);
        if more > 0 {
            all.truncate(most);
            all.push(Self::new(format!("{more} more"), "the manifest in the archive lists all"));
        }
        all
    }
}

impl fmt::Display for LeftOut {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.what, self.why)
    }
}
