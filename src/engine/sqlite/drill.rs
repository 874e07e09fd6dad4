//! The drill of a restored database: SQLite's full check, and a count of every table's rows.

use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::check::check;
use super::snapshot::connect;
use crate::domain::CheckLevel;
use crate::engine::{DrillOrder, DrillReport, EngineError};

/// Opens the restored file as an application would, and reads all of it.
pub(super) fn drill(order: &DrillOrder<'_>) -> Result<DrillReport, EngineError> {
    let damaged =
        |what: String| EngineError::archive(format!("the restored database is damaged: {what}"));
    let failed = |what: String| {
        if order.cancel.is_cancelled() { EngineError::Cancelled } else { damaged(what) }
    };
    let explain = |error: rusqlite::Error| failed(error.to_string());
    let connection = connect(order.restored, OpenFlags::SQLITE_OPEN_READ_ONLY, Duration::ZERO)
        .map_err(explain)?;
    let outcome = check(&connection, CheckLevel::Full, order.cancel).map_err(explain)?;
    if !outcome.problems.is_empty() {
        return Err(damaged(outcome.problems.join("; ")));
    }
    let mut report = DrillReport {
        version: rusqlite::version().to_owned(),
        check: outcome.name.unwrap_or_default().to_owned(),
        ..DrillReport::default()
    };
    for table in tables(&connection).map_err(explain)? {
        let rows =
            count(&connection, &table).map_err(|error| failed(format!("{table}: {error}")))?;
        report.count(table, rows);
    }
    Ok(report)
}

/// The tables whose rows are in the file. Virtual tables need modules that only the application has.
fn tables(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    connection
        .prepare(
            "SELECT name FROM sqlite_schema
             WHERE type = 'table' AND rootpage > 0 AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
             ORDER BY name",
        )?
        .query_map((), |row| row.get(0))?
        .collect()
}

/// `NOT INDEXED` makes SQLite read the rows themselves instead of counting an index.
fn count(connection: &Connection, table: &str) -> rusqlite::Result<u64> {
    let sql = format!("SELECT count(*) FROM \"{}\" NOT INDEXED", table.replace('"', "\"\""));
    let rows: i64 = connection.query_row(&sql, (), |row| row.get(0))?;
    Ok(u64::try_from(rows).unwrap_or_default())
}
