//! The one thread that writes. Writes that wait at the same time share one commit, and so one fsync.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Receiver;
use rusqlite::Connection;
use rusqlite::config::DbConfig;
use tokio::sync::oneshot;

use super::disk_reserve::{DiskReserve, Purpose, Room, SharedRoom};
use super::opened_file::OpenedFile;
use super::{Records, Result, StoreError, commits};

/// Writes that may share one commit.
const BATCH: usize = 64;

/// Why a transaction failed: one error for all its writes.
type Refusal = Arc<rusqlite::Error>;

/// A write that waits.
pub(super) struct Write {
    purpose: Purpose,
    make: Make,
}

/// Given the open transaction it makes its changes; given an error, because no transaction could be begun, it answers
/// with that.
type Make = Box<dyn FnOnce(Result<&Connection>) -> Option<Written> + Send>;

/// A write that was made and is not yet committed.
pub(super) struct Written {
    /// Whether its changes are to be kept.
    keep: bool,
    /// Answers once the commit is known: `Some` is why the changes are not in the database.
    answer: Box<dyn FnOnce(Option<StoreError>) + Send>,
}

/// A write made of closures: `work` makes the changes, and an error takes them back; `after` runs once
/// they are durable.
pub(super) fn write<T, E>(
    purpose: Purpose,
    work: impl FnOnce(Records<'_>) -> Result<T, E> + Send + 'static,
    after: impl FnOnce(&T) + Send + 'static,
    sender: oneshot::Sender<Result<T, E>>,
) -> Write
where
    T: Send + 'static,
    E: From<StoreError> + Send + 'static,
{
    let make: Make = Box::new(move |begun| {
        let db = match begun {
            Ok(db) => db,
            Err(error) => {
                drop(sender.send(Err(error.into())));
                return None;
            }
        };
        let outcome = catch_unwind(AssertUnwindSafe(|| work(Records(db))))
            .unwrap_or_else(|_panic| Err(StoreError::Panicked.into()));
        let keep = outcome.is_ok();
        let answer = move |refused: Option<StoreError>| {
            let result = match (outcome, refused) {
                (Ok(_lost), Some(refused)) => Err(refused.into()),
                (outcome, _) => outcome.inspect(after),
            };
            // The receiver may be gone; the write is made all the same.
            drop(sender.send(result));
        };
        Some(Written { keep, answer: Box::new(answer) })
    });
    Write { purpose, make }
}

/// Works until every sender is gone and the channel is empty, then truncates the write-ahead log.
pub(super) fn run(
    db: Connection,
    mut reserve: DiskReserve,
    writes: &Receiver<Write>,
    file: &OpenedFile,
    room: &SharedRoom,
) {
    let mut waiting = VecDeque::with_capacity(BATCH);
    while let Ok(first) = writes.recv() {
        waiting.push_back(first);
        while waiting.len() < BATCH
            && let Ok(next) = writes.try_recv()
        {
            waiting.push_back(next);
        }
        while !waiting.is_empty() {
            if let Room::Little(_) = reserve.adjust() {
                reuse_log(&db);
            }
            waiting = accepted(waiting, file, room);
            commit_together(&db, &mut waiting, file);
        }
    }
    file.check();
    if file.is_moved() {
        // SQLite would remove the log of the file that is in its place now.
        if let Err(error) = db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true) {
            log::warn!("catalog: {error}");
        }
        return;
    }
    // Another process may be reading. Then the log stays, and there is no point in waiting.
    let truncated = db.busy_timeout(Duration::ZERO).and_then(|()| truncate(&db));
    match truncated {
        Ok(0) => {}
        Ok(_busy) => log::debug!("catalog: the write-ahead log is still read, so it stays"),
        Err(error) => log::warn!("catalog: the write-ahead log could not be truncated: {error}"),
    }
    if let Err((_db, error)) = db.close() {
        log::warn!("catalog: the database could not be closed: {error}");
    }
}

/// Answers the writes that cannot be made now, and returns the others.
fn accepted(waiting: VecDeque<Write>, file: &OpenedFile, room: &SharedRoom) -> VecDeque<Write> {
    file.check();
    let accept = |write: Write| match file.require().and_then(|()| room.require(write.purpose)) {
        Ok(()) => Some(write),
        Err(refused) => {
            (write.make)(Err(refused));
            None
        }
    };
    waiting.into_iter().filter_map(accept).collect()
}

/// Moves the log into the database, so that the next write overwrites it and needs no more of a full disk.
fn reuse_log(db: &Connection) {
    let moved = db.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get::<_, i64>(0));
    if let Err(error) = moved {
        log::debug!("catalog: the write-ahead log could not be moved into the database: {error}");
    }
}

/// Moves the log into the database and truncates it. Returns 1 if a reader prevents that.
fn truncate(db: &Connection) -> rusqlite::Result<i64> {
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
}

/// One transaction over the writes that wait. Those it did not get to stay in `waiting`.
fn commit_together(db: &Connection, waiting: &mut VecDeque<Write>, file: &OpenedFile) {
    if waiting.is_empty() {
        return;
    }
    if let Err(error) = db.execute_batch("BEGIN IMMEDIATE") {
        let error = Arc::new(error);
        for write in waiting.drain(..) {
            (write.make)(Err(StoreError::Commit(Arc::clone(&error))));
        }
        return;
    }
    let changes = db.total_changes();
    let mut done = Vec::with_capacity(waiting.len());
    while let Some(write) = waiting.pop_front() {
        match in_savepoint(db, write, &mut done) {
            Ok(()) if !db.is_autocommit() => {}
            // A full or failing disk makes SQLite roll back the whole transaction, with the writes before
            // this one.
            Ok(()) => return refuse(done, &Arc::new(rolled_back())),
            Err(error) => {
                roll_back(db);
                return refuse(done, &error);
            }
        }
    }
    match commit(db, changes, file) {
        Ok(()) => {
            // What may have gone to a file that nobody will find again is not said to be there.
            file.check_place();
            for written in done {
                (written.answer)(file.require().err());
            }
        }
        Err(error) => {
            roll_back(db);
            refuse(done, &Arc::new(error));
        }
    }
}

/// Commits, and counts the commit if anything was changed since there were so many `changes`.
fn commit(db: &Connection, changes: u64, file: &OpenedFile) -> rusqlite::Result<()> {
    if db.total_changes() == changes {
        return db.execute_batch("COMMIT");
    }
    let commits = commits::count(db)?;
    db.execute_batch("COMMIT").inspect(|()| file.note_commits(commits))
}

/// Makes one write so that its failure takes back only its own changes.
fn in_savepoint(db: &Connection, write: Write, done: &mut Vec<Written>) -> Result<(), Refusal> {
    if let Err(error) = db.execute_batch("SAVEPOINT write") {
        let error = Arc::new(error);
        (write.make)(Err(StoreError::Commit(Arc::clone(&error))));
        return Err(error);
    }
    let Some(written) = (write.make)(Ok(db)) else { return Ok(()) };
    let end = if written.keep { "RELEASE write" } else { "ROLLBACK TO write; RELEASE write" };
    done.push(written);
    if db.is_autocommit() { Ok(()) } else { db.execute_batch(end).map_err(Arc::new) }
}

fn rolled_back() -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(
        rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_ABORT_ROLLBACK),
        None,
    )
}

fn roll_back(db: &Connection) {
    if !db.is_autocommit()
        && let Err(error) = db.execute_batch("ROLLBACK")
    {
        log::error!("catalog: a transaction could not be rolled back: {error}");
    }
}

fn refuse(done: Vec<Written>, error: &Refusal) {
    for written in done {
        (written.answer)(Some(StoreError::Commit(Arc::clone(error))));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use crate::store::{Purpose, Store, StoreError};

    #[test]
    fn writes_that_wait_share_a_commit_and_fail_with_it_and_later_ones_are_made() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("catalog.db")).unwrap();
        let put = |project: &'static str| {
            let container = "c".parse().unwrap();
            store.write::<_, StoreError>(
                Purpose::NewWork,
                move |db| db.put_strategy(&project.parse().unwrap(), None, &container),
                |()| {},
            )
        };
        // What comes next waits together.
        let (go, gate) = channel::<()>();
        let (started, running) = channel();
        let first = store.write::<_, StoreError>(
            Purpose::Record,
            move |_db| {
                started.send(()).unwrap();
                // It opens by the end of its sender.
                gate.recv().unwrap_err();
                Ok(())
            },
            |()| {},
        );
        running.recv().unwrap();
        let good = put("good");
        // Ends the shared transaction, as SQLite does by itself when the disk is full.
        let breaks = store.write::<_, StoreError>(
            Purpose::Record,
            |db| Ok(db.0.execute_batch("ROLLBACK")?),
            |()| {},
        );
        let later = put("later");
        drop(go);
        first.wait().unwrap();
        assert!(matches!(good.wait(), Err(StoreError::Commit(_))));
        assert!(matches!(breaks.wait(), Err(StoreError::Commit(_))));
        later.wait().unwrap();
        let found = ["good", "later"].map(|project: &str| {
            let project = project.parse().unwrap();
            store.read::<_, StoreError>(|db| db.strategy(&project, None)).unwrap().is_some()
        });
        assert_eq!(found, [false, true]);
    }
}
