//! Notices when the catalog's file is removed, replaced or written over while it is open: what is written then would
//! be lost.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;
use rusqlite::ErrorCode;

use super::commits::{Mark, MarkReader};
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
    /// The newest mark that the file itself was seen with, and that the database was.
    marks: [SeenMark; 2],
    /// Whether it was ever shorter. That it is as long again says that somebody wrote it, and not what.
    was_cut: AtomicBool,
    /// What the last check of its place found, if it was gone.
    moved: Mutex<Option<&'static str>>,
    /// What a check of its content found, if it was not what SQLite wrote.
    overwritten: OnceLock<&'static str>,
}

fn id_of(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

/// The newest mark that was read in one way.
#[derive(Debug)]
struct SeenMark {
    reader: MarkReader,
    seen: Mutex<Option<Mark>>,
}

impl SeenMark {
    fn by(reader: MarkReader) -> Self {
        Self { reader, seen: Mutex::default() }
    }

    /// What is wrong with the mark that is there now, if anything is, also when it is read once more.
    fn why_other(&self) -> Option<&'static str> {
        // Nobody notes a newer one between reading and comparing.
        let mut seen = self.seen.lock();
        compare(&mut seen, &self.reader.read())
            .and_then(|_why| compare(&mut seen, &self.reader.read_anew()))
    }
}

fn compare(
    seen: &mut Option<Mark>,
    found: &rusqlite::Result<Option<Mark>>,
) -> Option<&'static str> {
    const OTHER: &str = "something else was written over it";
    match (found, seen.as_ref()) {
        (Ok(Some(now)), Some(before)) if let Some(why) = now.why_not_after(before) => Some(why),
        (Ok(Some(now)), _) => {
            *seen = Some(now.clone());
            None
        }
        // A catalog of before there was a mark.
        (Ok(None), None) => None,
        (Ok(None), Some(_)) => Some(OTHER),
        (Err(error), _) => {
            let is_other = error.sqlite_error_code() == Some(ErrorCode::NotADatabase);
            is_other.then_some(OTHER)
        }
    }
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
            marks: [MarkReader::of_file, MarkReader::of_database]
                .map(|of| SeenMark::by(of(place.clone()))),
            was_cut: AtomicBool::new(false),
            moved: Mutex::default(),
            overwritten: OnceLock::new(),
            place,
        })
    }

    /// Looks whether it is still there, and what SQLite wrote; if not, nothing is written until it is again.
    pub(super) fn check(&self) -> Option<String> {
        if self.check_place().is_none() {
            self.check_content();
        }
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
        match std::fs::metadata(self.place.log()) {
            Ok(metadata) if *self.log.get_or_init(|| id_of(&metadata)) == id_of(&metadata) => None,
            Ok(_other) => Some("its write-ahead log was replaced"),
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.log.get().is_some() => {
                Some("its write-ahead log was removed")
            }
            Err(_unknown) => None,
        }
    }

    /// Looks whether it has what SQLite wrote there. What was once found is true until the next start: what connections
    /// remember of it is of before and after.
    fn check_content(&self) {
        if self.overwritten.get().is_none()
            && let Some(why) = self.marks.iter().find_map(SeenMark::why_other)
        {
            self.overwritten.get_or_init(|| why);
        }
    }

    /// There are this many commits now.
    pub(super) fn note_commits(&self, commits: i64) {
        let [_file, database] = &self.marks;
        let mut seen = database.seen.lock();
        *seen = seen.take().map(|mark| mark.after(commits));
    }

    /// Whether the last check found it gone.
    pub(super) fn is_moved(&self) -> bool {
        self.require().is_err()
    }

    /// Fails if the last check found it gone.
    pub(super) fn require(&self) -> Result<()> {
        let moved = *self.moved.lock();
        match moved.or(self.overwritten.get().copied()) {
            Some(why) => Err(StoreError::Moved { path: self.place.path().to_owned(), why }),
            None => Ok(()),
        }
    }
}
