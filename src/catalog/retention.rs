//! Retention carried out: what the policy of an instance decides over its rows, and nothing else, is deleted.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use jiff::tz::TimeZone;

use crate::domain::{
    Action, Actor, Backup, BackupId, CopyState, Event, FailureCode, Instance, InstanceId,
    InstanceStatus, RunKind, Status, Timestamp,
};
use crate::policy::{
    self, Chain, Condition, Fate, Forecast, History, Keep, PlaceRule, PlaceTarget, Point,
    PointState, Policy, Targets,
};
use crate::store::{PointRecord, Records, SeenClock};

use super::configured_place::ConfiguredPlace;
use super::removals::{and_built_on, ensure_unused};
use super::rules::{Rules, visible_backup, visible_instance};
use super::{Catalog, CatalogError, NotNow, Notice, Read, Reply, Result, Scope, Write};

/// What the policy of an instance decides now.
#[derive(Debug, Clone, PartialEq)]
pub struct Retention {
    pub instance: Instance,
    /// `None`: everything is kept.
    pub keep: Option<Keep>,
    pub targets: Targets,
    /// The copies that are to go from their places from now on, or not any more.
    copies: Vec<CopyChange>,
}

/// A copy that is to go from its place, or stays there after all.
#[derive(Debug, Clone, PartialEq)]
struct CopyChange {
    backup: BackupId,
    place: String,
    goes: bool,
}

impl Retention {
    /// Whether there is anything to do.
    pub fn changes_anything(&self) -> bool {
        let here = &self.targets.here;
        here.going().next().is_some()
            || here.consolidating().next().is_some()
            || !self.targets.forgotten.is_empty()
            || !self.targets.following.is_empty()
            || !self.copies.is_empty()
    }
}

impl Catalog {
    /// What would go now, and why: [`Self::expire`] does the same.
    pub fn retention(&self, scope: &Scope<Read>, id: InstanceId) -> Result<Retention> {
        let whole = self.store_is_whole();
        self.store.read(|db| {
            visible_instance(db, scope, id)?;
            self.rules.retention(db, id, whole)
        })
    }

    /// What the policy will keep after so many days, if every backup until then is made and nobody does anything.
    pub fn forecast(&self, scope: &Scope<Read>, id: InstanceId, days: u32) -> Result<Forecast> {
        let whole = self.store_is_whole();
        let mut basis = self.store.read(|db| {
            visible_instance(db, scope, id)?;
            self.rules.basis(db, id, whole)
        })?;
        // Of what went from the data directory, places decide.
        basis.points.retain(|it| !basis.away.contains(&it.id));
        let timetable = basis.policy.as_ref().and_then(|it| it.timetable.as_ref());
        let zone = basis.zone();
        let history = basis.history(&zone, self.rules.now());
        Ok(policy::forecast(&basis.keep().unwrap_or_default(), &history, (id, timetable), days))
    }

    /// The same as [`Self::retention`], without a check of access.
    pub fn retention_of(&self, id: InstanceId) -> Result<Retention> {
        let whole = self.store_is_whole();
        self.store.read(|db| self.rules.retention(db, id, whole))
    }

    /// Deletes what the policy of an instance does not keep, and asks for the consolidations that it wants. Returns the
    /// full backups that go with all that is built on them.
    pub fn expire(&self, id: InstanceId) -> Reply<Vec<BackupId>> {
        let (running, whole) = (Arc::clone(&self.running), self.store_is_whole());
        self.write_and_wake(move |db, rules| {
            let Retention { instance, targets, copies, .. } = rules.retention(db, id, whole)?;
            let mut gone = Vec::new();
            for chain in targets.here.going() {
                let why = match &chain.fate {
                    Fate::Leaves { places } => {
                        leave(db, chain, places)?;
                        continue;
                    }
                    Fate::OverSize => "the archives of its instance take more than they may",
                    Fate::Expired | Fate::Stays { .. } => "no rule keeps it any more",
                };
                if rules.expire_chain(db, &instance, chain.root, why)? {
                    gone.push(chain.root);
                }
            }
            for root in &targets.forgotten {
                if rules.expire_chain(db, &instance, *root, "no place keeps it any more")? {
                    gone.push(*root);
                }
            }
            for id in &targets.following {
                db.set_leaving(*id)?;
            }
            for CopyChange { backup, place, goes } in copies {
                log::info!(
                    "the copy of backup {backup} {} {place}: so its `keep` says",
                    if goes { "goes from" } else { "stays in" }
                );
                db.set_copy_leaving(backup, &place, goes.then(|| rules.now()))?;
            }
            running.cancel_removed(db)?;
            for id in targets.here.consolidating() {
                if rules.consolidate_for_retention(db, id)? {
                    log::info!(
                        "backup {id} becomes a full backup: retention keeps only such of its chain, so that the rest can go"
                    );
                }
            }
            Ok(gone)
        })
    }

    /// The instances whose policy may let something go.
    pub fn retained(&self) -> Vec<InstanceId> {
        let places = self.rules.places.read();
        let has_rules =
            |name: &String| places.iter().any(|it| it.name == *name && it.keep.is_some());
        let copies = self.rules.copies.read();
        let of_places = copies.iter().filter(|(_, places)| places.iter().any(has_rules));
        let mut found: HashSet<InstanceId> = of_places.map(|(id, _)| *id).collect();
        let all = self.rules.policies.read();
        found.extend(all.iter().filter(|(_, policy)| policy.keep.is_some()).map(|(id, _)| *id));
        found.into_iter().collect()
    }

    /// The instances of which a backup ended since this was asked last.
    pub fn take_finished(&self) -> HashSet<InstanceId> {
        std::mem::take(&mut *self.finished.lock())
    }

    /// Keeps a finished backup whatever the retention says, or no longer.
    pub fn pin_backup(&self, scope: &Scope<Write>, id: BackupId, pinned: bool) -> Reply<Backup> {
        let scope = scope.clone();
        self.write(move |db, rules| {
            let record = visible_backup(db, &scope, id)?;
            let status = record.backup.status;
            if pinned && record.backup.facts.is_none() {
                return Err(NotNow::NoArchive { id, status }.into());
            }
            if record.backup.pinned.is_some() != pinned {
                let now = rules.now();
                db.set_pinned(id, pinned.then_some(now), now)?;
                let action = if pinned { Action::BackupPin } else { Action::BackupUnpin };
                let event = Event::done(now, &scope.actor(), action);
                db.add_event(&event.in_project(&record.backup.project).of(id))?;
            }
            Ok(visible_backup(db, &scope, id)?.backup)
        })
    }

    /// Remembers what the clock shows, and whether it jumped since it was seen last. Returns whether it did.
    pub fn note_clock(&self, jumped: bool) -> Reply<bool> {
        self.write(move |db, rules| {
            let now = rules.now();
            let seen = db.seen_clock()?;
            let jumped = jumped || seen.is_some_and(|it| policy::clock_jumped(it.seen, now));
            let last_jump = seen.and_then(|it| it.jumped);
            let jump = if jumped { Some(now) } else { last_jump };
            db.put_seen_clock(SeenClock { seen: now, jumped: jump })?;
            Ok(jumped)
        })
    }

    fn store_is_whole(&self) -> bool {
        !self.has_notice(Notice::ArchivesMissing) && !self.has_notice(Notice::CatalogMoved)
    }
}

/// What a decision over the backups of an instance depends on.
struct Basis {
    instance: Instance,
    policy: Option<Arc<Policy>>,
    points: Vec<Point>,
    /// Those whose archives are in the data directory no longer.
    away: HashSet<BackupId>,
    condition: Condition,
}

impl Basis {
    fn keep(&self) -> Option<Keep> {
        self.policy.as_ref().and_then(|it| it.keep.clone())
    }

    fn zone(&self) -> TimeZone {
        self.policy.as_ref().map_or(TimeZone::UTC, |it| it.zone.clone())
    }

    fn history<'a>(&'a self, zone: &'a TimeZone, now: Timestamp) -> History<'a> {
        History { points: &self.points, condition: self.condition, zone, now }
    }
}

impl Rules {
    /// Deletes a full backup and all that is built on it, unless it is in use.
    fn expire_chain(
        &self,
        db: Records<'_>,
        instance: &Instance,
        root: BackupId,
        why: &str,
    ) -> Result<bool> {
        match ensure_unused(db, root, &instance.project) {
            Ok(()) => {}
            Err(error @ CatalogError::Store(_)) => return Err(error),
            Err(busy) => {
                log::info!("retention leaves backup {root}: {busy}");
                return Ok(false);
            }
        }
        let now = self.now();
        let count = db.mark_for_removal(root, &instance.project, now)?;
        log::info!(
            "retention deletes backup {root} of instance {}, and {} that are built on it: {why}",
            instance.name,
            count.saturating_sub(1)
        );
        let event = Event::done(now, &Actor::server("retention"), Action::BackupDelete);
        let event = event.in_project(&instance.project).of(root);
        let also = and_built_on(count);
        let detail = if also.is_empty() { why.to_owned() } else { format!("{also}: {why}") };
        db.add_event(&event.with_detail(detail))?;
        Ok(true)
    }

    fn basis(&self, db: Records<'_>, id: InstanceId, store_whole: bool) -> Result<Basis> {
        let record = db.instance(id)?.ok_or(CatalogError::NoSuchInstance { id })?;
        let (instance, policy) = (record.instance, self.policy(id));
        let consolidated = db.open_runs(RunKind::Consolidation)?.into_iter().map(|(id, _)| id);
        let read = db.restoring_backups()?.into_iter().chain(consolidated).collect();
        let records = db.points_of(&instance.project, id)?;
        let away = records.iter().filter(|it| it.away).map(|it| it.id).collect();
        let points = records.into_iter().map(|record| point(record, &read)).collect();
        let condition = Condition {
            // A restored instance has a policy only if one was set for it.
            configured: policy.is_some() && instance.status != InstanceStatus::Detached,
            store_whole,
            clock_jumped: db.seen_clock()?.and_then(|it| it.jumped),
        };
        Ok(Basis { instance, policy, points, away, condition })
    }

    fn retention(&self, db: Records<'_>, id: InstanceId, store_whole: bool) -> Result<Retention> {
        let basis = self.basis(db, id, store_whole)?;
        let (keep, zone) = (basis.keep(), basis.zone());
        let history = basis.history(&zone, self.now());
        let held = copies_held(db, &basis.points)?;
        let configured = self.places.read().clone();
        let places: Vec<PlaceTarget<'_>> = held.iter().map(|it| it.target(&configured)).collect();
        let default = Keep::default();
        let decided = keep.as_ref().unwrap_or(&default);
        let targets = policy::decide_targets(decided, &history, &basis.away, &places);
        let copies = held.iter().flat_map(|it| it.changes(&configured, &targets)).collect();
        Ok(Retention { instance: basis.instance, keep, targets, copies })
    }
}

/// The copies of an instance's backups in a place, and whether each is proven and is to go.
struct Held {
    place: String,
    copies: HashMap<BackupId, (bool, bool)>,
}

impl Held {
    fn target<'a>(&'a self, configured: &'a [ConfiguredPlace]) -> PlaceTarget<'a> {
        let known = configured.iter().find(|it| it.name == self.place);
        PlaceTarget {
            name: &self.place,
            rule: match known {
                Some(ConfiguredPlace { keep: Some(keep), .. }) => PlaceRule::Own(keep),
                Some(_) => PlaceRule::Follows,
                None => PlaceRule::Unknown,
            },
            readable: known.is_some_and(|it| it.readable),
            copies: self.copies.iter().map(|(id, (proven, _))| (*id, *proven)).collect(),
        }
    }

    /// What is to change: of a place of the configuration only, because nobody looks after another one.
    fn changes(&self, configured: &[ConfiguredPlace], targets: &Targets) -> Vec<CopyChange> {
        if !configured.iter().any(|it| it.name == self.place) {
            return Vec::new();
        }
        let going = targets.places.iter().find(|it| it.0 == self.place).map(|it| &it.1);
        let changed = self.copies.iter().filter_map(|(id, (_, leaving))| {
            let goes = going.is_some_and(|it| it.contains(id));
            (goes != *leaving).then(|| CopyChange { backup: *id, place: self.place.clone(), goes })
        });
        changed.collect()
    }
}

/// The copies of these backups, by place.
fn copies_held(db: Records<'_>, points: &[Point]) -> Result<Vec<Held>> {
    if !db.has_copies()? {
        return Ok(Vec::new());
    }
    let mut held: Vec<Held> = Vec::new();
    for point in points {
        for record in db.copies_of(point.id)? {
            let copy = record.copy;
            if copy.state == CopyState::Expired {
                continue;
            }
            let stands = (copy.state == CopyState::Proven, copy.leaving);
            if let Some(known) = held.iter_mut().find(|it| it.place == copy.place) {
                known.copies.insert(point.id, stands);
            } else {
                let copies = HashMap::from([(point.id, stands)]);
                held.push(Held { place: copy.place, copies });
            }
        }
    }
    Ok(held)
}

/// The archives of a chain are to go from the data directory.
fn leave(db: Records<'_>, chain: &Chain, places: &[String]) -> Result<()> {
    let mut count = 0_usize;
    for id in &chain.members {
        count = count.saturating_add(usize::from(db.set_leaving(*id)?));
    }
    if count > 0 {
        log::info!(
            "retention removes the archives of backup {} and of what is built on it from the data directory: {count} in \
             all, which stay in {}",
            chain.root,
            places.join(", ")
        );
    }
    Ok(())
}

/// A row as the policy sees it; `read` are the backups that restores and consolidations read.
fn point(record: PointRecord, read: &HashSet<BackupId>) -> Point {
    let state = match (record.status, record.damage) {
        _ if read.contains(&record.id) || record.removal.is_some() => PointState::Busy,
        (Status::Completed | Status::Restored, None) => PointState::Proven,
        (Status::Completed | Status::Restored, Some(FailureCode::ArchiveMissing)) => {
            PointState::Missing
        }
        (Status::Completed | Status::Restored, Some(_)) => PointState::Damaged,
        (Status::Failed, _) => PointState::Failed,
        (Status::New | Status::Building | Status::Saving | Status::DeleteFailed, _) => {
            PointState::Busy
        }
    };
    Point {
        id: record.id,
        parent: record.parent,
        created: record.created,
        state,
        pinned: record.pinned,
        stored_bytes: record.stored_bytes,
        source_bytes: record.source_bytes,
    }
}
