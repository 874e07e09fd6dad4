//! A simulated instance: its backups, its clock, and everything that happens to them in years.

use std::collections::HashSet;
use std::ops::Range;
use std::time::Duration;

use coffer::domain::{BackupId, Timestamp};
use coffer::policy::{
    Amount, Condition, Decision, Guard, History, Keep, Point, PointState, Span, Tier, clock_jumped,
    decide_without,
};
use fastrand::Rng;
use jiff::tz::TimeZone;
use uuid::Uuid;

pub(super) const HOUR: u64 = 3600;
pub(super) const DAY: u64 = 24 * HOUR;

#[derive(Debug)]
pub(super) struct World {
    random: Rng,
    pub(super) points: Vec<Point>,
    /// The backups of the instance under its other name, while it has this one.
    renamed: Vec<Point>,
    /// Whether its source is another one than before: the next backup cannot be built on those before.
    moved: bool,
    /// What is being restored from.
    busy: Option<BackupId>,
    pub(super) keep: Keep,
    pub(super) zone: TimeZone,
    pub(super) now: Timestamp,
    pub(super) condition: Condition,
    /// When the server last looked at the clock.
    seen: Timestamp,
    source_bytes: u64,
    made: u128,
}

impl World {
    pub(super) fn new(seed: u64, zone: &TimeZone) -> Self {
        let mut random = Rng::with_seed(seed);
        let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let now = start.plus(Duration::from_secs(random.u64(..400 * DAY)));
        let condition = Condition { configured: true, store_whole: true, clock_jumped: None };
        let keep = random_policy(&mut random);
        Self {
            random,
            points: Vec::new(),
            renamed: Vec::new(),
            moved: false,
            busy: None,
            keep,
            zone: zone.clone(),
            now,
            condition,
            seen: now,
            source_bytes: 40 << 20,
            made: 0,
        }
    }

    /// Something happens.
    pub(super) fn step(&mut self) {
        match self.random.u32(..100) {
            0..55 => {
                self.pass(HOUR / 2..20 * HOUR);
                self.back_up();
            }
            55..60 => self.pass(0..30 * DAY),
            60..65 => self.jump(),
            65..70 => self.damage_or_repair(),
            70..75 => self.pin_or_unpin(),
            75..79 => self.delete_by_hand(),
            79..83 => self.condition.store_whole = !self.condition.store_whole,
            83..86 => self.condition.configured = !self.condition.configured,
            86..90 => self.keep = random_policy(&mut self.random),
            90..94 => self.source_bytes = self.random.u64(1 << 19..80 << 20),
            94..95 => self.busy = self.any_point().map(|at| self.points[at].id),
            95..96 => self.restart(),
            96..97 => {
                // Its backups stay with the old name, which is in the configuration no longer.
                std::mem::swap(&mut self.points, &mut self.renamed);
                self.busy = None;
            }
            97..98 => {
                self.moved = true;
                self.source_bytes = self.random.u64(1 << 19..80 << 20);
            }
            _ => {
                self.condition =
                    Condition { store_whole: true, configured: true, ..self.condition };
                self.busy = None;
            }
        }
    }

    fn pass(&mut self, seconds: Range<u64>) {
        self.now = self.now.plus(Duration::from_secs(self.random.u64(seconds)));
    }

    /// The server is off for a while, and remembers what the clock showed within the last hour.
    fn restart(&mut self) {
        self.seen = self.seen.minus(Duration::from_secs(self.random.u64(..HOUR)));
        self.pass(0..3 * DAY);
    }

    /// The clock is set to another time, years away or only hours.
    fn jump(&mut self) {
        let far = if self.random.bool() { 3000 * DAY } else { 3 * DAY };
        let by = Duration::from_secs(self.random.u64(..far));
        self.now = if self.random.bool() { self.now.plus(by) } else { self.now.minus(by) };
    }

    fn back_up(&mut self) {
        let proven = |it: &Point| it.state == PointState::Proven;
        let newest = self.points.iter().rev().find(|it| proven(it)).map(|it| it.id);
        let other = self.any_point().map(|at| self.points[at].clone()).filter(proven);
        let parent = match self.random.u32(..40) {
            _ if std::mem::take(&mut self.moved) => None,
            0..16 => None,
            16..36 => newest,
            36..39 => other.map(|it| it.id),
            // An archive that was brought here without those that it is built on.
            _ => Some(BackupId::from_uuid(Uuid::from_u128(u128::MAX - self.made))),
        };
        let behind = self.points.last().map(|it| it.created.plus(Duration::from_micros(1)));
        let failed = self.random.u32(..8) == 0;
        self.made += 1;
        let noise = self.random.u64(..self.source_bytes / 8);
        self.points.push(Point {
            id: BackupId::from_uuid(Uuid::from_u128(self.made)),
            parent,
            created: behind.map_or(self.now, |behind| behind.max(self.now)),
            state: if failed { PointState::Failed } else { PointState::Proven },
            pinned: false,
            stored_bytes: if failed { 0 } else { self.random.u64(1 << 20..20 << 20) },
            source_bytes: if failed { 0 } else { self.source_bytes + noise },
        });
    }

    /// Most of the consolidations that were decided are made; each is a full backup of the same moment.
    pub(super) fn consolidate(&mut self, decision: &Decision) -> usize {
        let mut made = 0;
        for id in decision.consolidating() {
            let Some(at) = self.points.iter().position(|it| it.id == id) else { continue };
            if self.random.u32(..4) == 0 {
                continue;
            }
            self.made += 1;
            made += 1;
            let copy = Point {
                id: BackupId::from_uuid(Uuid::from_u128(self.made)),
                parent: None,
                stored_bytes: self.random.u64(1 << 20..20 << 20),
                ..self.points[at].clone()
            };
            self.points.insert(at + 1, copy);
        }
        made
    }

    /// Deletes a backup and what is built on it.
    pub(super) fn delete(&mut self, root: BackupId) {
        let mut gone = HashSet::from([root]);
        for point in &self.points {
            if point.parent.is_some_and(|parent| gone.contains(&parent)) {
                gone.insert(point.id);
            }
        }
        self.points.retain(|it| !gone.contains(&it.id));
    }

    fn any_point(&mut self) -> Option<usize> {
        (!self.points.is_empty()).then(|| self.random.usize(..self.points.len()))
    }

    fn damage_or_repair(&mut self) {
        let Some(at) = self.any_point() else { return };
        let point = &mut self.points[at];
        point.state = match (point.state, self.random.u32(..3)) {
            (PointState::Failed, _) => PointState::Failed,
            (_, 0) => PointState::Missing,
            (PointState::Proven, _) => PointState::Damaged,
            _ => PointState::Proven,
        };
    }

    fn pin_or_unpin(&mut self) {
        let Some(at) = self.any_point() else { return };
        self.points[at].pinned = !self.points[at].pinned;
    }

    fn delete_by_hand(&mut self) {
        let Some(at) = self.any_point() else { return };
        self.delete(self.points[at].id);
    }

    /// The backups as the catalog would show them now.
    pub(super) fn shown(&self) -> Vec<Point> {
        let busy = |it: &Point| self.busy == Some(it.id);
        let shown = self.points.iter().cloned();
        shown
            .map(|it| if busy(&it) { Point { state: PointState::Busy, ..it } } else { it })
            .collect()
    }

    /// The server looks at the clock, and at what may go.
    pub(super) fn decide(&mut self, missing: Option<Guard>) -> Decision {
        if clock_jumped(self.seen, self.now) {
            self.condition.clock_jumped = Some(self.now);
        }
        self.seen = self.now;
        let points = self.shown();
        decide_without(missing, &self.keep, &self.history(&points))
    }

    /// What would be decided of the backups that have the other name.
    pub(super) fn decide_renamed(&self) -> Decision {
        let condition = Condition { configured: false, ..self.condition };
        let history = History { condition, ..self.history(&self.renamed) };
        decide_without(None, &self.keep, &history)
    }

    pub(super) fn history<'a>(&'a self, points: &'a [Point]) -> History<'a> {
        History { points, condition: self.condition, zone: &self.zone, now: self.now }
    }

    pub(super) fn remove(&mut self, decision: &Decision) {
        let gone: HashSet<BackupId> =
            decision.going().flat_map(|chain| chain.members.iter().copied()).collect();
        self.points.retain(|it| !gone.contains(&it.id));
    }
}

pub(super) fn random_policy(random: &mut Rng) -> Keep {
    let counts: Vec<(Tier, u32)> = Tier::ALL
        .iter()
        .filter_map(|tier| (random.u32(..3) == 0).then_some((*tier, random.u32(..6))))
        .collect();
    let mut keep = Keep::new(counts);
    if random.u32(..3) == 0 {
        keep.min_age = Span::seconds(random.u64(..20 * DAY));
    }
    if random.u32(..3) == 0 {
        keep.max_size = Some(Amount::new(random.u64(..100 << 20)));
    }
    keep.consolidating(random.bool())
}
