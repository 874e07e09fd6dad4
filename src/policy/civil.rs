//! The times on a clock on the wall that a schedule names, as the five fields of cron have them.

use std::ops::RangeInclusive;

use jiff::Span;
use jiff::civil::{Date, DateTime, time};

const MINUTES: RangeInclusive<i8> = 0..=59;
const HOURS: RangeInclusive<i8> = 0..=23;
const DAYS_OF_MONTH: RangeInclusive<i8> = 1..=31;
const MONTHS: RangeInclusive<i8> = 1..=12;
/// 0 and 7 are Sunday.
const DAYS_OF_WEEK: RangeInclusive<i8> = 0..=7;

const MONTH_NAMES: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAY_NAMES: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// A set of numbers below 64.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Numbers(u64);

impl Numbers {
    const NONE: Self = Self(0);

    const fn bit(number: i8) -> u64 {
        1 << (number.unsigned_abs() & 63)
    }

    const fn with(self, number: i8) -> Self {
        Self(self.0 | Self::bit(number))
    }

    fn all(range: RangeInclusive<i8>) -> Self {
        range.fold(Self::NONE, Self::with)
    }

    const fn has(self, number: i8) -> bool {
        self.0 & Self::bit(number) != 0
    }

    fn first_from(self, least: i8) -> Option<i8> {
        (least..64).find(|number| self.has(*number))
    }
}

/// A set of minutes, by their hour, day of the month, month and day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CivilTimes {
    minutes: Numbers,
    hours: Numbers,
    days_of_month: Numbers,
    last_of_month: bool,
    months: Numbers,
    days_of_week: Numbers,
    /// Cron's rule: where both kinds of days are named, one of them is enough.
    either_day: bool,
}

/// One field of cron: which numbers it may have, and names for them.
struct Field {
    what: &'static str,
    range: RangeInclusive<i8>,
    names: &'static [&'static str],
    first_name: i8,
}

impl Field {
    const fn new(what: &'static str, range: RangeInclusive<i8>) -> Self {
        Self { what, range, names: &[], first_name: 0 }
    }

    fn parse(&self, text: &str) -> Result<Numbers, String> {
        text.split(',').try_fold(Numbers::NONE, |found, part| self.part(part, found))
    }

    /// `*`, `5`, `1-5`, each also with a step: `*/15`, `8-18/2`.
    fn part(&self, part: &str, mut found: Numbers) -> Result<Numbers, String> {
        let (range, step) = match part.split_once('/') {
            None => (part, None),
            Some((range, step)) => (range, Some(self.step(step)?)),
        };
        let (first, last) = match range.split_once('-') {
            _ if range == "*" => (*self.range.start(), *self.range.end()),
            Some((first, last)) => (self.number(first)?, self.number(last)?),
            None => {
                let first = self.number(range)?;
                (first, if step.is_some() { *self.range.end() } else { first })
            }
        };
        if first > last {
            return Err(format!("the {} {range} goes backwards", self.what));
        }
        for number in (first..=last).step_by(step.unwrap_or(1)) {
            found = found.with(number);
        }
        Ok(found)
    }

    fn step(&self, text: &str) -> Result<usize, String> {
        let step = text.parse().ok().filter(|step| (1..=59).contains(step));
        step.ok_or_else(|| format!("{text:?} is not a step of the {}", self.what))
    }

    fn number(&self, text: &str) -> Result<i8, String> {
        let digits = text.bytes().all(|it| it.is_ascii_digit());
        let number = if digits { text.parse().ok() } else { self.named(text) };
        number.filter(|it| self.range.contains(it)).ok_or_else(|| {
            let (least, most) = (self.range.start(), self.range.end());
            format!("{text:?} is not a {} (from {least} to {most})", self.what)
        })
    }

    fn named(&self, text: &str) -> Option<i8> {
        let at = self.names.iter().position(|name| name.eq_ignore_ascii_case(text))?;
        Some(self.first_name.saturating_add(i8::try_from(at).ok()?))
    }
}

impl CivilTimes {
    /// A cron expression: minute, hour, day of the month, month, day of the week.
    pub(super) fn cron(text: &str) -> Result<Self, String> {
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields.as_slice() else {
            return Err(format!("it has {} fields, cron's five are needed", fields.len()));
        };
        let names = |names, first_name, field| Field { names, first_name, ..field };
        let month_field = names(&MONTH_NAMES, 1, Field::new("month", MONTHS));
        let weekday_field = names(&DAY_NAMES, 0, Field::new("day of the week", DAYS_OF_WEEK));
        let mut days_of_week = weekday_field.parse(weekday)?;
        if days_of_week.has(7) {
            days_of_week = days_of_week.with(0);
        }
        let times = Self {
            minutes: Field::new("minute", MINUTES).parse(minute)?,
            hours: Field::new("hour", HOURS).parse(hour)?,
            days_of_month: Field::new("day of the month", DAYS_OF_MONTH).parse(day)?,
            last_of_month: false,
            months: month_field.parse(month)?,
            days_of_week,
            either_day: !day.starts_with('*') && !weekday.starts_with('*'),
        };
        times.require_a_day()
    }

    /// Every hour, at this minute.
    pub(super) fn hourly(minute: i8) -> Self {
        Self {
            minutes: Numbers::NONE.with(minute),
            hours: Numbers::all(HOURS),
            days_of_month: Numbers::all(DAYS_OF_MONTH),
            last_of_month: false,
            months: Numbers::all(MONTHS),
            days_of_week: Numbers::all(DAYS_OF_WEEK),
            either_day: false,
        }
    }

    /// Every day at this hour and minute.
    pub(super) fn daily((hour, minute): (i8, i8)) -> Self {
        Self { hours: Numbers::NONE.with(hour), ..Self::hourly(minute) }
    }

    /// Once a week, on the day with this name: `sun`, `Monday`.
    pub(super) fn weekly(day: &str, at: (i8, i8)) -> Result<Self, String> {
        let short = day.get(..3).unwrap_or(day).to_ascii_lowercase();
        let full = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
        let known = |name: &str| {
            name == short && (day.len() == 3 || full.iter().any(|it| it.eq_ignore_ascii_case(day)))
        };
        let number = DAY_NAMES.iter().zip(0_i8..).find(|(name, _)| known(name));
        let (_, number) = number.ok_or_else(|| format!("{day:?} is not a day of the week"))?;
        Ok(Self { days_of_week: Numbers::NONE.with(number), ..Self::daily(at) })
    }

    /// Once a month: on a day that every month has, or on the last one (`last`).
    pub(super) fn monthly(day: &str, at: (i8, i8)) -> Result<Self, String> {
        let daily = Self::daily(at);
        if day == "last" {
            return Ok(Self { days_of_month: Numbers::NONE, last_of_month: true, ..daily });
        }
        let number = day.parse().ok().filter(|number| (1..=28).contains(number));
        let number = number.ok_or_else(|| {
            format!("{day:?} is not a day that every month has: use 1 to 28, or last")
        })?;
        Ok(Self { days_of_month: Numbers::NONE.with(number), ..daily })
    }

    fn require_a_day(self) -> Result<Self, String> {
        // Four years from a leap year have every day there is, on some day of the week each.
        let some = self.first_in(
            DateTime::constant(2000, 1, 1, 0, 0, 0, 0),
            DateTime::constant(2029, 1, 1, 0, 0, 0, 0),
        );
        some.map(|_day| self).ok_or_else(|| "it names a day that never comes".to_owned())
    }

    /// Whether every hour of a day has one: such a time runs by the hours that pass, and not by the clock.
    pub(super) fn is_every_hour(&self) -> bool {
        self.hours == Numbers::all(HOURS)
    }

    /// The first of these times from `from` on and before `before`.
    pub(super) fn first_in(&self, from: DateTime, before: DateTime) -> Option<DateTime> {
        let from = whole_minute(from)?;
        let mut date = from.date();
        let mut earliest = from.time();
        while date.at(0, 0, 0, 0) < before {
            if !self.months.has(date.month()) {
                date = date.last_of_month().tomorrow().ok()?;
                earliest = time(0, 0, 0, 0);
                continue;
            }
            if self.has_day(date)
                && let Some((hour, minute)) = self.first_time(earliest.hour(), earliest.minute())
            {
                let found = date.at(hour, minute, 0, 0);
                return (found < before).then_some(found);
            }
            date = date.tomorrow().ok()?;
            earliest = time(0, 0, 0, 0);
        }
        None
    }

    fn has_day(&self, date: Date) -> bool {
        let last = self.last_of_month && date.day() == date.days_in_month();
        let of_month = last || self.days_of_month.has(date.day());
        let of_week = self.days_of_week.has(date.weekday().to_sunday_zero_offset());
        if self.either_day { of_month || of_week } else { of_month && of_week }
    }

    /// The first hour and minute of a day, from these on.
    fn first_time(&self, hour: i8, minute: i8) -> Option<(i8, i8)> {
        if self.hours.has(hour)
            && let Some(minute) = self.minutes.first_from(minute)
        {
            return Some((hour, minute));
        }
        Some((self.hours.first_from(hour.saturating_add(1))?, self.minutes.first_from(0)?))
    }
}

/// This minute, or the next one if it has begun.
fn whole_minute(at: DateTime) -> Option<DateTime> {
    let begun = at.date().at(at.hour(), at.minute(), 0, 0);
    if begun == at { Some(at) } else { begun.checked_add(Span::new().minutes(1)).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(cron: &str, from: &str, count: usize) -> Vec<String> {
        let times = CivilTimes::cron(cron).unwrap();
        let end = DateTime::constant(2100, 1, 1, 0, 0, 0, 0);
        let mut from: DateTime = from.parse().unwrap();
        let mut found = Vec::new();
        while found.len() < count {
            let at = times.first_in(from, end).unwrap();
            found.push(at.to_string());
            from = at.checked_add(Span::new().seconds(1)).unwrap();
        }
        found
    }

    #[test]
    fn a_cron_expression_names_minutes_hours_days_and_months() {
        let new_year = "2026-01-01T00:00:00";
        for (cron, expected) in [
            ("30 2 * * *", ["2026-01-01T02:30:00", "2026-01-02T02:30:00"]),
            ("*/25 * * * *", ["2026-01-01T00:00:00", "2026-01-01T00:25:00"]),
            ("0 8-18/5 * * mon-fri", ["2026-01-01T08:00:00", "2026-01-01T13:00:00"]),
            ("5 4 * * 7", ["2026-01-04T04:05:00", "2026-01-11T04:05:00"]),
            ("0 0 29 2 *", ["2028-02-29T00:00:00", "2032-02-29T00:00:00"]),
            ("0 0 13 * FRI", ["2026-01-02T00:00:00", "2026-01-09T00:00:00"]),
            ("0 0 */2 * fri", ["2026-01-09T00:00:00", "2026-01-23T00:00:00"]),
            ("59 23 31 Dec *", ["2026-12-31T23:59:00", "2027-12-31T23:59:00"]),
        ] {
            assert_eq!(times(cron, new_year, 2), expected, "{cron}");
        }
    }

    #[test]
    fn a_minute_that_has_begun_is_over() {
        assert_eq!(times("30 2 * * *", "2026-01-01T02:30:00", 1), ["2026-01-01T02:30:00"]);
        assert_eq!(times("30 2 * * *", "2026-01-01T02:30:01", 1), ["2026-01-02T02:30:00"]);
    }

    #[test]
    fn what_is_no_cron_expression_is_refused_with_the_reason() {
        for (cron, why) in [
            ("* * * *", "4 fields"),
            ("60 * * * *", "\"60\" is not a minute (from 0 to 59)"),
            ("0 24 * * *", "hour"),
            ("0 0 0 * *", "day of the month"),
            ("0 0 1 foo *", "\"foo\" is not a month"),
            ("0 0 * * 8", "day of the week"),
            ("5-1 * * * *", "backwards"),
            ("*/0 * * * *", "step"),
            ("1, * * * *", "\"\" is not a minute"),
            ("-1 * * * *", "not a minute"),
            ("0 0 31 feb,apr *", "never comes"),
        ] {
            let error = CivilTimes::cron(cron).unwrap_err();
            assert!(error.contains(why), "{cron}: {error}");
        }
    }
}
