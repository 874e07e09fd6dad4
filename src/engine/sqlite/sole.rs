//! Who in this process has which database open.
//!
//! POSIX locks belong to a process and a file, and closing *any* handle of that file gives up all of them,
//! SQLite's too ("How To Corrupt An SQLite Database File", 2.2). So a database is read with a handle of our
//! own only while nobody else in this process has it open, and that handle is closed after SQLite's are.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::{Condvar, Mutex, PoisonError};

/// Device and number of a file.
type Key = (u64, u64);

#[derive(Debug, Default, Clone, Copy)]
struct Uses {
    readers: usize,
    /// One of them has a handle of its own: nobody else may come before it is closed.
    alone: bool,
}

static USES: Mutex<BTreeMap<Key, Uses>> = Mutex::new(BTreeMap::new());
static FREED: Condvar = Condvar::new();

/// A reader of a database. Lives longer than its connections.
#[derive(Debug)]
pub(super) struct Hold {
    key: Key,
    file: Option<File>,
}

impl Hold {
    /// A reader of the database at `path`; waits while another one reads it with its own handle.
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let found = std::fs::metadata(path)?;
        let key = (found.dev(), found.ino());
        let mut uses = USES.lock().unwrap_or_else(PoisonError::into_inner);
        while uses.get(&key).is_some_and(|it| it.alone) {
            uses = FREED.wait(uses).unwrap_or_else(PoisonError::into_inner);
        }
        uses.entry(key).or_default().readers += 1;
        Ok(Self { key, file: None })
    }

    /// A handle of our own, if this is the only reader and nothing else in this process has the file open
    /// but its `connections`.
    pub(super) fn alone(&mut self, path: &Path, connections: usize) -> Option<&File> {
        let mut uses = USES.lock().unwrap_or_else(PoisonError::into_inner);
        let mine = uses.get_mut(&self.key).filter(|it| it.readers == 1)?;
        if handles_of(self.key)? != connections {
            return None;
        }
        let file = File::open(path).ok()?;
        // From here on the file must not be closed before the connections are: it is kept in any case.
        mine.alone = true;
        let found = file.metadata().ok().map(|it| (it.dev(), it.ino()));
        let file = self.file.insert(file);
        (found == Some(self.key)).then_some(file)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        drop(self.file.take());
        let mut uses = USES.lock().unwrap_or_else(PoisonError::into_inner);
        let left = uses.get_mut(&self.key).map_or(0, |it| {
            it.alone = false;
            it.readers = it.readers.saturating_sub(1);
            it.readers
        });
        if left == 0 {
            uses.remove(&self.key);
        }
        FREED.notify_all();
    }
}

/// How many handles this process has of a file; `None`: the system does not say.
fn handles_of(key: Key) -> Option<usize> {
    let entries = std::fs::read_dir("/proc/self/fd").ok()?;
    let same = entries.flatten().filter(|entry| {
        std::fs::metadata(entry.path()).is_ok_and(|it| (it.dev(), it.ino()) == key)
    });
    Some(same.count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_of_our_own_is_given_to_the_only_reader_and_to_nobody_else() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path();
        // The test's own handle counts as a connection.
        let mut first = Hold::of(path).unwrap();
        assert!(first.alone(path, 0).is_none(), "somebody else has it open");
        let second = Hold::of(path).unwrap();
        assert!(first.alone(path, 1).is_none(), "there is another reader");
        drop(second);
        assert!(first.alone(path, 1).is_some());
        let waiting = std::thread::scope(|scope| {
            let waiting = scope.spawn(|| Hold::of(path).map(drop));
            assert!(!waiting.is_finished(), "the file is ours alone");
            drop(first);
            waiting.join().unwrap()
        });
        waiting.unwrap();
    }
}
