//! The row that counts the commits. SQLite keeps no such count in a database that has a write-ahead log. By it an
//! older file that was written over the catalog is noticed, and at start a log that belongs to another file.

use parking_lot::Mutex;
use rusqlite::{Connection, OptionalExtension as _, Row};

use super::log_commits::LogCommits;
use super::place::{Place, unreachable};
use super::{Result, StoreError};

/// Which catalog it is, and how many commits it has had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mark {
    catalog: String,
    commits: i64,
}

impl Mark {
    /// What is wrong with a file that has this mark, after it had one before.
    pub(super) fn why_not_after(&self, before: &Self) -> Option<&'static str> {
        if self.catalog != before.catalog {
            return Some("another catalog was written over it");
        }
        (self.commits < before.commits).then_some("an older one was written over it")
    }

    pub(super) const fn commits(&self) -> i64 {
        self.commits
    }

    /// The mark after this many commits.
    pub(super) fn after(self, commits: i64) -> Self {
        Self { commits: self.commits.max(commits), ..self }
    }
}

/// Counts one more commit, in the transaction that it is about, and returns how many there are with it.
pub(super) fn count(db: &Connection) -> rusqlite::Result<i64> {
    let statement = "UPDATE written SET commits = commits + 1 RETURNING commits";
    db.prepare_cached(statement)?.query_row([], |row| row.get(0))
}

/// The mark, or `None` in a catalog of before there was one.
pub(super) fn mark(db: &Connection) -> rusqlite::Result<Option<Mark>> {
    let mut statement = match db.prepare_cached("SELECT catalog, commits FROM written") {
        Err(_no_table) if !has_mark(db)? => return Ok(None),
        prepared => prepared?,
    };
    let read = |row: &Row<'_>| Ok(Mark { catalog: row.get(0)?, commits: row.get(1)? });
    statement.query_row([], read).optional()
}

fn has_mark(db: &Connection) -> rusqlite::Result<bool> {
    let tables = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'written'";
    Ok(db.query_row(tables, [], |row| row.get::<_, i64>(0))? > 0)
}

/// Reads the mark again and again, each time from the disk.
#[derive(Debug)]
pub(super) struct MarkReader {
    place: Place,
    open: fn(&Place) -> rusqlite::Result<Connection>,
    /// It stays open, because each one reads the whole schema first.
    db: Mutex<Option<Connection>>,
}

impl MarkReader {
    /// Of the database as every reader sees it.
    pub(super) fn of_database(place: Place) -> Self {
        Self { place, open: Place::read_once, db: Mutex::default() }
    }

    /// Of the file by itself, whatever its log says. A checkpoint may be writing to it at the same time.
    pub(super) fn of_file(place: Place) -> Self {
        Self { place, open: Place::open_without_log, db: Mutex::default() }
    }

    pub(super) fn read(&self) -> rusqlite::Result<Option<Mark>> {
        let mut open = self.db.lock();
        if let Some(db) = open.as_ref() {
            // SQLite would answer from memory if it does not see that the file was changed.
            let found = db.execute_batch("PRAGMA shrink_memory").and_then(|()| mark(db));
            if let Ok(Some(_)) = found {
                return found;
            }
        }
        *open = None;
        let db = (self.open)(&self.place)?;
        let found = mark(&db)?;
        *open = Some(db);
        Ok(found)
    }

    /// The same, with nothing of it remembered from before.
    pub(super) fn read_anew(&self) -> rusqlite::Result<Option<Mark>> {
        *self.db.lock() = None;
        self.read()
    }
}

/// Fails if the write-ahead log beside the file is that of another one. Another process may be writing meanwhile.
pub(super) fn require_own_log(place: &Place) -> Result<()> {
    // What cannot be read is found, and named, when the file is opened.
    if has_own_log(place).unwrap_or(true) {
        return Ok(());
    }
    Err(StoreError::OtherLog { path: place.path().to_owned() })
}

/// Whether the file has all that was committed before its log began, and nothing that is newer than the log's end.
fn has_own_log(place: &Place) -> Result<bool> {
    let path = place.log();
    if std::fs::metadata(&path).map_or(0, |it| it.len()) == 0 {
        return Ok(true);
    }
    let whole = || place.read_once().and_then(|db| mark(&db));
    let Some(before) = whole()? else { return Ok(true) };
    let logged = LogCommits::default().read_on(&path);
    let logged = logged.map_err(|source| unreachable(&path, source))?.count();
    let main = MarkReader::of_file(place.clone()).read()?;
    let Some(after) = whole()? else { return Ok(true) };
    // Without a mark in the file itself, all of its commits are still in the log.
    let (is_same, commits) = main.map_or((true, 0), |it| (it.catalog == after.catalog, it.commits));
    let possible = before.commits.saturating_sub(logged)..=after.commits;
    Ok(is_same && possible.contains(&commits))
}
