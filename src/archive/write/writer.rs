//! The writer: entries and segments in, frames out, encoded by several threads.

use std::io::Write;
use std::sync::Arc;

use super::encoder::Encoder;
use super::encoder::{Batch, BatchSegment, EncodedBatch, EncodedSegment, SegmentOutcome};
use super::open_entry::{OpenEntry, SegmentData};
use super::output::Output;
use super::parent_index::ParentIndex;
use super::pending_records::PendingRecords;
use super::tar_header::{self, padding};
use crate::archive::error::{ArchiveError, Damage, Result};
use crate::archive::hash;
use crate::archive::index::{
    IndexWriter, Record, RootIndex, Segment, Stored, check_fits, segment_count,
};
use crate::archive::order::{Order, PathSequence};
use crate::archive::pool::Pool;
use crate::archive::read::VerifiedPatches;
use crate::archive::sparse;
use crate::domain::num::{saturating_usize, to_u64};
use crate::domain::{Entry, EntryKind, SEGMENT_BYTES};

/// A batch is submitted when this many entries were begun since the last one.
const BATCH_ENTRIES: usize = 1024;
/// The most records that may wait for their segments.
const MAX_PENDING: usize = 8 * BATCH_ENTRIES;
/// Holes of a file with more segments, which is 4 GiB, are not hashed: it would take as long as if they were data.
const MAX_HASHED_HOLES: usize = 4096;
/// The most buffers that are kept to be used again.
const MAX_SPARE: usize = 8;
const ZEROS: [u8; 4096] = [0; 4096];

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriterOptions {
    /// Threads that hash and compress.
    pub workers: usize,
    pub level: i32,
    /// The unit in which an incremental stores changes: the engine's page size.
    pub page_bytes: u32,
    pub order: Order,
}

/// Writes an archive.
///
/// Memory is bounded by the number of workers. Besides, the hashes and places of segments (about 90 bytes a MiB of data,
/// nothing for long holes) are kept until their file is complete, and the compressed index (about 60 bytes a file) until
/// the end. Unordered entries take 8 bytes each, and an unordered incremental what the documentation of `skipped_records` says.
#[derive(Debug)]
pub struct Writer<W> {
    pub(super) out: Output<W>,
    pub(super) pool: Pool<Batch, Result<EncodedBatch>>,
    pub(super) options: WriterOptions,
    /// Of an incremental.
    pub(super) parent: Option<ParentIndex>,
    pub(super) pending: PendingRecords,
    pub(super) verified: VerifiedPatches,
    open: Option<OpenEntry>,
    sequence: PathSequence,
    bytes: Vec<u8>,
    segments: Vec<BatchSegment>,
    /// Whether the next batch belongs to the tar.
    in_tar: bool,
    /// Entries that were begun since the last batch.
    begun: usize,
    spare_inputs: Vec<Vec<u8>>,
    spare_outputs: Vec<Vec<u8>>,
}

impl<W: Write> Writer<W> {
    /// Begins a full backup. `restore_txt` becomes its first member.
    pub fn full(out: W, options: &WriterOptions, restore_txt: &str) -> Result<Self> {
        Self::begin(out, options, None, restore_txt)
    }

    pub fn incremental(
        out: W,
        options: &WriterOptions,
        parent: ParentIndex,
        restore_txt: &str,
    ) -> Result<Self> {
        let mut parent = parent;
        parent.set_order(options.order)?;
        Self::begin(out, options, Some(parent), restore_txt)
    }

    fn begin(
        out: W,
        options: &WriterOptions,
        parent: Option<ParentIndex>,
        restore_txt: &str,
    ) -> Result<Self> {
        if options.page_bytes == 0 {
            return Err(ArchiveError::Misuse("pages of 0 bytes".to_owned()));
        }
        let (level, page_bytes) = (options.level, options.page_bytes);
        let pool = Pool::start(options.workers, || {
            let root = parent.as_ref().map(|it| (it.parent().depth().saturating_add(1), it.root()));
            let mut encoder = Encoder::new(level, page_bytes, root)?;
            Ok(move |batch| encoder.encode(batch))
        })?;
        let root_index =
            parent.as_ref().map(|it| RootIndex::new(Arc::clone(it.root()))).transpose()?;
        let mut writer = Self {
            out: Output::new(out),
            pool,
            options: options.clone(),
            parent,
            pending: PendingRecords::new(IndexWriter::new(root_index)),
            verified: VerifiedPatches::default(),
            open: None,
            sequence: PathSequence::new(options.order),
            bytes: Vec::new(),
            segments: Vec::new(),
            in_tar: true,
            begun: 0,
            spare_inputs: Vec::new(),
            spare_outputs: Vec::new(),
        };
        writer.push_tar(&tar_header::restore_txt(restore_txt))?;
        if writer.parent.is_some() {
            writer.submit_batch()?;
            writer.in_tar = false;
        }
        Ok(writer)
    }

    /// Begins an entry. Returns whether its content is wanted, segment by segment. With `trust_stamp` a file with the
    /// parent's size, mtime and stamp is taken from the parent without being read.
    pub fn entry(&mut self, entry: &Entry, trust_stamp: bool) -> Result<bool> {
        self.close_entry()?;
        self.sequence.push(&entry.path).map_err(|error| error.of_given(&entry.path))?;
        check_fits(entry)?;
        let (size, extents) = match &entry.kind {
            EntryKind::File { size, extents } => (*size, extents.clone()),
            _ => (0, None),
        };
        let count = segment_count(size)
            .ok_or_else(|| ArchiveError::TooLarge(format!("{} (over 4 TiB)", entry.path)))?;
        sparse::check(extents.as_deref().unwrap_or(&[]), size)
            .map_err(|Damage(what)| ArchiveError::Misuse(format!("{}: {what}", entry.path)))?;
        let missing_bytes = self.push_member(entry)?;
        let old = match self.parent.as_mut() {
            Some(parent) if count > 0 => parent.file(&entry.path, count)?,
            _ => None,
        };
        let known = old
            .as_ref()
            .filter(|old| trust_stamp && is_unchanged(old, entry, size))
            .and_then(|old| Some((old.segments.clone(), old.hash?)));
        let count = if known.is_some() { 0 } else { count };
        self.open = Some(OpenEntry {
            number: self.pending.begin(entry.clone(), known),
            path: entry.path.clone(),
            size,
            extents,
            given: 0,
            count,
            missing_bytes,
            padding: padding(missing_bytes),
            old,
        });
        self.begun += 1;
        self.limit_backlog()?;
        Ok(count > 0)
    }

    /// In a full backup, begins the entry's tar member. Returns the length of the data that it lacks.
    fn push_member(&mut self, entry: &Entry) -> Result<u64> {
        if !self.in_tar {
            return Ok(0);
        }
        let member = tar_header::member(entry)?;
        self.push_tar(&member.head)?;
        Ok(member.data_bytes)
    }

    /// An empty buffer that a segment fits.
    pub fn buffer(&mut self) -> Vec<u8> {
        let mut buffer = self.spare_inputs.pop().unwrap_or_default();
        buffer.clear();
        buffer.reserve(SEGMENT_BYTES);
        buffer
    }

    /// Adds the next segment of the entry that was begun last: one in which it has no data.
    pub fn hole(&mut self) -> Result<()> {
        let no_file = || ArchiveError::Misuse("a segment of no file".to_owned());
        let open = self.open.as_mut().ok_or_else(no_file)?;
        if open.count > MAX_HASHED_HOLES {
            let row = open.next_holes(1)?;
            self.pending.add_holes(open.number, row);
            return self.pad_after_data();
        }
        let segment = open.next_hole()?;
        self.pending.await_segment(segment.id.record);
        let hash = hash::zeros(segment.length, segment.id.number, segment.only);
        let hole = Segment { hash, stored: Stored::Hole };
        self.pending.add_segment(segment.id, SegmentOutcome::Hole, hole);
        self.pad_after_data()
    }

    /// The same for all segments of these bytes.
    pub fn holes(&mut self, length: u64) -> Result<()> {
        let count = segment_count(length).unwrap_or(usize::MAX);
        match self.open.as_mut() {
            Some(open) if open.count > MAX_HASHED_HOLES => {
                let row = open.next_holes(count)?;
                self.pending.add_holes(open.number, row);
                self.pad_after_data()
            }
            _ => (0..count).try_for_each(|_| self.hole()),
        }
    }

    /// Adds the next segment of the entry that was begun last.
    pub fn segment(&mut self, bytes: Vec<u8>) -> Result<()> {
        let no_file = || ArchiveError::Misuse("a segment of no file".to_owned());
        let in_tar = self.in_tar;
        let open = self.open.as_mut().ok_or_else(no_file)?;
        let segment = open.next_segment(bytes.len())?;
        let data = open.remove_holes(bytes, &segment, in_tar)?;
        self.pending.await_segment(segment.id.record);
        let (bytes, sparse) = match data {
            SegmentData::Hole(buffer, hash) => {
                self.recycle(buffer);
                let hole = Segment { hash, stored: Stored::Hole };
                self.pending.add_segment(segment.id, SegmentOutcome::Hole, hole);
                return self.pad_after_data();
            }
            SegmentData::Bytes(bytes) => (bytes, None),
            SegmentData::Ranges(bytes, hash, map) => (bytes, Some((hash, map))),
        };
        if in_tar {
            open.missing_bytes = open.missing_bytes.saturating_sub(to_u64(bytes.len()));
        }
        self.add_to_batch(bytes, BatchSegment { sparse, ..segment })?;
        self.pad_after_data()
    }

    /// Adds a segment to the next batch. A full segment gets a batch of its own.
    fn add_to_batch(&mut self, bytes: Vec<u8>, segment: BatchSegment) -> Result<()> {
        let length = bytes.len();
        if length == SEGMENT_BYTES {
            self.submit_batch()?;
            return self.submit(bytes, vec![BatchSegment { start: 0, length, ..segment }]);
        }
        if self.bytes.len() + length > SEGMENT_BYTES {
            self.submit_batch()?;
        }
        let start = self.bytes.len();
        self.append(&bytes);
        self.recycle(bytes);
        self.segments.push(BatchSegment { start, length, ..segment });
        Ok(())
    }

    /// Pads the tar to whole blocks after the last segment of a file.
    fn pad_after_data(&mut self) -> Result<()> {
        let Some(open) = self.open.as_mut() else { return Ok(()) };
        if self.in_tar && open.given == open.count {
            let zeros = to_u64(std::mem::take(&mut open.padding));
            self.push_zeros(zeros)?;
        }
        Ok(())
    }

    /// Drops the entry that was begun last, however much of it came. Its path may be begun again. The tar of a full
    /// backup keeps the member, with zeros for missing data; a later member of the same name replaces it.
    pub fn retract(&mut self) -> Result<()> {
        let no_entry = || ArchiveError::Misuse("there is no entry to retract".to_owned());
        let open = self.open.take().ok_or_else(no_entry)?;
        self.pending.retract(open.number);
        self.sequence.pop();
        if self.in_tar {
            self.push_zeros(open.missing_bytes.saturating_add(to_u64(open.padding)))?;
        }
        self.pending.move_to_index()
    }

    /// Ends the entry that was begun last, which must be complete.
    pub(super) fn close_entry(&mut self) -> Result<()> {
        let Some(OpenEntry { number, given, count, path, .. }) = self.open.take() else {
            return Ok(());
        };
        if given != count {
            let what = format!("{path}: {given} segments instead of {count}");
            return Err(ArchiveError::Misuse(what));
        }
        self.pending.close(number);
        self.pending.move_to_index()
    }

    fn push_tar(&mut self, bytes: &[u8]) -> Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let room = SEGMENT_BYTES.saturating_sub(self.bytes.len());
            let (now, later) = rest.split_at_checked(room).unwrap_or((rest, &[]));
            self.append(now);
            rest = later;
            if self.bytes.len() >= SEGMENT_BYTES {
                self.submit_batch()?;
            }
        }
        Ok(())
    }

    fn push_zeros(&mut self, count: u64) -> Result<()> {
        let mut left = count;
        while left > 0 {
            let now = saturating_usize(left).min(ZEROS.len());
            self.push_tar(ZEROS.get(..now).unwrap_or(&ZEROS))?;
            left -= to_u64(now);
        }
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) {
        if self.bytes.capacity() == 0 {
            self.bytes = self.buffer();
        }
        self.bytes.extend_from_slice(bytes);
    }

    fn recycle(&mut self, buffer: Vec<u8>) {
        if self.spare_inputs.len() < MAX_SPARE && buffer.capacity() >= SEGMENT_BYTES {
            self.spare_inputs.push(buffer);
        }
    }

    /// Gives the next batch to a worker, unless it is empty.
    fn submit_batch(&mut self) -> Result<()> {
        self.begun = 0;
        if self.bytes.is_empty() {
            return Ok(());
        }
        let bytes = std::mem::take(&mut self.bytes);
        let segments = std::mem::take(&mut self.segments);
        self.submit(bytes, segments)
    }

    fn submit(&mut self, bytes: Vec<u8>, segments: Vec<BatchSegment>) -> Result<()> {
        while self.pool.is_full() {
            self.write_oldest()?;
        }
        let out = self.spare_outputs.pop().unwrap_or_default();
        self.pool.submit(Batch { in_tar: self.in_tar, bytes, segments, out })?;
        while let Some(encoded) = self.pool.try_next()? {
            self.write_encoded(encoded?)?;
        }
        Ok(())
    }

    /// Bounds the number of records that wait.
    fn limit_backlog(&mut self) -> Result<()> {
        if self.begun >= BATCH_ENTRIES {
            self.submit_batch()?;
        }
        while self.pending.len() > MAX_PENDING && self.write_oldest()? {}
        Ok(())
    }

    /// Waits for the oldest batch and writes it; returns `false` if there is none.
    fn write_oldest(&mut self) -> Result<bool> {
        let Some(encoded) = self.pool.next()? else { return Ok(false) };
        self.write_encoded(encoded?)?;
        Ok(true)
    }

    /// Writes everything that was added so far.
    pub(super) fn write_all(&mut self) -> Result<()> {
        self.submit_batch()?;
        while self.write_oldest()? {}
        Ok(())
    }

    fn write_encoded(&mut self, encoded: EncodedBatch) -> Result<()> {
        let first_frame = self.out.table().count();
        self.out.write_frames(&encoded.out, &encoded.frames)?;
        for EncodedSegment { id, outcome, mut segment } in encoded.segments {
            if outcome != SegmentOutcome::Unchanged {
                shift_frame(&mut segment, first_frame);
            }
            self.pending.add_segment(id, outcome, segment);
        }
        self.verified.extend(encoded.proofs);
        self.recycle(encoded.spare);
        if self.spare_outputs.len() < MAX_SPARE {
            self.spare_outputs.push(encoded.out);
        }
        self.pending.move_to_index()
    }
}

/// Turns a frame number of a batch into one of the file.
fn shift_frame(segment: &mut Segment, first_frame: u32) {
    match &mut segment.stored {
        Stored::Root(root) => root.slice.frame += first_frame,
        Stored::Delta(_, patch) | Stored::Whole(patch) => patch.slice.frame += first_frame,
        Stored::Hole => {}
    }
}

/// Whether size, mtime and stamp show that the content of a file is the parent's.
fn is_unchanged(old: &Record, entry: &Entry, size: u64) -> bool {
    let stamp = old.entry.stamp;
    let same_stamp = stamp.is_some() && stamp == entry.stamp;
    old.size() == size && old.entry.mtime_ns == entry.mtime_ns && same_stamp
}
