//! Drills: the queue of those to make, and how the last one of each backup ended.

use std::time::Duration;

use rusqlite::named_params;

use super::backups::{self, BackupRecord, columns};
use super::columns::{Bytes, unfit};
use super::{Records, StoreError, sql};
use crate::domain::{BackupId, DrillFacts, Failure, RowsByTable, Timestamp, VerifyLevel};

const ASK: &str = "UPDATE backups SET drill = 'asked', updated = :at
     WHERE id = :id AND drill IS NULL AND removal IS NULL
         AND status IN ('COMPLETED', 'RESTORED')";

const CLAIM: &str = concat!(
    "UPDATE backups SET drill = 'claimed'
     WHERE id = (SELECT id FROM backups WHERE drill = 'asked' ORDER BY created, id LIMIT 1)
     RETURNING ",
    columns!()
);

const REOPEN_ALL: &str = "UPDATE backups SET drill = 'asked' WHERE drill = 'claimed'";

const REOPEN: &str = "UPDATE backups SET drill = 'asked' WHERE id = ?1 AND drill = 'claimed'";

const CLOSE: &str = "UPDATE backups SET drill = NULL WHERE id = ?1 AND drill = 'claimed'";

/// What an earlier drill found wrong with the data is taken back; what was found wrong with the archive's
/// bytes stays.
const PASSED: &str = "UPDATE backups SET verified_at = :at, verify_level = :level, updated = :at,
         damage_code = CASE WHEN damage_in = 'data' THEN NULL ELSE damage_code END,
         damage_message = CASE WHEN damage_in = 'data' THEN NULL ELSE damage_message END,
         damage_in = CASE WHEN damage_in = 'data' THEN NULL ELSE damage_in END,
         drill_at = :at, drill_ms = :ms, drill_version = :version, drill_check = :check,
         drill_tables = :tables, drill_rows = :rows, drill_rows_by_table = :rows_by_table,
         drill_failure_code = NULL, drill_failure_message = NULL
     WHERE id = :id AND checksum IS NOT NULL";

const FAILED: &str = "UPDATE backups SET updated = :at, drill_at = :at, drill_ms = :ms,
         drill_version = NULL, drill_check = NULL, drill_tables = NULL, drill_rows = NULL,
         drill_rows_by_table = NULL, drill_failure_code = :code, drill_failure_message = :message
     WHERE id = :id AND checksum IS NOT NULL";

const ROWS_BY_TABLE: &str = "SELECT drill_rows_by_table FROM backups WHERE id = ?1";

/// Every statement of this file.
#[cfg(test)]
pub(super) const STATEMENTS: &[&str] =
    &[ASK, CLAIM, REOPEN_ALL, REOPEN, CLOSE, PASSED, FAILED, ROWS_BY_TABLE];

fn millis(took: Duration) -> Bytes {
    Bytes(u64::try_from(took.as_millis()).unwrap_or(u64::MAX))
}

impl Records<'_> {
    /// Puts a finished backup into the queue. False: it waits or runs already, or is not finished.
    pub fn ask_drill(self, id: BackupId, at: Timestamp) -> Result<bool, StoreError> {
        Ok(sql::change(self.0, ASK, named_params! { ":id": id, ":at": at })? > 0)
    }

    /// Takes the oldest backup that waits for its drill.
    pub fn claim_drill(self) -> Result<Option<BackupRecord>, StoreError> {
        let mut claimed = sql::all(self.0, CLAIM, [], backups::read)?;
        Ok(claimed.pop())
    }

    /// Puts drills that a worker had back into the queue; says how many.
    pub fn reopen_drills(self) -> Result<usize, StoreError> {
        sql::change(self.0, REOPEN_ALL, [])
    }

    /// Puts a claimed drill back into the queue. False: it was not claimed.
    pub fn reopen_drill(self, id: BackupId) -> Result<bool, StoreError> {
        Ok(sql::change(self.0, REOPEN, [id])? > 0)
    }

    /// A claimed drill has ended. False: it was not claimed.
    pub fn close_drill(self, id: BackupId) -> Result<bool, StoreError> {
        Ok(sql::change(self.0, CLOSE, [id])? > 0)
    }

    /// Writes down a drill that passed: the strongest proof there is.
    pub fn set_drill_passed(
        self,
        id: BackupId,
        (at, took): (Timestamp, Duration),
        facts: &DrillFacts,
        rows: &RowsByTable,
    ) -> Result<bool, StoreError> {
        let rows_by_table = serde_json::to_string(rows).map_err(|error| {
            StoreError::from(rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
        })?;
        let params = named_params! {
            ":id": id, ":at": at, ":ms": millis(took), ":level": VerifyLevel::Restored,
            ":version": facts.version, ":check": facts.check, ":tables": Bytes(facts.tables),
            ":rows": Bytes(facts.rows), ":rows_by_table": rows_by_table
        };
        Ok(sql::change(self.0, PASSED, params)? > 0)
    }

    /// Writes down a drill that found the data bad or could not be made.
    pub fn set_drill_failed(
        self,
        id: BackupId,
        (at, took): (Timestamp, Duration),
        failure: &Failure,
    ) -> Result<bool, StoreError> {
        let params = named_params! {
            ":id": id, ":at": at, ":ms": millis(took), ":code": failure.code,
            ":message": failure.message
        };
        Ok(sql::change(self.0, FAILED, params)? > 0)
    }

    /// The rows that the last drill counted in each table; none if it did not pass.
    pub fn drill_rows(self, id: BackupId) -> Result<RowsByTable, StoreError> {
        let text: Option<String> =
            sql::first(self.0, ROWS_BY_TABLE, [id], |row| row.get(0))?.flatten();
        let Some(text) = text else { return Ok(RowsByTable::new()) };
        serde_json::from_str(&text).map_err(|error| unfit(0, error).into())
    }
}
