//! The catalog's database: SQLite and nothing else. No other room knows SQL.
//!
//! One thread writes, over the only connection that can; jobs that wait together share one commit.
//! Reads go through a small pool of read-only connections, each read in a snapshot of its own.
//! [`Records`] is what both see: one method for each thing that is asked of the tables.

mod anchor;
mod backups;
mod ballast;
mod columns;
mod drills;
mod error;
mod instances;
mod open;
mod policies;
mod queue;
mod schema;
mod seldom;
mod settle;
mod soundness;
mod sql;
mod subtree;
#[cfg(test)]
mod tests_plans;
#[cfg(test)]
mod tests_store;
mod tokens;
mod writer;

use std::fmt;
use std::path::Path;
use std::thread::{Builder, JoinHandle};

use crossbeam_channel::{Sender, bounded};
use parking_lot::{Mutex, RwLock};
use r2d2::Pool;
use r2d2_sqlite::SqliteConnectionManager;
use rusqlite::Connection;
use tokio::sync::oneshot;

pub use backups::{BackupRecord, Page};
pub use columns::{DamageIn, Removal, Task};
pub use error::StoreError;
pub use instances::InstanceRecord;
pub use settle::{Finish, Lineage};
pub use tokens::TokenRecord;

use anchor::Anchor;
use ballast::Ballast;
use soundness::Soundness;
use writer::{Job, Write};

/// Writes that may wait before whoever brings the next one waits too.
const WAITING_WRITES: usize = 1024;

/// The tables, inside one transaction.
#[derive(Debug, Clone, Copy)]
pub struct Records<'a>(&'a Connection);

/// The answer to a write: there after its commit.
#[derive(Debug)]
pub struct Answer<T, E>(oneshot::Receiver<Result<T, E>>);

impl<T, E: From<StoreError>> Answer<T, E> {
    /// Waits without blocking.
    pub async fn done(self) -> Result<T, E> {
        self.0.await.unwrap_or_else(|_gone| Err(E::from(StoreError::Closed)))
    }

    /// Blocks the thread; not for one that runs an event loop.
    pub fn wait(self) -> Result<T, E> {
        self.0.blocking_recv().unwrap_or_else(|_gone| Err(E::from(StoreError::Closed)))
    }
}

/// A transaction for reading. Its two statements are compiled once per connection: compiling them anew
/// takes longer than an indexed look-up.
struct Snapshot<'a>(&'a Connection);

impl<'a> Snapshot<'a> {
    fn take(db: &'a Connection) -> Result<Self, StoreError> {
        sql::change(db, "BEGIN DEFERRED", [])?;
        Ok(Self(db))
    }

    fn release(self) -> Result<(), StoreError> {
        sql::change(self.0, "COMMIT", []).map(drop)
    }
}

impl Drop for Snapshot<'_> {
    /// A look that failed or panicked must not leave its connection in an old snapshot.
    fn drop(&mut self) {
        if !self.0.is_autocommit()
            && let Err(error) = self.0.execute_batch("ROLLBACK")
        {
            log::error!("catalog: a snapshot could not be left: {error}");
        }
    }
}

/// An open catalog database.
pub struct Store {
    jobs: RwLock<Option<Sender<Box<dyn Job>>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    readers: Pool<SqliteConnectionManager>,
    soundness: Soundness,
}

impl fmt::Debug for Store {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Store").finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the file, creating it (for its owner only) or migrating it.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Self::open_checking(path, soundness::AT_ONCE)
    }

    /// The same, with the bytes that are checked before anything else happens.
    fn open_checking(path: &Path, at_once: u64) -> Result<Self, StoreError> {
        let ballast = Ballast::beside(path);
        let db = open::for_writing(path)?;
        let soundness = Soundness::check(path, at_once)?;
        let readers = open::for_reading(path)?;
        let anchor = Anchor::on(open::barely_reading(path).ok());
        let (sender, receiver) = bounded(WAITING_WRITES);
        let thread = Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || writer::run(db, &anchor, ballast, &receiver))
            .map_err(|source| StoreError::Unreachable { path: path.to_owned(), source })?;
        let (jobs, thread) = (RwLock::new(Some(sender)), Mutex::new(Some(thread)));
        Ok(Self { jobs, thread, readers, soundness })
    }

    /// Looks at the tables in one snapshot. Blocks.
    pub fn read<T, E: From<StoreError>>(
        &self,
        look: impl FnOnce(Records<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.soundness.hold()?;
        let db = self.readers.get().map_err(StoreError::from)?;
        let snapshot = Snapshot::take(&db)?;
        let seen = look(Records(&db))?;
        snapshot.release()?;
        Ok(seen)
    }

    /// The same for one statement, which is a snapshot by itself.
    pub fn read_once<T, E: From<StoreError>>(
        &self,
        look: impl FnOnce(Records<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.soundness.hold()?;
        let db = self.readers.get().map_err(StoreError::from)?;
        look(Records(&db))
    }

    /// Whether a connection for reading waits to be used, so that a look-up waits for nobody.
    pub fn has_idle_reader(&self) -> bool {
        self.readers.state().idle_connections > 0
    }

    /// Queues a write. `work` runs on the writer's thread, all or nothing; `after` runs there once the
    /// commit is durable, whether or not anybody waits for the answer.
    pub fn write<T, E>(
        &self,
        work: impl FnOnce(Records<'_>) -> Result<T, E> + Send + 'static,
        after: impl FnOnce(&T) + Send + 'static,
    ) -> Answer<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        let job = Box::new(Write { work: Some(work), after, outcome: None, sender });
        if let Err(damaged) = self.soundness.hold() {
            job.answer(Some(damaged));
            return Answer(receiver);
        }
        let jobs = self.jobs.read().clone();
        match jobs {
            // A writer that is gone drops the job, and the answer says so.
            Some(jobs) => drop(jobs.send(job)),
            None => job.answer(Some(StoreError::Closed)),
        }
        Answer(receiver)
    }

    /// Commits what waits, truncates the write-ahead log and ends the writer. Later writes fail.
    pub fn close(&self) {
        self.soundness.end();
        drop(self.jobs.write().take());
        let thread = self.thread.lock().take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            log::error!("catalog: the writer ended with a panic");
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.close();
    }
}
