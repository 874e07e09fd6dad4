//! Which backups are kept, and which go.
//!
//! A full backup and all that is built on it go together. What the policy does not keep goes, unless a [`Guard`]
//! holds it. Whatever the clock, the policy and the failures are: the newest chain that can be restored from proven
//! archives never goes, and nothing goes before there is a newer full backup that is proven.
//!
//! Of a chain of which only incremental backups are kept, those may become full backups first. The two of one moment
//! count as one restore point: the full one. So the rest of the chain goes like any other, once the full ones are proven
//! and not before.

mod consolidation;
mod forecast;
mod guard;
mod history;
mod keep;
mod targets;

use std::collections::HashMap;
use std::time::Duration;

use crate::domain::{BackupId, Timestamp};

use history::{Families, Family};
use keep::Selected;

pub use forecast::{Forecast, forecast};
pub use guard::Guard;
pub use history::{Condition, History, Point, PointState};
pub use keep::{Keep, Tier};
pub use targets::{PlaceRule, PlaceTarget, Targets, decide_targets, decide_targets_without};

/// How long failed attempts are shown.
const FAILURES_SHOWN: Duration = Duration::from_secs(30 * 24 * 3600);

/// What is decided about every backup of an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Why nothing goes for now, whatever is said of the chains.
    pub suspended: Vec<Guard>,
    /// Newest root first.
    pub chains: Vec<Chain>,
}

/// A full backup and all that is built on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    pub root: BackupId,
    /// The root among them, oldest first.
    pub members: Vec<BackupId>,
    /// Restore points in it, from proven archives.
    pub restore_points: usize,
    pub created: Timestamp,
    /// When its newest member was made.
    pub newest: Timestamp,
    /// What its archives take.
    pub bytes: u64,
    pub fate: Fate,
    /// The members that are kept, all incremental, if they are to become full backups, so that the others can go.
    pub consolidates: Vec<BackupId>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It stays, by these rules of the policy and these guards. A policy without rules keeps all.
    Stays { tiers: Vec<Tier>, guards: Vec<Guard> },
    /// No rule keeps it any more.
    Expired,
    /// The archives take more than they may, and this is the oldest chain.
    OverSize,
    /// It goes from the data directory, and stays in these places, where all of it is proven.
    Leaves { places: Vec<String> },
}

impl Fate {
    pub const fn stays(&self) -> bool {
        matches!(self, Self::Stays { .. })
    }
}

impl Decision {
    /// The chains that go now.
    pub fn going(&self) -> impl Iterator<Item = &Chain> {
        let suspended = !self.suspended.is_empty();
        self.chains.iter().filter(move |chain| !suspended && !chain.fate.stays())
    }

    /// The incremental backups that become full ones now.
    pub fn consolidating(&self) -> impl Iterator<Item = BackupId> {
        let suspended = !self.suspended.is_empty();
        self.chains
            .iter()
            .filter(move |_| !suspended)
            .flat_map(|chain| chain.consolidates.iter().copied())
    }

    /// The bytes that are free afterwards.
    pub fn freed_bytes(&self) -> u64 {
        self.going().map(|chain| chain.bytes).fold(0, u64::saturating_add)
    }
}

/// Decides which backups of an instance stay, and which go.
pub fn decide(keep: &Keep, history: &History<'_>) -> Decision {
    decide_without(None, keep, history)
}

/// The same without one of the guards: for tests, which show that each of them is needed.
pub fn decide_without(missing: Option<Guard>, keep: &Keep, history: &History<'_>) -> Decision {
    let families = Families::new(history.points);
    let guards: Vec<Guard> =
        Guard::ALL.iter().copied().filter(|guard| Some(*guard) != missing).collect();
    let suspends = |guard: &Guard| guard.suspends(history, &families);
    let suspended = guards.iter().copied().filter(suspends).collect();
    let mut selected = keep.selected(&families.good, history.zone);
    let mut points: HashMap<BackupId, usize> = HashMap::new();
    for good in &families.good {
        let count = points.entry(good.root).or_default();
        *count = count.saturating_add(1);
    }
    let mut chains: Vec<Chain> = Vec::new();
    for family in &families.all {
        let root = family.root.id;
        let Selected { tiers, points: kept_points } = selected.remove(&root).unwrap_or_default();
        let holds = |guard: &Guard| guard.holds(family, &families, keep, history.now);
        let guards: Vec<Guard> = guards.iter().copied().filter(holds).collect();
        let kept = !tiers.is_empty() || is_kept_by_default(keep, family, history.now);
        let may_consolidate = keep.consolidate && guards.is_empty();
        chains.push(Chain {
            root,
            members: family.members.iter().map(|it| it.id).collect(),
            restore_points: points.get(&root).copied().unwrap_or(0),
            created: family.root.created,
            newest: family.newest(),
            bytes: family.bytes(),
            fate: if kept || !guards.is_empty() {
                Fate::Stays { tiers, guards }
            } else {
                Fate::Expired
            },
            consolidates: if may_consolidate {
                consolidation::worthwhile(family, &kept_points)
            } else {
                Vec::new()
            },
        });
    }
    if let Some(most) = keep.max_size {
        shrink_to(most.bytes(), &mut chains);
    }
    Decision { suspended, chains }
}

/// Whether it stays although no tier selected it: all do where there are no tiers, and failed attempts for a while.
fn is_kept_by_default(keep: &Keep, family: &Family<'_>, now: Timestamp) -> bool {
    let failed = !family.any(|it| it.state != PointState::Failed);
    if failed && keep.lets_go() {
        family.newest() > now.minus(FAILURES_SHOWN)
    } else {
        keep.tiers().is_empty()
    }
}

/// Lets the oldest chains go that no guard holds, until the rest takes no more than this.
fn shrink_to(most: u64, chains: &mut [Chain]) {
    let stays = |chain: &&Chain| chain.fate.stays();
    let mut bytes = chains.iter().filter(stays).map(|it| it.bytes).fold(0, u64::saturating_add);
    for chain in chains.iter_mut().rev() {
        if bytes <= most {
            break;
        }
        if matches!(&chain.fate, Fate::Stays { guards, .. } if guards.is_empty()) && chain.bytes > 0
        {
            chain.fate = Fate::OverSize;
            chain.consolidates.clear();
            bytes = bytes.saturating_sub(chain.bytes);
        }
    }
}
