//! Consolidations: an incremental backup becomes a full one of the same moment, made of its archives. It is a backup
//! of its own, with the name, the time and the content of the first, which stays as it is until it is deleted. The
//! source is not read, so that it is no step of another backup's life, and none waits for it.

use std::sync::Arc;

use crate::domain::{
    Action, Actor, Backup, BackupId, Damage, Event, Failure, Kind, QuotaResource, Run, RunEnd,
    RunKind, RunNumbers, RunResult, Status, Timestamp, Verify,
};
use crate::store::{BackupRecord, Records, RunOf, Task};

use super::rules::{Rules, visible_backup};
use super::{
    Catalog, CatalogError, ConsolidationJob, Job, NotNow, Operation, Read, Reply, Result, Scope,
    Write, lineage,
};

/// How long after a consolidation failed retention asks for another one: a day in microseconds.
const RETRY_AFTER: i64 = 24 * 3600 * 1_000_000;

/// How far the consolidation of a backup is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consolidation {
    /// The last run; `None`: there was none, or its history expired.
    pub run: Option<Run>,
    /// The full backup of the same moment, if there is one.
    pub full: Option<BackupId>,
}

const fn run(id: BackupId) -> RunOf {
    RunOf::backup(RunKind::Consolidation, id)
}

impl Catalog {
    /// Asks for a full backup of the same moment, unless that waits or runs already.
    pub fn ask_consolidation(&self, scope: &Scope<Write>, id: BackupId) -> Reply<Consolidation> {
        let scope = scope.clone();
        self.accept(move |db, rules| {
            let record = visible_backup(db, &scope, id)?;
            rules.accept_consolidation(db, &record, &scope.actor())?;
            of(db, &record.backup)
        })
    }

    pub fn consolidation(&self, scope: &Scope<Read>, id: BackupId) -> Result<Consolidation> {
        self.store.read(|db| {
            let record = visible_backup(db, scope, id)?;
            of(db, &record.backup)
        })
    }

    /// The full backup that was made of `id` is published and proven. False: `id` was deleted meanwhile, and with it
    /// the wish for this one, which the catalog does not have then.
    pub fn consolidated(&self, id: BackupId, made: Backup, numbers: RunNumbers) -> Reply<bool> {
        let (running, finished) = (Arc::clone(&self.running), Arc::clone(&self.finished));
        let bell = Arc::clone(&self.bell);
        let instance = made.instance;
        self.write_then(
            move |db, rules| rules.add_consolidated(db, id, made, numbers),
            move |_added| {
                running.remove(RunKind::Consolidation, id);
                finished.lock().extend(instance);
                bell.ring();
            },
        )
    }

    /// A consolidation failed, perhaps because it found damage in an archive that it read.
    pub fn consolidation_failed(
        &self,
        id: BackupId,
        failure: Failure,
        damage: Option<Damage>,
    ) -> Reply<()> {
        let running = Arc::clone(&self.running);
        self.write_then(
            move |db, rules| {
                let now = rules.now();
                db.end_run(run(id), &RunEnd::new(now, RunResult::from_failure(failure)))?;
                if let Some(damage) = damage {
                    db.set_damaged(&damage, now)?;
                }
                Ok(())
            },
            move |()| running.remove(RunKind::Consolidation, id),
        )
    }

    /// The backups whose consolidation was begun and has not ended.
    pub fn interrupted_consolidations(&self) -> Result<Vec<BackupId>> {
        let open =
            self.store.read(|db| Ok::<_, CatalogError>(db.open_runs(RunKind::Consolidation)?))?;
        Ok(open.into_iter().filter(|(_, begun)| *begun).map(|(id, _)| id).collect())
    }

    /// After a crash: consolidations that a worker had wait again. Returns how many.
    pub fn reopen_consolidations(&self) -> Reply<usize> {
        self.write_and_wake(|db, rules| Ok(db.retry_runs(RunKind::Consolidation, rules.now())?))
    }
}

/// How far the consolidation of this backup is.
fn of(db: Records<'_>, backup: &Backup) -> Result<Consolidation> {
    let mut runs = db.runs_of_backup(backup.id)?;
    runs.retain(|it| it.kind == RunKind::Consolidation);
    let open = runs.iter().position(|it| it.end.is_none());
    let run = open.map(|at| runs.swap_remove(at)).or_else(|| runs.pop());
    Ok(Consolidation { run, full: full_of(db, backup)? })
}

/// The full backup that shows the same moment as this incremental one.
fn full_of(db: Records<'_>, backup: &Backup) -> Result<Option<BackupId>> {
    match backup.instance {
        Some(instance) if backup.kind == Kind::Incremental => {
            Ok(db.full_of_moment(instance, backup.created)?)
        }
        _ => Ok(None),
    }
}

impl Rules {
    fn accept_consolidation(
        &self,
        db: Records<'_>,
        record: &BackupRecord,
        actor: &Actor,
    ) -> Result<()> {
        let Backup { id, status, kind, instance, ref project, .. } = record.backup;
        if record.removal.is_some() {
            return Err(NotNow::BeingDeleted(id).into());
        }
        if !status.is_usable() {
            let operation = Operation::Consolidation;
            return Err(NotNow::NotCompleted { id, status, operation }.into());
        }
        if kind == Kind::Full || instance.is_none() {
            return Err(NotNow::StandsAlone(id).into());
        }
        if let Some(full) = full_of(db, &record.backup)? {
            return Err(NotNow::Consolidated { id, full }.into());
        }
        lineage::chain(db, project, id)?.map_err(|broken| broken.refuse(id))?;
        self.ensure_quota(db, project, QuotaResource::Backups)?;
        let now = self.now();
        if db.open_run(run(id).with_instance(instance), project, now)? {
            let event = Event::done(now, actor, Action::BackupConsolidate);
            db.add_event(&event.in_project(project).of(id))?;
        }
        Ok(())
    }

    /// Asks for a consolidation that retention wants, unless one failed lately. Whether it was asked for.
    pub(super) fn consolidate_for_retention(&self, db: Records<'_>, id: BackupId) -> Result<bool> {
        let Some(record) = db.backup(id)? else { return Ok(false) };
        let since = Timestamp::from_micros(self.now().as_micros().saturating_sub(RETRY_AFTER));
        let failed = of(db, &record.backup)?
            .run
            .and_then(|it| it.end)
            .is_some_and(|end| end.result.failure().is_some() && end.at > since);
        if failed {
            return Ok(false);
        }
        match self.accept_consolidation(db, &record, &Actor::server("retention")) {
            Ok(()) => Ok(true),
            Err(error @ CatalogError::Store(_)) => Err(error),
            Err(refusal) => {
                log::info!("retention does not consolidate backup {id}: {refusal}");
                Ok(false)
            }
        }
    }

    /// The oldest consolidation that can be made; those that no longer can, or need not, end here.
    pub(super) fn next_consolidation(&self, db: Records<'_>) -> Result<Option<Job>> {
        while let Some(id) = db.claim_waiting(RunKind::Consolidation, self.now())? {
            let Some(BackupRecord { backup, .. }) = db.backup(id)? else {
                db.cancel_run(run(id), self.now())?;
                continue;
            };
            let result = match lineage::chain(db, &backup.project, id)? {
                // The process ended before this was recorded.
                _ if full_of(db, &backup)?.is_some() => RunResult::Done,
                Ok(chain) => {
                    let job = ConsolidationJob { chain, backup, new_id: BackupId::generate() };
                    return Ok(Some(Job::Consolidate(Box::new(job))));
                }
                Err(broken) => RunResult::from_failure(broken.failure()),
            };
            db.end_run(run(id), &RunEnd::new(self.now(), result))?;
        }
        Ok(None)
    }

    fn add_consolidated(
        &self,
        db: Records<'_>,
        id: BackupId,
        made: Backup,
        numbers: RunNumbers,
    ) -> Result<bool> {
        let wanted = db.backup(id)?.is_some_and(|it| it.removal.is_none());
        let at = self.now();
        if !wanted || !db.end_run(run(id), &RunEnd { at, result: RunResult::Done, numbers })? {
            return Ok(false);
        }
        let (new_id, project, instance) = (made.id, made.project.clone(), made.instance);
        let record = BackupRecord {
            backup: Backup { status: Status::Completed, ..made },
            task: Task::Backup,
            parent_required: false,
            location: None,
            damage: None,
            removal: None,
            trashed: None,
        };
        if !db.insert_backup(&record)? {
            return Err(NotNow::IdTaken(new_id).into());
        }
        let instance_record = instance.map(|it| db.instance(it)).transpose()?.flatten();
        if instance_record.is_some_and(|it| it.instance.verify == Verify::Restore) {
            let run = RunOf::backup(RunKind::Drill, new_id).with_instance(instance);
            db.open_run(run, &project, at)?;
        }
        self.ask_for_copies(db, new_id)?;
        Ok(true)
    }
}
