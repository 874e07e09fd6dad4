//! The drills of backups, as backups are shown with them: the open one, and the last one that passed or failed.

use std::ops::RangeFrom;
use std::time::Duration;

use rusqlite::Row;

use crate::domain::{
    Backup, BackupId, Drill, DrillOutcome, FailureCode, NextDrill, RunNumbers, Timestamp,
};
use crate::store::sql::{columns, query_one, statements};
use crate::store::types::{Json, failure, verdict};
use crate::store::{Records, Result};

columns! {
    DrillColumns, drill_columns {
        asked: Option<Timestamp> = "open_drill.asked",
        begun: Option<Timestamp> = "open_drill.begun",
        ended: Option<Timestamp> = "last_drill.ended",
        result: Option<String> = "last_drill.result",
        failure_code: Option<FailureCode> = "last_drill.failure_code",
        failure_message: Option<String> = "last_drill.failure_message",
        numbers: Option<Json<RunNumbers>> =
            "json_remove(last_drill.numbers, '$.rows_by_table')",
    }
}

/// Adds to the rows of backups those that these columns come from.
macro_rules! with_drills {
    () => {
        " LEFT JOIN runs AS open_drill INDEXED BY runs_drills ON open_drill.backup = backups.id
              AND open_drill.kind = 'drill' AND open_drill.ended IS NULL
          LEFT JOIN runs AS last_drill INDEXED BY runs_drills ON last_drill.backup = backups.id
              AND last_drill.kind = 'drill' AND last_drill.result IN ('done', 'failed', 'damaged')
              AND NOT EXISTS (
                  SELECT 1 FROM runs AS later INDEXED BY runs_drills
                  WHERE later.backup = last_drill.backup AND later.kind = 'drill'
                      AND later.result IN ('done', 'failed', 'damaged')
                      AND (later.ended, later.id) > (last_drill.ended, last_drill.id)) "
    };
}
pub(super) use {drill_columns, with_drills};

statements! {
    ANY = "SELECT EXISTS (SELECT 1 FROM runs INDEXED BY runs_drills
         WHERE kind = 'drill' AND backup > '')";

    OF_BACKUP = concat!(
        "SELECT ", drill_columns!(), " FROM backups", with_drills!(), "WHERE backups.id = ?1"
    );
}

impl From<DrillColumns> for Drill {
    fn from(it: DrillColumns) -> Self {
        let next = it
            .asked
            .map(|_at| if it.begun.is_some() { NextDrill::Running } else { NextDrill::Waiting });
        let numbers = it.numbers.map(|numbers| numbers.0).unwrap_or_default();
        let result = it.result.unwrap_or_default();
        let failure = failure(it.failure_code, it.failure_message);
        let last = it.ended.map(|at| DrillOutcome {
            at,
            took: Duration::from_millis(numbers.took_ms.unwrap_or(0)),
            verdict: verdict(&result, failure, || numbers.drill.unwrap_or_default()),
        });
        Self { next, last }
    }
}

/// The drill in these columns of a backup's row.
pub(super) fn read_from(row: &Row<'_>, columns: &mut RangeFrom<usize>) -> rusqlite::Result<Drill> {
    DrillColumns::read_from(row, columns).map(Drill::from)
}

impl Records<'_> {
    /// Adds their drills to the backups of a page. Most catalogs have none, so they are not looked for row by row.
    pub(super) fn read_drills(self, backups: &mut [Backup]) -> Result<()> {
        if query_one(self.0, ANY, [], |row| row.get(0))? {
            for backup in backups {
                backup.drill = self.drill_of(backup.id)?;
            }
        }
        Ok(())
    }

    fn drill_of(self, id: BackupId) -> Result<Drill> {
        query_one(self.0, OF_BACKUP, [id], |row| DrillColumns::read(row).map(Drill::from))
    }
}
