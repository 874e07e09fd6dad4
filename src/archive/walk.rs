//! Every segment of a backup, decompressed and checked by several threads, and written where wanted.

use std::io;
use std::sync::Arc;

use super::bytes::wide;
use super::error::{ArchiveError, Flaw};
use super::hash;
use super::index::{Record, Segment, Stored, segment_length};
use super::load::{Holders, Loader, Position};
use super::pool::Pool;
use super::reader::Reader;
use super::sparse::{self, Cover};
use super::tried::Tried;
use crate::domain::{Entry, EntryKind, WriteAt};

/// Where a restore puts what is in an archive.
pub trait Outlet {
    /// Makes the entry; for a regular file of more than 0 bytes gives the place for its content, or `None`
    /// if it is not wanted. Entries come in the archive's order: a folder before what is in it, no path twice.
    fn entry(&mut self, entry: &Entry) -> io::Result<Option<Arc<dyn WriteAt>>>;
}

/// What was seen on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Walked {
    pub(super) entries: u64,
    pub(super) files: u64,
    pub(super) bytes: u64,
}

/// A job is given away when it has so many segments: as many files may be open.
const JOB_SEGMENTS: usize = 32;
/// Or so many bytes.
const JOB_BYTES: usize = 1 << 20;

/// A segment to be checked, and written if there is a place for it.
struct Item {
    segment: Segment,
    position: Position,
    cover: Cover,
    place: Option<Arc<dyn WriteAt>>,
}

type Job = Vec<Item>;

/// The walk, under way.
struct Walk<'a> {
    pool: Pool<Job, Result<u64, ArchiveError>>,
    job: Job,
    job_bytes: usize,
    done: u64,
    progress: &'a (dyn Fn(u64) + Sync),
}

/// Where a walk goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ground<'a> {
    /// The backup.
    pub(super) target: &'a Reader,
    /// The archives its content is in.
    pub(super) holders: &'a Arc<Holders>,
    /// Only those segments are looked at that its own archive holds something of, without these.
    pub(super) own_but: Option<&'a Arc<Tried>>,
}

/// Walks over a backup. `progress` is told how many bytes of content are done.
pub(super) fn walk(
    ground: Ground<'_>,
    workers: usize,
    outlet: Option<&mut dyn Outlet>,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Walked, ArchiveError> {
    let Ground { target, holders, own_but } = ground;
    let own = own_but.map(|_| target.depth());
    let pool = Pool::start(workers, || {
        let mut loader = Loader::new(Arc::clone(holders))?;
        let mut scratch = Vec::new();
        let tried = own_but.map(Arc::clone);
        Ok(move |job: Job| {
            job.iter().try_fold(0, |sum, item| {
                if let Some(tried) = &tried
                    && loader.was_tried(&item.segment, item.position, tried)?
                {
                    return Ok(sum + wide(item.position.length));
                }
                Ok(sum + item.run(&mut loader, &mut scratch)?)
            })
        })
    })?;
    let mut walk = Walk { pool, job: Vec::new(), job_bytes: 0, done: 0, progress };
    let mut outlet = outlet;
    let mut walked = Walked::default();
    for record in target.entries(Some(holders.root()?))? {
        let record = record?;
        check_hash(target, &record)?;
        let place = match outlet.as_deref_mut() {
            Some(outlet) => outlet.entry(&record.entry)?,
            None => None,
        };
        walked.entries += 1;
        walked.files += u64::from(matches!(record.entry.kind, EntryKind::File { .. }));
        if outlet.is_none() || place.is_some() {
            walk.record(record, place.as_ref(), own)?;
        }
    }
    walk.submit()?;
    while walk.settle()? {}
    walked.bytes = walk.done;
    Ok(walked)
}

/// Whether the hash of a file is that of its segments.
pub(super) fn check_hash(target: &Reader, record: &Record) -> Result<(), ArchiveError> {
    let hashes: Vec<_> = record.segments.iter().map(|segment| segment.hash).collect();
    let file = matches!(record.entry.kind, EntryKind::File { .. });
    if file && record.hash != Some(hash::file(&hashes)) {
        let what = format!("the hash of {} is not that of its segments", record.entry.path);
        return Err(target.damaged(Flaw(what)));
    }
    Ok(())
}

impl Walk<'_> {
    fn record(
        &mut self,
        record: Record,
        place: Option<&Arc<dyn WriteAt>>,
        own: Option<u16>,
    ) -> Result<(), ArchiveError> {
        let EntryKind::File { size, extents } = record.entry.kind else { return Ok(()) };
        let only = record.segments.len() == 1;
        for (number, segment) in record.segments.into_iter().enumerate() {
            if own.is_some() && holder(&segment) != own {
                continue;
            }
            let length = segment_length(size, number);
            let cover = extents
                .as_deref()
                .map_or(Cover::Whole, |extents| sparse::cover(extents, size, number));
            let position = Position { number, only, length };
            self.job.push(Item { segment, position, cover, place: place.map(Arc::clone) });
            self.job_bytes += length;
            if self.job.len() >= JOB_SEGMENTS || self.job_bytes >= JOB_BYTES {
                self.submit()?;
            }
        }
        Ok(())
    }

    fn submit(&mut self) -> Result<(), ArchiveError> {
        self.job_bytes = 0;
        if self.job.is_empty() {
            return Ok(());
        }
        while self.pool.is_full() {
            self.settle()?;
        }
        self.pool.submit(std::mem::take(&mut self.job))
    }

    fn settle(&mut self) -> Result<bool, ArchiveError> {
        let Some(result) = self.pool.next()? else { return Ok(false) };
        self.done += result?;
        (self.progress)(self.done);
        Ok(true)
    }
}

/// Which archive holds what was stored of this segment.
const fn holder(segment: &Segment) -> Option<u16> {
    match &segment.stored {
        Stored::Hole => None,
        Stored::Root(_) => Some(0),
        Stored::Delta(_, patch) | Stored::Alone(patch) => Some(patch.holder),
    }
}

impl Item {
    fn run(&self, loader: &mut Loader, scratch: &mut Vec<u8>) -> Result<u64, ArchiveError> {
        let content = loader.checked(&self.segment, self.position, scratch)?;
        if let Some(place) = &self.place {
            self.write(place.as_ref(), content)?;
        }
        Ok(wide(content.len()))
    }

    /// Writes what is not a hole: neither in the source, nor stored as one.
    fn write(&self, place: &dyn WriteAt, content: &[u8]) -> io::Result<()> {
        let start = wide(self.position.number).saturating_mul(1 << 20);
        if self.segment.stored == Stored::Hole {
            return Ok(());
        }
        match &self.cover {
            Cover::Hole => Ok(()),
            Cover::Whole => place.write_at(content, start),
            Cover::Part(layout) => sparse::positions(layout).try_for_each(|range| {
                let offset = start.saturating_add(wide(range.start));
                place.write_at(content.get(range).unwrap_or(&[]), offset)
            }),
        }
    }
}
