//! Deleting: a backup goes together with everything that is built on it, or not at all.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::{
    Action, Actor, Backup, BackupId, Event, Failure, Instance, InstanceId, InstanceOrigin,
    InstanceStatus, ProjectId, RunEnd, RunKind, RunResult, Status, Timestamp,
};
use crate::store::{BackupRecord, Records, RunOf};

use super::rules::{visible_backup, visible_instance};
use super::steps::require_changed;
use super::{Catalog, CatalogError, Forbidden, NotNow, Reply, Result, Scope, Write};

const fn backup_run(id: BackupId) -> RunOf {
    RunOf::backup(RunKind::Removal, id)
}

const fn instance_run(id: InstanceId) -> RunOf {
    RunOf::instance(RunKind::InstanceRemoval, id)
}

impl Catalog {
    /// Deletes a backup and all that is built on it, or nothing if one of them runs: from then on they are
    /// shown to nobody. Cancels their drills. One whose removal failed is tried again. Returns how many go.
    pub fn delete_backup(&self, scope: &Scope<Write>, id: BackupId) -> Reply<usize> {
        let scope = scope.clone();
        let (running, bell) = (Arc::clone(&self.running), Arc::clone(&self.bell));
        let marked = move |count: &usize| {
            let more = count.saturating_sub(1);
            log::info!("backup {id} is deleted, and {more} that are built on it");
            bell.ring();
        };
        self.write_then(
            move |db, rules| {
                let project = visible_backup(db, &scope, id)?.backup.project;
                ensure_unused(db, id, &project)?;
                let now = rules.now();
                let count = db.mark_for_removal(id, &project, now)?;
                let event = Event::done(now, &scope.actor(), Action::BackupDelete);
                db.add_event(&event.in_project(&project).of(id).with_detail(and_built_on(count)))?;
                running.cancel_removed(db)?;
                Ok(count)
            },
            marked,
        )
    }

    /// The archives of these are in the trash. Until they are removed from there, a delete can be undone.
    pub fn trashed(&self, ids: Vec<BackupId>) -> Reply<()> {
        self.write(move |db, rules| {
            let now = rules.now();
            for id in ids {
                db.end_run(backup_run(id), &RunEnd::new(now, RunResult::Done))?;
                if !db.set_trashed(id, now)? && db.backup(id)?.is_some() {
                    return Err(NotNow::NotMarked(format!("backup {id}")).into());
                }
            }
            Ok(())
        })
    }

    /// What has to be fetched out of the trash to undelete a backup, oldest first: itself, what was built on
    /// it, and what it is built on. `may_see` says of which projects.
    pub fn deleted(
        &self,
        id: BackupId,
        may_see: impl Fn(&ProjectId) -> bool,
    ) -> Result<Vec<Backup>> {
        self.store.read(|db| {
            let record = db.backup(id)?.filter(|it| it.is_deleted() && may_see(&it.backup.project));
            let record = record.ok_or(CatalogError::NoSuchBackup { id })?;
            if record.trashed.is_none() {
                return Err(NotNow::StillDeleting(id).into());
            }
            let mut found = Vec::new();
            for member in db.trashed_members(id, &record.backup.project)? {
                found.extend(db.backup(member)?.map(|it| it.backup));
            }
            let mut above = record.backup.parent;
            while let Some(parent) = above {
                let Some(record) = db.backup(parent)?.filter(BackupRecord::is_deleted) else {
                    break;
                };
                if record.trashed.is_none() {
                    return Err(NotNow::StillDeleting(parent).into());
                }
                if found.iter().any(|it| it.id == parent) {
                    break;
                }
                above = record.backup.parent;
                found.push(record.backup);
            }
            found.sort_by_key(|it| (it.created, it.id));
            Ok(found)
        })
    }

    /// The archives of these were fetched out of the trash: they are what they were before the delete. The one that
    /// somebody asked for is pinned if retention could make it go again. Returns it.
    pub fn undeleted(&self, ids: Vec<BackupId>, asked: BackupId, by: Actor) -> Reply<Backup> {
        self.write(move |db, rules| {
            let now = rules.now();
            for id in ids {
                if !db.bring_back(id, now)? {
                    return Err(CatalogError::NoSuchBackup { id });
                }
            }
            let unknown = CatalogError::NoSuchBackup { id: asked };
            let mut backup = db.backup(asked)?.ok_or(unknown)?.backup;
            let policy = backup.instance.and_then(|id| rules.policy(id));
            let pin = policy.is_some_and(|it| it.keep.is_some());
            if pin && backup.pinned.is_none() {
                db.set_pinned(asked, Some(now), now)?;
                backup.pinned = Some(now);
            }
            let event = Event::done(now, &by, Action::BackupUndelete);
            let detail = if pin { "and pinned" } else { "" };
            db.add_event(&event.in_project(&backup.project).of(asked).with_detail(detail))?;
            Ok(backup)
        })
    }

    /// Every backup that was deleted or is being deleted, newest first, without a check of access.
    pub fn deleted_backups(&self) -> Result<Vec<Backup>> {
        let found = self.store.read(|db| Ok::<_, CatalogError>(db.deleted_backups()?))?;
        Ok(found.into_iter().map(|it| it.backup).collect())
    }

    /// Every deleted backup that can be brought back, newest first, without a check of access.
    pub fn trash(&self) -> Result<Vec<Backup>> {
        let found = self.store.read(|db| Ok::<_, CatalogError>(db.trashed_backups()?))?;
        Ok(found.into_iter().map(|it| it.backup).collect())
    }

    /// Deletes the rows whose archives have been in the trash for at least `window`.
    pub fn forget_trashed(&self, window: Duration) -> Result<()> {
        let window = i64::try_from(window.as_micros()).unwrap_or(i64::MAX);
        let cutoff = Timestamp::from_micros(self.rules.now().as_micros().saturating_sub(window));
        // A write waits for the disk, and this is called every few seconds.
        let oldest = self.store.read(|db| Ok::<_, CatalogError>(db.oldest_trashed()?))?;
        if oldest.is_none_or(|at| at >= cutoff) {
            return Ok(());
        }
        self.write(move |db, rules| Ok(db.forget_trashed(cutoff, rules.now())?)).wait()
    }

    /// The archives of these are gone, and so are their rows. One without a row is fine.
    pub fn removed(&self, ids: Vec<BackupId>) -> Reply<()> {
        self.write(move |db, rules| {
            let now = rules.now();
            for id in ids {
                db.end_run(backup_run(id), &RunEnd::new(now, RunResult::Done))?;
                if !db.delete_marked_backup(id, now)? && db.backup(id)?.is_some() {
                    return Err(NotNow::NotMarked(format!("backup {id}")).into());
                }
            }
            Ok(())
        })
    }

    /// The archive of this one could not be removed: `DELETE_FAILED`, tried again at the next delete or
    /// start. What it is built on, claimed with it, waits for that too: children go before their parents.
    pub fn removal_failed(&self, id: BackupId, failure: Failure) -> Reply<()> {
        self.write(move |db, rules| {
            let now = rules.now();
            let changed = db.set_removal_failed(id, &failure, now)?;
            require_changed(db, id, Status::DeleteFailed, changed)?;
            db.end_run(backup_run(id), &RunEnd::new(now, RunResult::Failed(failure)))?;
            Ok(())
        })
    }

    /// Marks a restored instance for removal, with its data; a configured one is refused.
    pub fn delete_instance(&self, scope: &Scope<Write>, id: InstanceId) -> Reply<()> {
        let scope = scope.clone();
        self.write_and_wake(move |db, rules| {
            let instance = visible_instance(db, &scope, id)?;
            if instance.origin == InstanceOrigin::Configured {
                return Err(Forbidden::ConfiguredInstance(id).into());
            }
            if matches!(instance.status, InstanceStatus::Build | InstanceStatus::Backup) {
                return Err(CatalogError::InstanceBusy { id, status: instance.status });
            }
            let now = rules.now();
            let event = Event::done(now, &scope.actor(), Action::InstanceDelete);
            let event = event.in_project(&instance.project).of(id);
            db.add_event(&event.with_detail(instance.name.as_str()))?;
            mark_instance(db, &instance, now)
        })
    }

    /// A restored instance's data is gone, and so is its row.
    pub fn instance_removed(&self, id: InstanceId) -> Reply<()> {
        self.write(move |db, rules| {
            let now = rules.now();
            db.end_run(instance_run(id), &RunEnd::new(now, RunResult::Done))?;
            if !db.delete_marked_instance(id, now)? && db.instance(id)?.is_some() {
                return Err(NotNow::NotMarked(format!("instance {id}")).into());
            }
            db.delete_policy(id)?;
            Ok(())
        })
    }

    /// A restored instance's data could not be removed: it is shown again, as ERROR, and its removal tried again later,
    /// or at the next delete.
    pub fn instance_removal_failed(&self, id: InstanceId, failure: Failure) -> Reply<()> {
        self.write(move |db, rules| {
            let now = rules.now();
            if !db.set_instance_removal_failed(id, &failure, now)? && db.instance(id)?.is_some() {
                return Err(NotNow::NotMarked(format!("instance {id}")).into());
            }
            let end = RunEnd::new(now, RunResult::Failed(failure));
            Ok(db.end_run(instance_run(id), &end).map(drop)?)
        })
    }

    /// Tries the removals of restored instances again that failed at least `wait` ago.
    pub fn retry_failed_removals(&self, wait: Duration) -> Result<()> {
        let wait = i64::try_from(wait.as_micros()).unwrap_or(i64::MAX);
        let cutoff = Timestamp::from_micros(self.rules.now().as_micros().saturating_sub(wait));
        // A write waits for the disk, and this is called every few seconds.
        let failed =
            self.store.read(|db| Ok::<_, CatalogError>(db.failed_instance_removals(cutoff)?))?;
        if failed.is_empty() {
            return Ok(());
        }
        self.write_and_wake(move |db, rules| {
            let now = rules.now();
            for instance in db.failed_instance_removals(cutoff)? {
                mark_instance(db, &instance.instance, now)?;
            }
            Ok(())
        })
        .wait()
    }

    /// After a crash: removals that a worker had, or that failed, wait again.
    pub fn reopen_removals(&self) -> Reply<()> {
        self.write_and_wake(|db, rules| {
            let now = rules.now();
            db.retry_removals(now)?;
            db.retry_runs(RunKind::InstanceRemoval, now)?;
            db.retry_instance_removals()?;
            for instance in db.failed_instance_removals(now)? {
                mark_instance(db, &instance.instance, now)?;
            }
            Ok(())
        })
    }
}

/// What else goes with a backup, for the event log.
pub(super) fn and_built_on(count: usize) -> String {
    match count.saturating_sub(1) {
        0 => String::new(),
        more => format!("and {more} that are built on it"),
    }
}

fn mark_instance(db: Records<'_>, instance: &Instance, now: Timestamp) -> Result<()> {
    if db.mark_instance_for_removal(instance.id, now)? {
        db.open_run(instance_run(instance.id), &instance.project, now)?;
    }
    Ok(())
}

/// Nothing in the subtree runs, waits, is read by a restore, or was pinned.
pub(super) fn ensure_unused(db: Records<'_>, id: BackupId, project: &ProjectId) -> Result<()> {
    if let Some(member) = db.running_member(id, project)? {
        let (member, status) = (member.backup.id, member.backup.status);
        return Err(NotNow::Running { id, member, status }.into());
    }
    if let Some(restore) = db.restored_member(id, project)? {
        let (instance, backup) = (restore.instance, restore.backup);
        return Err(NotNow::BeingRestored { instance, backup }.into());
    }
    if let Some(member) = db.pinned_member(id, project)? {
        return Err(NotNow::Pinned { id, member }.into());
    }
    Ok(())
}
