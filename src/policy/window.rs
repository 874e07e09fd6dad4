//! The hours of a day in which backups may begin.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::civil::{Time, time};
use jiff::tz::TimeZone;

use crate::domain::Timestamp;

use super::schedule::{time_of, to_instant};

/// From one time of the day to another one, such as `22:00-06:00`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    from: Time,
    until: Time,
}

/// A text that is not such a window.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not two different times of the day, such as \"22:00-06:00\"")]
pub struct BadWindow {
    text: String,
}

impl FromStr for Window {
    type Err = BadWindow;

    fn from_str(text: &str) -> Result<Self, BadWindow> {
        let read = |text: &str| {
            let (hour, minute) = time_of(text.trim()).ok()?;
            Some(time(hour, minute, 0, 0))
        };
        let window = text.split_once('-').and_then(|(from, until)| {
            let (from, until) = (read(from)?, read(until)?);
            (from != until).then_some(Self { from, until })
        });
        window.ok_or_else(|| BadWindow { text: text.chars().take(80).collect() })
    }
}

impl fmt::Display for Window {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, until) = (self.from, self.until);
        write!(out, "{:02}:{:02}-", from.hour(), from.minute())?;
        write!(out, "{:02}:{:02}", until.hour(), until.minute())
    }
}

impl Window {
    /// The time of the day at which it opens: `22:00`.
    pub fn opens_at(self) -> String {
        format!("{:02}:{:02}", self.from.hour(), self.from.minute())
    }

    /// How long it is open.
    pub fn length(self) -> Duration {
        let minutes = |time: Time| i64::from(time.hour()) * 60 + i64::from(time.minute());
        let length = (minutes(self.until) - minutes(self.from)).rem_euclid(24 * 60);
        Duration::from_secs(u64::try_from(length).unwrap_or(0) * 60)
    }

    fn holds(self, at: Time) -> bool {
        if self.from < self.until {
            self.from <= at && at < self.until
        } else {
            self.from <= at || at < self.until
        }
    }

    /// This instant if it is in the window, else the next one at which it opens.
    pub fn opens(self, zone: &TimeZone, at: Timestamp) -> Timestamp {
        let Some(instant) = to_instant(at) else { return at };
        let shown = zone.to_datetime(instant);
        if self.holds(shown.time()) {
            return at;
        }
        let today = shown.date();
        let date = if shown.time() < self.from { Some(today) } else { today.tomorrow().ok() };
        let opens = date.and_then(|date| zone.to_timestamp(date.to_datetime(self.from)).ok());
        // Where the clocks skip the opening, or show it twice, it may come out as past: then it is open.
        opens.map_or(at, |it| Timestamp::from_micros(it.as_microsecond()).max(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opens(window: &str, at: &str) -> String {
        let window: Window = window.parse().unwrap();
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        window.opens(&zone, at.parse().unwrap()).to_wire()
    }

    #[test]
    fn a_time_outside_of_the_window_waits_until_it_opens() {
        for (window, at, expected) in [
            ("22:00-06:00", "2026-06-01T21:30:00Z", "2026-06-01T21:30:00"),
            ("22:00-06:00", "2026-06-01T03:59:59Z", "2026-06-01T03:59:59"),
            ("22:00-06:00", "2026-06-01T04:00:00Z", "2026-06-01T20:00:00"),
            ("01:00-05:00", "2026-06-01T03:00:00Z", "2026-06-01T23:00:00"),
            ("01:00-05:00", "2026-06-01T02:59:59Z", "2026-06-01T02:59:59"),
        ] {
            assert_eq!(opens(window, at), expected, "{window} {at}");
        }
    }

    #[test]
    fn what_is_no_window_is_refused() {
        for text in ["", "22:00", "22:00-22:00", "22:00-25:00", "a-b"] {
            assert!(text.parse::<Window>().is_err(), "{text}");
        }
        assert_eq!("22:00 - 6:00".parse::<Window>().unwrap().to_string(), "22:00-06:00");
    }
}
