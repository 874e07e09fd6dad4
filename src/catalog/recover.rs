//! After a crash: what was running, and what becomes claimable again.

use super::settle::{reached, stepped, told};
use super::{Catalog, CatalogError, Reply};
use crate::domain::{ArchiveFacts, Backup, BackupId, Instance, Status};
use crate::store::{Finish, Task};

impl Catalog {
    /// Backups that were running when the process ended, oldest first. Those that were only waiting are
    /// not among them: they still wait.
    pub fn interrupted(&self) -> Result<Vec<Backup>, CatalogError> {
        let found = self.store.read(|db| Ok::<_, CatalogError>(db.interrupted()?))?;
        Ok(found.into_iter().map(|it| it.backup).collect())
    }

    /// Instances whose restore was running when the process ended: claimed ones become claimable again.
    pub fn reopen_restores(&self) -> Reply<Vec<Instance>> {
        self.write_and_ring(|db, _rules| {
            Ok(db.reopen_restores()?.into_iter().map(|it| it.instance).collect())
        })
    }

    /// Drills that were running when the process ended become claimable again; says how many.
    pub fn reopen_drills(&self) -> Reply<usize> {
        self.write_and_ring(|db, _rules| Ok(db.reopen_drills()?))
    }

    /// `DELETE_FAILED` rows and claimed removals become claimable again.
    pub fn reopen_removals(&self) -> Reply<()> {
        self.write_and_ring(|db, _rules| Ok(db.reopen_removals().map(drop)?))
    }

    /// A published archive whose row says it was interrupted: any status but deleted → COMPLETED
    /// (RESTORED for a registration).
    pub fn adopt(&self, id: BackupId, facts: ArchiveFacts, version: &str) -> Reply<()> {
        let version = told(version);
        self.settle(id, move |db, now| {
            let record = db.backup(id)?.ok_or(CatalogError::NoSuchBackup { id })?;
            let to = match record.task {
                Task::Backup if record.backup.status != Status::Restored => Status::Completed,
                _ => Status::Restored,
            };
            let allowed: Vec<_> =
                Status::ALL.into_iter().filter(|it| *it != Status::DeleteFailed).collect();
            let done = db.finish(
                id,
                &Finish {
                    to,
                    allowed: &allowed,
                    lineage: None,
                    facts: &facts,
                    version: version.as_deref(),
                },
            )?;
            stepped(db, id, to, done)?;
            reached(db, id, now)
        })
    }
}
