//! What a retention policy decides over: the backups of one instance, and the state of what is around them.

use std::cmp::Reverse;
use std::collections::HashMap;

use jiff::tz::TimeZone;

use crate::domain::{BackupId, Timestamp};

/// A backup, as far as retention needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Point {
    pub id: BackupId,
    pub parent: Option<BackupId>,
    pub created: Timestamp,
    pub state: PointState,
    /// Whether a person wants it kept.
    pub pinned: bool,
    /// What its archive takes.
    pub stored_bytes: u64,
    /// What it restores to.
    pub source_bytes: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PointState {
    /// COMPLETED, which is proven, and nothing wrong was found since.
    Proven,
    /// COMPLETED, but found damaged later.
    Damaged,
    /// COMPLETED, but its archive is not where it was.
    Missing,
    /// There is no archive.
    Failed,
    /// It is being made, restored from, or removed.
    Busy,
}

/// The state of what is around the backups of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Condition {
    /// Whether the instance is in the configuration.
    pub configured: bool,
    /// Whether the archives are where they were.
    pub store_whole: bool,
    /// When the clock was last seen to jump; in the time after the jump.
    pub clock_jumped: Option<Timestamp>,
}

/// Everything that a decision depends on.
#[derive(Debug, Clone)]
pub struct History<'a> {
    /// The backups of one instance, in any order.
    pub points: &'a [Point],
    pub condition: Condition,
    pub zone: &'a TimeZone,
    pub now: Timestamp,
}

/// A full backup and everything that is built on it: they go together.
#[derive(Debug)]
pub(super) struct Family<'a> {
    pub(super) root: &'a Point,
    /// The root among them, oldest first.
    pub(super) members: Vec<&'a Point>,
}

impl Family<'_> {
    pub(super) fn any(&self, is: impl Fn(&Point) -> bool) -> bool {
        self.members.iter().any(|it| is(it))
    }

    pub(super) fn bytes(&self) -> u64 {
        self.members.iter().map(|it| it.stored_bytes).fold(0, u64::saturating_add)
    }

    /// When its newest member was made.
    pub(super) fn newest(&self) -> Timestamp {
        self.members.last().map_or(self.root.created, |it| it.created)
    }
}

/// A restore point whose whole chain is proven.
#[derive(Debug, Clone, Copy)]
pub(super) struct Good<'a> {
    pub(super) point: &'a Point,
    pub(super) root: BackupId,
}

/// The backups of an instance, sorted into families.
#[derive(Debug)]
pub(super) struct Families<'a> {
    /// Newest root first.
    pub(super) all: Vec<Family<'a>>,
    /// Newest first.
    pub(super) good: Vec<Good<'a>>,
}

impl<'a> Families<'a> {
    pub(super) fn new(points: &'a [Point]) -> Self {
        let mut sorted: Vec<&Point> = points.iter().collect();
        sorted.sort_by_key(|it| (it.created, it.id));
        let by_id: HashMap<BackupId, &Point> = sorted.iter().map(|it| (it.id, *it)).collect();
        let mut good = Vec::new();
        let mut members: HashMap<BackupId, Vec<&Point>> = HashMap::new();
        for point in &sorted {
            let (root, is_good) = origin(point, &by_id);
            members.entry(root.id).or_default().push(point);
            if is_good {
                good.push(Good { point, root: root.id });
            }
        }
        good.reverse();
        // Two of the same moment are one restore point: the full backup, which was made of the other.
        good.sort_by_key(|it| (Reverse(it.point.created), it.point.parent.is_some()));
        good.dedup_by_key(|it| it.point.created);
        let families = sorted.iter().rev().filter_map(|root| {
            let members = members.remove(&root.id)?;
            Some(Family { root, members })
        });
        Self { all: families.collect(), good }
    }

    /// The newest proven full backup.
    pub(super) fn newest_root(&self) -> Option<&'a Point> {
        self.good.iter().map(|it| it.point).find(|it| it.parent.is_none())
    }
}

/// The oldest ancestor that is known, and whether the chain from it on is whole and proven.
fn origin<'a>(point: &'a Point, by_id: &HashMap<BackupId, &'a Point>) -> (&'a Point, bool) {
    let (mut at, mut good) = (point, point.state == PointState::Proven);
    // A chain in a circle ends somewhere: it has no more links than there are points.
    for _link in 0..by_id.len() {
        let Some(parent) = at.parent else { return (at, good) };
        let Some(parent) = by_id.get(&parent) else { return (at, false) };
        at = parent;
        good &= at.state == PointState::Proven;
    }
    (at, false)
}
