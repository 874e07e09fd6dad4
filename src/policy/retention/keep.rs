//! What a retention policy asks to keep: so many hours, days, weeks, and the newest of each.

use std::collections::HashMap;
use std::num::NonZeroU32;

use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::domain::{BackupId, Timestamp, words};
use crate::policy::schedule::to_instant;
use crate::policy::{Amount, Span};

use super::history::Good;

words! {
    /// A rule of a policy that keeps restore points.
    pub enum Tier {
        /// The newest ones.
        Last = "last",
        /// The newest of each of the last hours that have one.
        Hourly = "hourly",
        /// The newest of each of the last days that have one.
        Daily = "daily",
        /// The newest of each of the last weeks that have one.
        Weekly = "weekly",
        /// The newest of each of the last months that have one.
        Monthly = "monthly",
        /// The newest of each of the last years that have one.
        Yearly = "yearly",
    }
}

/// A retention policy. One that names no tier keeps every restore point for which there is room.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Keep {
    tiers: Vec<(Tier, NonZeroU32)>,
    /// Nothing younger goes.
    pub min_age: Span,
    /// The most that the archives of the instance may take; then the oldest go first.
    pub max_size: Option<Amount>,
    /// Whether an incremental backup becomes a full one where it is all that is kept of its chain.
    pub consolidate: bool,
}

/// What the tiers keep of a family.
#[derive(Debug, Default)]
pub(super) struct Selected {
    pub(super) tiers: Vec<Tier>,
    /// Each once.
    pub(super) points: Vec<BackupId>,
}

/// What restore points of one hour, day, week, month or year have in common.
#[derive(PartialEq, Eq)]
enum Period {
    Hour(Date, i8, i32),
    Day(Date),
    Week(i16, i8),
    Month(i16, i8),
    Year(i16),
}

impl Keep {
    /// The policy with these counts; a count of 0 is no rule.
    pub fn new(counts: impl IntoIterator<Item = (Tier, u32)>) -> Self {
        let tiers = counts.into_iter();
        let tiers = tiers.filter_map(|(tier, count)| Some((tier, NonZeroU32::new(count)?)));
        Self { tiers: tiers.collect(), ..Self::default() }
    }

    /// The same policy, with or without consolidation.
    #[must_use]
    pub fn consolidating(self, consolidate: bool) -> Self {
        Self { consolidate, ..self }
    }

    pub fn tiers(&self) -> &[(Tier, NonZeroU32)] {
        &self.tiers
    }

    /// Whether anything can ever go by it.
    pub fn lets_go(&self) -> bool {
        !self.tiers.is_empty() || self.max_size.is_some()
    }

    /// What the tiers keep of which family, by the root of that.
    pub(super) fn selected(
        &self,
        good: &[Good<'_>],
        zone: &TimeZone,
    ) -> HashMap<BackupId, Selected> {
        let mut selected: HashMap<BackupId, Selected> = HashMap::new();
        for (tier, count) in &self.tiers {
            let mut left = count.get();
            let mut last = None;
            for Good { point, root } in good {
                let period = period(*tier, point.created, zone);
                if period.is_some() && period == last {
                    continue;
                }
                if left == 0 {
                    break;
                }
                left = left.saturating_sub(1);
                last = period;
                let Selected { tiers, points } = selected.entry(*root).or_default();
                if tiers.last() != Some(tier) {
                    tiers.push(*tier);
                }
                if !points.contains(&point.id) {
                    points.push(point.id);
                }
            }
        }
        selected
    }
}

/// The period of a tier that this instant is in; `None`: each restore point counts for itself.
fn period(tier: Tier, at: Timestamp, zone: &TimeZone) -> Option<Period> {
    let instant = to_instant(at)?;
    let shown = zone.to_datetime(instant);
    let date = shown.date();
    match tier {
        Tier::Last => None,
        Tier::Hourly => Some(Period::Hour(date, shown.hour(), zone.to_offset(instant).seconds())),
        Tier::Daily => Some(Period::Day(date)),
        Tier::Weekly => {
            let week = date.iso_week_date();
            Some(Period::Week(week.year(), week.week()))
        }
        Tier::Monthly => Some(Period::Month(date.year(), date.month())),
        Tier::Yearly => Some(Period::Year(date.year())),
    }
}
