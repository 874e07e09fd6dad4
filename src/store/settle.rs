//! The steps of a backup's life. Each one names the statuses it may start from, so that a row that is
//! elsewhere stays where it is, whatever the program thinks.

use rusqlite::{ToSql, named_params};

use super::columns::{Bytes, DamageIn};
use super::{Records, StoreError, sql};
use crate::domain::{ArchiveFacts, BackupId, Failure, Kind, Status, Timestamp, VerifyLevel};

/// `:from` is a text of statuses, each between bars; see [`from`].
const SAVING: &str = "UPDATE backups SET status = 'SAVING', updated = :at
     WHERE id = :id AND instr(:from, '|' || status || '|')";

const FINISH: &str = "UPDATE backups SET status = :to, kind = coalesce(:kind, kind),
         parent = CASE WHEN :kind IS NULL THEN parent ELSE :parent END,
         location = :location, size = :size, source_bytes = :source_bytes, checksum = :checksum,
         verified_at = :verified_at, verify_level = :verify_level, updated = :verified_at,
         version = coalesce(:version, version),
         drill = CASE WHEN :to = 'COMPLETED' AND EXISTS (
             SELECT 1 FROM instances
             WHERE instances.id = backups.instance AND instances.verify = 'restore')
             THEN 'asked' ELSE drill END,
         failure_code = NULL, failure_message = NULL, damage_code = NULL, damage_message = NULL,
         damage_in = NULL
     WHERE id = :id AND removal IS NULL AND instr(:from, '|' || status || '|')";

const FAIL: &str = "UPDATE backups SET status = 'FAILED', location = NULL, failure_code = :code,
         failure_message = :message, updated = :at
     WHERE id = :id AND instr(:from, '|' || status || '|')";

const BECOME_FULL: &str =
    "UPDATE backups SET kind = 'full', parent = NULL, parent_required = 0, updated = :at
     WHERE id = :id AND status = 'BUILDING'";

const DAMAGE: &str =
    "UPDATE backups SET damage_code = :code, damage_message = :message, damage_in = :in,
         updated = :at
     WHERE id = :id AND checksum IS NOT NULL";

/// What a drill found wrong with the data, no look at the archive takes back.
const VERIFIED: &str = "UPDATE backups SET verified_at = :at, verify_level = :level, updated = :at,
         damage_code = CASE WHEN damage_in = 'data' THEN damage_code END,
         damage_message = CASE WHEN damage_in = 'data' THEN damage_message END,
         damage_in = CASE WHEN damage_in = 'data' THEN 'data' END
     WHERE id = :id AND checksum IS NOT NULL";

const REMOVAL_FAILED: &str = "UPDATE backups SET status = 'DELETE_FAILED', removal = 'failed',
         failure_code = :code, failure_message = :message, updated = :at
     WHERE id = :id AND removal IS NOT NULL AND instr(:from, '|' || status || '|')";

const REMOVED: &str = "DELETE FROM backups WHERE id = ?1 AND removal IS NOT NULL";

/// Every statement of this file.
#[cfg(test)]
pub(super) const STATEMENTS: &[&str] =
    &[SAVING, FINISH, FAIL, BECOME_FULL, DAMAGE, VERIFIED, REMOVAL_FAILED, REMOVED];

/// What an archive turned out to be, for a row that did not know.
#[derive(Debug, Clone, Copy)]
pub struct Lineage {
    /// Full or incremental.
    pub kind: Kind,
    /// What it is built on.
    pub parent: Option<BackupId>,
}

/// How a backup ends well.
#[derive(Debug, Clone, Copy)]
pub struct Finish<'a> {
    /// COMPLETED or RESTORED.
    pub to: Status,
    /// Where it may stand now.
    pub allowed: &'a [Status],
    /// What the archive turned out to be, if the row did not know.
    pub lineage: Option<Lineage>,
    /// What a row that ended well has to have.
    pub facts: &'a ArchiveFacts,
    /// The version of the database that was read, if it was told.
    pub version: Option<&'a str>,
}

/// Statuses as one text that `instr` finds a status in.
fn from(statuses: impl IntoIterator<Item = Status>) -> String {
    statuses.into_iter().fold("|".to_owned(), |text, status| text + status.as_str() + "|")
}

impl Records<'_> {
    /// BUILDING → SAVING. False: no row was where it had to be; so with all of these.
    pub fn set_saving(self, id: BackupId, at: Timestamp) -> Result<bool, StoreError> {
        let from = from(Status::before(Status::Saving));
        self.step(SAVING, named_params! { ":id": id, ":at": at, ":from": from })
    }

    /// To COMPLETED or RESTORED, with the archive's facts. Asks for a drill where the instance has one made of
    /// every backup.
    pub fn finish(self, id: BackupId, finish: &Finish<'_>) -> Result<bool, StoreError> {
        let Finish { to, allowed, lineage, facts, version } = *finish;
        self.step(
            FINISH,
            named_params! {
                ":id": id, ":to": to, ":from": from(allowed.iter().copied()),
                ":kind": lineage.map(|it| it.kind), ":parent": lineage.and_then(|it| it.parent),
                ":location": facts.location, ":size": Bytes(facts.stored_bytes),
                ":source_bytes": Bytes(facts.source_bytes), ":checksum": facts.checksum,
                ":verified_at": facts.verified_at, ":verify_level": facts.verify_level,
                ":version": version,
            },
        )
    }

    /// NEW, BUILDING or SAVING → FAILED. A registration lets go of the archive it named.
    pub fn set_failed(
        self,
        id: BackupId,
        failure: &Failure,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let from = from(Status::before(Status::Failed));
        self.step(
            FAIL,
            named_params! {
                ":id": id, ":code": failure.code, ":message": failure.message, ":at": at,
                ":from": from
            },
        )
    }

    /// A claimed incremental becomes a full one.
    pub fn set_full(self, id: BackupId, at: Timestamp) -> Result<bool, StoreError> {
        self.step(BECOME_FULL, named_params! { ":id": id, ":at": at })
    }

    /// Writes down what is damaged.
    pub fn set_damaged(
        self,
        id: BackupId,
        (damage, place): (&Failure, DamageIn),
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        self.step(
            DAMAGE,
            named_params! {
                ":id": id, ":code": damage.code, ":message": damage.message, ":in": place,
                ":at": at
            },
        )
    }

    /// Writes down that the archive was proven, and takes back damage of its bytes.
    pub fn set_verified(
        self,
        id: BackupId,
        at: Timestamp,
        level: VerifyLevel,
    ) -> Result<bool, StoreError> {
        self.step(VERIFIED, named_params! { ":id": id, ":at": at, ":level": level })
    }

    /// A marked row → `DELETE_FAILED`; one that is there already stays, with the new reason.
    pub fn set_removal_failed(
        self,
        id: BackupId,
        failure: &Failure,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let from = from(Status::before(Status::DeleteFailed).chain([Status::DeleteFailed]));
        self.step(
            REMOVAL_FAILED,
            named_params! {
                ":id": id, ":code": failure.code, ":message": failure.message, ":at": at,
                ":from": from
            },
        )
    }

    /// Deletes a marked row.
    pub fn delete_marked(self, id: BackupId) -> Result<bool, StoreError> {
        Ok(sql::change(self.0, REMOVED, [id])? > 0)
    }

    fn step(self, statement: &str, params: &[(&str, &dyn ToSql)]) -> Result<bool, StoreError> {
        Ok(sql::change(self.0, statement, params)? > 0)
    }
}
