//! The steps of a backup's life that workers report. A step that its status does not allow changes
//! nothing and is an error, so that a worker that was thought dead cannot undo what followed.

use std::sync::Arc;

use crate::domain::{
    ArchiveFacts, Backup, BackupId, Damage, DamageIn, Datastore, Failure, FailureCode, Kind,
    RunEnd, RunKind, RunNumbers, RunResult, Status, Timestamp, Verify, VerifyLevel,
};
use crate::store::{BackupRecord, Finish, Lineage, Records, RunOf, StoreError, Task};

use super::backups::run_kind;
use super::rules::Rules;
use super::{Catalog, CatalogError, Invalid, NotNow, Reply, Result};

impl Catalog {
    /// How much of the source a running backup has read, 0 to 1. In memory only.
    pub fn progress(&self, id: BackupId, share: f64) {
        self.progress.set(id, share);
        self.changes.note();
    }

    /// A claimed incremental has no usable chain below it: it goes on as a full one.
    pub fn becomes_full(&self, id: BackupId) -> Reply<()> {
        self.write(move |db, rules| {
            let changed = db.set_full(id, rules.now())?;
            require_changed(db, id, Status::Building, changed)
        })
    }

    /// BUILDING → SAVING.
    pub fn saving(&self, id: BackupId, at: Timestamp) -> Reply<()> {
        self.write(move |db, _rules| {
            let changed = db.set_saving(id, at)?;
            require_changed(db, id, Status::Saving, changed)
        })
    }

    /// SAVING → COMPLETED, with what only a published archive has. `version` is that of the database as
    /// the dump found it, and from then on the instance's too. If the instance wants each backup drilled,
    /// the drill is asked for.
    pub fn complete(
        &self,
        id: BackupId,
        facts: ArchiveFacts,
        version: &str,
        numbers: RunNumbers,
    ) -> Reply<()> {
        let version = known_version(version);
        self.settle(id, move |db, now| {
            let allowed: Vec<_> = Status::before(Status::Completed).collect();
            let finish = Finish {
                to: Status::Completed,
                allowed: &allowed,
                lineage: None,
                facts: &facts,
                version: version.as_deref(),
                took_ms: numbers.took_ms,
            };
            finish_backup(db, id, &finish, numbers, now)
        })
    }

    /// BUILDING → RESTORED, for a registration: what the archive says of itself.
    pub fn registered(
        &self,
        id: BackupId,
        kind: Kind,
        parent: Option<BackupId>,
        facts: ArchiveFacts,
    ) -> Reply<()> {
        self.settle(id, move |db, now| {
            if (kind == Kind::Full) != parent.is_none() {
                return Err(Invalid::KindAndParent(id).into());
            }
            let allowed: Vec<_> = Status::before(Status::Restored).collect();
            let finish = Finish {
                to: Status::Restored,
                allowed: &allowed,
                lineage: Some(Lineage { kind, parent }),
                facts: &facts,
                version: None,
                took_ms: None,
            };
            finish_backup(db, id, &finish, RunNumbers::default(), now)
        })
    }

    /// A published archive whose row says that it was interrupted: any status but deleted → COMPLETED
    /// (RESTORED for a registration).
    pub fn adopt(&self, id: BackupId, facts: ArchiveFacts, version: &str) -> Reply<()> {
        let version = known_version(version);
        self.settle(id, move |db, now| {
            let record = db.backup(id)?.ok_or(CatalogError::NoSuchBackup { id })?;
            let to = match record.task {
                Task::Backup if record.backup.status != Status::Restored => Status::Completed,
                _ => Status::Restored,
            };
            let allowed: Vec<_> =
                Status::ALL.iter().copied().filter(|it| *it != Status::DeleteFailed).collect();
            let finish = Finish {
                to,
                allowed: &allowed,
                lineage: None,
                facts: &facts,
                version: version.as_deref(),
                took_ms: None,
            };
            finish_backup(db, id, &finish, RunNumbers::default(), now)
        })
    }

    /// Any running status → FAILED.
    pub fn fail(&self, id: BackupId, failure: Failure) -> Reply<()> {
        self.settle(id, move |db, now| fail_backup(db, id, failure, now))
    }

    /// Damage was found in the bytes of a finished backup's archive: it stays, but nothing is built on it.
    pub fn report_damage(&self, id: BackupId, failure: Failure) -> Reply<()> {
        self.write_and_wake(move |db, rules| {
            require_archive(db, id)?;
            let damage = Damage { id, place: DamageIn::Archive, failure };
            Ok(db.set_damaged(&damage, rules.now()).map(drop)?)
        })
    }

    /// All bytes of the archive were proven again, and all of those that it is built on, which clears damage that was
    /// found in them. The level of each stays the strongest there has been.
    pub fn report_verified(
        &self,
        id: BackupId,
        at: Timestamp,
        proven: Vec<(BackupId, VerifyLevel)>,
    ) -> Reply<()> {
        self.write(move |db, _rules| {
            require_archive(db, id)?;
            set_proven(db, &proven, at)?;
            add_verify_runs(db, proven.into_iter().map(|(id, _)| id), at)
        })
    }

    /// The bytes of the archive, or those of one that it is built on, could not be proven.
    pub fn report_verify_failed(&self, id: BackupId, failure: Failure) -> Reply<()> {
        self.write_and_wake(move |db, rules| {
            let end = RunEnd::new(rules.now(), RunResult::from_failure(failure));
            Ok(db.add_run(RunKind::Verify, id, &end)?)
        })
    }

    /// Backups that a worker had when the process ended, oldest first. Those that only waited still wait.
    pub fn interrupted(&self) -> Result<Vec<Backup>> {
        let found = self.store.read(|db| Ok::<_, CatalogError>(db.claimed_backups()?))?;
        Ok(found.into_iter().map(|it| it.backup).collect())
    }

    /// A step after which the backup no longer runs; wakes the executor, as a drill may be asked for.
    fn settle(
        &self,
        id: BackupId,
        step: impl FnOnce(Records<'_>, Timestamp) -> Result<()> + Send + 'static,
    ) -> Reply<()> {
        let (progress, bell) = (Arc::clone(&self.progress), Arc::clone(&self.bell));
        let finished = Arc::clone(&self.finished);
        let settled = move |_done: &()| {
            progress.forget(id);
            bell.ring();
        };
        let work = move |db: Records<'_>, rules: &Rules| {
            step(db, rules.now())?;
            rules.ping_ended(db, id)?;
            rules.ask_for_copies(db, id)?;
            finished.lock().extend(db.backup(id)?.and_then(|it| it.backup.instance));
            Ok(())
        };
        self.write_then(work, settled)
    }
}

fn finish_backup(
    db: Records<'_>,
    id: BackupId,
    finish: &Finish<'_>,
    numbers: RunNumbers,
    now: Timestamp,
) -> Result<()> {
    let changed = db.finish(id, finish)?;
    require_changed(db, id, finish.to, changed)?;
    let BackupRecord { backup, task, .. } =
        db.backup(id)?.ok_or(CatalogError::NoSuchBackup { id })?;
    let numbers = RunNumbers {
        read_bytes: Some(finish.facts.source_bytes),
        stored_bytes: Some(finish.facts.stored_bytes),
        ..numbers
    };
    let end = RunEnd { at: now, result: RunResult::Done, numbers };
    db.end_run(RunOf::backup(run_kind(task), id), &end)?;
    let Some(instance) = backup.instance else { return Ok(()) };
    if Datastore::is_known(&backup.datastore.version) {
        db.set_version(instance, &backup.datastore, now)?;
    }
    let drilled = db.instance(instance)?.is_some_and(|it| it.instance.verify == Verify::Restore);
    if drilled && finish.to == Status::Completed {
        let run = RunOf::backup(RunKind::Drill, id).with_instance(Some(instance));
        db.open_run(run, &backup.project, now)?;
    }
    Ok(())
}

/// Any running status → FAILED, with the end of its run.
pub(super) fn fail_backup(
    db: Records<'_>,
    id: BackupId,
    failure: Failure,
    now: Timestamp,
) -> Result<()> {
    let changed = db.set_failed(id, &failure, now)?;
    require_changed(db, id, Status::Failed, changed)?;
    let record = db.backup(id)?.ok_or(CatalogError::NoSuchBackup { id })?;
    let result = match failure.code {
        FailureCode::Interrupted => RunResult::Interrupted,
        _ => RunResult::from_failure(failure),
    };
    db.end_run(RunOf::backup(run_kind(record.task), id), &RunEnd::new(now, result))?;
    Ok(())
}

fn known_version(version: &str) -> Option<String> {
    Datastore::is_known(version).then(|| version.to_owned())
}

/// An error unless the step changed the row.
pub(super) fn require_changed(
    db: Records<'_>,
    id: BackupId,
    to: Status,
    changed: bool,
) -> Result<()> {
    if changed {
        return Ok(());
    }
    let record = db.backup(id)?.ok_or(CatalogError::NoSuchBackup { id })?;
    Err(StoreError::IllegalTransition { id, from: record.backup.status, to }.into())
}

/// All bytes of the archives of these were proven again, and how far. One that was deleted meanwhile needs no proof.
pub(super) fn set_proven(
    db: Records<'_>,
    proven: &[(BackupId, VerifyLevel)],
    at: Timestamp,
) -> Result<()> {
    for (id, level) in proven {
        if let Some(facts) = db.backup(*id)?.and_then(|it| it.backup.facts) {
            let level = facts.verify_level.max(*level);
            db.set_verified(*id, at, level, DamageIn::Archive)?;
        }
    }
    Ok(())
}

/// Each of these was read whole, and nothing was wrong.
pub(super) fn add_verify_runs(
    db: Records<'_>,
    ids: impl Iterator<Item = BackupId>,
    at: Timestamp,
) -> Result<()> {
    for id in ids {
        db.add_run(RunKind::Verify, id, &RunEnd::new(at, RunResult::Done))?;
    }
    Ok(())
}

/// The facts of the backup's archive; a backup without one is refused.
pub(super) fn require_archive(db: Records<'_>, id: BackupId) -> Result<ArchiveFacts> {
    let BackupRecord { backup, .. } = db.backup(id)?.ok_or(CatalogError::NoSuchBackup { id })?;
    backup.facts.ok_or_else(|| NotNow::NoArchive { id, status: backup.status }.into())
}
