//! Time as the server tells it. Everything takes a [`Clock`], so tests own time.

use std::fmt;
use std::str::FromStr;
use std::sync::Mutex;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// An instant in microseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The instant this many microseconds after the epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since the epoch.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// `YYYY-MM-DDTHH:MM:SS` in UTC, without zone or fraction: the only form that every one of
    /// Trove's clients reads.
    pub fn to_wire(self) -> String {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(instant) => {
                TimeZone::UTC.to_datetime(instant).strftime("%Y-%m-%dT%H:%M:%S").to_string()
            }
            Err(_out_of_range) => "1970-01-01T00:00:00".to_owned(),
        }
    }
}

/// RFC 3339 with microseconds, for manifests and reports.
impl fmt::Display for Timestamp {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.{:06}Z", self.to_wire(), self.0.rem_euclid(1_000_000))
    }
}

impl FromStr for Timestamp {
    type Err = jiff::Error;

    fn from_str(text: &str) -> Result<Self, jiff::Error> {
        let civil: DateTime = text.trim_end_matches('Z').parse()?;
        Ok(Self(TimeZone::UTC.to_timestamp(civil)?.as_microsecond()))
    }
}

/// Where the time comes from.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The time now.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp(jiff::Timestamp::now().as_microsecond())
    }
}

/// A clock that only moves when it is asked: one second a look.
#[derive(Debug)]
pub struct FixedClock(Mutex<i64>);

impl FixedClock {
    /// A clock that shows `start` at the first look.
    pub const fn starting_at(start: Timestamp) -> Self {
        Self(Mutex::new(start.0))
    }
}

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        let mut micros = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let shown = *micros;
        *micros += 1_000_000;
        Timestamp(shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_reads_back_to_the_microsecond_and_shows_seconds_on_the_wire() {
        let instant: Timestamp = "2026-11-23T19:13:14.250001Z".parse().unwrap();
        assert_eq!(instant.to_wire(), "2026-11-23T19:13:14");
        assert_eq!(instant.to_string(), "2026-11-23T19:13:14.250001Z");
        assert_eq!(instant.to_string().parse::<Timestamp>().unwrap(), instant);
    }
}
