//! Retention carried out: what the policy of an instance decides over its rows, and nothing else, is deleted.

use std::collections::HashSet;
use std::sync::Arc;

use jiff::tz::TimeZone;

use crate::domain::{
    Action, Actor, Backup, BackupId, Event, FailureCode, Instance, InstanceId, InstanceStatus,
    RunKind, Status, Timestamp,
};
use crate::policy::{
    self, Condition, Decision, Fate, Forecast, History, Keep, Point, PointState, Policy,
};
use crate::store::{PointRecord, Records, SeenClock};

use super::removals::{and_built_on, ensure_unused};
use super::rules::{Rules, visible_backup, visible_instance};
use super::{Catalog, CatalogError, NotNow, Notice, Read, Reply, Result, Scope, Write};

/// What the policy of an instance decides now.
#[derive(Debug, Clone, PartialEq)]
pub struct Retention {
    pub instance: Instance,
    /// `None`: everything is kept.
    pub keep: Option<Keep>,
    pub decision: Decision,
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
        let basis = self.store.read(|db| {
            visible_instance(db, scope, id)?;
            self.rules.basis(db, id, whole)
        })?;
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
        let (drills, whole) = (Arc::clone(&self.drills), self.store_is_whole());
        self.write_and_wake(move |db, rules| {
            let Retention { instance, decision, .. } = rules.retention(db, id, whole)?;
            let mut gone = Vec::new();
            for chain in decision.going() {
                match ensure_unused(db, chain.root, &instance.project) {
                    Ok(()) => {}
                    Err(error @ CatalogError::Store(_)) => return Err(error),
                    Err(busy) => {
                        log::info!("retention leaves backup {}: {busy}", chain.root);
                        continue;
                    }
                }
                let now = rules.now();
                let count = db.mark_for_removal(chain.root, &instance.project, now)?;
                let why = match chain.fate {
                    Fate::OverSize => "the archives of its instance take more than they may",
                    Fate::Expired | Fate::Stays { .. } => "no rule keeps it any more",
                };
                log::info!(
                    "retention deletes backup {} of instance {}, and {} that are built on it: {why}",
                    chain.root,
                    instance.name,
                    count.saturating_sub(1)
                );
                let event = Event::done(now, &Actor::server("retention"), Action::BackupDelete);
                let event = event.in_project(&instance.project).of(chain.root);
                let also = and_built_on(count);
                let detail = if also.is_empty() { why.to_owned() } else { format!("{also}: {why}") };
                db.add_event(&event.with_detail(detail))?;
                gone.push(chain.root);
            }
            drills.cancel_removed(db)?;
            for id in decision.consolidating() {
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
        let all = self.rules.policies.read();
        all.iter().filter(|(_, policy)| policy.keep.is_some()).map(|(id, _)| *id).collect()
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
    fn basis(&self, db: Records<'_>, id: InstanceId, store_whole: bool) -> Result<Basis> {
        let record = db.instance(id)?.ok_or(CatalogError::NoSuchInstance { id })?;
        let (instance, policy) = (record.instance, self.policy(id));
        let consolidated = db.open_runs(RunKind::Consolidation)?.into_iter().map(|(id, _)| id);
        let read = db.restoring_backups()?.into_iter().chain(consolidated).collect();
        let points = db.points_of(&instance.project, id)?.into_iter();
        let points = points.map(|record| point(record, &read)).collect();
        let condition = Condition {
            // A restored instance has a policy only if one was set for it.
            configured: policy.is_some() && instance.status != InstanceStatus::Detached,
            store_whole,
            clock_jumped: db.seen_clock()?.and_then(|it| it.jumped),
        };
        Ok(Basis { instance, policy, points, condition })
    }

    fn retention(&self, db: Records<'_>, id: InstanceId, store_whole: bool) -> Result<Retention> {
        let basis = self.basis(db, id, store_whole)?;
        let (keep, zone) = (basis.keep(), basis.zone());
        let history = basis.history(&zone, self.now());
        let decision = policy::decide(keep.as_ref().unwrap_or(&Keep::default()), &history);
        Ok(Retention { instance: basis.instance, keep, decision })
    }
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
