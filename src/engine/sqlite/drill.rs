//! The drill of a restored database: SQLite's full check, and a count of every table's rows.

use rusqlite::Connection;

use super::check::{check_restored, described, failed, needs_application, quoted};
use crate::domain::CheckLevel;
use crate::engine::{DrillReport, DrillRequest, Result};

/// Opens the restored file as an application would, and reads all of it.
pub(super) fn drill(request: &DrillRequest<'_>) -> Result<DrillReport> {
    let (connection, outcome) = check_restored(request.restored, CheckLevel::Full, request.cancel)?;
    let mut unchecked = outcome.unchecked;
    let mut report =
        DrillReport { version: rusqlite::version().to_owned(), ..DrillReport::default() };
    for table in tables(&connection).map_err(|error| failed("", &error, request.cancel))? {
        match count(&connection, &table) {
            Ok(rows) => report.count(table, rows),
            Err(error) if needs_application(&error) => unchecked.push(table),
            Err(error) => return Err(failed(&table, &error, request.cancel)),
        }
    }
    unchecked.sort();
    unchecked.dedup();
    report.check = described(outcome.name.unwrap_or_default(), &unchecked);
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
    let sql = format!("SELECT count(*) FROM {} NOT INDEXED", quoted(table));
    let rows: i64 = connection.query_row(&sql, (), |row| row.get(0))?;
    Ok(u64::try_from(rows).unwrap_or_default())
}
