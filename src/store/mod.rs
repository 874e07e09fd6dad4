//! The catalog's database: SQLite and nothing else. No other room knows SQL.
//!
//! One thread writes, over the only connection that can; writes that wait together share one commit.
//! Reads go through a small pool of read-only connections, each read in a snapshot of its own.
//! [`Records`] is what both see: a method for each question and each change, in a file for each kind of
//! row.

mod alerts;
mod backups;
mod commits;
mod copies;
mod disk_reserve;
mod error;
mod events;
mod fleet;
mod health;
mod holdings;
mod instances;
mod integrity;
mod log_commits;
mod open;
mod opened_file;
mod other_writes;
mod place;
mod projects;
mod reader_connection;
mod reading;
mod runs;
mod schedules;
mod schema;
mod sql;
#[cfg(test)]
mod tests_plans;
mod tokens;
mod types;
mod writer;

use std::error::Error;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Sender, bounded};
use parking_lot::{Mutex, RwLock};
use r2d2::Pool;
use rusqlite::Connection;
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;

pub use alerts::{AlertInstance, AlertRecord, DeliveryRecord};
pub use backups::{
    BackupRecord, Finish, Lineage, Page, PointRecord, RecordedArchive, RestoreInUse,
};
pub use copies::CopyRecord;
pub use disk_reserve::Purpose;
pub use error::{Result, StoreError};
pub use events::{EventFault, EventPage};

pub use health::{Attempts, InstanceChanges, LastDrills, Traces};
pub use instances::InstanceRecord;
pub use runs::RunOf;
pub use schedules::{ScheduleRecord, SeenClock};
pub use tokens::TokenRecord;
pub use types::{Removal, Task};

use disk_reserve::{DiskReserve, Room, SharedRoom};
use integrity::IntegrityCheck;
use opened_file::OpenedFile;
use other_writes::OtherWrites;
use place::Place;
use reader_connection::ReaderConnections;
use reading::Readers;
use writer::Write;

/// Writes that may wait before `write` blocks.
const WAITING_WRITES: usize = 1024;
/// Threads that read at once without a wait, as the event loops and a job do, and connections that stay for them.
const READ_AT_ONCE: usize = 4;
/// How long others wait for them, before they open a connection of their own.
const READ_WAIT: Duration = Duration::from_millis(20);

/// The tables, inside one transaction.
#[derive(Debug, Clone, Copy)]
pub struct Records<'a>(&'a Connection);

/// The result of a write, to wait for: it comes after the commit. The write happens whether or not anything
/// waits.
#[derive(Debug)]
#[must_use = "a write may be refused"]
pub struct Reply<T, E>(oneshot::Receiver<Result<T, E>>);

impl<T, E: From<StoreError>> Reply<T, E> {
    pub async fn done(self) -> Result<T, E> {
        self.0.await.unwrap_or_else(|_gone| Err(StoreError::Closed.into()))
    }

    /// Blocks the thread; not for one that runs an event loop.
    pub fn wait(self) -> Result<T, E> {
        self.0.blocking_recv().unwrap_or_else(|_gone| Err(StoreError::Closed.into()))
    }

    /// What it is, once; `None`: the commit is still to come.
    pub fn answer(&mut self) -> Option<Result<T, E>> {
        match self.0.try_recv() {
            Ok(answer) => Some(answer),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Closed) => Some(Err(StoreError::Closed.into())),
        }
    }
}

/// A transaction that only reads. What begins and ends it is compiled once, like every other statement.
struct Snapshot<'a>(&'a Connection);

impl<'a> Snapshot<'a> {
    fn begin(db: &'a Connection) -> Result<Self> {
        sql::execute(db, "BEGIN", [])?;
        Ok(Self(db))
    }
}

impl Drop for Snapshot<'_> {
    fn drop(&mut self) {
        if !self.0.is_autocommit()
            && let Err(error) = sql::execute(self.0, "COMMIT", [])
        {
            log::error!("catalog: a read could not be ended: {error}");
        }
    }
}

pub struct Store {
    writes: RwLock<Option<Sender<Write>>>,
    writer: Mutex<Option<JoinHandle<()>>>,
    reading: Readers,
    readers: Pool<ReaderConnections>,
    integrity: IntegrityCheck,
    file: Arc<OpenedFile>,
    others: Arc<OtherWrites>,
    room: Arc<SharedRoom>,
}

impl fmt::Debug for Store {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Store").finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the file, creating it (for its owner only) or migrating it. A damaged file is refused; a large
    /// one is checked in a thread, and refused as soon as that finds damage. On a read-only filesystem it is only
    /// read: every write fails.
    pub fn open(path: &Path) -> Result<Self> {
        let place = Place::of(path)?;
        place.require_own_files()?;
        let room = SharedRoom::of(path);
        let mut reserve = DiskReserve::beside(place.path(), Arc::clone(&room));
        let db = match reserve.adjust() {
            Room::None => None,
            Room::Enough | Room::Little(_) => Some(open::for_writing(&place)?),
        };
        if db.is_none() {
            open::require_current(&place)?;
        }
        let integrity = IntegrityCheck::start(&place)?;
        let others = Arc::new(OtherWrites::to(&place));
        let file = Arc::new(OpenedFile::at(place.clone())?);
        let readers = open::for_reading(&place, Arc::clone(&file), READ_AT_ONCE)?;
        let reading = Readers::new(READ_AT_ONCE, READ_WAIT);
        let (sender, receiver) = bounded(WAITING_WRITES);
        let (mut queue, mut thread) = (None, None);
        if let Some(db) = db {
            let (written, seen) = (Arc::clone(&file), Arc::clone(&room));
            let named = Builder::new().name("store-writer".to_owned());
            let work = move || writer::run(db, reserve, &receiver, &written, &seen);
            let spawned = named.spawn(work);
            thread = Some(spawned.map_err(|source| place::unreachable(path, source))?);
            queue = Some(sender);
        }
        let writes = RwLock::new(queue);
        Ok(Self {
            writes,
            writer: Mutex::new(thread),
            reading,
            readers,
            integrity,
            file,
            others,
            room,
        })
    }

    /// Reads the tables in one snapshot. Blocks.
    pub fn read<T, E: From<StoreError> + Error + 'static>(
        &self,
        read: impl FnOnce(Records<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        IntegrityCheck::refuse_damaged(self.integrity.damage())?;
        let _reading = self.reading.enter();
        let db = self.readers.get().map_err(StoreError::from)?;
        let snapshot = Snapshot::begin(&db)?;
        read(Records(snapshot.0))
            .inspect_err(|error| note_damage(&self.file, self.integrity.damage(), error))
    }

    /// Queues a write. `work` runs on the writer's thread, and its error takes back what it did; `after`
    /// runs there once the commit is durable.
    pub fn write<T, E>(
        &self,
        purpose: Purpose,
        work: impl FnOnce(Records<'_>) -> Result<T, E> + Send + 'static,
        after: impl FnOnce(&T) + Send + 'static,
    ) -> Reply<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Error + Send + 'static,
    {
        let (damage, file) = (Arc::clone(self.integrity.damage()), Arc::clone(&self.file));
        let work = move |db: Records<'_>| {
            IntegrityCheck::refuse_damaged(&damage)?;
            work(db).inspect_err(|error| note_damage(&file, &damage, error))
        };
        let (sender, receiver) = oneshot::channel();
        let writes = self.writes.read().clone();
        if let Some(writes) = writes {
            // A write that is dropped, because the store is closed, answers so.
            drop(writes.send(writer::write(purpose, work, after, sender)));
        } else if let Err(read_only) = self.room.require(Purpose::Record) {
            drop(sender.send(Err(read_only.into())));
        }
        Reply(receiver)
    }

    /// Why the file is no longer the one that was opened, if so: then writes fail until it is there again.
    pub fn why_moved(&self) -> Option<String> {
        self.file.check()
    }

    /// Looks whether another program has written to the file since this was first asked. Blocks.
    pub fn was_written_by_others(&self) -> bool {
        let others = Arc::clone(&self.others);
        let look = move |db: Records<'_>| {
            others.look(db);
            Ok::<_, StoreError>(())
        };
        // Where nothing can be written now, nothing is checked.
        drop(self.write(Purpose::Record, look, |()| {}).wait());
        self.others.were_found()
    }

    /// Why the file is damaged, if it was found to be: then nothing is read or written until the next start.
    pub fn why_damaged(&self) -> Option<String> {
        let damaged = IntegrityCheck::refuse_damaged(self.integrity.damage());
        damaged.err().map(|it| it.to_string())
    }

    /// Looks at the disk, and returns why a write for this purpose would be refused now, if so.
    pub fn why_refused(&self, purpose: Purpose) -> Option<StoreError> {
        if self.room.is_strained() {
            // An empty write makes the writer look again.
            let looked = self.write::<_, StoreError>(Purpose::Record, |_db| Ok(()), |()| {});
            drop(looked.wait());
        }
        self.room.require(purpose).err()
    }

    /// Commits what waits, truncates the write-ahead log and ends the writer. Later writes fail.
    pub fn close(&self) {
        self.integrity.stop();
        drop(self.writes.write().take());
        if let Some(writer) = self.writer.lock().take()
            && writer.join().is_err()
        {
            log::error!("catalog: the writer ended with a panic");
        }
    }
}

/// Remembers damage that was found by a read or a write, unless another file is in the place of this one for a while.
fn note_damage(file: &OpenedFile, damage: &OnceLock<String>, error: &(dyn Error + 'static)) {
    if file.check_place().is_none() && !file.is_moved() {
        IntegrityCheck::note(damage, error);
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.close();
    }
}
