//! Reads the pages of a snapshot from the files themselves, in long reads instead of one by one through SQLite:
//! less than half the CPU time.
//!
//! This is correct because of what SQLite guarantees its own readers, and only while a read transaction is open.
//! The transaction sees the first `frames` frames of the log, and below them the database. A page of the database
//! that these frames do not hold is not written by anyone: writers only append to the log, and a checkpoint copies
//! no frame beyond the reader's mark. These frames are not overwritten: the log starts over only when no reader
//! uses it. The one exception is a log that was completely copied before the transaction began. It may start over,
//! but then the database alone is read, which no one writes to (SQLite's `wal.c`, `walTryBeginRead` and
//! `walCheckpoint`). In rollback mode the reader's lock keeps every writer out.
//!
//! A [`WalMark`] taken before and one taken after the transaction began tell which frames it sees: if they are
//! equal, nothing was committed in between.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::fd::AsFd as _;
use std::path::Path;

use rusqlite::Connection;
use rustix::fs::CWD;

use super::fault::companion;
use super::info::DatabaseInfo;
use super::wal::{self, Salts};
use crate::domain::SEGMENT_BYTES;
use crate::engine::file_stat::stat_at;
use crate::engine::{EngineError, Result};

/// A longer log is read through SQLite, which has an index of it.
const MAX_FRAMES: u32 = 1 << 20;

/// The offset at which SQLite places its locks. The page there holds no data ("Database File Format", 1.3).
const LOCK_BYTE: u64 = 0x4000_0000;

/// How long the log is, and how much of it was copied into the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct WalMark {
    /// Committed frames; `None` if the database is not in WAL mode.
    frames: Option<u32>,
    copied: u32,
    salts: Option<Salts>,
}

impl WalMark {
    /// Asks SQLite on a connection without a transaction. `None` if it does not say.
    ///
    /// The salts are read too: without them a log that started over and is as long again would look the same.
    pub(super) fn take(watcher: &Connection, path: &Path) -> Option<Self> {
        // Closing this handle is harmless: SQLite has no locks on the log.
        let salts = || File::open(companion(path, "-wal")).ok().and_then(|log| wal::header(&log));
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

    /// What a transaction sees that began between these two marks, if nothing was committed meanwhile.
    pub(super) fn between(before: Self, after: Self) -> Option<Self> {
        let same = before.frames == after.frames && before.salts == after.salts;
        // It must also be certain whether the log was completely copied when the transaction began.
        let certain =
            before.copied == after.copied || after.frames.is_some_and(|it| after.copied < it);
        (same && certain).then_some(after)
    }

    /// A digest that every commit changes: of the log's salts and length, and of its times. The times matter
    /// because a power cut can undo commits that were never synced, and others may then take their place.
    pub(super) fn digest(self, path: &Path) -> Option<u64> {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.frames.map_or(u64::MAX, u64::from).to_le_bytes());
        if self.frames.is_some_and(|frames| frames > 0) {
            let log = stat_at(CWD.as_fd(), companion(path, "-wal").as_os_str()).ok()?;
            hasher.update(&self.salts?);
            hasher.update(&log.inode.to_le_bytes());
            hasher.update(&log.size.to_le_bytes());
            hasher.update(&log.mtime_ns.to_le_bytes());
            hasher.update(&log.ctime_ns.to_le_bytes());
        }
        let digest = hasher.finalize();
        digest.as_bytes().first_chunk().map(|first| u64::from_le_bytes(*first))
    }

    /// How many frames hold something that the database does not have yet.
    fn uncopied_frames(self) -> u32 {
        self.frames.filter(|frames| self.copied < *frames).unwrap_or(0)
    }
}

#[derive(Debug)]
pub(super) struct DirectReader<'a> {
    database: &'a File,
    path: &'a Path,
    wal: Option<File>,
    /// The pages in the log, and their frames.
    wal_pages: Vec<(u32, u32)>,
    page_size: u32,
    bytes: u64,
}

impl<'a> DirectReader<'a> {
    /// Opens the snapshot at `mark`; `None` if it is better read through SQLite.
    pub(super) fn open(
        database: &'a File,
        path: &'a Path,
        mark: WalMark,
        info: &DatabaseInfo,
    ) -> Option<Self> {
        let page_size = info.page_size;
        let frames = mark.uncopied_frames();
        let (mut wal, mut wal_pages) = (None, Vec::new());
        if frames > 0 {
            let log = File::open(companion(path, "-wal")).ok()?;
            let (salts, wal_page_size) = wal::header(&log)?;
            if Some(salts) != mark.salts || wal_page_size != page_size || frames > MAX_FRAMES {
                return None;
            }
            wal_pages = wal::pages(&log, salts, page_size, frames).ok()?;
            wal = Some(log);
        }
        Some(Self { database, path, wal, wal_pages, page_size, bytes: info.bytes() })
    }

    /// Gives every segment to `take`, in order, in buffers from `buffer`.
    pub(super) fn segments(
        &self,
        mut buffer: impl FnMut() -> Vec<u8>,
        mut take: impl FnMut(Vec<u8>) -> Result<()>,
    ) -> Result<()> {
        let failed = |error| EngineError::io("reading", self.path, error);
        let mut database = self.database;
        database.seek(SeekFrom::Start(0)).map_err(failed)?;
        let (mut at, mut wal_pages) = (0_u64, self.wal_pages.as_slice());
        while at < self.bytes {
            let length =
                usize::try_from(self.bytes - at).unwrap_or(SEGMENT_BYTES).min(SEGMENT_BYTES);
            let wanted = u64::try_from(length).unwrap_or(u64::MAX);
            let mut segment = buffer();
            let read = database.take(wanted).read_to_end(&mut segment).map_err(failed)?;
            segment.resize(length, 0);
            let complete = self.overlay(&mut segment, at, read, &mut wal_pages).map_err(failed)?;
            if complete < length {
                return Err(failed(io::ErrorKind::UnexpectedEof.into()));
            }
            self.clear_lock_page(&mut segment, at);
            take(segment)?;
            at = at.saturating_add(wanted);
        }
        Ok(())
    }

    /// Copies pages from the log into the segment at `at`, of which `read` bytes came from the database file.
    /// Returns how many bytes are complete: what is beyond the end of the file must all be in the log.
    /// `pages` are those not used yet.
    fn overlay(
        &self,
        segment: &mut [u8],
        at: u64,
        read: usize,
        pages: &mut &[(u32, u32)],
    ) -> io::Result<usize> {
        let mut complete = read;
        let Some(wal) = &self.wal else { return Ok(complete) };
        while let Some(((number, frame), rest)) = pages.split_first() {
            let start = u64::from(number.saturating_sub(1)) * u64::from(self.page_size) - at;
            let range = usize::try_from(start).ok().and_then(|start| {
                Some(start..start.checked_add(usize::try_from(self.page_size).ok()?)?)
            });
            // A page outside is of a later segment, or was removed when the database shrank.
            let Some(range) = range.filter(|it| it.end <= segment.len()) else { break };
            if range.start <= complete {
                complete = complete.max(range.end);
            }
            wal::read_page(wal, *frame, segment.get_mut(range).unwrap_or_default())?;
            *pages = rest;
        }
        Ok(complete)
    }

    /// SQLite returns the lock page as zeros, whatever is in the file.
    fn clear_lock_page(&self, segment: &mut [u8], at: u64) {
        let start = LOCK_BYTE.checked_sub(at).and_then(|start| usize::try_from(start).ok());
        if let (Some(start), Ok(size)) = (start, usize::try_from(self.page_size))
            && let Some(page) = segment.get_mut(start..start.saturating_add(size))
        {
            page.fill(0);
        }
    }
}
