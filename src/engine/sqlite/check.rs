//! SQLite's own check of a database.

use std::time::Instant;

use rusqlite::Connection;

use crate::domain::{Cancel, CheckLevel};

/// How many of SQLite's lines a report shows: the first tell enough.
const LINES: usize = 5;

/// A check that was made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Checked {
    /// `quick_check`, `integrity_check`, or `None` if none was asked for.
    pub(super) name: Option<&'static str>,
    /// How long it took.
    pub(super) took_ms: u64,
    /// What it found, in SQLite's words; empty: nothing.
    pub(super) damage: Vec<String>,
    /// Tables it could not look at, because they sort by an order that only the application knows.
    pub(super) left_out: Vec<String>,
}

/// How many of SQLite's steps go by between two looks whether the work is wanted: a few milliseconds.
const STEPS: std::ffi::c_int = 20_000;

/// What SQLite calls the check of this level.
pub(super) const fn name_of(level: CheckLevel) -> Option<&'static str> {
    match level {
        CheckLevel::Off => None,
        CheckLevel::Quick => Some("quick_check"),
        CheckLevel::Full => Some("integrity_check"),
    }
}

/// Checks what `connection` sees.
///
/// Once `cancel` is asked, this and whatever else the connection does ends with an error.
///
/// `CHECK` constraints are not asked about: they are rules of the application, often in functions of
/// its own, and a row that breaks one is data to be backed up, not damage.
pub(super) fn check(
    connection: &Connection,
    level: CheckLevel,
    cancel: &Cancel,
) -> rusqlite::Result<Checked> {
    let Some(name) = name_of(level) else { return Ok(Checked::default()) };
    let began = Instant::now();
    let asked = cancel.clone();
    connection.progress_handler(STEPS, Some(move || asked.is_cancelled()))?;
    connection.execute_batch("PRAGMA ignore_check_constraints = ON")?;
    let mut found = Checked { name: Some(name), ..Checked::default() };
    match lines(connection, &format!("PRAGMA {name}({LINES})")) {
        Ok(damage) => found.damage = damage,
        Err(error) if is_unknown_order(&error) => each_table(connection, name, &mut found)?,
        Err(error) => return Err(error),
    }
    found.took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(found)
}

/// An index sorts by a collation that the application registers, so SQLite cannot even begin to check
/// the whole file: the tables are checked one by one, and those with such an index are named.
fn each_table(connection: &Connection, name: &str, found: &mut Checked) -> rusqlite::Result<()> {
    let tables = lines(
        connection,
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage > 0 ORDER BY name",
    )?;
    for table in tables {
        match lines(connection, &format!("PRAGMA {name}(\"{}\")", table.replace('"', "\"\""))) {
            Ok(damage) => found.damage.extend(damage),
            Err(error) if is_unknown_order(&error) => found.left_out.push(table),
            Err(error) => return Err(error),
        }
        if found.damage.len() >= LINES {
            break;
        }
    }
    Ok(())
}

fn lines(connection: &Connection, sql: &str) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare(sql)?;
    let lines = statement.query_map((), |row| {
        Ok(String::from_utf8_lossy(row.get_ref(0)?.as_bytes()?).into_owned())
    })?;
    lines.filter(|line| !matches!(line, Ok(text) if text == "ok")).collect()
}

fn is_unknown_order(error: &rusqlite::Error) -> bool {
    matches!(error, rusqlite::Error::SqliteFailure(_, Some(text))
        | rusqlite::Error::SqlInputError { msg: text, .. } if text.contains("no such collation"))
}
