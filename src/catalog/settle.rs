//! Settling: the steps that workers report. A step that the life of a backup does not have changes
//! nothing and is an error, so that a worker that was thought dead cannot undo what followed.

use std::sync::Arc;

use super::{Catalog, CatalogError, Reply};
use crate::domain::{
    ArchiveFacts, BackupId, Datastore, Failure, InstanceId, Kind, Source, Status, Timestamp,
    VerifyLevel,
};
use crate::store::{BackupRecord, DamageIn, Finish, Lineage, Records, StoreError};

impl Catalog {
    /// How much of the source a running backup has read, 0 to 1. In memory only.
    pub fn progress(&self, id: BackupId, share: f64) {
        self.progress.set(id, share);
    }

    /// A claimed incremental turns out to have no sound chain below it: it goes on as a full one.
    pub fn becomes_full(&self, id: BackupId) -> Reply<()> {
        self.write(move |db, rules| {
            let done = db.set_full(id, rules.now())?;
            stepped(db, id, Status::Building, done)
        })
    }

    /// BUILDING → SAVING.
    pub fn saving(&self, id: BackupId) -> Reply<()> {
        self.write(move |db, rules| {
            let done = db.set_saving(id, rules.now())?;
            stepped(db, id, Status::Saving, done)
        })
    }

    /// SAVING → COMPLETED, with what only a published archive has. The row's time of change becomes the
    /// time of the proof, which the archive knows too. `version` is the database's, as the dump told it,
    /// and from then on the instance's too. The worker that calls this claims next, so nobody need be
    /// rung for where a drill follows.
    pub fn complete(&self, id: BackupId, facts: ArchiveFacts, version: &str) -> Reply<()> {
        let version = told(version);
        self.settle(id, move |db, now| {
            let allowed: Vec<_> = Status::before(Status::Completed).collect();
            let finish = Finish {
                to: Status::Completed,
                allowed: &allowed,
                lineage: None,
                facts: &facts,
                version: version.as_deref(),
            };
            let done = db.finish(id, &finish)?;
            stepped(db, id, Status::Completed, done)?;
            reached(db, id, now)
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
        self.settle(id, move |db, _now| {
            if (kind == Kind::Full) != parent.is_none() {
                let why =
                    format!("Backup {id}: a full backup has no parent, an incremental has one.");
                return Err(CatalogError::Invalid { why });
            }
            let allowed: Vec<_> = Status::before(Status::Restored).collect();
            let finish = Finish {
                to: Status::Restored,
                allowed: &allowed,
                lineage: Some(Lineage { kind, parent }),
                facts: &facts,
                version: None,
            };
            let done = db.finish(id, &finish)?;
            stepped(db, id, Status::Restored, done)
        })
    }

    /// Any running status → FAILED.
    pub fn fail(&self, id: BackupId, failure: Failure) -> Reply<()> {
        self.settle(id, move |db, now| {
            let done = db.set_failed(id, &failure, now)?;
            stepped(db, id, Status::Failed, done)
        })
    }

    /// Damage was found in the bytes of a finished backup's archive: it stays, but nothing is built on it.
    pub fn report_damage(&self, id: BackupId, failure: Failure) -> Reply<()> {
        self.write(move |db, rules| {
            archived(db, id)?;
            db.set_damaged(id, (&failure, DamageIn::Archive), rules.now())?;
            Ok(())
        })
    }

    /// It was proven again; takes back reported damage of the bytes. The level is the strongest there has been.
    pub fn report_verified(&self, id: BackupId, at: Timestamp, level: VerifyLevel) -> Reply<()> {
        self.write(move |db, _rules| {
            let facts = archived(db, id)?;
            db.set_verified(id, at, level.max(facts.verify_level))?;
            Ok(())
        })
    }

    /// The restore of an instance is done and placed: `source` is what reads it from now on.
    pub fn restored(&self, id: InstanceId, source: Source, used_bytes: u64) -> Reply<()> {
        self.write(move |db, rules| {
            let done = db.set_placed(id, &source, used_bytes, rules.now())?;
            being_restored(db, id, done)
        })
    }

    /// The restore of an instance failed; nothing of it is left.
    pub fn restore_failed(&self, id: InstanceId, failure: Failure) -> Reply<()> {
        self.write(move |db, rules| {
            let done = db.set_restore_failed(id, &failure, rules.now())?;
            being_restored(db, id, done)
        })
    }

    /// The archives of these are gone: so are their rows. One without a row is fine.
    pub fn removed(&self, ids: Vec<BackupId>) -> Reply<()> {
        self.write(move |db, _rules| {
            for id in ids {
                if !db.delete_marked(id)? && db.backup(id)?.is_some() {
                    let why = format!("Backup {id} is not marked for removal: its row stays.");
                    return Err(CatalogError::NotNow { why });
                }
            }
            Ok(())
        })
    }

    /// The archive of this one could not be removed: `DELETE_FAILED`, tried again at the next delete or start.
    /// What it is built on, claimed with it, waits for that too: children go before their parents.
    pub fn removal_failed(&self, id: BackupId, failure: Failure) -> Reply<()> {
        self.write(move |db, rules| {
            let done = db.set_removal_failed(id, &failure, rules.now())?;
            stepped(db, id, Status::DeleteFailed, done)?;
            db.release_ancestors(id)?;
            Ok(())
        })
    }

    /// A restored instance's data is gone: so is its row.
    pub fn instance_removed(&self, id: InstanceId) -> Reply<()> {
        self.write(move |db, _rules| {
            if !db.delete_marked_instance(id)? && db.instance(id)?.is_some() {
                let why = format!("Instance {id} is not marked for removal: its row stays.");
                return Err(CatalogError::NotNow { why });
            }
            Ok(())
        })
    }

    /// A step after which the backup no longer runs.
    pub(super) fn settle(
        &self,
        id: BackupId,
        step: impl FnOnce(Records<'_>, Timestamp) -> Result<(), CatalogError> + Send + 'static,
    ) -> Reply<()> {
        let progress = Arc::clone(&self.progress);
        self.write_then(move |db, rules| step(db, rules.now()), move |()| progress.forget(id))
    }
}

/// A version, if it is one.
pub(super) fn told(version: &str) -> Option<String> {
    Datastore::is_told(version).then(|| version.to_owned())
}

/// What a finished backup was read with is what its instance runs.
pub(super) fn reached(db: Records<'_>, id: BackupId, now: Timestamp) -> Result<(), CatalogError> {
    if let Some(BackupRecord { backup, .. }) = db.backup(id)?
        && let Some(instance) = backup.instance
        && Datastore::is_told(&backup.datastore.version)
    {
        db.set_version(instance, &backup.datastore, now)?;
    }
    Ok(())
}

/// The step was made, or this is why not.
pub(super) fn stepped(
    db: Records<'_>,
    id: BackupId,
    to: Status,
    done: bool,
) -> Result<(), CatalogError> {
    if done {
        return Ok(());
    }
    let record = db.backup(id)?.ok_or(CatalogError::NoSuchBackup { id })?;
    Err(StoreError::IllegalTransition { id, from: record.backup.status, to }.into())
}

/// What is known of the backup's archive; a backup without one is refused.
pub(super) fn archived(db: Records<'_>, id: BackupId) -> Result<ArchiveFacts, CatalogError> {
    let BackupRecord { backup, .. } = db.backup(id)?.ok_or(CatalogError::NoSuchBackup { id })?;
    backup.facts.ok_or_else(|| {
        let why = format!("Backup {id} is {} and has no archive.", backup.status);
        CatalogError::NotNow { why }
    })
}

fn being_restored(db: Records<'_>, id: InstanceId, done: bool) -> Result<(), CatalogError> {
    if done {
        return Ok(());
    }
    let record = db.instance(id)?.ok_or(CatalogError::NoSuchInstance { id })?;
    let status = record.instance.status.as_str();
    Err(CatalogError::InstanceBusy { id, status })
}
