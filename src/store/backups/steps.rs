//! The steps of a backup's life. Each names the statuses it may start from: a row in any other is left
//! as it is, and the step returns false.

use rusqlite::named_params;

use super::BackupRecord;
use crate::domain::{BackupId, Damage, DamageIn, Failure, Status, Timestamp, VerifyLevel};
use crate::store::sql::{execute, query_first, statements};
use crate::store::{Records, Result, Task};

statements! {
    CLAIM = "UPDATE backups SET status = 'BUILDING', updated = ?2
         WHERE id = (SELECT id FROM backups WHERE task = ?1 AND status = 'NEW'
                     ORDER BY created, id LIMIT 1) AND status = 'NEW'
         RETURNING id";

    /// `:from` is a text of statuses, each between bars; see [`one_of`].
    SAVING = "UPDATE backups SET status = 'SAVING', updated = :at
         WHERE id = :id AND instr(:from, '|' || status || '|')";

    FAIL = "UPDATE backups SET status = 'FAILED', location = NULL, failure_code = :code,
             failure_message = :message, updated = :at
         WHERE id = :id AND instr(:from, '|' || status || '|')";

    BECOME_FULL =
        "UPDATE backups SET kind = 'full', parent = NULL, parent_required = 0, updated = :at
         WHERE id = :id AND status = 'BUILDING'";

    /// That the archive is missing says nothing of the damage that was found in it.
    DAMAGE = "UPDATE backups SET damage_code = :code, damage_message = :message,
             damage_in = :in, updated = :at
         WHERE id = :id AND checksum IS NOT NULL
             AND (damage_code IS NULL OR :code <> 'archive_missing')";

    /// Damage from before its place was recorded is damage of the archive.
    VERIFIED = "UPDATE backups SET verified_at = :at, verify_level = :level, updated = :at,
             damage_code = iif(coalesce(damage_in, 'archive') = :proven, NULL, damage_code),
             damage_message = iif(coalesce(damage_in, 'archive') = :proven, NULL, damage_message),
             damage_in = iif(damage_in = :proven, NULL, damage_in)
         WHERE id = :id AND checksum IS NOT NULL";

    CLEAR_MISSING = "UPDATE backups SET damage_code = NULL, damage_message = NULL,
             damage_in = NULL, updated = ?2
         WHERE id = ?1 AND damage_code = 'archive_missing'";

    TOUCH = "UPDATE backups SET updated = ?2 WHERE id = ?1";
}

/// Statuses as one text that `instr` finds a status in.
pub(super) fn one_of(statuses: impl IntoIterator<Item = Status>) -> String {
    statuses.into_iter().fold("|".to_owned(), |text, status| text + status.as_str() + "|")
}

impl Records<'_> {
    /// Claims the oldest row that waits for this, NEW → BUILDING.
    pub fn claim_backup(self, task: Task, at: Timestamp) -> Result<Option<BackupRecord>> {
        let claimed = query_first(self.0, CLAIM, rusqlite::params![task, at], |row| row.get(0))?;
        claimed.map_or(Ok(None), |id| self.backup(id))
    }

    /// BUILDING → SAVING.
    pub fn set_saving(self, id: BackupId, at: Timestamp) -> Result<bool> {
        let from = one_of(Status::before(Status::Saving));
        let params = named_params! { ":id": id, ":at": at, ":from": from };
        Ok(execute(self.0, SAVING, params)? > 0)
    }

    /// NEW, BUILDING or SAVING → FAILED. A registration gives up the archive it named.
    pub fn set_failed(self, id: BackupId, failure: &Failure, at: Timestamp) -> Result<bool> {
        let params = named_params! {
            ":id": id, ":code": failure.code, ":message": failure.message, ":at": at,
            ":from": one_of(Status::before(Status::Failed))
        };
        Ok(execute(self.0, FAIL, params)? > 0)
    }

    /// A claimed incremental becomes a full one.
    pub fn set_full(self, id: BackupId, at: Timestamp) -> Result<bool> {
        Ok(execute(self.0, BECOME_FULL, named_params! { ":id": id, ":at": at })? > 0)
    }

    pub fn set_damaged(self, damage: &Damage, at: Timestamp) -> Result<bool> {
        let Damage { id, place, failure } = damage;
        let params = named_params! {
            ":id": id, ":code": failure.code, ":message": failure.message, ":in": place, ":at": at
        };
        Ok(execute(self.0, DAMAGE, params)? > 0)
    }

    /// Records a proof, and clears the damage that was found in the same place.
    pub fn set_verified(
        self,
        id: BackupId,
        at: Timestamp,
        level: VerifyLevel,
        proven: DamageIn,
    ) -> Result<bool> {
        let params = named_params! { ":id": id, ":at": at, ":level": level, ":proven": proven };
        Ok(execute(self.0, VERIFIED, params)? > 0)
    }

    /// An archive that was reported as missing is there again.
    pub fn clear_missing(self, id: BackupId, at: Timestamp) -> Result<()> {
        execute(self.0, CLEAR_MISSING, rusqlite::params![id, at]).map(drop)
    }

    /// The row changed in a way that no column of its own shows.
    pub fn touch_backup(self, id: BackupId, at: Timestamp) -> Result<()> {
        execute(self.0, TOUCH, rusqlite::params![id, at]).map(drop)
    }
}
