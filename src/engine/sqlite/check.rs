//! SQLite's own check of a database.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::snapshot::connect;
use crate::domain::{Cancel, CheckLevel, FailureCode};
use crate::engine::{EngineError, Pulse, Result};

const MAX_PROBLEMS: usize = 5;

/// How many lines SQLite may report in all: first as few as are shown; and if those are no problems, so many that
/// problems after them are found.
const LINE_LIMITS: [usize; 2] = [MAX_PROBLEMS, 1_000_000];

/// A report of FTS that it could not check a table; whether that is damage, the end of the line says.
const NOT_VALIDATED: &str = "unable to validate the inverted index for ";
const MALFORMED: &str = "database disk image is malformed";
/// A report of FTS that an index does not agree with the table's content.
const DISAGREES: &str = "malformed inverted index for ";

/// How many lines SQLite reports of one table, whatever it is asked for.
const TABLE_LINES: usize = 100;

const TABLES: &str =
    "SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage > 0 ORDER BY name";

/// After how many steps SQLite gives a sign of life. A step can be a page that is read: so many take a few seconds on the
/// slowest disk, and from memory a few microseconds.
const STEPS_PER_BEAT: std::ffi::c_int = 500;

/// The outcome of a check that ran to its end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct CheckOutcome {
    /// `quick_check` or `integrity_check`; `None` if no check was asked for.
    pub(super) name: Option<&'static str>,
    pub(super) took_ms: u64,
    /// What is wrong, as SQLite reports it; empty if the database is sound.
    pub(super) problems: Vec<String>,
    /// Values that break a rule of their column (its type, or `NOT NULL`). The rule is newer than they are: SQLite reads
    /// them, and so does the application.
    pub(super) odd_values: usize,
    /// Tables that could not be checked completely, because they use something that only the application has: a
    /// function, a collation, a tokenizer, a module.
    pub(super) unchecked: Vec<String>,
    /// Full-text tables that do not agree with the table that holds their content. To keep them in step is the
    /// application's part ("FTS5", 4.4.3), and nothing is lost if it did not.
    pub(super) stale: Vec<String>,
}

/// The name of a check, and what it was not made of.
pub(super) fn described(name: &str, unchecked: &[String]) -> String {
    if unchecked.is_empty() {
        return name.to_owned();
    }
    let pronoun = if unchecked.len() == 1 { "it needs" } else { "they need" };
    format!(
        "{name} of everything but {} ({pronoun} a collation, function, tokenizer or module that only the \
         application has)",
        unchecked.join(", ")
    )
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
/// From here on, everything the connection does fails once `cancel` is cancelled. `pulse` beats while SQLite makes
/// progress.
///
/// `CHECK` constraints are ignored: they are rules of the application, often written with functions of its
/// own, and a row that breaks one is data to be backed up, not damage.
pub(super) fn check(
    connection: &Connection,
    level: CheckLevel,
    cancel: &Cancel,
    pulse: &Pulse,
) -> rusqlite::Result<CheckOutcome> {
    let Some(name) = name_of(level) else { return Ok(CheckOutcome::default()) };
    let began = Instant::now();
    let (cancel, pulse) = (cancel.clone(), pulse.clone());
    let step = move || {
        pulse.beat();
        cancel.is_cancelled()
    };
    connection.progress_handler(STEPS_PER_BEAT, Some(step))?;
    connection.execute_batch("PRAGMA ignore_check_constraints = ON")?;
    let mut outcome = CheckOutcome { name: Some(name), ..CheckOutcome::default() };
    if outcome.add_report(connection, name)? == Report::NeedsApplication {
        // The structure of the file and all rows, if they can be read without the indexes.
        if level == CheckLevel::Full {
            outcome.add_report(connection, "quick_check")?;
        }
        if outcome.problems.is_empty() {
            outcome.check_tables(connection, name)?;
        }
    }
    outcome.try_virtual_tables(connection)?;
    outcome.unchecked.sort();
    outcome.unchecked.dedup();
    outcome.took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(outcome)
}

/// The tables that a check cannot check completely, found without making one: SQLite refuses it when it is prepared.
pub(super) fn not_checkable(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    connection.execute_batch("PRAGMA ignore_check_constraints = ON")?;
    let mut outcome = CheckOutcome::default();
    for table in names(connection, TABLES)? {
        let check = format!("PRAGMA integrity_check({})", quoted(&table));
        match connection.prepare(&check) {
            Err(error) if needs_application(&error) => outcome.unchecked.push(table),
            prepared => drop(prepared?),
        }
    }
    outcome.try_virtual_tables(connection)?;
    outcome.unchecked.sort();
    outcome.unchecked.dedup();
    Ok(outcome.unchecked)
}

/// Opens a restored database and checks it. The connection only reads: in WAL mode it creates `-wal` and `-shm` beside
/// the file and removes them again, and never writes to the file itself.
pub(super) fn check_restored(
    path: &Path,
    level: CheckLevel,
    cancel: &Cancel,
) -> Result<(Connection, CheckOutcome)> {
    let checked =
        connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY, Duration::ZERO).and_then(|connection| {
            check(&connection, level, cancel, &Pulse::default()).map(|it| (connection, it))
        });
    let (connection, outcome) = checked.map_err(|error| failed("", &error, cancel))?;
    if outcome.problems.is_empty() {
        return Ok((connection, outcome));
    }
    let (check, problems) = (outcome.name.unwrap_or("check"), outcome.problems.join("; "));
    Err(damaged(&format!("SQLite's {check} found {problems}")))
}

fn damaged(what: &str) -> EngineError {
    EngineError::archive(format!("the restored database is damaged: {what}"))
}

/// What an error means that occurred in a restored database, at `place`. Only some errors are about the data.
/// Everything that a connection does fails once `cancel` is cancelled.
pub(super) fn failed(place: &str, error: &rusqlite::Error, cancel: &Cancel) -> EngineError {
    let what = if place.is_empty() { error.to_string() } else { format!("{place}: {error}") };
    match error.sqlite_error_code() {
        _ if cancel.is_cancelled() => EngineError::Cancelled,
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => damaged(&what),
        _ => EngineError::known(
            FailureCode::Internal,
            format!("the restored database could not be checked: {what}"),
        ),
    }
}

/// Whether SQLite could make a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Report {
    Made,
    /// Something that only the application has is missing.
    NeedsApplication,
}

impl CheckOutcome {
    /// Adds SQLite's report on the complete file.
    fn add_report(&mut self, connection: &Connection, name: &str) -> rusqlite::Result<Report> {
        for limit in LINE_LIMITS {
            let mut found = Self::default();
            let lines = found.add(connection, &format!("PRAGMA {name}({limit})"))?;
            let Some(lines) = lines else { return Ok(Report::NeedsApplication) };
            if !found.problems.is_empty() || lines < limit || limit > MAX_PROBLEMS {
                *self = Self { name: self.name, took_ms: self.took_ms, ..found };
                break;
            }
        }
        Ok(Report::Made)
    }

    /// Checks table by table, and lists those that cannot be checked completely.
    fn check_tables(&mut self, connection: &Connection, name: &str) -> rusqlite::Result<()> {
        self.odd_values = 0;
        for table in names(connection, TABLES)? {
            let quoted = quoted(&table);
            let complete = self.add(connection, &format!("PRAGMA {name}({quoted})"))?;
            if complete.is_none() && name_of(CheckLevel::Full) == Some(name) {
                self.add(connection, &format!("PRAGMA quick_check({quoted})"))?;
            }
            if complete.is_none_or(|lines| lines >= TABLE_LINES) {
                self.unchecked.push(table);
            }
            if self.problems.len() >= MAX_PROBLEMS {
                break;
            }
        }
        Ok(())
    }

    /// Adds what a statement reports. Returns how many lines that were; `None` if it cannot run, because something is
    /// missing that only the application has.
    fn add(&mut self, connection: &Connection, sql: &str) -> rusqlite::Result<Option<usize>> {
        let mut report = || -> rusqlite::Result<usize> {
            let mut lines = 0;
            let mut statement = connection.prepare(sql)?;
            let mut rows = statement.query(())?;
            while let Some(row) = rows.next()? {
                let line = String::from_utf8_lossy(row.get_ref(0)?.as_bytes()?).into_owned();
                lines += 1;
                self.add_line(connection, &line)?;
                if self.problems.len() >= MAX_PROBLEMS {
                    break;
                }
            }
            Ok(lines)
        };
        match report() {
            Ok(lines) => Ok(Some(lines)),
            Err(error) if needs_application(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn add_line(&mut self, connection: &Connection, line: &str) -> rusqlite::Result<()> {
        if line == "ok" {
            return Ok(());
        }
        // As in `FTS5 table main.docs: SQL logic error`.
        let table = |of: &str| {
            let (_, name) = of.split_once(" table main.")?;
            Some(name.split_once(": ").map_or(name, |(name, _why)| name).to_owned())
        };
        let unchecked = line.strip_prefix(NOT_VALIDATED).filter(|_| !line.ends_with(MALFORMED));
        if is_column_rule(line) {
            self.odd_values += 1;
        } else if let Some(what) = unchecked {
            let name = table(what).unwrap_or_else(|| what.to_owned());
            // Without content there is nothing that an index could be compared with.
            if !says(connection, &name, &["content=''", "content=\"\""])? {
                self.unchecked.push(name);
            }
        } else if let Some(name) = line.strip_prefix(DISAGREES).and_then(table)
            && says(connection, &name, &["content="])?
        {
            self.stale.push(name);
        } else {
            let shown: Vec<_> = line.lines().take(MAX_PROBLEMS + 1).collect();
            self.problems.push(shown.join("\n"));
        }
        Ok(())
    }

    /// Lists the virtual tables that SQLite cannot use. It leaves those of unknown modules out of its report, and FTS5
    /// loads a tokenizer with the first word that is searched for.
    fn try_virtual_tables(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let sql = "SELECT name FROM sqlite_schema WHERE rootpage = 0 AND sql LIKE 'create virtual%'
             ORDER BY name";
        for table in names(connection, sql)? {
            let query = format!("SELECT 1 FROM {}", quoted(&table));
            match connection.prepare(&query) {
                Err(error) if needs_application(&error) => self.unchecked.push(table),
                Err(error) => return Err(error),
                Ok(_) if says(connection, &table, &["usingfts5("])? => {
                    let search = format!("{query} WHERE {} MATCH 'word' LIMIT 1", quoted(&table));
                    let found = connection.prepare(&search).and_then(|mut it| it.exists(()));
                    if found.is_err_and(|error| needs_application(&error)) {
                        self.unchecked.push(table);
                    }
                }
                Ok(_) => {}
            }
        }
        Ok(())
    }
}

/// Whether one of these is in the statement that made a table, in small letters and without spaces.
fn says(connection: &Connection, table: &str, wanted: &[&str]) -> rusqlite::Result<bool> {
    let sql = "SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = ?";
    let mut statement = connection.prepare(sql)?;
    let made: Vec<String> =
        statement.query_map([table], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let made: String = made.concat().to_lowercase().split_whitespace().collect();
    Ok(wanted.iter().any(|it| made.contains(it)))
}

/// A name as SQL writes it.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn names(connection: &Connection, sql: &str) -> rusqlite::Result<Vec<String>> {
    connection.prepare(sql)?.query_map((), |row| row.get(0))?.collect()
}

/// Whether SQLite refuses a statement for a reason that is not the data: it cannot make a program of it. Damage has
/// other codes.
pub(super) fn needs_application(error: &rusqlite::Error) -> bool {
    use rusqlite::Error::{SqlInputError, SqliteFailure};
    let (SqliteFailure(error, _) | SqlInputError { error, .. }) = error else { return false };
    error.extended_code & 0xff == rusqlite::ffi::SQLITE_ERROR
}

/// Whether a line of SQLite's report is about a value that does not keep a rule of its column (`pragma.c`).
fn is_column_rule(line: &str) -> bool {
    let kinds = ["ANY", "BLOB", "INT", "INTEGER", "REAL", "TEXT"];
    match line.split_once(" value in ") {
        Some(("NULL" | "NUMERIC" | "TEXT", _)) => true,
        Some((kind, _)) => kind.strip_prefix("non-").is_some_and(|kind| kinds.contains(&kind)),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_break_a_rule_of_their_column_are_told_from_damage() {
        for rule in
            ["NULL value in t.b", "NUMERIC value in t.b", "non-INTEGER value in t.a value in b"]
        {
            assert!(is_column_rule(rule), "{rule}");
        }
        for damage in [
            "non-unique entry in index a value in b",
            "row 7 missing from index NULL value in t.b",
            "*** in database main ***\nTree 2 page 2: btreeInitPage() returns error code 11",
        ] {
            assert!(!is_column_rule(damage), "{damage}");
        }
    }
}
