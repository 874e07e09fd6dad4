//! When backups are made, which of them are kept, and what is wrong: pure rules, without a clock of their own, files or
//! SQL.
//!
//! Everything here decides; the catalog and the scheduler carry it out.

mod alert;
mod civil;
mod clock_jump;
mod drills;
mod full_every;
mod health;
mod keys;
mod message;
mod problem;
mod proof_times;
mod quantity;
mod recurrence;
mod retention;
mod schedule;
mod staging;
mod timetable;
mod window;

use jiff::tz::TimeZone;

pub use alert::{
    Alert, AlertChange, AlertRoute, AlertRoutes, Delivery, Digest, OpenAlert, alert_changes,
    wait_after,
};
pub use clock_jump::clock_jumped;
pub use drills::{DrillEvery, DrillLimits, DrillPlan, oldest_proof};
pub use full_every::{BadFullEvery, FullEvery};
pub use health::{
    HealthFacts, HealthLimits, InstanceHealth, NAMED, SafetyState, Trend, examine, expected_next,
    fallen_tables, fleet_problem, place_problem, removed_problem, room_problem, silent_problem,
    why_cannot_begin,
};
pub use keys::{KeepKeys, PolicyKeys};
pub use message::{AlertEvent, Message, Subject};
pub use problem::{Problem, ProblemKind, Severity};
pub use proof_times::ProofTimes;
pub use quantity::{Amount, BadQuantity, Span};
pub use recurrence::RunHistory;
pub use retention::{
    Chain, Condition, Decision, Fate, Forecast, Guard, History, Keep, PlaceRule, PlaceTarget,
    Point, PointState, Targets, Tier, decide, decide_targets, decide_targets_without,
    decide_without, forecast,
};
pub use schedule::{BadSchedule, Schedule};
pub use staging::{StagingPlan, StagingTarget};
pub use timetable::{Retry, Timetable, Turn};
pub use window::{BadWindow, Window};

/// When an instance is backed up and what of it is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// The time zone of its hours, days and weeks.
    pub zone: TimeZone,
    /// `None`: only when somebody asks for a backup.
    pub timetable: Option<Timetable>,
    /// `None`: everything is kept.
    pub keep: Option<Keep>,
    /// `None`: it is drilled only when somebody asks.
    pub drill: Option<DrillPlan>,
    /// Where its last backup is restored to by itself.
    pub staging: Option<StagingPlan>,
    /// From when on something is called wrong.
    pub health: HealthLimits,
}
