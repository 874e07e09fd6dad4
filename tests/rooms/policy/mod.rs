//! The rules of schedules and retention, over simulated years and random histories. `rules_left_out.md` says of each rule
//! which test fails without it.

mod consolidation;
mod copies;
mod drills;
mod good;
mod health;
mod invariant;
mod oracle;
mod points;
mod retention;
mod schedules;
mod size;
mod targets;
mod world;

use std::ops::Range;

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

/// The seeds of the random histories. `COFFER_POLICY_HISTORIES` asks for so many, or for a part of them: "1000..2000".
fn seeds(usual: u64) -> Range<u64> {
    let Ok(asked) = std::env::var("COFFER_POLICY_HISTORIES") else { return 0..usual };
    let (first, end) = asked.split_once("..").unwrap_or(("0", &asked));
    let number = |text: &str| text.parse().expect("a number of histories, or a range of them");
    number(first)..number(end)
}
