//! Time as the server tells it. Everything takes a [`Clock`], so tests own time.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::{Serialize, Serializer};

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
        self.wire().as_str().to_owned()
    }

    /// The same without memory of its own, for lists of many.
    pub fn wire(self) -> WireTime {
        let digit = |number: i16| b'0' + u8::try_from(number % 10).unwrap_or(0);
        let Ok(instant) = jiff::Timestamp::from_microsecond(self.0) else { return EPOCH };
        let at = TimeZone::UTC.to_datetime(instant);
        let (year, month, day) = (at.year(), i16::from(at.month()), i16::from(at.day()));
        let (hour, minute) = (i16::from(at.hour()), i16::from(at.minute()));
        let second = i16::from(at.second());
        if year < 0 {
            return EPOCH;
        }
        let two = |number: i16| (digit(number / 10), digit(number));
        let ((mo, nth), (d, ay), (h, our)) = (two(month), two(day), two(hour));
        let ((mi, nute), (se, cond)) = (two(minute), two(second));
        let (mill, cent, dec) = (digit(year / 1000), digit(year / 100), digit(year / 10));
        WireTime([
            mill,
            cent,
            dec,
            digit(year),
            b'-',
            mo,
            nth,
            b'-',
            d,
            ay,
            b'T',
            h,
            our,
            b':',
            mi,
            nute,
            b':',
            se,
            cond,
        ])
    }
}

/// What stands for an instant that has no four-digit year.
const EPOCH: WireTime = WireTime(*b"1970-01-01T00:00:00");

/// A time as it goes over the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WireTime([u8; 19]);

impl WireTime {
    /// The text.
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or("1970-01-01T00:00:00")
    }
}

impl Serialize for WireTime {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.as_str())
    }
}

/// RFC 3339 with microseconds, for manifests and reports.
impl fmt::Display for Timestamp {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut micros = *b".000000Z";
        let mut left = self.0.rem_euclid(1_000_000);
        for digit in micros.iter_mut().rev().skip(1).take(6) {
            *digit = b'0' + u8::try_from(left % 10).unwrap_or(0);
            left /= 10;
        }
        out.write_str(self.wire().as_str())?;
        out.write_str(str::from_utf8(&micros).unwrap_or(".000000Z"))
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

/// A clock for tests: each reading is one second after the one before.
#[derive(Debug)]
pub struct FixedClock(AtomicI64);

impl FixedClock {
    /// A clock whose first reading is `start`.
    pub const fn starting_at(start: Timestamp) -> Self {
        Self(AtomicI64::new(start.0))
    }
}

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.fetch_add(1_000_000, Ordering::Relaxed))
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

    #[test]
    fn what_goes_over_the_wire_is_what_the_calendar_says() {
        for (micros, expected) in [
            (0, "1970-01-01T00:00:00"),
            (951_782_400_000_000, "2000-02-29T00:00:00"),
            (253_402_300_799_999_999, "1970-01-01T00:00:00"),
            (253_402_200_799_000_000, "9999-12-30T20:13:19"),
            (-1, "1969-12-31T23:59:59"),
            (i64::MAX, "1970-01-01T00:00:00"),
            (i64::MIN, "1970-01-01T00:00:00"),
        ] {
            assert_eq!(Timestamp::from_micros(micros).to_wire(), expected, "{micros}");
        }
    }
}
