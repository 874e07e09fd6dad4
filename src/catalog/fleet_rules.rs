//! What the configuration says of fleets.

use std::time::Duration;

/// What the configuration says of a fleet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FleetRules {
    pub place: String,
    /// How old the newest backup of each instance may be; `None`: as its history says.
    pub silent_after: Option<Duration>,
    /// The devices of which no backup is expected any more.
    pub retired: Vec<String>,
}
