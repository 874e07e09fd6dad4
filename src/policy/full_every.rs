//! How often a full backup is made, with incrementals between.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::domain::Timestamp;

use super::schedule::to_instant;

/// When the next backup is a full one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FullEvery {
    /// Every so many backups; 1: each.
    Backups(NonZeroU32),
    /// The first of each day.
    Day,
    /// The first of each week, which begins on Monday.
    Week,
    /// The first of each month.
    Month,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is neither \"daily\", \"weekly\" or \"monthly\" nor a number of backups from 1 on"
)]
pub struct BadFullEvery {
    text: String,
}

impl FromStr for FullEvery {
    type Err = BadFullEvery;

    fn from_str(text: &str) -> Result<Self, BadFullEvery> {
        match text {
            "daily" => Ok(Self::Day),
            "weekly" => Ok(Self::Week),
            "monthly" => Ok(Self::Month),
            _ => match text.parse() {
                Ok(number) => Ok(Self::Backups(number)),
                Err(_reason) => Err(BadFullEvery { text: text.chars().take(80).collect() }),
            },
        }
    }
}

impl fmt::Display for FullEvery {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Backups(number) => number.fmt(out),
            Self::Day => out.write_str("daily"),
            Self::Week => out.write_str("weekly"),
            Self::Month => out.write_str("monthly"),
        }
    }
}

impl FullEvery {
    /// Whether the next backup is to be a full one. `root` is when the newest full one was made, and `since` how many
    /// backups there are from it on, itself included.
    pub fn is_due(self, zone: &TimeZone, root: Timestamp, since: u32, now: Timestamp) -> bool {
        let date = |at| to_instant(at).map(|it| zone.to_datetime(it).date());
        let (Some(root), Some(today)) = (date(root), date(now)) else { return true };
        let month = |date: Date| (date.year(), date.month());
        let week = |date: Date| {
            let week = date.iso_week_date();
            (week.year(), week.week())
        };
        match self {
            Self::Backups(number) => since >= number.get(),
            Self::Day => root != today,
            Self::Week => week(root) != week(today),
            Self::Month => month(root) != month(today),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(every: &str, root: &str, since: u32, now: &str) -> bool {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let every: FullEvery = every.parse().unwrap();
        every.is_due(&zone, root.parse().unwrap(), since, now.parse().unwrap())
    }

    #[test]
    fn a_full_backup_is_due_with_the_week_or_after_so_many() {
        // A Sunday evening in UTC is Monday in Berlin.
        let (sunday, monday) = ("2026-11-22T20:00:00Z", "2026-11-22T23:30:00Z");
        assert!(due("weekly", sunday, 1, monday));
        assert!(!due("weekly", monday, 6, "2026-11-28T12:00:00Z"));
        assert!(!due("weekly", "2026-12-29T00:00:00Z", 1, "2027-01-03T00:00:00Z"), "one week");
        assert!(due("daily", sunday, 1, monday) && !due("monthly", sunday, 99, monday));
        assert!(due("1", sunday, 1, monday));
        assert!(!due("7", sunday, 6, monday) && due("7", sunday, 7, monday));
    }

    #[test]
    fn what_is_no_interval_is_refused() {
        for text in ["", "0", "-1", "yearly", "1.5"] {
            assert!(text.parse::<FullEvery>().is_err(), "{text}");
        }
    }
}
