//! The pages of a snapshot, read from the files themselves in long reads instead of one by one through
//! SQLite: less than half the processor's time.
//!
//! This is right because of what SQLite promises its own readers, and only while a read transaction is open.
//! The transaction sees the first `frames` frames of the log, and the database below them. Nobody writes to
//! a page of the database that these frames do not hold: writers only append to the log, and a checkpoint
//! copies no frame behind the reader's mark. Nobody overwrites these frames: the log begins anew only when
//! no reader uses it. The one exception is a log that was wholly copied before the transaction began: then
//! it may begin anew, and the database alone is what is read, which nobody writes to (SQLite's `wal.c`,
//! `walTryBeginRead` and `walCheckpoint`). In the rollback modes the reader's lock keeps every writer out.
//!
//! Which frames the transaction sees, [`Mark`] tells: it is taken before and after the transaction began,
//! and if nothing was committed in between both are the same.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::fd::AsFd as _;
use std::path::Path;

use rusqlite::Connection;
use rustix::fs::CWD;

use super::fault::beside;
use super::log::{self, Salts};
use super::shape::Shape;
use crate::domain::SEGMENT_BYTES;
use crate::engine::look::look;

/// A log of more frames is left to SQLite, which has an index of it.
const MOST_FRAMES: u32 = 1 << 20;

/// Where in a file SQLite locks; the page there holds no data ("Database File Format", 1.3).
const LOCK_BYTE: u64 = 0x4000_0000;

/// How far the log goes, and how much of it was copied into the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    /// Frames that are committed; `None`: not in WAL mode.
    frames: Option<u32>,
    copied: u32,
    salts: Option<Salts>,
}

impl Mark {
    /// Asks SQLite, on a connection without a transaction. `None`: it did not say.
    ///
    /// The log's own header is read too: it tells a log that began anew and is as long again.
    pub(super) fn take(watcher: &Connection, path: &Path) -> Option<Self> {
        // Closing the log's handle is harmless: SQLite has no locks on that file.
        let salts = || File::open(beside(path, "-wal")).ok().and_then(|log| log::header(&log));
        let before = salts();
        let (busy, frames, copied) = watcher
            .query_row("PRAGMA wal_checkpoint(NOOP)", (), |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?))
            })
            .ok()?;
        if busy != 0 || before != salts() {
            return None;
        }
        let frames = if frames < 0 { None } else { Some(u32::try_from(frames).ok()?) };
        let copied = u32::try_from(copied).unwrap_or_default();
        Some(Self { frames, copied, salts: before.map(|(salts, _)| salts) })
    }

    /// What a transaction sees that began between these two: nothing else was committed meanwhile.
    pub(super) fn around(before: Self, after: Self) -> Option<Self> {
        let same = before.frames == after.frames && before.salts == after.salts;
        // Whether the log was wholly copied when the transaction began must be beyond doubt too.
        let sure =
            before.copied == after.copied || after.frames.is_some_and(|it| after.copied < it);
        (same && sure).then_some(after)
    }

    /// A digest of where the log began and how far it goes: whatever is committed changes it. And of the
    /// log's own times: a power cut can take commits back that were never synced, and others may then take
    /// their place.
    pub(super) fn digest(self, path: &Path) -> Option<u64> {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.frames.map_or(u64::MAX, u64::from).to_le_bytes());
        if self.frames.is_some_and(|frames| frames > 0) {
            let log = look(CWD.as_fd(), beside(path, "-wal").as_os_str()).ok()?;
            hasher.update(&self.salts?);
            hasher.update(&log.inode.to_le_bytes());
            hasher.update(&log.size.to_le_bytes());
            hasher.update(&log.mtime_ns.to_le_bytes());
            hasher.update(&log.ctime_ns.to_le_bytes());
        }
        let digest = hasher.finalize();
        digest.as_bytes().first_chunk().map(|first| u64::from_le_bytes(*first))
    }

    /// How many frames hold something that the database does not have.
    fn needed(self) -> u32 {
        self.frames.filter(|frames| self.copied < *frames).unwrap_or(0)
    }
}

/// Why the reading ended early.
#[derive(Debug)]
pub(super) enum Stop<E> {
    /// A file could not be read.
    Read(io::Error),
    /// The taker's own error.
    Taken(E),
}

impl<E> Stop<E> {
    /// As the taker's error, with `read` for a file that could not be read.
    pub(super) fn explain(self, read: impl FnOnce(io::Error) -> E) -> E {
        match self {
            Self::Read(error) => read(error),
            Self::Taken(error) => error,
        }
    }
}

/// The files of a snapshot.
#[derive(Debug)]
pub(super) struct Direct<'a> {
    database: &'a File,
    log: Option<File>,
    /// Pages that are in the log, and their frames.
    pages: Vec<(u32, u32)>,
    page_size: u32,
    bytes: u64,
}

impl<'a> Direct<'a> {
    /// The files of the snapshot that `mark` tells of, at `path`; `None`: better read it through SQLite.
    pub(super) fn open(database: &'a File, path: &Path, mark: Mark, shape: &Shape) -> Option<Self> {
        let frames = mark.needed();
        let mut direct = Self {
            database,
            log: None,
            pages: Vec::new(),
            page_size: shape.page_size,
            bytes: shape.bytes(),
        };
        if frames == 0 {
            return Some(direct);
        }
        let log = File::open(beside(path, "-wal")).ok()?;
        let (salts, page_size) = log::header(&log)?;
        if Some(salts) != mark.salts || page_size != shape.page_size || frames > MOST_FRAMES {
            return None;
        }
        direct.pages = log::pages(&log, salts, page_size, frames).ok()?;
        direct.log = Some(log);
        Some(direct)
    }

    /// Gives every segment, in order, in buffers that `buffer` makes.
    pub(super) fn segments<E>(
        &self,
        mut buffer: impl FnMut() -> Vec<u8>,
        mut take: impl FnMut(Vec<u8>) -> Result<(), E>,
    ) -> Result<(), Stop<E>> {
        let mut database = self.database;
        database.seek(SeekFrom::Start(0)).map_err(Stop::Read)?;
        let (mut at, mut pages) = (0_u64, self.pages.as_slice());
        while at < self.bytes {
            let length =
                usize::try_from(self.bytes - at).unwrap_or(SEGMENT_BYTES).min(SEGMENT_BYTES);
            let mut segment = buffer();
            let wanted = u64::try_from(length).unwrap_or(u64::MAX);
            let got = database.take(wanted).read_to_end(&mut segment).map_err(Stop::Read)?;
            segment.resize(length, 0);
            let reached = self.overlay(&mut segment, at, got, &mut pages).map_err(Stop::Read)?;
            if reached < length {
                return Err(Stop::Read(io::ErrorKind::UnexpectedEof.into()));
            }
            self.blank_lock_page(&mut segment, at);
            take(segment).map_err(Stop::Taken)?;
            at = at.saturating_add(wanted);
        }
        Ok(())
    }

    /// Puts the log's pages into the segment at `at`, of which the database's file had the first `got` bytes;
    /// `pages` are those from here on. Says how far the segment is whole: what lies behind the end of the
    /// file must all be in the log.
    fn overlay(
        &self,
        segment: &mut [u8],
        at: u64,
        got: usize,
        pages: &mut &[(u32, u32)],
    ) -> io::Result<usize> {
        let mut reached = got;
        let Some(log) = &self.log else { return Ok(reached) };
        while let Some(((number, frame), rest)) = pages.split_first() {
            let start = u64::from(number.saturating_sub(1)) * u64::from(self.page_size) - at;
            let range = usize::try_from(start).ok().and_then(|start| {
                Some(start..start.checked_add(usize::try_from(self.page_size).ok()?)?)
            });
            // The next segment's, or cut off since by a smaller database.
            let Some(range) = range.filter(|it| it.end <= segment.len()) else { break };
            if range.start <= reached {
                reached = reached.max(range.end);
            }
            log::page(log, *frame, segment.get_mut(range).unwrap_or_default())?;
            *pages = rest;
        }
        Ok(reached)
    }

    /// SQLite gives the lock page as zeros, whatever lies there.
    fn blank_lock_page(&self, segment: &mut [u8], at: u64) {
        let size = u64::from(self.page_size);
        let place = LOCK_BYTE.checked_sub(at).and_then(|start| usize::try_from(start).ok());
        if let (Some(start), Ok(size)) = (place, usize::try_from(size))
            && let Some(page) = segment.get_mut(start..start.saturating_add(size))
        {
            page.fill(0);
        }
    }
}
