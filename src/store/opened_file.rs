//! Notices when the catalog's file is removed, replaced or written over while it is open: what is written then would
//! be lost.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use parking_lot::Mutex;
use rusqlite::{ErrorCode, OptionalExtension as _};

use super::place::Place;
use super::{Result, StoreError};

#[derive(Debug)]
pub(super) struct OpenedFile {
    place: Place,
    id: (u64, u64),
    /// The write-ahead log, as it was first seen: it stays as long as the database is open.
    log: OnceLock<(u64, u64)>,
    /// The greatest length that it was seen with. SQLite never makes it shorter.
    length: AtomicU64,
    /// The greatest change counter that it was seen with. SQLite only counts it up.
    changes: AtomicU32,
    /// Whether it was ever shorter. That it is as long again says that somebody wrote it, and not what.
    was_cut: AtomicBool,
    /// What the last check of its place found, if it was gone.
    moved: Mutex<Option<&'static str>>,
    /// What the last check of its content found, if it was not what SQLite wrote.
    overwritten: Mutex<Option<&'static str>>,
}

fn id_of(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

impl OpenedFile {
    /// The file in this place now.
    pub(super) fn at(place: Place) -> Result<Self> {
        let path = place.path();
        let metadata = std::fs::metadata(path)
            .map_err(|source| StoreError::Unreachable { path: path.to_owned(), source })?;
        Ok(Self {
            id: id_of(&metadata),
            log: OnceLock::new(),
            length: AtomicU64::new(metadata.len()),
            changes: AtomicU32::new(0),
            was_cut: AtomicBool::new(false),
            moved: Mutex::default(),
            overwritten: Mutex::default(),
            place,
        })
    }

    /// Looks whether it is still there, and what SQLite wrote; if not, nothing is written until it is again.
    pub(super) fn check(&self) -> Option<String> {
        let is_there = self.check_place().is_none();
        *self.overwritten.lock() = if is_there { self.check_content() } else { None };
        self.require().err().map(|gone| gone.to_string())
    }

    /// Looks whether it is still there.
    pub(super) fn check_place(&self) -> Option<&'static str> {
        let why = match std::fs::metadata(self.place.path()) {
            Ok(metadata) if id_of(&metadata) == self.id => {
                let before = self.length.fetch_max(metadata.len(), Ordering::AcqRel);
                self.was_cut.fetch_or(metadata.len() < before, Ordering::AcqRel);
                let was_cut = self.was_cut.load(Ordering::Acquire);
                was_cut.then_some("it was cut short").or_else(|| self.check_log())
            }
            Ok(_other) => Some("another file is in its place"),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Some("it was removed"),
            // That it cannot be reached for a moment says nothing.
            Err(_unknown) => return None,
        };
        *self.moved.lock() = why;
        why
    }

    /// What became of the write-ahead log, which has the newest writes, if it is not the one that was there.
    fn check_log(&self) -> Option<&'static str> {
        let mut path = self.place.path().to_owned().into_os_string();
        path.push("-wal");
        match std::fs::metadata(&path) {
            Ok(metadata) if *self.log.get_or_init(|| id_of(&metadata)) == id_of(&metadata) => None,
            Ok(_other) => Some("its write-ahead log was replaced"),
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.log.get().is_some() => {
                Some("its write-ahead log was removed")
            }
            Err(_unknown) => None,
        }
    }

    /// What is wrong with the start of the file, which SQLite itself reads only once. The format has it in section
    /// 1.3 (`https://sqlite.org/fileformat2.html`).
    fn check_content(&self) -> Option<&'static str> {
        let header = |db: rusqlite::Connection| {
            let header = "SELECT substr(data, 1, 100) FROM sqlite_dbpage WHERE pgno = 1";
            db.query_row(header, [], |row| row.get::<_, Vec<u8>>(0)).optional()
        };
        match self.place.open_without_log().and_then(header) {
            Ok(header) => {
                let header = header.unwrap_or_default();
                let changes = header.get(24..28).and_then(|it| <[u8; 4]>::try_from(it).ok());
                let changes = changes.map_or(0, u32::from_be_bytes);
                let before = self.changes.fetch_max(changes, Ordering::AcqRel);
                (changes < before).then_some("an older one was written over it")
            }
            Err(error) => {
                let is_other = error.sqlite_error_code() == Some(ErrorCode::NotADatabase);
                is_other.then_some("something else was written over it")
            }
        }
    }

    /// Whether the last check found it gone.
    pub(super) fn is_moved(&self) -> bool {
        self.require().is_err()
    }

    /// Fails if the last check found it gone.
    pub(super) fn require(&self) -> Result<()> {
        let moved = *self.moved.lock();
        match moved.or(*self.overwritten.lock()) {
            Some(why) => Err(StoreError::Moved { path: self.place.path().to_owned(), why }),
            None => Ok(()),
        }
    }
}
