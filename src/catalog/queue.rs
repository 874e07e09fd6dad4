//! The queue: what there is to do, oldest first. The tables are the queue. What is claimed here is
//! claimed for good, until it has ended or, after a crash, recovery opens it again.

use std::sync::Arc;

use crate::domain::{
    Backup, BackupId, Failure, FailureCode, Instance, InstanceId, InstanceOrigin, InstanceStatus,
    Kind, Location, ProjectId, RunEnd, RunKind, RunResult, Source,
};
use crate::policy::StagingTarget;
use crate::store::{BackupRecord, Records, RunOf, Task};

use super::backups::run_kind;
use super::rules::Rules;
use super::steps::fail_backup;
use super::{Catalog, Result, lineage};

/// Something a worker has to do, claimed by it alone.
#[derive(Debug, Clone, PartialEq)]
pub enum Job {
    Backup(Box<BackupJob>),
    Register(Box<RegistrationJob>),
    Restore(Box<RestoreJob>),
    Drill(Box<DrillJob>),
    Stage(Box<StagingJob>),
    Consolidate(Box<ConsolidationJob>),
    Verify(Box<VerificationJob>),
    Remove(RemovalJob),
    RemoveInstance(InstanceRemovalJob),
}

/// A backup to make; its row is BUILDING.
#[derive(Debug, Clone, PartialEq)]
pub struct BackupJob {
    pub backup: Backup,
    pub instance: Instance,
    /// The backups it is built on, root first; empty for a full one.
    pub chain: Vec<Backup>,
    /// True if the client did not insist on this parent: with a broken chain it becomes a full one.
    pub may_become_full: bool,
    /// Completed backups of this instance so far: every Nth reads everything again.
    pub earlier: u64,
}

/// An archive to prove; its row is BUILDING.
#[derive(Debug, Clone, PartialEq)]
pub struct RegistrationJob {
    /// Its row; instance is `None`.
    pub backup: Backup,
    pub location: Location,
}

/// A restore; the instance's row is BUILD.
#[derive(Debug, Clone, PartialEq)]
pub struct RestoreJob {
    /// The new instance; its `source` is empty until it is restored.
    pub instance: Instance,
    /// The backup to restore and those it is built on, root first, itself last.
    pub chain: Vec<Backup>,
}

/// A drill; its run is begun.
#[derive(Debug, Clone, PartialEq)]
pub struct DrillJob {
    /// The backup to restore and those it is built on, root first, itself last.
    pub chain: Vec<Backup>,
    pub id: BackupId,
    /// Where its instance's data is, if that is known: which tools to use.
    pub source: Option<Source>,
}

/// A backup to restore to where its instance is refreshed; its run is begun.
#[derive(Debug, Clone, PartialEq)]
pub struct StagingJob {
    pub instance: Instance,
    /// The backup to restore and those it is built on, root first, itself last.
    pub chain: Vec<Backup>,
    pub id: BackupId,
    pub to: StagingTarget,
}

/// A full backup to make of an incremental one; its run is begun.
#[derive(Debug, Clone, PartialEq)]
pub struct ConsolidationJob {
    pub backup: Backup,
    /// What it is built on and itself, root first.
    pub chain: Vec<Backup>,
    /// The id of the full one.
    pub new_id: BackupId,
}

/// A backup to prove again because somebody asked for it; its run is begun.
#[derive(Debug, Clone, PartialEq)]
pub struct VerificationJob {
    /// What it is built on and itself, root first.
    pub chain: Vec<Backup>,
    pub backup: Backup,
}

/// Archives to remove: one subtree, newest first.
#[derive(Debug, Clone, PartialEq)]
pub struct RemovalJob {
    pub backups: Vec<Backup>,
}

/// A restored instance to remove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceRemovalJob {
    pub id: InstanceId,
    pub project: ProjectId,
}

/// Jobs that wait for each other. Those of one lane never wait for another lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// Registrations, restores and backups, in this order.
    Work,
    /// Restores into staging, drills, and then consolidations: what nobody waits for.
    Drills,
    /// Verifications that were asked for.
    Verifications,
    /// Removals, of backups first.
    Removals,
}

impl Lane {
    pub const ALL: [Self; 4] = [Self::Removals, Self::Work, Self::Drills, Self::Verifications];
}

impl Catalog {
    /// Whether there may be something to claim in a lane. Of removals it is not known: they are looked for now and then anyway.
    pub fn has_waiting(&self, lane: Lane) -> Result<bool> {
        self.store.read(|db| {
            Ok(match lane {
                Lane::Work => db.has_waiting_work()?,
                Lane::Drills => db.has_waiting_drills()?,
                Lane::Verifications => db.has_waiting_verifications()?,
                Lane::Removals => true,
            })
        })
    }

    /// Claims the oldest thing to do in a lane. Blocks for a commit.
    pub fn claim(&self, lane: Lane) -> Result<Option<Job>> {
        let (bell, monitored) =
            (Arc::clone(&self.bell), !self.rules.alert_routes().pinged.is_empty());
        let after = move |job: &Option<Job>| {
            if monitored && matches!(job, Some(Job::Backup(_))) {
                bell.ring();
            }
        };
        self.write_then(move |db, rules| rules.next_job(db, lane), after).wait()
    }
}

type Claim = fn(&Rules, Records<'_>) -> Result<Option<Job>>;

impl Rules {
    fn next_job(&self, db: Records<'_>, lane: Lane) -> Result<Option<Job>> {
        let next: &[Claim] = match lane {
            Lane::Work => &[Self::next_registration, Self::next_restore, Self::next_backup],
            Lane::Drills => &[Self::next_staging, Self::next_drill, Self::next_consolidation],
            Lane::Verifications => &[Self::next_verification],
            Lane::Removals => &[Self::next_removal, Self::next_instance_removal],
        };
        for next in next {
            if let Some(job) = next(self, db)? {
                return Ok(Some(job));
            }
        }
        Ok(None)
    }

    fn next_removal(&self, db: Records<'_>) -> Result<Option<Job>> {
        let claimed = db.claim_removal(self.now())?;
        let backups: Vec<_> = claimed.into_iter().map(|it| it.backup).collect();
        Ok((!backups.is_empty()).then_some(Job::Remove(RemovalJob { backups })))
    }

    fn next_instance_removal(&self, db: Records<'_>) -> Result<Option<Job>> {
        let Some(record) = db.claim_instance_removal()? else { return Ok(None) };
        let Instance { id, project, .. } = record.instance;
        db.begin_run(RunOf::instance(RunKind::InstanceRemoval, id), self.now())?;
        Ok(Some(Job::RemoveInstance(InstanceRemovalJob { id, project })))
    }

    fn next_registration(&self, db: Records<'_>) -> Result<Option<Job>> {
        while let Some(record) = self.claim_backup(db, Task::Registration)? {
            let BackupRecord { backup, location, .. } = record;
            if let Some(location) = location {
                return Ok(Some(Job::Register(Box::new(RegistrationJob { backup, location }))));
            }
            let text = "it is not known where its archive is; register it again";
            let failure = Failure::new(FailureCode::Internal, text);
            fail_backup(db, backup.id, failure, self.now())?;
        }
        Ok(None)
    }

    /// The oldest restore whose chain is still usable; those whose chain broke meanwhile fail here.
    fn next_restore(&self, db: Records<'_>) -> Result<Option<Job>> {
        while let Some(record) = db.claim_restore()? {
            let instance = record.instance;
            let (run, now) = (RunOf::instance(RunKind::Restore, instance.id), self.now());
            match chain_to_restore(db, &instance)? {
                Ok(chain) => {
                    db.begin_run(run, now)?;
                    return Ok(Some(Job::Restore(Box::new(RestoreJob { instance, chain }))));
                }
                Err(failure) => {
                    db.set_restore_failed(instance.id, &failure, now)?;
                    db.end_run(run, &RunEnd::new(now, RunResult::from_failure(failure)))?;
                }
            }
        }
        Ok(None)
    }

    /// The oldest backup that can be made; those that no longer can fail here.
    fn next_backup(&self, db: Records<'_>) -> Result<Option<Job>> {
        while let Some(record) = self.claim_backup(db, Task::Backup)? {
            let id = record.backup.id;
            match self.backup_job(db, record)? {
                Ok(job) => {
                    self.ping_started(db, &job.backup)?;
                    return Ok(Some(Job::Backup(Box::new(job))));
                }
                Err(failure) => {
                    fail_backup(db, id, failure, self.now())?;
                    self.ping_ended(db, id)?;
                }
            }
        }
        Ok(None)
    }

    fn claim_backup(&self, db: Records<'_>, task: Task) -> Result<Option<BackupRecord>> {
        let now = self.now();
        let claimed = db.claim_backup(task, now)?;
        if let Some(record) = &claimed {
            db.begin_run(RunOf::backup(run_kind(task), record.backup.id), now)?;
        }
        Ok(claimed)
    }

    fn backup_job(
        &self,
        db: Records<'_>,
        record: BackupRecord,
    ) -> Result<Result<BackupJob, Failure>> {
        let BackupRecord { mut backup, parent_required, .. } = record;
        let instance = match backup.instance {
            Some(id) => db.instance(id)?,
            None => None,
        };
        let instance = instance
            .filter(|it| it.removal.is_none() && it.instance.status == InstanceStatus::Backup);
        let Some(instance) = instance.map(|it| it.instance) else {
            let text = "its instance is no longer in the configuration; put it back there and make a new backup";
            return Ok(Err(Failure::new(FailureCode::SourceMissing, text)));
        };
        let chain = match backup.parent {
            None => Vec::new(),
            Some(parent) => match lineage::chain(db, &backup.project, parent)? {
                Ok(chain) => chain,
                Err(broken) if parent_required => return Ok(Err(broken.failure())),
                Err(_broken) => {
                    let updated = self.now();
                    db.set_full(backup.id, updated)?;
                    backup = Backup { kind: Kind::Full, parent: None, updated, ..backup };
                    Vec::new()
                }
            },
        };
        let earlier = db.count_completed_of(instance.id)?;
        let may_become_full = !parent_required;
        Ok(Ok(BackupJob { backup, instance, chain, may_become_full, earlier }))
    }
}

/// What the instance is restored from, root first, or why that is not possible. Damage that was reported is
/// not: the restore compares every byte.
fn chain_to_restore(db: Records<'_>, instance: &Instance) -> Result<Result<Vec<Backup>, Failure>> {
    let InstanceOrigin::Restored(id) = instance.origin else {
        let text = "it is not known which backup it is restored from; delete it and restore again";
        return Ok(Err(Failure::new(FailureCode::Internal, text)));
    };
    let Some(record) = db.backup(id)? else {
        let text = format!("backup {id} is no longer in the catalog; restore from another one");
        return Ok(Err(Failure::new(FailureCode::ChainBroken, text)));
    };
    Ok(lineage::chain_to_check(db, &record.backup.project, id)?.map_err(lineage::Break::failure))
}
