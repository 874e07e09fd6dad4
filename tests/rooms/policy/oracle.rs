//! A second, slow way to find the runs of a schedule: it walks through every quarter of an hour and looks at the
//! clock, with calendar arithmetic of its own. It knows only the offset of a zone at an instant.

use jiff::Timestamp as Instant;
use jiff::tz::TimeZone;

const STEP: i64 = 15;
const DAY: i64 = 24 * 60;

/// When something runs, by what the clock shows.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Hourly,
    /// At this minute of the day.
    Daily(i64),
    /// On the first of the month, at this minute of the day.
    Monthly(i64),
}

impl Kind {
    fn shows(self, minute: i64) -> bool {
        match self {
            Self::Hourly => minute.rem_euclid(60) == 0,
            Self::Daily(at) => minute.rem_euclid(DAY) == at,
            Self::Monthly(at) => minute.rem_euclid(DAY) == at && is_first(minute.div_euclid(DAY)),
        }
    }
}

/// Whether this day, counted from 1970, is the first of a month. By whole cycles of 400 years and then month by month.
fn is_first(day: i64) -> bool {
    let mut left = day.rem_euclid(146_097);
    let mut year = 1970;
    loop {
        let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
        for length in [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
            if left < length {
                return left == 0;
            }
            left -= length;
        }
        year += 1;
    }
}

/// What the clocks of a zone show, quarter by quarter of an hour. All times are in minutes since 1970.
pub(super) struct Clocks {
    first: i64,
    end: i64,
    /// From two days before, so that what is shown again or skipped there is known.
    begin: i64,
    offsets: Vec<i64>,
}

impl Clocks {
    pub(super) fn new(zone: &TimeZone, first: i64, end: i64) -> Self {
        let begin = first - 2 * DAY;
        let offset = |minute: i64| {
            let instant = Instant::from_second(minute * 60).unwrap();
            i64::from(zone.to_offset(instant).seconds()) / 60
        };
        let offsets = (0..(end - begin) / STEP).map(|step| offset(begin + step * STEP)).collect();
        Self { first, end, begin, offsets }
    }

    /// Every run from `first` on and before `end`.
    pub(super) fn runs(&self, kind: Kind) -> Vec<i64> {
        let mut runs = Vec::new();
        let mut at = self.begin;
        let mut before = self.offsets[0];
        let mut furthest = at + before - STEP;
        for now in &self.offsets {
            // The clock skipped these minutes: they run when they would have been.
            let mut skipped = at + before;
            while skipped < at + now {
                if kind.shows(skipped) {
                    runs.push(skipped - before);
                }
                skipped += STEP;
            }
            let shown = at + now;
            if kind.shows(shown) && (shown > furthest || matches!(kind, Kind::Hourly)) {
                runs.push(at);
            }
            furthest = furthest.max(shown);
            before = *now;
            at += STEP;
        }
        runs.sort_unstable();
        runs.dedup();
        runs.retain(|run| (self.first..self.end).contains(run));
        runs
    }
}
