//! Connections for reading: opened as they are needed, and kept for the reads that follow.

use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use rusqlite::Connection;

use super::open::{self, PATIENCE, Place};
use super::opened_file::OpenedFile;
use super::{Result, StoreError};

/// How many there may be: more than there are threads that read at once, since the event loops of the API must not wait.
const MOST: usize = 16;

/// How long one is kept that nobody needs.
const KEPT: Duration = Duration::from_secs(30);

pub(super) struct Readers {
    place: Place,
    file: Arc<OpenedFile>,
    connections: Mutex<Connections>,
    /// Notified when one is free, or may be opened.
    is_free: Condvar,
}

#[derive(Default)]
struct Connections {
    /// The one that was used last is at the end, and is used next.
    idle: Vec<(Connection, Instant)>,
    in_use: usize,
}

/// A connection that nobody else uses until this is dropped.
pub(super) struct Reader<'a> {
    readers: &'a Readers,
    /// `None` while it is dropped.
    db: Option<Connection>,
}

impl Readers {
    /// Opens the first connection.
    pub(super) fn open(place: Place, file: Arc<OpenedFile>) -> Result<Self> {
        let (connections, is_free) = Default::default();
        let readers = Self { place, file, connections, is_free };
        readers.get().map(drop)?;
        Ok(readers)
    }

    /// A connection. Waits if too many are in use, but not forever.
    pub(super) fn get(&self) -> Result<Reader<'_>> {
        let mut connections = self.connections.lock();
        let all_in_use = |it: &mut Connections| it.in_use >= MOST;
        if self.is_free.wait_while_for(&mut connections, all_in_use, PATIENCE).timed_out() {
            return Err(StoreError::NoReader);
        }
        connections.in_use += 1;
        let idle = connections.idle.pop().map(|(db, _since)| db);
        drop(connections);
        // From here on its end is counted, also if none can be opened.
        let mut reader = Reader { readers: self, db: idle };
        if reader.db.is_none() {
            reader.db = Some(open::for_reading(&self.place, &self.file)?);
        }
        Ok(reader)
    }
}

impl Connections {
    /// Takes out those that nobody has needed for long, but for one.
    fn take_unneeded(&mut self, now: Instant) -> Vec<(Connection, Instant)> {
        let old = |since: &Instant| now.saturating_duration_since(*since) >= KEPT;
        let count = self.idle.iter().take_while(|(_db, since)| old(since)).count();
        let count = count.min(self.idle.len().saturating_sub(1));
        self.idle.drain(..count).collect()
    }
}

impl Deref for Reader<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.db.as_ref().expect("it is there until the reader is dropped")
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        let now = Instant::now();
        let mut connections = self.readers.connections.lock();
        connections.in_use = connections.in_use.saturating_sub(1);
        // One whose transaction could not be ended is of no use.
        let usable = self.db.take().filter(|db| db.is_autocommit());
        connections.idle.extend(usable.map(|db| (db, now)));
        let unneeded = connections.take_unneeded(now);
        drop(connections);
        self.readers.is_free.notify_one();
        drop(unneeded);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;

    fn readers() -> (tempfile::TempDir, Readers) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("catalog.db");
        drop(Store::open(&path).unwrap());
        let file = Arc::new(OpenedFile::at(&path).unwrap());
        let readers = Readers::open(Place::of(&path).unwrap(), file).unwrap();
        (folder, readers)
    }

    #[test]
    fn a_connection_is_used_again_and_another_is_opened_only_beside_it() {
        let (_folder, readers) = readers();
        let count = || readers.connections.lock().idle.len();
        assert_eq!(count(), 1);
        let first = readers.get().unwrap();
        assert_eq!(count(), 0);
        let second = readers.get().unwrap();
        drop((first, second));
        assert_eq!((count(), readers.connections.lock().in_use), (2, 0));
        drop(readers.get().unwrap());
        assert_eq!(count(), 2);
    }

    #[test]
    fn connections_that_nobody_needs_any_more_are_closed_but_for_one() {
        let (_folder, readers) = readers();
        let several: Vec<_> = (0..3).map(|_one| readers.get().unwrap()).collect();
        drop(several);
        let later = Instant::now().checked_add(KEPT).unwrap();
        let mut connections = readers.connections.lock();
        assert_eq!(connections.take_unneeded(later.checked_sub(KEPT).unwrap()).len(), 0);
        assert_eq!(connections.take_unneeded(later).len(), 2);
        assert_eq!(connections.take_unneeded(later).len(), 0);
    }

    #[test]
    fn a_connection_whose_transaction_did_not_end_is_not_used_again() {
        let (_folder, readers) = readers();
        let reader = readers.get().unwrap();
        reader.execute_batch("BEGIN").unwrap();
        drop(reader);
        let connections = readers.connections.lock();
        assert_eq!((connections.idle.len(), connections.in_use), (0, 0));
    }

    #[test]
    fn a_connection_that_cannot_be_opened_takes_no_room() {
        let (folder, readers) = readers();
        std::fs::remove_file(folder.path().join("catalog.db")).unwrap();
        let _first = readers.get().unwrap();
        for _again in 0..=MOST {
            assert!(matches!(readers.get(), Err(StoreError::Sqlite(_))));
        }
        assert_eq!(readers.connections.lock().in_use, 1);
    }
}
