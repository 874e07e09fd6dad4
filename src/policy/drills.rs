//! When drills are made: on a schedule, or once in each day, week or month, each instance in a night of its own.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::tz::TimeZone;

use crate::domain::{InstanceId, Timestamp};

use super::{BadSchedule, FullEvery, Schedule, Span, Timetable, Window};

/// The time from midnight on over which drills are spread where no window says otherwise.
const NIGHT: Duration = Duration::from_secs(6 * 3600);

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// How often an instance is drilled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DrillEvery {
    /// Once a day, week or month, at a time of the instance's own.
    Day,
    Week,
    Month,
    At(Schedule),
}

impl FromStr for DrillEvery {
    type Err = BadSchedule;

    fn from_str(text: &str) -> Result<Self, BadSchedule> {
        match text.trim() {
            "daily" => Ok(Self::Day),
            "weekly" => Ok(Self::Week),
            "monthly" => Ok(Self::Month),
            other => other.parse().map(Self::At),
        }
    }
}

impl fmt::Display for DrillEvery {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Day => out.write_str("daily"),
            Self::Week => out.write_str("weekly"),
            Self::Month => out.write_str("monthly"),
            Self::At(schedule) => schedule.fmt(out),
        }
    }
}

/// When one instance is drilled.
#[derive(Debug, Clone, PartialEq)]
pub struct DrillPlan {
    /// As the configuration says it.
    pub every: DrillEvery,
    /// What that means for this instance.
    pub timetable: Timetable,
}

impl DrillPlan {
    /// `like` has the zone, the window, the jitter and the retries of the instance.
    pub fn new(every: DrillEvery, instance: InstanceId, like: &DrillLimits) -> Self {
        let (from, length) = like.window.map_or_else(
            || ("00:00".to_owned(), NIGHT),
            |window| (window.opens_at(), window.length()),
        );
        let (high, low) = instance.as_uuid().as_u64_pair();
        // The remainder is the time within the night, so that the day does not depend on it.
        let own = (high ^ low).checked_div(length.as_secs()).unwrap_or(0);
        let (schedule, jitter) = match &every {
            DrillEvery::At(schedule) => (schedule.clone(), like.jitter),
            DrillEvery::Day => (words(&format!("daily {from}")), spread(length)),
            DrillEvery::Week => {
                let day = usize::try_from(own % 7).ok().and_then(|day| DAYS.get(day));
                let day = day.copied().unwrap_or("sun");
                (words(&format!("weekly {day} {from}")), spread(length))
            }
            DrillEvery::Month => {
                (words(&format!("monthly {} {from}", 1 + own % 28)), spread(length))
            }
        };
        let timetable = Timetable {
            schedule,
            zone: like.zone.clone(),
            jitter,
            window: like.window,
            full_every: FullEvery::Day,
            retries: like.retries,
        };
        Self { every, timetable }
    }

    /// How far apart the next two drills are.
    pub fn interval(&self, after: Timestamp) -> Option<Duration> {
        let next = |at| self.timetable.schedule.next_after(&self.timetable.zone, at);
        let first = next(after)?;
        let apart = next(first)?.as_micros().saturating_sub(first.as_micros());
        Some(Duration::from_micros(u64::try_from(apart).unwrap_or(0)))
    }
}

/// What an instance says of the times at which something may begin.
#[derive(Debug, Clone)]
pub struct DrillLimits {
    pub zone: TimeZone,
    pub window: Option<Window>,
    pub jitter: Span,
    pub retries: u32,
}

fn words(text: &str) -> Schedule {
    text.parse().expect("these words are a schedule")
}

const fn spread(over: Duration) -> Span {
    Span::seconds(over.as_secs())
}

/// Of those whose drill is due, the one whose proof is oldest; one that has none comes first.
pub fn oldest_proof(
    due: impl IntoIterator<Item = (InstanceId, Option<Timestamp>)>,
) -> Option<InstanceId> {
    due.into_iter().min_by_key(|(id, proof)| (*proof, *id)).map(|(id, _proof)| id)
}
