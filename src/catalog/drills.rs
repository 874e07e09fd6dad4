//! Drills: asked for, handed out, and what they found. A drill is no step of a backup's life: the row
//! keeps its status, and the drill is cancelled as soon as its backup is to be removed.

use std::sync::Arc;

use crate::domain::{
    Action, Backup, BackupId, Cancel, Damage, DamageIn, Datastore, Event, InstanceId, NextDrill,
    RowsByTable, RunEnd, RunKind, RunResult, Source, VerifyLevel,
};
use crate::store::{Records, RunOf};

use super::lineage;
use super::rules::{Rules, visible_backup};
use super::steps::require_archive;
use super::{Catalog, DrillJob, Job, NotNow, Operation, Read, Reply, Result, Scope, Write};

const fn run(id: BackupId) -> RunOf {
    RunOf::backup(RunKind::Drill, id)
}

impl Catalog {
    /// Asks for a drill of a finished backup, unless one waits or runs already.
    pub fn ask_drill(&self, scope: &Scope<Write>, id: BackupId) -> Reply<Backup> {
        let scope = scope.clone();
        self.accept(move |db, rules| rules.accept_drill(db, &scope, id))
    }

    /// The rows that the last drill counted in each table; none if it did not pass.
    pub fn drill_rows(&self, scope: &Scope<Read>, id: BackupId) -> Result<RowsByTable> {
        self.store.read(|db| {
            visible_backup(db, scope, id)?;
            Ok(db.drill_rows(id)?)
        })
    }

    /// A claimed drill begins; a delete of its backup cancels it through this flag. False: it was deleted
    /// already, and the drill must not begin.
    pub fn begin_drill(&self, id: BackupId, cancel: Cancel) -> Reply<bool> {
        let running = Arc::clone(&self.running);
        // A write, so that it comes after every delete that did not see the flag.
        self.write(move |db, _rules| {
            let claimed =
                db.backup(id)?.is_some_and(|it| it.backup.drill.next == Some(NextDrill::Running));
            if claimed {
                running.insert(RunKind::Drill, id, cancel);
            }
            Ok(claimed)
        })
    }

    /// A drill ended. One that passed is the strongest proof, and clears the damage that an earlier drill
    /// found. After one that found damage nothing is built on the damaged backup. A backup that is gone by
    /// now is no error.
    pub fn end_drill(&self, id: BackupId, end: RunEnd, damage: Option<Damage>) -> Reply<()> {
        let (running, bell) = (Arc::clone(&self.running), Arc::clone(&self.bell));
        self.write_then(
            move |db, _rules| {
                db.end_or_add_run(RunKind::Drill, id, &end)?;
                if end.result == RunResult::Done {
                    db.set_verified(id, end.at, VerifyLevel::Restored, DamageIn::Data)?;
                } else {
                    db.touch_backup(id, end.at)?;
                }
                if let Some(damage) = damage {
                    db.set_damaged(&damage, end.at)?;
                }
                Ok(())
            },
            move |()| {
                running.remove(RunKind::Drill, id);
                // Another one may be due.
                bell.ring();
            },
        )
    }
}

impl Rules {
    fn accept_drill(&self, db: Records<'_>, scope: &Scope<Write>, id: BackupId) -> Result<Backup> {
        let record = visible_backup(db, scope, id)?;
        if record.removal.is_some() {
            return Err(NotNow::BeingDeleted(id).into());
        }
        let Backup { status, datastore, project, instance, .. } = record.backup;
        let operation = Operation::Drill;
        if !status.is_usable() {
            return Err(NotNow::NotCompleted { id, status, operation }.into());
        }
        self.ensure_engine(&datastore.engine, operation)?;
        require_archive(db, id)?;
        lineage::chain_to_check(db, &project, id)?.map_err(|broken| broken.refuse(id))?;
        let now = self.now();
        if db.open_run(run(id).with_instance(instance), &project, now)? {
            db.touch_backup(id, now)?;
            let event = Event::done(now, &scope.actor(), Action::BackupDrill);
            db.add_event(&event.in_project(&project).of(id))?;
        }
        Ok(visible_backup(db, scope, id)?.backup)
    }

    /// The oldest drill whose chain is complete; those whose chain broke meanwhile fail here.
    pub(super) fn next_drill(&self, db: Records<'_>) -> Result<Option<Job>> {
        while let Some(id) = db.claim_waiting(RunKind::Drill, self.now())? {
            let Some(record) = db.backup(id)? else {
                db.cancel_run(run(id), self.now())?;
                continue;
            };
            let Backup { project, instance, datastore, .. } = record.backup;
            match lineage::chain_to_check(db, &project, id)? {
                Ok(chain) => {
                    let source = source_of(db, instance, &datastore)?;
                    return Ok(Some(Job::Drill(Box::new(DrillJob { chain, id, source }))));
                }
                Err(broken) => {
                    let now = self.now();
                    let result = RunResult::from_failure(broken.failure());
                    db.end_run(run(id), &RunEnd::new(now, result))?;
                    db.touch_backup(id, now)?;
                }
            }
        }
        Ok(None)
    }
}

/// Where the instance's data is, if it is still of the engine that made the backup.
fn source_of(
    db: Records<'_>,
    instance: Option<InstanceId>,
    datastore: &Datastore,
) -> Result<Option<Source>> {
    let Some(id) = instance else { return Ok(None) };
    let found = db.instance(id)?.map(|it| it.instance);
    let same =
        found.filter(|it| it.datastore.engine == datastore.engine && !it.source.0.is_empty());
    Ok(same.map(|it| it.source))
}
