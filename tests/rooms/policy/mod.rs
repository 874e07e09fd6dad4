//! The rules of schedules and retention, over simulated years and random histories.

mod consolidation;
mod drills;
mod health;
mod invariant;
mod oracle;
mod retention;
mod schedules;
mod targets;
mod world;

use coffer::policy::{FullEvery, Span, Timetable};
use jiff::tz::TimeZone;

/// At 02:30 UTC, a full backup with each week.
pub(crate) fn daily() -> Timetable {
    Timetable {
        schedule: "daily 02:30".parse().unwrap(),
        zone: TimeZone::UTC,
        jitter: Span::default(),
        window: None,
        full_every: FullEvery::Week,
        retries: 3,
    }
}
