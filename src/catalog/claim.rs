//! Handing out work. The tables are the queue: what is claimed here is claimed for good, until it is
//! settled or, after a crash, opened again by recovery.

use super::lineage;
use super::rules::Rules;
use super::{
    BackupJob, Catalog, CatalogError, InstanceRemovalJob, Job, RegistrationJob, RemovalJob,
    RestoreJob,
};
use crate::domain::{Backup, Failure, FailureCode, Instance, InstanceOrigin, InstanceStatus, Kind};
use crate::store::{BackupRecord, Records, Task};

impl Catalog {
    /// The oldest thing to do: removals first, then registrations, restores, backups, drills. What it hands out is
    /// claimed: nobody else gets it. Blocks for a commit.
    pub fn claim(&self) -> Result<Option<Job>, CatalogError> {
        self.write(|db, rules| rules.next_job(db)).wait()
    }
}

impl Rules {
    fn next_job(&self, db: Records<'_>) -> Result<Option<Job>, CatalogError> {
        let doomed = db.claim_removal()?;
        if !doomed.is_empty() {
            let backups = doomed.into_iter().map(|it| it.backup).collect();
            return Ok(Some(Job::Remove(RemovalJob { backups })));
        }
        if let Some(record) = db.claim_instance_removal()? {
            let Instance { id, project, .. } = record.instance;
            return Ok(Some(Job::RemoveInstance(InstanceRemovalJob { id, project })));
        }
        while let Some(record) = db.claim_backup(Task::Registration, self.now())? {
            let BackupRecord { backup, location: Some(location), .. } = record else {
                let text = "its row names no archive; register it again";
                let failure = Failure::new(FailureCode::Internal, text);
                db.set_failed(record.backup.id, &failure, self.now())?;
                continue;
            };
            return Ok(Some(Job::Register(Box::new(RegistrationJob { backup, location }))));
        }
        match self.next_restore(db)? {
            Some(job) => Ok(Some(job)),
            None => match self.next_backup(db)? {
                Some(job) => Ok(Some(job)),
                None => self.next_drill(db),
            },
        }
    }

    /// The oldest restore whose chain still holds; those whose chain broke meanwhile fail here.
    fn next_restore(&self, db: Records<'_>) -> Result<Option<Job>, CatalogError> {
        while let Some(record) = db.claim_restore()? {
            let instance = record.instance;
            match chain_to_restore(db, &instance)? {
                Ok(chain) => {
                    return Ok(Some(Job::Restore(Box::new(RestoreJob { instance, chain }))));
                }
                Err(failure) => {
                    db.set_restore_failed(instance.id, &failure, self.now())?;
                }
            }
        }
        Ok(None)
    }

    /// The oldest backup that can be made; those that no longer can fail here.
    fn next_backup(&self, db: Records<'_>) -> Result<Option<Job>, CatalogError> {
        while let Some(record) = db.claim_backup(Task::Backup, self.now())? {
            let id = record.backup.id;
            match self.backup_job(db, record)? {
                Ok(job) => return Ok(Some(Job::Backup(Box::new(job)))),
                Err(failure) => {
                    db.set_failed(id, &failure, self.now())?;
                }
            }
        }
        Ok(None)
    }

    fn backup_job(
        &self,
        db: Records<'_>,
        record: BackupRecord,
    ) -> Result<Result<BackupJob, Failure>, CatalogError> {
        let BackupRecord { mut backup, parent_required, .. } = record;
        let instance = match backup.instance {
            Some(id) => db.instance(id)?,
            None => None,
        };
        let there = instance
            .filter(|it| it.removal.is_none())
            .map(|it| it.instance)
            .filter(|it| it.status == InstanceStatus::Backup);
        let Some(instance) = there else {
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
        let earlier = db.completed_of(instance.id)?;
        let may_become_full = !parent_required;
        Ok(Ok(BackupJob { backup, instance, chain, may_become_full, earlier }))
    }
}

/// What the instance is restored from, root first, or why that is not possible.
fn chain_to_restore(
    db: Records<'_>,
    instance: &Instance,
) -> Result<Result<Vec<Backup>, Failure>, CatalogError> {
    let InstanceOrigin::Restored(id) = instance.origin else {
        let text = "it is not known which backup it is restored from; delete it and restore again";
        return Ok(Err(Failure::new(FailureCode::Internal, text)));
    };
    let Some(record) = db.backup(id)? else {
        let text = format!("backup {id} is no longer in the catalog; restore from another one");
        return Ok(Err(Failure::new(FailureCode::ChainBroken, text)));
    };
    Ok(lineage::chain(db, &record.backup.project, id)?.map_err(lineage::Break::failure))
}
