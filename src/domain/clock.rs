//! Instants, and where they come from.
//!
//! The catalog, the storage and the jobs get their time from a [`Clock`], so that tests decide what time it is.
//! Log lines and the checks of `coffer doctor` ask the machine directly.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};
use parking_lot::Mutex;

/// An instant in microseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// 2026-01-01T00:00:00Z. Coffer is newer than any clock that shows less.
    pub const EARLIEST: Self = Self(1_767_225_600_000_000);

    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// So much later, at most at the end of time.
    #[must_use]
    pub fn plus(self, time: Duration) -> Self {
        Self(self.0.saturating_add(micros(time)))
    }

    /// So much earlier.
    #[must_use]
    pub fn minus(self, time: Duration) -> Self {
        Self(self.0.saturating_sub(micros(time)))
    }

    /// The time from this instant to that one; none if that was before.
    pub fn until(self, later: Self) -> Duration {
        let micros = later.0.saturating_sub(self.0);
        Duration::from_micros(u64::try_from(micros).unwrap_or(0))
    }

    /// `YYYY-MM-DDTHH:MM:SS` in UTC, without zone or fraction: the only form that all of Trove's clients read.
    pub fn to_wire(self) -> String {
        String::from_utf8(self.to_wire_bytes().to_vec()).expect("digits are ASCII")
    }

    /// The same in ASCII, digit by digit: a page of backups holds dozens, and formatting took twice as long.
    pub fn to_wire_bytes(self) -> [u8; 19] {
        let at = self.to_civil();
        let [[y1, y2], [y3, y4]] = [two_digits(at.year() / 100), two_digits(at.year() % 100)];
        let [[m1, m2], [d1, d2], [h1, h2], [i1, i2], [s1, s2]] =
            [at.month(), at.day(), at.hour(), at.minute(), at.second()]
                .map(|it| two_digits(it.into()));
        [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b'T', h1, h2, b':', i1, i2, b':', s1, s2]
    }

    /// The second that it is in.
    #[must_use]
    pub const fn to_second(self) -> Self {
        Self(self.0.saturating_sub(self.0.rem_euclid(1_000_000)))
    }

    /// The date and time in UTC; the epoch where that has no year of four digits.
    fn to_civil(self) -> DateTime {
        jiff::Timestamp::from_microsecond(self.0)
            .map(|instant| Offset::UTC.to_datetime(instant))
            .ok()
            .filter(|at| at.year() >= 0)
            .unwrap_or(DateTime::constant(1970, 1, 1, 0, 0, 0, 0))
    }
}

/// A number below 100.
fn two_digits(number: i16) -> [u8; 2] {
    let number = u8::try_from(number).unwrap_or_default();
    [b'0' + number / 10, b'0' + number % 10]
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

/// RFC 3339 with microseconds, for manifests and reports.
impl fmt::Display for Timestamp {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:.6}Z", self.to_civil())
    }
}

impl FromStr for Timestamp {
    type Err = jiff::Error;

    fn from_str(text: &str) -> Result<Self, jiff::Error> {
        let civil: DateTime = text.trim_end_matches('Z').parse()?;
        Ok(Self(TimeZone::UTC.to_timestamp(civil)?.as_microsecond()))
    }
}

pub trait Clock: Send + Sync + fmt::Debug {
    fn now(&self) -> Timestamp;
}

#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp(jiff::Timestamp::now().as_microsecond())
    }
}

/// A clock for tests: every reading is one second after the previous one.
#[derive(Debug)]
pub struct FixedClock(Mutex<i64>);

impl FixedClock {
    /// A clock whose first reading is `start`.
    pub const fn starting_at(start: Timestamp) -> Self {
        Self(Mutex::new(start.0))
    }
}

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        let mut micros = self.0.lock();
        let shown = *micros;
        *micros += 1_000_000;
        Timestamp(shown)
    }
}
