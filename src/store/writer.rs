//! The one thread that writes. Jobs that wait at the same time share one commit, and so one fsync.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Receiver;
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::anchor::Anchor;
use super::ballast::Ballast;
use super::{Records, StoreError};

/// Jobs that may share one commit.
const BATCH: usize = 64;

/// A write: run inside a transaction, answered after its commit.
pub(super) trait Job: Send {
    /// Does it. False: nothing of it is to be kept.
    fn run(&mut self, db: &Connection) -> bool;

    /// Tells whoever waits. `refused`: what it did is not in the database, for this reason.
    fn answer(self: Box<Self>, refused: Option<StoreError>);
}

/// A [`Job`] made of closures.
pub(super) struct Write<W, A, T, E> {
    /// The writes; an error takes them back.
    pub(super) work: Option<W>,
    /// What follows once they are durable.
    pub(super) after: A,
    /// What the work said.
    pub(super) outcome: Option<Result<T, E>>,
    /// Who waits.
    pub(super) sender: oneshot::Sender<Result<T, E>>,
}

impl<W, A, T, E> Job for Write<W, A, T, E>
where
    W: FnOnce(Records<'_>) -> Result<T, E> + Send,
    A: FnOnce(&T) + Send,
    T: Send,
    E: From<StoreError> + Send,
{
    fn run(&mut self, db: &Connection) -> bool {
        let Some(work) = self.work.take() else { return false };
        let outcome = catch_unwind(AssertUnwindSafe(|| work(Records(db))))
            .unwrap_or_else(|_panic| Err(E::from(StoreError::Panicked)));
        let keep = outcome.is_ok();
        self.outcome = Some(outcome);
        keep
    }

    fn answer(self: Box<Self>, refused: Option<StoreError>) {
        let Self { after, outcome, sender, .. } = *self;
        let result = match (outcome, refused) {
            (Some(Err(error)), _) => Err(error),
            (_, Some(refused)) => Err(E::from(refused)),
            (None, None) => Err(E::from(StoreError::Closed)),
            (Some(Ok(value)), None) => {
                after(&value);
                Ok(value)
            }
        };
        // Whoever asked may have left; what was asked for is done all the same.
        drop(sender.send(result));
    }
}

/// Works until every sender is gone and the channel is empty, then truncates the WAL. While there is nothing to
/// write, the anchor is held.
pub(super) fn run(
    db: Connection,
    anchor: &Anchor,
    mut ballast: Ballast,
    jobs: &Receiver<Box<dyn Job>>,
) {
    let mut waiting = VecDeque::with_capacity(BATCH);
    loop {
        if waiting.is_empty() {
            if jobs.is_empty() {
                anchor.hold();
            }
            let job = jobs.recv();
            anchor.release();
            match job {
                Ok(job) => waiting.push_back(job),
                Err(_closed) => break,
            }
        }
        while waiting.len() < BATCH
            && let Ok(job) = jobs.try_recv()
        {
            waiting.push_back(job);
        }
        ballast.look();
        commit_together(&db, &mut waiting);
    }
    // A server beside a command holds the newest snapshot all the time: waiting for it would be in vain.
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

/// Puts the log into the database and cuts it to nothing; else gives 1: somebody reads it.
fn truncate(db: &Connection) -> rusqlite::Result<i64> {
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
}

/// One transaction over the jobs that wait. Those that could not be begun stay in `waiting`.
fn commit_together(db: &Connection, waiting: &mut VecDeque<Box<dyn Job>>) {
    if let Err(error) = db.execute_batch("BEGIN IMMEDIATE") {
        return refuse(waiting.drain(..), error);
    }
    let mut done = Vec::with_capacity(waiting.len());
    while let Some(mut job) = waiting.pop_front() {
        let kept = in_savepoint(db, &mut *job);
        done.push(job);
        match kept {
            Ok(()) if !db.is_autocommit() => {}
            // A full disk or a failing one makes SQLite take back the whole transaction, with what the
            // jobs before this one did.
            Ok(()) => return refuse(done, rolled_back()),
            Err(error) => {
                roll_back(db);
                return refuse(done, error);
            }
        }
    }
    match db.execute_batch("COMMIT") {
        Ok(()) => done.into_iter().for_each(|job| job.answer(None)),
        Err(error) => {
            roll_back(db);
            refuse(done, error);
        }
    }
}

/// Runs one job so that its failure takes back only what it did itself.
fn in_savepoint(db: &Connection, job: &mut dyn Job) -> Result<(), rusqlite::Error> {
    db.execute_batch("SAVEPOINT job")?;
    if job.run(db) {
        return db.execute_batch("RELEASE job");
    }
    if db.is_autocommit() {
        return Ok(());
    }
    db.execute_batch("ROLLBACK TO job; RELEASE job")
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

fn refuse(jobs: impl IntoIterator<Item = Box<dyn Job>>, error: rusqlite::Error) {
    let error = Arc::new(error);
    for job in jobs {
        job.answer(Some(StoreError::Commit(Arc::clone(&error))));
    }
}
