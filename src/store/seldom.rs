//! What few backups have: a failure, damage that was found later, a drill. It comes as one column, a JSON
//! object or NULL: for SQLite to hand out thirteen columns that are empty takes longer than all the others.

use std::time::Duration;

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ValueRef};
use serde::Deserialize;

use crate::domain::{Drill, DrillFacts, DrillOutcome, DrillTurn, Failure, FailureCode, Timestamp};

/// The column that [`Seldom`] is read from.
macro_rules! seldom_column {
    () => {
        "CASE WHEN coalesce(failure_code, damage_code, drill, drill_at) IS NOT NULL THEN json_object( \
         'failure_code', failure_code, 'failure_message', failure_message, \
         'damage_code', damage_code, 'damage_message', damage_message, \
         'drill', drill, 'drill_at', drill_at, 'drill_ms', drill_ms, \
         'drill_version', drill_version, 'drill_check', drill_check, \
         'drill_tables', drill_tables, 'drill_rows', drill_rows, \
         'drill_failure_code', drill_failure_code, 'drill_failure_message', drill_failure_message) END"
    };
}
pub(super) use seldom_column;

/// The columns as they lie in the table.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Columns {
    failure_code: Option<FailureCode>,
    failure_message: Option<String>,
    damage_code: Option<FailureCode>,
    damage_message: Option<String>,
    drill: Option<DrillTurn>,
    drill_at: Option<i64>,
    drill_ms: Option<u64>,
    drill_version: Option<String>,
    drill_check: Option<String>,
    drill_tables: Option<u64>,
    drill_rows: Option<u64>,
    drill_failure_code: Option<FailureCode>,
    drill_failure_message: Option<String>,
}

/// What few backups have.
#[derive(Debug, Default)]
pub(super) struct Seldom {
    /// Why it failed.
    pub(super) failure: Option<Failure>,
    /// What was found wrong with its archive.
    pub(super) damage: Option<Failure>,
    /// Where it stands with drills.
    pub(super) drill: Drill,
}

impl From<Columns> for Seldom {
    fn from(it: Columns) -> Self {
        let found = match failure(it.drill_failure_code, it.drill_failure_message) {
            Some(failure) => Err(failure),
            None => Ok(DrillFacts {
                version: it.drill_version.unwrap_or_default(),
                check: it.drill_check.unwrap_or_default(),
                tables: it.drill_tables.unwrap_or(0),
                rows: it.drill_rows.unwrap_or(0),
            }),
        };
        let took = Duration::from_millis(it.drill_ms.unwrap_or(0));
        let last =
            it.drill_at.map(|at| DrillOutcome { at: Timestamp::from_micros(at), took, found });
        Self {
            failure: failure(it.failure_code, it.failure_message),
            damage: failure(it.damage_code, it.damage_message),
            drill: Drill { next: it.drill, last },
        }
    }
}

fn failure(code: Option<FailureCode>, message: Option<String>) -> Option<Failure> {
    code.map(|code| Failure { code, message: message.unwrap_or_default() })
}

impl FromSql for Seldom {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let Some(text) = value.as_str_or_null()? else { return Ok(Self::default()) };
        serde_json::from_str::<Columns>(text)
            .map(Self::from)
            .map_err(|error| FromSqlError::Other(Box::new(error)))
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;

    /// What is read from a table with these values in these columns, and NULL in all others.
    fn read(columns: &str, values: &str) -> rusqlite::Result<Seldom> {
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch(&format!(
            "CREATE TABLE t (failure_code, failure_message, damage_code, damage_message, drill,
             drill_at, drill_ms, drill_version, drill_check, drill_tables, drill_rows,
             drill_failure_code, drill_failure_message);
             INSERT INTO t ({columns}) VALUES ({values});"
        ))
        .unwrap();
        db.query_row(concat!("SELECT ", seldom_column!(), " FROM t"), [], |row| row.get(0))
    }

    #[test]
    fn a_failure_reads_back_with_every_letter_and_damage_beside_it() {
        let both = read(
            "failure_code, failure_message, damage_code",
            "'disk_full', 'no \"room\" \\ ☃', 'archive_damaged'",
        )
        .unwrap();
        assert_eq!(both.failure, Some(Failure::new(FailureCode::DiskFull, "no \"room\" \\ ☃")));
        assert_eq!(both.damage, Some(Failure::new(FailureCode::ArchiveDamaged, "")));
        assert_eq!(both.drill, Drill::default());
    }

    #[test]
    fn a_drill_that_waits_keeps_what_the_last_one_found() {
        let drill = read(
            "drill, drill_at, drill_ms, drill_version, drill_check, drill_tables, drill_rows",
            "'asked', 1000001, 2500, '3.50', 'integrity_check', 2, 9007199254740993",
        )
        .unwrap()
        .drill;
        let last = drill.last.unwrap();
        assert_eq!(
            (drill.next, last.at),
            (Some(DrillTurn::Asked), Timestamp::from_micros(1_000_001))
        );
        assert_eq!(last.took, Duration::from_millis(2500));
        let facts = last.found.unwrap();
        assert_eq!((facts.version.as_str(), facts.check.as_str()), ("3.50", "integrity_check"));
        assert_eq!((facts.tables, facts.rows), (2, 9_007_199_254_740_993));
    }

    #[test]
    fn nothing_is_read_where_nothing_is_and_a_word_nobody_wrote_is_an_error() {
        let nothing = read("drill_ms", "NULL").unwrap();
        assert_eq!((nothing.failure, nothing.damage), (None, None));
        assert_eq!(nothing.drill, Drill::default());
        for (word, turn) in [("asked", DrillTurn::Asked), ("claimed", DrillTurn::Claimed)] {
            assert_eq!(read("drill", &format!("'{word}'")).unwrap().drill.next, Some(turn));
        }
        assert!(read("failure_code", "'bad luck'").is_err());
        assert!(read("drill", "'perhaps'").is_err());
        assert!(read("drill_at, drill_ms", "1, -1").is_err());
    }
}
