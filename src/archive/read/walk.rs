//! Reads every segment of a backup with several threads, checks its hash, and writes it where it is wanted.

use std::sync::Arc;

use parking_lot::Mutex;

use super::reader::Reader;
use super::segment_reader::{ChainReaders, SegmentReader};
use super::verified_patches::VerifiedPatches;
use crate::archive::error::{ArchiveError, Damage, Result};
use crate::archive::index::{Record, Segment, SegmentPosition, Stored, segment_start};
use crate::archive::pool::Pool;
use crate::archive::sparse::{self, Coverage};
use crate::domain::num::to_u64;
use crate::domain::{Cancel, Entry, EntryKind, EntryPath, WriteAt};

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
        mut want: impl FnMut(&Entry) -> Result<Content, E>,
    ) -> Result<Counts, E> {
        let mut counts = Counts::default();
        let mut done = 0;
        let mut items = self.backup.entries(Some(self.chain.root()?))?.flat_map(|record| {
            let (items, error) = match self.items(record, &mut want, &mut counts) {
                Ok(items) => (items, None),
                Err(error) => (None, Some(Err(error))),
            };
            items.into_iter().flatten().map(Ok).chain(error)
        });
        let jobs = std::iter::from_fn(|| next_job(&mut items).transpose());
        self.start()?.run(jobs, |bytes| {
            done += bytes?;
            (self.progress)(done);
            Ok(())
        })?;
        drop(items);
        Ok(Counts { bytes: done, ..counts })
    }

    fn start(&self) -> Result<Pool<Vec<Item>, Result<u64>>> {
        Pool::start(self.workers, || {
            let mut reader = SegmentReader::new(Arc::clone(self.chain))?;
            let mut scratch = Vec::new();
            let verified = self.only_own_except.map(Arc::clone);
            let cancel = self.cancel.clone();
            let lost = self.lost.map(Arc::clone);
            Ok(move |items: Vec<Item>| {
                items.iter().try_fold(0, |sum, item| {
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

    /// The segments of a record to check, unless it has none or its content is not wanted.
    fn items<E: From<ArchiveError>, F: FnMut(&Entry) -> Result<Content, E>>(
        &self,
        record: Result<Record>,
        want: &mut F,
        counts: &mut Counts,
    ) -> Result<Option<impl Iterator<Item = Item> + use<E, F>>, E> {
        let mut record = record?;
        check_hash(self.backup, &record)?;
        counts.entries += 1;
        counts.files += u64::from(matches!(record.entry.kind, EntryKind::File { .. }));
        let place = match want(&record.entry)? {
            Content::Skip => return Ok(None),
            Content::Check => None,
            Content::Write(place) => Some(place),
        };
        let size = record.size();
        let EntryKind::File { extents, .. } = &mut record.entry.kind else { return Ok(None) };
        let extents = extents.take();
        let path = self.lost.map(|_| Arc::new(record.entry.path.clone()));
        let own = self.only_own_except.map(|_| self.backup.depth());
        let segments = record.into_segments();
        let wanted = segments.filter(move |(_, it)| own.is_none() || it.depth() == own);
        Ok(Some(wanted.map(move |(position, segment)| {
            let coverage = sparse::coverage(extents.as_deref(), size, position.number);
            Item { segment, position, coverage, place: place.clone(), path: path.clone() }
        })))
    }
}

/// Takes items until they are enough for a job; `None` if there are none.
fn next_job<E>(items: &mut impl Iterator<Item = Result<Item, E>>) -> Result<Option<Vec<Item>>, E> {
    let (mut job, mut bytes) = (Vec::new(), 0);
    while job.len() < JOB_SEGMENTS && bytes < JOB_BYTES {
        let Some(item) = items.next().transpose()? else { break };
        bytes += item.position.length;
        job.push(item);
    }
    Ok(Some(job).filter(|job| !job.is_empty()))
}

/// Checks that the hash of a file is that of its segments.
pub(super) fn check_hash(reader: &Reader, record: &Record) -> Result<()> {
    if record.hash == record.hash_of_segments() {
        return Ok(());
    }
    let what = format!("the hash of {} is not that of its segments", record.entry.path);
    Err(reader.damaged(Damage(what)))
}

impl Item {
    fn run(&self, reader: &mut SegmentReader, scratch: &mut Vec<u8>) -> Result<()> {
        if self.segment.stored == Stored::Hole {
            return Ok(());
        }
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
