//! Reads every segment of a backup with several threads, checks its hash, and writes it where it is wanted.

use std::sync::Arc;

use parking_lot::Mutex;

use super::reader::Reader;
use super::segment_reader::{ChainReaders, SegmentReader};
use super::verified_patches::VerifiedPatches;
use crate::archive::error::{ArchiveError, Result};
use crate::archive::index::{
    Entries, Piece, Segment, SegmentPosition, Stored, segment_start, size_of,
};
use crate::archive::pool::Pool;
use crate::archive::sparse::{self, Coverage};
use crate::domain::num::to_u64;
use crate::domain::{Cancel, Entry, EntryKind, EntryPath, Extent, WriteAt};

/// What a backup has: the result of verifying or restoring it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Entries of every kind.
    pub entries: u64,
    pub files: u64,
    /// Bytes of content in these files, holes included.
    pub bytes: u64,
}

/// A job is submitted when it has this many segments, which is also the most files it keeps open.
const JOB_SEGMENTS: usize = 32;
/// A job is submitted when it has this many bytes.
const JOB_BYTES: usize = 1 << 20;
/// A job is submitted when it has this many bytes of holes.
const JOB_HOLES: u64 = 1 << 36;

/// A backup whose segments are to be read.
#[derive(Clone, Copy)]
pub(super) struct Walk<'a> {
    pub(super) backup: &'a Arc<Reader>,
    /// The archives that have its content.
    pub(super) chain: &'a Arc<ChainReaders>,
    /// If given, only segments that the backup's own archive stores are read, without those whose patches are
    /// verified.
    pub(super) only_own_except: Option<&'a Arc<VerifiedPatches>>,
    /// If given, a segment that cannot be read is noted here, and the walk goes on.
    pub(super) lost: Option<&'a Arc<LostRanges>>,
    pub(super) workers: usize,
    /// Ends the walk between two segments.
    pub(super) cancel: &'a Cancel,
    /// Called with the number of bytes of content that are done.
    pub(super) progress: &'a (dyn Fn(u64) + Sync),
}

/// What is to be done with the content of an entry.
pub(super) enum Content {
    Skip,
    Check,
    Write(Arc<dyn WriteAt>),
}

/// A segment to check, and to write if there is a place for it.
struct Item {
    segment: Segment,
    position: SegmentPosition,
    coverage: Coverage,
    place: Option<Arc<dyn WriteAt>>,
    /// The file, where a segment may be lost.
    path: Option<Arc<EntryPath>>,
}

impl Walk<'_> {
    /// Reads the backup. `want` says for each entry what to do with its content.
    pub(super) fn run<E: From<ArchiveError>>(
        self,
        want: impl FnMut(&Entry) -> Result<Content, E>,
    ) -> Result<Counts, E> {
        let entries = self.backup.entries(Some(self.chain.root()?))?;
        let own = self.only_own_except.map(|_| self.backup.depth());
        let names_files = self.lost.is_some();
        let mut items =
            Items { entries, want, own, names_files, file: None, counts: Counts::default() };
        let mut done = 0;
        let jobs = std::iter::from_fn(|| items.next_job().transpose());
        self.start()?.run(jobs, |bytes| {
            done += bytes?;
            (self.progress)(done);
            Ok(())
        })?;
        Ok(Counts { bytes: done, ..items.counts })
    }

    fn start(&self) -> Result<Pool<Job, Result<u64>>> {
        Pool::start(self.workers, || {
            let mut reader = SegmentReader::new(Arc::clone(self.chain))?;
            let mut scratch = Vec::new();
            let verified = self.only_own_except.map(Arc::clone);
            let cancel = self.cancel.clone();
            let lost = self.lost.map(Arc::clone);
            Ok(move |job: Job| {
                job.items.iter().try_fold(job.holes, |sum, item| {
                    if cancel.is_cancelled() {
                        return Err(ArchiveError::Cancelled);
                    }
                    let is_verified = match &verified {
                        Some(verified) => {
                            reader.is_verified(&item.segment, item.position, verified)?
                        }
                        None => false,
                    };
                    if !is_verified {
                        let done = item.run(&mut reader, &mut scratch);
                        match (done, &lost, &item.path) {
                            (Err(error), Some(lost), Some(path)) => {
                                lost.note(path, item.position, error)?;
                            }
                            (done, ..) => done?,
                        }
                    }
                    Ok(sum + to_u64(item.position.length))
                })
            })
        })
    }
}

/// What a thread does at a time.
#[derive(Default)]
struct Job {
    items: Vec<Item>,
    /// Bytes of holes, with which there is nothing to do.
    holes: u64,
}

/// The file whose segments are read.
struct WantedFile {
    size: u64,
    extents: Option<Vec<Extent>>,
    place: Option<Arc<dyn WriteAt>>,
    path: Option<Arc<EntryPath>>,
}

/// The segments of a backup that are wanted.
struct Items<F> {
    entries: Entries,
    want: F,
    /// If given, only segments of this archive.
    own: Option<u16>,
    names_files: bool,
    file: Option<WantedFile>,
    counts: Counts,
}

impl<F> Items<F> {
    /// Takes segments until they are enough for a job; `None` if there are none.
    fn next_job<E: From<ArchiveError>>(&mut self) -> Result<Option<Job>, E>
    where
        F: FnMut(&Entry) -> Result<Content, E>,
    {
        let (mut job, mut bytes) = (Job::default(), 0);
        while job.items.len() < JOB_SEGMENTS && bytes < JOB_BYTES && job.holes < JOB_HOLES {
            match self.entries.piece()? {
                None if job.items.is_empty() && job.holes == 0 => return Ok(None),
                None => break,
                Some(Piece::Entry(entry)) => self.file = self.wanted(entry)?,
                Some(Piece::Segment(position, segment)) => {
                    let Some(file) = &self.file else { continue };
                    if segment.stored == Stored::Hole && self.own.is_none() {
                        job.holes += to_u64(position.length);
                    } else if self.own.is_none() || self.own == segment.depth() {
                        let item = file.item(position, segment);
                        bytes += item.cost();
                        job.items.push(item);
                    }
                }
            }
        }
        Ok(Some(job))
    }

    /// The file that begins with this entry, unless it is none or its content is not wanted.
    fn wanted<E>(&mut self, entry: Entry) -> Result<Option<WantedFile>, E>
    where
        F: FnMut(&Entry) -> Result<Content, E>,
    {
        self.counts.entries += 1;
        self.counts.files += u64::from(matches!(entry.kind, EntryKind::File { .. }));
        let place = match (self.want)(&entry)? {
            Content::Skip => return Ok(None),
            Content::Check => None,
            Content::Write(place) => Some(place),
        };
        let size = size_of(&entry);
        let path = self.names_files.then(|| Arc::new(entry.path));
        let extents = match entry.kind {
            EntryKind::File { extents, .. } => extents,
            _ => None,
        };
        Ok(Some(WantedFile { size, extents, place, path }))
    }
}

impl WantedFile {
    fn item(&self, position: SegmentPosition, segment: Segment) -> Item {
        let coverage = sparse::coverage(self.extents.as_deref(), self.size, position.number);
        let (place, path) = (self.place.clone(), self.path.clone());
        Item { segment, position, coverage, place, path }
    }
}

impl Item {
    /// How much it counts in a job: what it has, and what is in memory of it.
    fn cost(&self) -> usize {
        let map = self.segment.root().and_then(|root| root.map.as_deref());
        let here = match &self.coverage {
            Coverage::Partial(map) => Some(map),
            Coverage::Full | Coverage::Hole => None,
        };
        let ranges: usize = map.into_iter().chain(here).map(|it| it.ranges.len()).sum();
        self.position.length.saturating_add(ranges.saturating_mul(8))
    }
}

impl Item {
    fn run(&self, reader: &mut SegmentReader, scratch: &mut Vec<u8>) -> Result<()> {
        let content = reader.read(&self.segment, self.position, scratch)?;
        let Some(place) = &self.place else { return Ok(()) };
        self.write(place.as_ref(), content).map_err(ArchiveError::Target)
    }

    /// Writes what is data in the source.
    fn write(&self, place: &dyn WriteAt, content: &[u8]) -> std::io::Result<()> {
        let start = segment_start(self.position.number);
        match &self.coverage {
            Coverage::Hole => Ok(()),
            Coverage::Full => place.write_at(content, start),
            Coverage::Partial(map) => map.positions().try_for_each(|range| {
                let offset = start.saturating_add(to_u64(range.start));
                place.write_at(content.get(range).unwrap_or(&[]), offset)
            }),
        }
    }
}

/// A range of a file that could not be read back as it was backed up. What was restored has zeros there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    pub path: EntryPath,
    pub offset: u64,
    pub bytes: u64,
    pub why: String,
}

/// Collects lost ranges, from several threads.
#[derive(Debug, Default)]
pub(super) struct LostRanges(Mutex<Vec<Lost>>);

impl LostRanges {
    /// Notes a segment that could not be read; an error that is not of the archive's bytes ends the salvage.
    pub(super) fn note(
        &self,
        path: &EntryPath,
        position: SegmentPosition,
        error: ArchiveError,
    ) -> Result<()> {
        if !error.is_damage() && !matches!(error, ArchiveError::Io(_)) {
            return Err(error);
        }
        let (offset, bytes) = (segment_start(position.number), to_u64(position.length));
        self.0.lock().push(Lost { path: path.clone(), offset, bytes, why: error.to_string() });
        Ok(())
    }

    /// The ranges in order, adjacent ones as one.
    pub(super) fn into_ranges(self) -> Vec<Lost> {
        let mut all = self.0.into_inner();
        all.sort_by(|a, b| (&a.path, a.offset).cmp(&(&b.path, b.offset)));
        let mut ranges: Vec<Lost> = Vec::new();
        for lost in all {
            match ranges.last_mut() {
                Some(last) if last.path == lost.path && last.offset + last.bytes == lost.offset => {
                    last.bytes += lost.bytes;
                }
                _ => ranges.push(lost),
            }
        }
        ranges
    }
}
