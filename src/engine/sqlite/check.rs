//! SQLite's own check of a database.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};

use super::snapshot::connect;
use crate::domain::{Cancel, CheckLevel};
use crate::engine::EngineError;

const MAX_PROBLEMS: usize = 5;

/// How many virtual machine steps SQLite makes between two checks of the cancel flag: a few milliseconds.
const STEPS_PER_POLL: std::ffi::c_int = 20_000;

/// The outcome of a check that ran to its end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct CheckOutcome {
    /// `quick_check` or `integrity_check`; `None` if no check was asked for.
    pub(super) name: Option<&'static str>,
    pub(super) took_ms: u64,
    /// What is wrong, as SQLite reports it; empty if the database is sound.
    pub(super) problems: Vec<String>,
    /// Tables that could not be checked, because they use a collation that only the application defines.
    pub(super) skipped_tables: Vec<String>,
}

/// The name of SQLite's check for this level.
pub(super) const fn name_of(level: CheckLevel) -> Option<&'static str> {
    match level {
        CheckLevel::Off => None,
        CheckLevel::Quick => Some("quick_check"),
        CheckLevel::Full => Some("integrity_check"),
    }
}

/// Checks the database that `connection` sees.
///
/// From here on, everything the connection does fails once `cancel` is cancelled.
///
/// `CHECK` constraints are ignored: they are rules of the application, often written with functions of its
/// own, and a row that breaks one is data to be backed up, not damage.
pub(super) fn check(
    connection: &Connection,
    level: CheckLevel,
    cancel: &Cancel,
) -> rusqlite::Result<CheckOutcome> {
    let Some(name) = name_of(level) else { return Ok(CheckOutcome::default()) };
    let began = Instant::now();
    let cancel = cancel.clone();
    connection.progress_handler(STEPS_PER_POLL, Some(move || cancel.is_cancelled()))?;
    connection.execute_batch("PRAGMA ignore_check_constraints = ON")?;
    let mut outcome = CheckOutcome { name: Some(name), ..CheckOutcome::default() };
    match rows(connection, &format!("PRAGMA {name}({MAX_PROBLEMS})")) {
        Ok(problems) => outcome.problems = problems,
        Err(error) if is_unknown_collation(&error) => check_tables(connection, &mut outcome)?,
        Err(error) => return Err(error),
    }
    outcome.took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(outcome)
}

/// Opens a restored database and checks it. The connection only reads: in WAL mode it creates `-wal` and `-shm` beside
/// the file and removes them again, and never writes to the file itself.
pub(super) fn check_restored(
    path: &Path,
    level: CheckLevel,
    cancel: &Cancel,
) -> Result<(Connection, Option<&'static str>), EngineError> {
    let checked = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY, Duration::ZERO)
        .and_then(|connection| check(&connection, level, cancel).map(|it| (connection, it)));
    let (connection, outcome) = checked.map_err(|error| damaged(&error.to_string(), cancel))?;
    if outcome.problems.is_empty() {
        return Ok((connection, outcome.name));
    }
    let (check, problems) = (outcome.name.unwrap_or("check"), outcome.problems.join("; "));
    Err(damaged(&format!("SQLite's {check} found {problems}"), cancel))
}

/// The error for a restored database; everything that a connection does also fails once `cancel` is cancelled.
pub(super) fn damaged(what: &str, cancel: &Cancel) -> EngineError {
    if cancel.is_cancelled() {
        return EngineError::Cancelled;
    }
    EngineError::archive(format!("the restored database is damaged: {what}"))
}

/// SQLite cannot check a file at once if an index in it uses a collation that only the application defines.
/// This checks table by table, and lists those that have such an index.
fn check_tables(connection: &Connection, outcome: &mut CheckOutcome) -> rusqlite::Result<()> {
    let tables = rows(
        connection,
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage > 0 ORDER BY name",
    )?;
    let name = outcome.name.unwrap_or_default();
    for table in tables {
        match rows(connection, &format!("PRAGMA {name}(\"{}\")", table.replace('"', "\"\""))) {
            Ok(problems) => outcome.problems.extend(problems),
            Err(error) if is_unknown_collation(&error) => outcome.skipped_tables.push(table),
            Err(error) => return Err(error),
        }
        if outcome.problems.len() >= MAX_PROBLEMS {
            break;
        }
    }
    Ok(())
}

/// The first column of each row, without SQLite's `ok`.
fn rows(connection: &Connection, sql: &str) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare(sql)?;
    let lines = statement.query_map((), |row| {
        Ok(String::from_utf8_lossy(row.get_ref(0)?.as_bytes()?).into_owned())
    })?;
    lines.filter(|line| !matches!(line, Ok(text) if text == "ok")).collect()
}

fn is_unknown_collation(error: &rusqlite::Error) -> bool {
    matches!(error, rusqlite::Error::SqliteFailure(_, Some(text))
        | rusqlite::Error::SqlInputError { msg: text, .. } if text.contains("no such collation"))
}
