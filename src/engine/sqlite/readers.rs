//! Which databases this process is reading.
//!
//! POSIX locks belong to a process and a file, and closing *any* handle of that file releases all of them,
//! including SQLite's ("How To Corrupt An SQLite Database File", 2.2). So a database file is opened outside
//! of SQLite only while nothing else in this process has it open, and that handle is closed after SQLite's.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::domain::Cancel;
use crate::engine::{EngineError, Pulse, Result};

/// How often a waiting reader checks the cancel flag.
const CANCEL_POLL: Duration = Duration::from_millis(100);

type FileId = (u64, u64);

#[derive(Debug, Default, Clone, Copy)]
struct Readers {
    count: usize,
    /// The only reader has a handle outside of SQLite. Others must wait until it is closed.
    exclusive: bool,
}

static READERS: Mutex<BTreeMap<FileId, Readers>> = Mutex::new(BTreeMap::new());
static READER_LEFT: Condvar = Condvar::new();

/// Registers one reader of a database. Must outlive its connections.
#[derive(Debug)]
pub(super) struct ReaderGuard {
    id: FileId,
    handle: Option<File>,
}

impl ReaderGuard {
    /// Registers a reader of the database at `path`. Waits while another has an exclusive handle.
    pub(super) fn register(path: &Path, cancel: &Cancel, pulse: &Pulse) -> Result<Self> {
        let found =
            std::fs::metadata(path).map_err(|error| EngineError::io("inspecting", path, error))?;
        let id = (found.dev(), found.ino());
        let mut readers = READERS.lock();
        while readers.get(&id).is_some_and(|it| it.exclusive) {
            if cancel.is_cancelled() {
                return Err(EngineError::Cancelled);
            }
            pulse.beat();
            READER_LEFT.wait_for(&mut readers, CANCEL_POLL);
        }
        readers.entry(id).or_default().count += 1;
        Ok(Self { id, handle: None })
    }

    /// A handle outside of SQLite, if this is the only reader and nothing else in this process has the file
    /// open but the reader's own `connections`. From then on other readers wait until this one ends.
    pub(super) fn exclusive_handle(&mut self, path: &Path, connections: usize) -> Option<&File> {
        let mut readers = READERS.lock();
        let this = readers.get_mut(&self.id).filter(|it| it.count == 1)?;
        if self.handle.is_none() {
            if open_handles(self.id)? != connections {
                return None;
            }
            // Now the handle must not be closed before the connections are, so it is kept even if it is of no use.
            self.handle = Some(File::open(path).ok()?);
            this.exclusive = true;
        }
        let file = self.handle.as_ref()?;
        let id = file.metadata().ok().map(|it| (it.dev(), it.ino()));
        (id == Some(self.id)).then_some(file)
    }
}

impl Drop for ReaderGuard {
    fn drop(&mut self) {
        drop(self.handle.take());
        let mut readers = READERS.lock();
        let left = readers.get_mut(&self.id).map_or(0, |it| {
            it.exclusive = false;
            it.count = it.count.saturating_sub(1);
            it.count
        });
        if left == 0 {
            readers.remove(&self.id);
        }
        READER_LEFT.notify_all();
    }
}

/// How many handles of a file this process has; `None` if the system does not say.
fn open_handles(id: FileId) -> Option<usize> {
    let entries = std::fs::read_dir("/proc/self/fd").ok()?;
    let same = entries
        .flatten()
        .filter(|entry| std::fs::metadata(entry.path()).is_ok_and(|it| (it.dev(), it.ino()) == id));
    Some(same.count())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn register(path: &Path) -> ReaderGuard {
        ReaderGuard::register(path, &Cancel::default(), &Pulse::default()).unwrap()
    }

    #[test]
    fn only_a_sole_reader_gets_an_exclusive_handle_and_the_next_reader_waits_for_it() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path();
        // The test's own handle counts as a connection.
        let mut first = register(path);
        assert!(first.exclusive_handle(path, 0).is_none(), "something else has it open");
        let second = register(path);
        assert!(first.exclusive_handle(path, 1).is_none(), "there is another reader");
        drop(second);
        assert!(first.exclusive_handle(path, 1).is_some());
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| drop(register(path)));
            assert!(!waiting.is_finished(), "a second reader did not wait");
            drop(first);
            waiting.join().unwrap();
        });
    }

    #[test]
    fn a_reader_that_waits_for_an_exclusive_handle_can_be_cancelled() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path();
        let mut first = register(path);
        assert!(first.exclusive_handle(path, 1).is_some());
        let cancel = Cancel::default();
        std::thread::scope(|scope| {
            let waiting =
                scope.spawn(|| ReaderGuard::register(path, &cancel, &Pulse::default()).map(drop));
            std::thread::park_timeout(CANCEL_POLL / 2);
            assert!(!waiting.is_finished(), "a second reader did not wait");
            cancel.cancel();
            assert!(matches!(waiting.join().unwrap(), Err(EngineError::Cancelled)));
        });
    }
}
