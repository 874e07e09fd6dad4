//! The guards: why something stays whatever the policy says, or why nothing goes at all for now.

use std::time::Duration;

use crate::domain::{Timestamp, words};
use crate::policy::Keep;

use super::history::{Families, Family, Good, History};
use super::{Point, PointState};

/// How far ahead of the clock the newest backup may be.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(3600);

/// How many proven backups after a jump of the clock show that it goes on normally.
const PROVEN_SINCE_JUMP: usize = 3;

/// In what time before the newest backup the source was as large as it is compared with.
const SHRINK_WINDOW: Duration = Duration::from_secs(14 * 24 * 3600);

words! {
    /// Why something stays that the policy would let go.
    pub enum Guard {
        /// It is the newest chain that can be restored from proven archives.
        NewestProven = "newest_proven",
        /// There is no newer full backup that is proven.
        NoNewerRoot = "no_newer_root",
        /// A person pinned it, or something built on it.
        Pinned = "pinned",
        /// A part of it is being made, restored or removed.
        Busy = "busy",
        /// A part of it is damaged: it may still be the only copy of something, and a person decides.
        Damaged = "damaged",
        /// It is younger than `min_age`.
        TooYoung = "too_young",
        /// The clock jumped: nothing goes until three proven backups were made since.
        ClockJumped = "clock_jumped",
        /// The archives are not all where they were.
        StoreNotWhole = "store_not_whole",
        /// The instance is no longer in the configuration.
        NotConfigured = "not_configured",
        /// The newest backup restores to less than half of what others did in the two weeks before.
        SourceShrank = "source_shrank",
        /// A place keeps it for longer, and does not have all of it yet.
        NotCopied = "not_copied",
        /// Only places keep it for longer whose copies are encrypted, and no key here reads them.
        NoKey = "no_key",
    }
}

impl Guard {
    /// Whether it holds everything of an instance, as opposed to one chain.
    pub const fn is_suspension(self) -> bool {
        matches!(
            self,
            Self::ClockJumped | Self::StoreNotWhole | Self::NotConfigured | Self::SourceShrank
        )
    }

    /// Whether this suspension holds.
    pub(super) fn suspends(self, history: &History<'_>, families: &Families<'_>) -> bool {
        let History { points, condition, now, .. } = history;
        match self {
            Self::ClockJumped => {
                let ahead = |it: &Point| it.created > now.plus(CLOCK_TOLERANCE);
                let unsettled = |jump: Timestamp| {
                    families.good.iter().take_while(|it| it.point.created >= jump).count()
                        < PROVEN_SINCE_JUMP
                };
                points.iter().any(ahead) || condition.clock_jumped.is_some_and(unsettled)
            }
            Self::StoreNotWhole => {
                !condition.store_whole || points.iter().any(|it| it.state == PointState::Missing)
            }
            Self::NotConfigured => !condition.configured,
            Self::SourceShrank => has_shrunk(&families.good),
            Self::NewestProven
            | Self::NoNewerRoot
            | Self::Pinned
            | Self::Busy
            | Self::Damaged
            | Self::TooYoung
            | Self::NotCopied
            | Self::NoKey => false,
        }
    }

    /// Whether it holds this chain. What is in other places, [`super::decide_targets`] knows.
    pub(super) fn holds(
        self,
        family: &Family<'_>,
        families: &Families<'_>,
        keep: &Keep,
        now: Timestamp,
    ) -> bool {
        match self {
            Self::NewestProven => {
                families.good.first().is_some_and(|newest| newest.root == family.root.id)
            }
            Self::NoNewerRoot => {
                let age = |it: &Point| (it.created, it.id);
                families.newest_root().is_none_or(|newest| age(newest) <= age(family.root))
            }
            Self::Pinned => family.any(|it| it.pinned),
            Self::Busy => family.any(|it| it.state == PointState::Busy),
            Self::Damaged => {
                family.any(|it| matches!(it.state, PointState::Damaged | PointState::Missing))
            }
            Self::TooYoung => family.newest() > now.minus(keep.min_age.duration()),
            Self::ClockJumped
            | Self::StoreNotWhole
            | Self::NotConfigured
            | Self::SourceShrank
            | Self::NotCopied
            | Self::NoKey => false,
        }
    }
}

/// Whether the newest proven backup restores to less than half of what one shortly before did.
fn has_shrunk(good: &[Good<'_>]) -> bool {
    let Some((newest, older)) = good.split_first() else { return false };
    let since = newest.point.created.minus(SHRINK_WINDOW);
    let recent = older.iter().take_while(|it| it.point.created >= since);
    let largest = recent.map(|it| it.point.source_bytes).max().unwrap_or(0);
    newest.point.source_bytes < largest.div_ceil(2)
}
