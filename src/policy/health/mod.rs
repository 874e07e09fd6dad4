//! The health of an instance: what is wrong with it, by what is known of its backups.

mod copies;
mod facts;
mod fleet;
mod history;
mod limits;
mod room;
mod rules;

pub use copies::{place_problem, removed_problem};
pub use facts::HealthFacts;
pub use fleet::{NAMED, expected_next, fleet_problem, silent_problem};
pub use history::{Trend, fallen_tables};
pub use limits::HealthLimits;
pub use room::room_problem;
pub use rules::{InstanceHealth, SafetyState, examine, why_cannot_begin};
