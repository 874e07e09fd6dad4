//! Verifications that somebody asked for: every byte of a backup and of what it is built on is read again. As drills, they
//! are no step of a backup's life, and go on after a restart.

use std::sync::Arc;

use crate::domain::{
    Action, Backup, BackupId, Damage, Event, Run, RunEnd, RunKind, RunResult, VerifyLevel,
};
use crate::store::{BackupRecord, Records, RunOf};

use super::rules::{Rules, visible_backup};
use super::steps::{add_verify_runs, require_archive, set_proven};
use super::{
    Catalog, CatalogError, Job, NotNow, Operation, Read, Reply, Result, Scope, VerificationJob,
    Write, lineage,
};

/// Verifications of one project that may wait and run at once: one may take hours.
const MOST: u32 = 100;

const fn run(id: BackupId) -> RunOf {
    RunOf::backup(RunKind::Verify, id)
}

impl Catalog {
    /// Asks to have every byte of a finished backup read again, unless that waits or runs already.
    pub fn ask_verification(&self, scope: &Scope<Write>, id: BackupId) -> Reply<Option<Run>> {
        let scope = scope.clone();
        self.accept(move |db, rules| {
            rules.accept_verification(db, &scope, id)?;
            last(db, id)
        })
    }

    /// The verification that waits or runs, or else the last one that ended by itself, whoever asked for it.
    pub fn verification(&self, scope: &Scope<Read>, id: BackupId) -> Result<Option<Run>> {
        self.store.read(|db| {
            visible_backup(db, scope, id)?;
            last(db, id)
        })
    }

    /// A verification ended. One that passed clears damage that was found in the bytes; after one that found damage nothing
    /// is built on the damaged backup. `proven`: this backup and those that it is built on, and how far each was proven.
    pub fn end_verification(
        &self,
        id: BackupId,
        end: RunEnd,
        proven: Vec<(BackupId, VerifyLevel)>,
        damage: Option<Damage>,
    ) -> Reply<()> {
        let (running, bell) = (Arc::clone(&self.running), Arc::clone(&self.bell));
        self.write_then(
            move |db, _rules| {
                // Otherwise it was cancelled, because its backup was deleted.
                if !db.end_run(run(id), &end)? {
                    return Ok(());
                }
                if end.result == RunResult::Done {
                    require_archive(db, id)?;
                    // Its own run has ended already.
                    set_proven(db, &proven, end.at)?;
                    let others = proven.iter().filter(|(other, _)| *other != id);
                    add_verify_runs(db, others.map(|(other, _)| *other), end.at)?;
                }
                if let Some(damage) = damage {
                    db.set_damaged(&damage, end.at)?;
                }
                Ok(())
            },
            move |()| {
                running.remove(RunKind::Verify, id);
                bell.ring();
            },
        )
    }
}

/// The open verification of a backup, or else the last one with a result.
fn last(db: Records<'_>, id: BackupId) -> Result<Option<Run>> {
    let mut runs = db.runs_of_backup(id)?;
    let says_nothing = |it: &Run| {
        it.end
            .as_ref()
            .is_some_and(|end| matches!(end.result, RunResult::Interrupted | RunResult::Cancelled))
    };
    runs.retain(|it| it.kind == RunKind::Verify && !says_nothing(it));
    let open = runs.iter().position(|it| it.end.is_none());
    Ok(open.map(|at| runs.swap_remove(at)).or_else(|| runs.pop()))
}

impl Rules {
    fn accept_verification(
        &self,
        db: Records<'_>,
        scope: &Scope<Write>,
        id: BackupId,
    ) -> Result<()> {
        let record = visible_backup(db, scope, id)?;
        if record.removal.is_some() {
            return Err(NotNow::BeingDeleted(id).into());
        }
        let Backup { status, project, instance, .. } = record.backup;
        if !status.is_usable() {
            let operation = Operation::Verification;
            return Err(NotNow::NotCompleted { id, status, operation }.into());
        }
        require_archive(db, id)?;
        lineage::chain_to_check(db, &project, id)?.map_err(|broken| broken.refuse(id))?;
        if db.open_runs_of_others(RunKind::Verify, &project, id)? >= i64::from(MOST) {
            return Err(CatalogError::TooManyVerifications { most: MOST });
        }
        let now = self.now();
        if db.open_run(run(id).with_instance(instance), &project, now)? {
            let event = Event::done(now, &scope.actor(), Action::BackupVerify);
            db.add_event(&event.in_project(&project).of(id))?;
        }
        Ok(())
    }

    /// The oldest verification whose chain is complete; those whose chain broke meanwhile fail here.
    pub(super) fn next_verification(&self, db: Records<'_>) -> Result<Option<Job>> {
        while let Some(id) = db.claim_waiting(RunKind::Verify, self.now())? {
            let Some(BackupRecord { backup, .. }) = db.backup(id)? else {
                db.cancel_run(run(id), self.now())?;
                continue;
            };
            match lineage::chain_to_check(db, &backup.project, id)? {
                Ok(chain) => {
                    return Ok(Some(Job::Verify(Box::new(VerificationJob { chain, backup }))));
                }
                Err(broken) => {
                    let result = RunResult::from_failure(broken.failure());
                    db.end_run(run(id), &RunEnd::new(self.now(), result))?;
                }
            }
        }
        Ok(None)
    }
}
