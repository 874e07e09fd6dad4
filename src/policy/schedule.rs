//! When something runs: `"hourly"`, `"daily 02:30"`, or a cron expression, in a time zone whose clocks are put
//! forward and back.

use std::fmt;
use std::str::FromStr;

use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp as Instant};

use crate::domain::Timestamp;

use super::civil::CivilTimes;

/// How far ahead a next run is looked for. 29 February is at most 8 years away.
const HORIZON: SignedDuration = SignedDuration::from_hours(24 * 366 * 9);

/// The shortest time that a [`Timestamp`] can tell.
const MICROSECOND: SignedDuration = SignedDuration::from_micros(1);

/// What a schedule may be, for errors.
const EXAMPLES: &str = "\"hourly\", \"daily 02:30\", \"weekly sun 03:00\", \"monthly 1 04:00\" or cron's \"30 2 * * *\"";

/// When something runs, on the clocks of a time zone.
///
/// Each time runs once. A time that the clocks skip runs when it would have been without that; one that they show
/// twice runs the first time. What runs in every hour does so in each hour that passes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    text: String,
    times: CivilTimes,
}

/// A text that is not a schedule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a schedule: {why}; use {EXAMPLES}")]
pub struct BadSchedule {
    text: String,
    why: String,
}

impl FromStr for Schedule {
    type Err = BadSchedule;

    fn from_str(text: &str) -> Result<Self, BadSchedule> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let times = match words.as_slice() {
            ["hourly"] => Ok(CivilTimes::hourly(0)),
            ["hourly", minute] => minute_of(minute).map(CivilTimes::hourly),
            ["daily"] => Ok(CivilTimes::daily((0, 0))),
            ["daily", at] => time_of(at).map(CivilTimes::daily),
            ["weekly", day] => CivilTimes::weekly(day, (0, 0)),
            ["weekly", day, at] => time_of(at).and_then(|at| CivilTimes::weekly(day, at)),
            ["monthly", day] => CivilTimes::monthly(day, (0, 0)),
            ["monthly", day, at] => time_of(at).and_then(|at| CivilTimes::monthly(day, at)),
            ["weekly" | "monthly"] => Err("it names no day".to_owned()),
            ["hourly" | "daily" | "weekly" | "monthly", ..] => {
                Err("it has too many words".to_owned())
            }
            _ => CivilTimes::cron(text),
        };
        let text: String = text.chars().take(80).collect();
        match times {
            Ok(times) => Ok(Self { text: words.join(" "), times }),
            Err(why) => Err(BadSchedule { text, why }),
        }
    }
}

fn minute_of(text: &str) -> Result<i8, String> {
    let minute = text.strip_prefix(':').unwrap_or(text);
    let digits = minute.len() == 2 && minute.bytes().all(|it| it.is_ascii_digit());
    let minute = digits.then(|| minute.parse().ok()).flatten();
    minute.filter(|it| *it < 60).ok_or_else(|| format!("{text:?} is not a minute from 00 to 59"))
}

/// An hour and a minute: `02:30`.
pub(super) fn time_of(text: &str) -> Result<(i8, i8), String> {
    let wrong = || format!("{text:?} is not a time from 00:00 to 23:59");
    let (hour, minute) = text.split_once(':').ok_or_else(wrong)?;
    let digits = (1..=2).contains(&hour.len()) && hour.bytes().all(|it| it.is_ascii_digit());
    let hour = digits.then(|| hour.parse::<i8>().ok()).flatten().filter(|it| *it < 24);
    let minute = minute_of(minute).ok().filter(|_| !minute.starts_with(':'));
    hour.zip(minute).ok_or_else(wrong)
}

impl fmt::Display for Schedule {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

impl Schedule {
    /// The first run after this instant. `None` only at the end of time.
    pub fn next_after(&self, zone: &TimeZone, after: Timestamp) -> Option<Timestamp> {
        let mut from = to_instant(after)?.checked_add(MICROSECOND).ok()?;
        let horizon = from.checked_add(HORIZON).unwrap_or(Instant::MAX);
        while from < horizon {
            let stretch = Stretch::around(zone, from, horizon);
            if let Some(found) = stretch.first_run(&self.times, from) {
                return Some(Timestamp::from_micros(found.as_microsecond()));
            }
            from = stretch.end;
        }
        None
    }
}

pub(super) fn to_instant(at: Timestamp) -> Option<Instant> {
    Instant::from_microsecond(at.as_micros()).ok()
}

/// A time in which the clocks of a zone are neither put forward nor back.
struct Stretch {
    /// When it began, and the offset before; `None` if it has no beginning.
    start: Option<(Instant, Offset)>,
    offset: Offset,
    end: Instant,
}

impl Stretch {
    fn around(zone: &TimeZone, at: Instant, horizon: Instant) -> Self {
        let behind = at.checked_add(SignedDuration::from_nanos(1)).unwrap_or(Instant::MAX);
        let start = zone.preceding(behind).next().map(|it| it.timestamp());
        let before = |start: Instant| start.checked_sub(SignedDuration::from_nanos(1)).ok();
        let start = start.and_then(|start| Some((start, zone.to_offset(before(start)?))));
        let end = zone.following(at).next().map_or(horizon, |it| it.timestamp().min(horizon));
        Self { start, offset: zone.to_offset(at), end }
    }

    fn first_run(&self, times: &CivilTimes, from: Instant) -> Option<Instant> {
        let Self { start, offset, end } = *self;
        let mut first = offset.to_datetime(from);
        let mut skipped = None;
        match start {
            // The clocks were put back: what they show again has run, unless it runs in every hour.
            Some((start, before)) if offset < before && !times.is_every_hour() => {
                first = first.max(before.to_datetime(start));
            }
            // They were put forward: what they skipped runs as if they had not been.
            Some((start, before)) if offset > before => {
                let found = times.first_in(before.to_datetime(from), offset.to_datetime(start));
                skipped = found.and_then(|it| before.to_timestamp(it).ok()).filter(|it| *it < end);
            }
            _ => {}
        }
        let shown = times.first_in(first, offset.to_datetime(end));
        let shown = shown.and_then(|it| offset.to_timestamp(it).ok());
        shown.into_iter().chain(skipped).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(schedule: &str, zone: &str, from: &str, count: usize) -> Vec<String> {
        let schedule: Schedule = schedule.parse().unwrap();
        let zone = TimeZone::get(zone).unwrap();
        let mut at: Timestamp = from.parse().unwrap();
        let mut found = Vec::new();
        for _run in 0..count {
            at = schedule.next_after(&zone, at).unwrap();
            let instant = to_instant(at).unwrap();
            let (shown, offset) =
                (zone.to_datetime(instant), zone.to_offset(instant).seconds() / 60);
            let (hour, minute) = (shown.hour(), shown.minute());
            let (hours, minutes) = (offset / 60, offset.abs() % 60);
            found.push(format!("{} {hour:02}:{minute:02} {hours:+03}:{minutes:02}", shown.date()));
        }
        found
    }

    #[test]
    fn plain_words_and_cron_mean_the_same() {
        for (words, cron) in [
            ("hourly", "0 * * * *"),
            ("hourly :15", "15 * * * *"),
            ("daily", "0 0 * * *"),
            ("daily 02:30", "30 2 * * *"),
            ("weekly sun 03:00", "0 3 * * sun"),
            ("weekly Monday 3:00", "0 3 * * 1"),
            ("monthly 1 04:00", "0 4 1 * *"),
        ] {
            let from = "2026-02-27T00:00:00Z";
            assert_eq!(runs(words, "Europe/Berlin", from, 9), runs(cron, "Europe/Berlin", from, 9));
        }
        let last = runs("monthly last 04:00", "UTC", "2028-01-31T05:00:00Z", 2);
        assert_eq!(last, ["2028-02-29 04:00 +00:00", "2028-03-31 04:00 +00:00"]);
    }

    #[test]
    fn what_is_no_schedule_is_refused_with_the_reason_and_examples() {
        for (text, why) in [
            ("", "0 fields"),
            ("dayly 02:30", "2 fields"),
            ("daily 2", "\"2\" is not a time"),
            ("daily 24:00", "not a time"),
            ("daily 02:60", "not a time"),
            ("daily 02::30", "not a time"),
            ("daily +2:30", "not a time"),
            ("daily 02:30 03:30", "too many words"),
            ("weekly", "names no day"),
            ("weekly sunny 03:00", "not a day of the week"),
            ("weekly 03:00", "not a day of the week"),
            ("monthly 31 04:00", "1 to 28, or last"),
            ("hourly 60", "not a minute"),
        ] {
            let error = text.parse::<Schedule>().unwrap_err().to_string();
            assert!(error.contains(why) && error.contains("daily 02:30"), "{text}: {error}");
        }
    }

    #[test]
    fn a_time_that_the_clocks_skip_runs_once_and_one_they_show_twice_runs_once() {
        let spring = runs("daily 02:30", "Europe/Berlin", "2026-03-28T00:00:00Z", 3);
        assert_eq!(
            spring,
            ["2026-03-28 02:30 +01:00", "2026-03-29 03:30 +02:00", "2026-03-30 02:30 +02:00"]
        );
        let autumn = runs("daily 02:30", "Europe/Berlin", "2026-10-24T12:00:00Z", 2);
        assert_eq!(autumn, ["2026-10-25 02:30 +02:00", "2026-10-26 02:30 +01:00"]);
    }

    #[test]
    fn what_runs_every_hour_runs_in_each_hour_that_passes() {
        let spring = runs("hourly", "Europe/Berlin", "2026-03-28T23:30:00Z", 3);
        assert_eq!(
            spring,
            ["2026-03-29 01:00 +01:00", "2026-03-29 03:00 +02:00", "2026-03-29 04:00 +02:00"]
        );
        let autumn = runs("hourly", "Europe/Berlin", "2026-10-24T23:30:00Z", 3);
        assert_eq!(
            autumn,
            ["2026-10-25 02:00 +02:00", "2026-10-25 02:00 +01:00", "2026-10-25 03:00 +01:00"]
        );
        let half = runs("hourly", "Australia/Lord_Howe", "2026-10-03T14:00:00Z", 3);
        assert_eq!(
            half,
            ["2026-10-04 01:00 +10:30", "2026-10-04 02:30 +11:00", "2026-10-04 03:00 +11:00"]
        );
    }

    #[test]
    fn a_day_that_a_zone_left_out_runs_with_the_next_one() {
        let apia = runs("daily 02:30", "Pacific/Apia", "2011-12-29T00:00:00Z", 3);
        assert_eq!(
            apia,
            ["2011-12-29 02:30 -10:00", "2011-12-31 02:30 +14:00", "2012-01-01 02:30 +14:00"]
        );
    }

    #[test]
    fn a_leap_day_is_found_eight_years_ahead() {
        let leap = runs("0 0 29 2 *", "UTC", "2096-03-01T00:00:00Z", 1);
        assert_eq!(leap, ["2104-02-29 00:00 +00:00"]);
    }
}
