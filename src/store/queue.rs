//! Claims: one statement finds the oldest row that waits and takes it, so that nobody else does.

use super::backups::{self, BackupRecord, columns};
use super::instances::{self, InstanceRecord};
use super::{Records, StoreError, Task, sql};
use crate::domain::{InstanceId, Timestamp};

const CLAIM_BACKUP: &str = concat!(
    "UPDATE backups SET status = 'BUILDING', updated = ?2
     WHERE id = (SELECT id FROM backups WHERE task = ?1 AND status = 'NEW'
                 ORDER BY created, id LIMIT 1) AND status = 'NEW'
     RETURNING ",
    columns!()
);

const CLAIM_RESTORE: &str = "UPDATE instances SET restore = 'claimed'
     WHERE id = (SELECT id FROM instances WHERE restore = 'asked' ORDER BY created, id LIMIT 1)
     RETURNING id";

const CLAIM_INSTANCE_REMOVAL: &str = "UPDATE instances SET removal = 'claimed'
     WHERE id = (SELECT id FROM instances WHERE removal = 'asked' ORDER BY created, id LIMIT 1)
     RETURNING id";

const INTERRUPTED: &str =
    concat!("SELECT ", columns!(), " FROM backups WHERE status IN ('BUILDING', 'SAVING')");

const CLAIMED_RESTORES: &str = concat!(
    "SELECT ",
    instances::columns!(),
    " FROM instances WHERE restore = 'claimed' ORDER BY created, id"
);

const REOPEN_RESTORES: &str = "UPDATE instances SET restore = 'asked' WHERE restore = 'claimed'";

const REOPEN_REMOVALS: &str = "UPDATE backups SET removal = 'asked'
     WHERE removal = 'claimed' OR removal = 'failed'";

const REOPEN_INSTANCE_REMOVALS: &str =
    "UPDATE instances SET removal = 'asked' WHERE removal = 'claimed'";

/// Every statement of this file.
#[cfg(test)]
pub(super) const STATEMENTS: &[&str] = &[
    CLAIM_BACKUP,
    CLAIM_RESTORE,
    CLAIM_INSTANCE_REMOVAL,
    INTERRUPTED,
    CLAIMED_RESTORES,
    REOPEN_RESTORES,
    REOPEN_REMOVALS,
    REOPEN_INSTANCE_REMOVALS,
];

impl Records<'_> {
    /// Takes the oldest row that waits for this, NEW → BUILDING.
    pub fn claim_backup(
        self,
        task: Task,
        at: Timestamp,
    ) -> Result<Option<BackupRecord>, StoreError> {
        let mut claimed =
            sql::all(self.0, CLAIM_BACKUP, rusqlite::params![task, at], backups::read)?;
        Ok(claimed.pop())
    }

    /// Takes the oldest instance that waits for its restore.
    pub fn claim_restore(self) -> Result<Option<InstanceRecord>, StoreError> {
        self.claim_instance(CLAIM_RESTORE)
    }

    /// Takes the oldest instance that waits for its removal.
    pub fn claim_instance_removal(self) -> Result<Option<InstanceRecord>, StoreError> {
        self.claim_instance(CLAIM_INSTANCE_REMOVAL)
    }

    fn claim_instance(self, statement: &str) -> Result<Option<InstanceRecord>, StoreError> {
        let claimed: Vec<InstanceId> = sql::all(self.0, statement, [], |row| row.get(0))?;
        match claimed.first() {
            Some(id) => self.instance(*id),
            None => Ok(None),
        }
    }

    /// Backups that a worker had, oldest first.
    pub fn interrupted(self) -> Result<Vec<BackupRecord>, StoreError> {
        let mut found = sql::all(self.0, INTERRUPTED, [], backups::read)?;
        found.sort_by_key(|it| (it.backup.created, it.backup.id));
        Ok(found)
    }

    /// Puts restores that a worker had back into the queue; says which.
    pub fn reopen_restores(self) -> Result<Vec<InstanceRecord>, StoreError> {
        let found = sql::all(self.0, CLAIMED_RESTORES, [], instances::read)?;
        sql::change(self.0, REOPEN_RESTORES, [])?;
        Ok(found)
    }

    /// Puts removals that a worker had, or that failed, back into the queue; says how many.
    pub fn reopen_removals(self) -> Result<usize, StoreError> {
        let backups = sql::change(self.0, REOPEN_REMOVALS, [])?;
        let instances = sql::change(self.0, REOPEN_INSTANCE_REMOVALS, [])?;
        Ok(backups.saturating_add(instances))
    }
}
