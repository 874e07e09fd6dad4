//! The proof before a backup is COMPLETED: what lies on the disk is what was read from the source.

use std::sync::Arc;

use super::bytes::wide;
use super::error::{ArchiveError, Flaw};
use super::finish::Finished;
use super::frame::Decompressor;
use super::hash;
use super::index::{Record, RootPlace, Segment, Stored};
use super::load::{Holders, unpack};
use super::pool::Pool;
use super::reader::Reader;
use super::sparse;
use super::tried::Tried;
use super::walk::{Ground, check_hash, walk};
use crate::domain::{EntryKind, Kind};

/// A frame to be read, with the segments of a full backup that lie in it, and a buffer for it.
#[derive(Debug)]
struct Job {
    number: u32,
    segments: Vec<Own>,
    stored: Vec<u8>,
}

/// A segment of a full backup.
#[derive(Debug)]
struct Own {
    number: usize,
    only: bool,
    segment: Segment,
}

/// Frames being read and checked, and what is made of their bytes in the order of the file.
struct Reading<'a> {
    pool: Pool<Job, Result<Vec<u8>, ArchiveError>>,
    hasher: blake3::Hasher,
    done: u64,
    spare: Vec<Vec<u8>>,
    progress: &'a (dyn Fn(u64) + Sync),
}

/// Proves an archive that was just written: reads the file once from front to back and compares its
/// checksum, decompresses every frame, compares every stored segment with the hash taken from the
/// source, and the manifest and the index with what the writer says. Of changed pages it compares that they
/// are those that gave the segment when they were made (see the module `tried`). An incremental needs its
/// `root`. `progress` is told how many bytes of the file are done.
pub fn prove(
    reader: &Arc<Reader>,
    root: Option<&Arc<Reader>>,
    finished: &Finished,
    workers: usize,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<(), ArchiveError> {
    let wrong = |what: &str| reader.damaged(Flaw::new(what));
    if reader.stored_bytes() != finished.stored_bytes {
        return Err(wrong("the file is not as long as what was written"));
    }
    if *reader.manifest() != finished.manifest {
        return Err(wrong("the manifest is not what was written"));
    }
    let checksum = read_through(reader, workers, progress)?;
    if checksum != finished.checksum {
        return Err(wrong("the file's checksum is not that of what was written"));
    }
    own_segments(reader, root, &finished.tried, workers)
}

/// Looks at an archive that nothing is known of but itself: reads the file once from front to back,
/// decompresses every frame, a person's instructions too, and compares every segment it stores with its
/// hash. An incremental needs its `root`. Gives the file's BLAKE3 in hex.
pub fn recheck(
    reader: &Arc<Reader>,
    root: Option<&Arc<Reader>>,
    workers: usize,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<String, ArchiveError> {
    let checksum = read_through(reader, workers, progress)?;
    own_segments(reader, root, &Arc::default(), workers)?;
    Ok(checksum)
}

/// Compares what an incremental stores with the hashes, but for patches that were tried when they were made;
/// a full one's were compared frame by frame.
fn own_segments(
    reader: &Arc<Reader>,
    root: Option<&Arc<Reader>>,
    tried: &Arc<Tried>,
    workers: usize,
) -> Result<(), ArchiveError> {
    if reader.manifest().kind == Kind::Full {
        return Ok(());
    }
    let root = reader.needed_root(root)?;
    let holders = Arc::new(Holders::root_and(root, reader));
    let ground = Ground { target: reader, holders: &holders, own_but: Some(tried) };
    walk(ground, workers, None, &|_bytes| {})?;
    Ok(())
}

/// Reads the whole file; gives its BLAKE3. Checks what is in visible frames on the way. The workers read too:
/// what was just synced comes from the disk again, and while one waits for it the other decompresses.
fn read_through(
    reader: &Arc<Reader>,
    workers: usize,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<String, ArchiveError> {
    let pool = Pool::start(workers, || {
        let mut decompressor = Decompressor::new()?;
        let (mut raw, mut segment) = (Vec::new(), Vec::new());
        let reader = Arc::clone(reader);
        Ok(move |mut job: Job| {
            let frame = reader.stored_frame(job.number, &mut job.stored)?;
            if frame.raw > 0 {
                check(&mut decompressor, &job, frame.raw, (&mut raw, &mut segment))
                    .map_err(|flaw| reader.damaged(flaw))?;
            }
            Ok(job.stored)
        })
    })?;
    let full = reader.manifest().kind == Kind::Full;
    let mut segments = if full { Some(OwnSegments::new(reader)?) } else { None };
    let (hasher, spare) = (blake3::Hasher::new(), Vec::new());
    let mut reading = Reading { pool, hasher, done: 0, spare, progress };
    for number in 0..reader.table().count() {
        let segments = match segments.as_mut() {
            Some(segments) => segments.of_frame(number)?,
            None => Vec::new(),
        };
        while reading.pool.is_full() {
            reading.settle()?;
        }
        let stored = reading.spare.pop().unwrap_or_default();
        reading.pool.submit(Job { number, segments, stored })?;
    }
    while reading.settle()? {}
    if let Some(mut segments) = segments
        && segments.next()?.is_some()
    {
        return Err(reader.damaged(Flaw::new("a segment lies in no frame of data")));
    }
    hash_rest(reader, &mut reading.hasher)?;
    progress(reader.stored_bytes());
    Ok(reading.hasher.finalize().to_hex().as_str().to_owned())
}

impl Reading<'_> {
    /// Waits for the oldest frame; `false`: there is none.
    fn settle(&mut self) -> Result<bool, ArchiveError> {
        let Some(result) = self.pool.next()? else { return Ok(false) };
        let stored = result?;
        self.hasher.update(&stored);
        self.done = self.done.saturating_add(wide(stored.len()));
        (self.progress)(self.done);
        self.spare.push(stored);
        Ok(true)
    }
}

/// Hashes the seek table, which is not in itself.
fn hash_rest(reader: &Reader, hasher: &mut blake3::Hasher) -> Result<(), ArchiveError> {
    let start = reader.table().end();
    let length = usize::try_from(reader.stored_bytes().saturating_sub(start)).unwrap_or(0);
    let mut rest = vec![0; length];
    reader.read_at(&mut rest, start)?;
    hasher.update(&rest);
    Ok(())
}

fn check(
    decompressor: &mut Decompressor,
    job: &Job,
    raw_bytes: usize,
    (raw, content): (&mut Vec<u8>, &mut Vec<u8>),
) -> Result<(), Flaw> {
    unpack(decompressor, &job.stored, raw_bytes, raw)?;
    for Own { number, only, segment } in &job.segments {
        let Stored::Root(RootPlace { place, layout }) = &segment.stored else { continue };
        let start = usize::try_from(place.offset).unwrap_or(usize::MAX);
        let end = start.saturating_add(usize::try_from(place.length).unwrap_or(usize::MAX));
        let found =
            raw.get(start..end).ok_or_else(|| Flaw::new("a segment is not in its frame"))?;
        let bytes = match layout {
            None => found,
            Some(layout) => {
                sparse::scatter(found, layout, content)
                    .ok_or_else(|| Flaw::new("a segment's holes do not fit"))?;
                content.as_slice()
            }
        };
        if hash::segment(bytes, *number, *only) != segment.hash {
            return Err(Flaw::new("a segment is not what was read from the source"));
        }
    }
    Ok(())
}

/// The segments of a full backup, in order of place: they were written in the order of the index.
struct OwnSegments<'a> {
    reader: &'a Reader,
    entries: super::index::Entries<&'a Reader>,
    only: bool,
    rest: std::iter::Enumerate<std::vec::IntoIter<Segment>>,
    head: Option<Own>,
}

impl<'a> OwnSegments<'a> {
    fn new(reader: &'a Reader) -> Result<Self, ArchiveError> {
        let rest = Vec::new().into_iter().enumerate();
        Ok(Self { reader, entries: reader.entries(None)?, only: false, rest, head: None })
    }

    /// The next that is not a hole.
    fn next(&mut self) -> Result<Option<Own>, ArchiveError> {
        if self.head.is_some() {
            return Ok(self.head.take());
        }
        loop {
            for (number, segment) in self.rest.by_ref() {
                if segment.stored != Stored::Hole {
                    return Ok(Some(Own { number, only: self.only, segment }));
                }
            }
            let Some(record) = self.entries.next() else { return Ok(None) };
            let record: Record = record?;
            check_hash(self.reader, &record)?;
            if matches!(record.entry.kind, EntryKind::File { .. }) {
                self.only = record.segments.len() == 1;
                self.rest = record.segments.into_iter().enumerate();
            }
        }
    }

    /// Those that lie in this frame, if every frame before was asked for.
    fn of_frame(&mut self, frame: u32) -> Result<Vec<Own>, ArchiveError> {
        let mut found = Vec::new();
        while let Some(own) = self.next()? {
            if own.segment.root().is_some_and(|root| root.place.frame == frame) {
                found.push(own);
            } else {
                self.head = Some(own);
                break;
            }
        }
        Ok(found)
    }
}
