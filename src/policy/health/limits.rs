//! From when on something is called wrong.

use crate::policy::Span;

/// The limits of one instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthLimits {
    /// How long after a run is due its backup may be missing.
    pub grace: Span,
    /// How old the newest good backup may be; `None`: as old as the schedule makes it.
    pub max_age: Option<Span>,
    /// How old the last drill that passed may be; `None`: as the drills are asked for.
    pub proof_max_age: Option<Span>,
    /// A backup that holds less than so many hundredths of the usual is too small. 0: never.
    pub smaller_percent: u32,
    /// A backup that takes more than so many times the usual is too slow. 0: never.
    pub slower_times: u32,
    /// How long after it was asked for a copy may be missing in its place.
    pub copies_within: Span,
    /// A table that keeps less than so many hundredths of its rows has lost too many. 0: never.
    pub rows_percent: u32,
}

impl Default for HealthLimits {
    fn default() -> Self {
        Self {
            grace: Span::seconds(2 * 3600),
            max_age: None,
            proof_max_age: None,
            smaller_percent: 50,
            slower_times: 4,
            rows_percent: 50,
            copies_within: Span::seconds(24 * 3600),
        }
    }
}
