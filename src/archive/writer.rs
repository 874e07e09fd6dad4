//! Making an archive: entries and segments in, frames out, with the work between on several threads.

use std::io::Write;
use std::sync::Arc;

use super::basis::Basis;
use super::bytes::wide;
use super::current::{Current, Part};
use super::encode::{Batch, Encoded, Encoder, Fate, Span};
use super::error::{ArchiveError, Flaw};
use super::index::{IndexWriter, RootIndex, Segment, Stored, check_fits, segment_count};
use super::order::{Order, Sequence};
use super::output::Output;
use super::pending::Pending;
use super::pool::Pool;
use super::sparse;
use super::tar_header::{self, filling};
use super::tried::Tried;
use crate::domain::{Entry, EntryKind, SEGMENT_BYTES};

/// The level of the index's compression: it is mostly hashes.
const INDEX_LEVEL: i32 = 3;
/// A batch is given to a worker when so many entries were begun since the last one was.
const BATCH_ENTRIES: usize = 1024;
/// So many records may wait for their segments.
const MOST_PENDING: usize = 8 * BATCH_ENTRIES;
/// So many buffers are kept for later.
const MOST_SPARE: usize = 8;
const ZEROS: [u8; 4096] = [0; 4096];

/// How an archive is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriterOptions {
    /// Threads that hash and compress.
    pub workers: usize,
    /// zstd's level.
    pub level: i32,
    /// The unit in which an incremental stores changes: the engine's page size.
    pub page_bytes: u32,
    /// In which order entries will come.
    pub order: Order,
}

/// Writes an archive. Memory is bounded by the number of workers; a file's hashes and places (about
/// 80 bytes a MiB) and the compressed index (about 60 bytes a file) are held until the end. Of entries in no
/// order 9 to 18 bytes each are held too, and of an incremental what `Aside` says.
#[derive(Debug)]
pub struct Writer<W> {
    pub(super) out: Output<W>,
    pool: Pool<Batch, Result<Encoded, ArchiveError>>,
    pub(super) options: WriterOptions,
    pub(super) basis: Option<Basis>,
    pub(super) pending: Pending,
    current: Option<Current>,
    sequence: Sequence,
    /// The batch that is being filled, and whether it is part of the visible tar.
    raw: Vec<u8>,
    spans: Vec<Span>,
    pub(super) visible: bool,
    begun: usize,
    spare: Vec<Vec<u8>>,
    spare_out: Vec<Vec<u8>>,
    pub(super) tried: Tried,
}

impl<W: Write> Writer<W> {
    /// Begins a full backup. `restore_txt` becomes its first member.
    pub fn full(out: W, options: &WriterOptions, restore_txt: &str) -> Result<Self, ArchiveError> {
        Self::begin(out, options, None, restore_txt)
    }

    /// Begins an incremental backup.
    pub fn incremental(
        out: W,
        options: &WriterOptions,
        basis: Basis,
        restore_txt: &str,
    ) -> Result<Self, ArchiveError> {
        Self::begin(out, options, Some(basis), restore_txt)
    }

    fn begin(
        out: W,
        options: &WriterOptions,
        basis: Option<Basis>,
        restore_txt: &str,
    ) -> Result<Self, ArchiveError> {
        if options.page_bytes == 0 {
            return Err(ArchiveError::Misuse("pages of 0 bytes".to_owned()));
        }
        let mut basis = basis;
        if let Some(basis) = basis.as_mut() {
            basis.expect(options.order)?;
        }
        let (level, page_bytes) = (options.level, options.page_bytes);
        let pool = Pool::start(options.workers, || {
            let root = basis.as_ref().map(|it| (it.parent().depth().saturating_add(1), it.root()));
            let mut encoder = Encoder::new(level, page_bytes, root)?;
            Ok(move |batch| encoder.encode(batch))
        })?;
        let visible_data = basis.is_none();
        let root = basis.as_ref().map(|it| RootIndex::of(Arc::clone(it.root()))).transpose()?;
        let mut writer = Self {
            out: Output::new(out),
            pool,
            options: options.clone(),
            basis,
            pending: Pending::new(IndexWriter::new(INDEX_LEVEL, root)),
            current: None,
            sequence: Sequence::new(options.order),
            raw: Vec::new(),
            spans: Vec::new(),
            visible: true,
            begun: 0,
            spare: Vec::new(),
            spare_out: Vec::new(),
            tried: Tried::default(),
        };
        let text = restore_txt.as_bytes();
        writer.push(&tar_header::own_member(".coffer/RESTORE.txt", text.len()))?;
        writer.push(text)?;
        writer.zeros(wide(filling(wide(text.len()))))?;
        if !visible_data {
            writer.flush()?;
        }
        writer.visible = visible_data;
        Ok(writer)
    }

    /// Begins an entry. `true`: its content is wanted, segment by segment. With `trust_stamp` a file whose
    /// size, time of change and stamp are the parent's is taken over without being read.
    pub fn entry(&mut self, entry: &Entry, trust_stamp: bool) -> Result<bool, ArchiveError> {
        self.complete()?;
        self.sequence.admit(&entry.path).map_err(|unfit| unfit.given(&entry.path))?;
        check_fits(entry)?;
        let (size, extents) = match &entry.kind {
            EntryKind::File { size, extents } => (*size, extents.clone()),
            _ => (0, None),
        };
        let count = segment_count(size)
            .ok_or_else(|| ArchiveError::TooLarge(format!("{} (over 4 TiB)", entry.path)))?;
        sparse::check(extents.as_deref().unwrap_or(&[]), size)
            .map_err(|Flaw(what)| ArchiveError::Misuse(format!("{}: {what}", entry.path)))?;
        let data_bytes = self.push_member(entry)?;
        let old = match self.basis.as_mut() {
            Some(basis) if count > 0 => basis.file(&entry.path)?,
            _ => None,
        };
        let same = old.as_ref().filter(|old| trust_stamp && is_unchanged(&old.entry, entry));
        let known = same.and_then(|old| Some((old.segments.clone(), old.hash?)));
        let count = if known.is_some() { 0 } else { count };
        let number = self.pending.begin(entry.clone(), known);
        self.current = Some(Current {
            number,
            size,
            extents,
            given: 0,
            count,
            data_left: data_bytes,
            filling: filling(data_bytes),
            old,
            path: entry.path.clone(),
        });
        self.begun += 1;
        self.ease()?;
        Ok(count > 0)
    }

    /// In a full backup, the start of the entry's member; gives the length of the data to follow.
    fn push_member(&mut self, entry: &Entry) -> Result<u64, ArchiveError> {
        if !self.visible {
            return Ok(0);
        }
        let member = tar_header::member(entry)?;
        self.push(&member.head)?;
        Ok(member.data_bytes)
    }

    /// An empty buffer with room for a segment.
    pub fn buffer(&mut self) -> Vec<u8> {
        let mut buffer = self.spare.pop().unwrap_or_default();
        buffer.clear();
        buffer.reserve(SEGMENT_BYTES);
        buffer
    }

    /// Takes the next segment of the entry begun last.
    pub fn segment(&mut self, bytes: Vec<u8>) -> Result<(), ArchiveError> {
        let nothing = || ArchiveError::Misuse("a segment of no file".to_owned());
        let visible = self.visible;
        let current = self.current.as_mut().ok_or_else(nothing)?;
        let span = current.next_span(bytes.len())?;
        let (bytes, part) = current.without_holes(bytes, &span, visible)?;
        let owner = span.owner;
        self.pending.expect(owner.record);
        match part {
            Part::Hole(hash) => {
                self.pending.take(owner, None, Segment { hash, stored: Stored::Hole });
                self.recycle(bytes);
            }
            Part::Data(sparse) => {
                if visible {
                    current.data_left = current.data_left.saturating_sub(wide(bytes.len()));
                }
                self.put(bytes, Span { sparse, ..span })?;
            }
        }
        self.end_of_data()
    }

    /// Puts a segment into a batch: a full one into its own.
    fn put(&mut self, bytes: Vec<u8>, span: Span) -> Result<(), ArchiveError> {
        let length = bytes.len();
        if length == SEGMENT_BYTES {
            self.flush()?;
            let spans = vec![Span { start: 0, length, ..span }];
            return self.submit(bytes, spans);
        }
        if self.raw.len() + length > SEGMENT_BYTES {
            self.flush()?;
        }
        let start = self.raw.len();
        self.append(&bytes);
        self.recycle(bytes);
        self.spans.push(Span { start, length, ..span });
        Ok(())
    }

    /// Behind a file's last segment, fills up the tar's block.
    fn end_of_data(&mut self) -> Result<(), ArchiveError> {
        let Some(current) = self.current.as_mut() else { return Ok(()) };
        if self.visible && current.given == current.count {
            let zeros = wide(std::mem::take(&mut current.filling));
            self.zeros(zeros)?;
        }
        Ok(())
    }

    /// Forgets the entry begun last, however much of it was given. Its path may be begun again. A full backup's
    /// tar keeps a member of that name, with zeros for what was not given; a later one overrides it.
    pub fn retract(&mut self) -> Result<(), ArchiveError> {
        let nothing = || ArchiveError::Misuse("there is no entry to retract".to_owned());
        let current = self.current.take().ok_or_else(nothing)?;
        self.pending.retract(current.number);
        self.sequence.retract();
        if self.visible {
            self.zeros(current.data_left.saturating_add(wide(current.filling)))?;
        }
        self.pending.drain()
    }

    /// Ends the entry begun last, which must be whole.
    pub(super) fn complete(&mut self) -> Result<(), ArchiveError> {
        let Some(current) = self.current.take() else { return Ok(()) };
        if current.given != current.count {
            let (given, count, path) = (current.given, current.count, current.path);
            let what = format!("{path}: {given} segments instead of {count}");
            return Err(ArchiveError::Misuse(what));
        }
        self.pending.close(current.number);
        self.pending.drain()
    }

    /// Adds bytes to the visible tar.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(), ArchiveError> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let room = SEGMENT_BYTES.saturating_sub(self.raw.len());
            let (now, later) = rest.split_at_checked(room).unwrap_or((rest, &[]));
            self.append(now);
            rest = later;
            if self.raw.len() >= SEGMENT_BYTES {
                self.flush()?;
            }
        }
        Ok(())
    }

    /// Adds zeros to the visible tar.
    pub(super) fn zeros(&mut self, count: u64) -> Result<(), ArchiveError> {
        let mut left = count;
        while left > 0 {
            let now = usize::try_from(left).unwrap_or(usize::MAX).min(ZEROS.len());
            self.push(ZEROS.get(..now).unwrap_or(&ZEROS))?;
            left -= wide(now);
        }
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) {
        if self.raw.capacity() == 0 {
            self.raw = self.buffer();
        }
        self.raw.extend_from_slice(bytes);
    }

    fn recycle(&mut self, buffer: Vec<u8>) {
        if self.spare.len() < MOST_SPARE && buffer.capacity() >= SEGMENT_BYTES {
            self.spare.push(buffer);
        }
    }

    /// Gives the batch to a worker, if there is anything in it.
    pub(super) fn flush(&mut self) -> Result<(), ArchiveError> {
        self.begun = 0;
        if self.raw.is_empty() {
            return Ok(());
        }
        let raw = std::mem::take(&mut self.raw);
        let spans = std::mem::take(&mut self.spans);
        self.submit(raw, spans)
    }

    fn submit(&mut self, raw: Vec<u8>, spans: Vec<Span>) -> Result<(), ArchiveError> {
        while self.pool.is_full() {
            self.settle_next()?;
        }
        let out = self.spare_out.pop().unwrap_or_default();
        self.pool.submit(Batch { visible: self.visible, raw, spans, out })?;
        while let Some(encoded) = self.pool.ready()? {
            self.settle(encoded?)?;
        }
        Ok(())
    }

    /// Keeps the records that wait few.
    fn ease(&mut self) -> Result<(), ArchiveError> {
        if self.begun >= BATCH_ENTRIES {
            self.flush()?;
        }
        while self.pending.len() > MOST_PENDING && self.settle_next()? {}
        Ok(())
    }

    /// Waits for the oldest batch and writes it; `false`: there is none.
    fn settle_next(&mut self) -> Result<bool, ArchiveError> {
        let Some(encoded) = self.pool.next()? else { return Ok(false) };
        self.settle(encoded?)?;
        Ok(true)
    }

    /// Gives the batch to a worker, and waits until all is written.
    pub(super) fn drain(&mut self) -> Result<(), ArchiveError> {
        self.flush()?;
        while self.settle_next()? {}
        Ok(())
    }

    fn settle(&mut self, encoded: Encoded) -> Result<(), ArchiveError> {
        let first = self.out.table().count();
        self.out.frames(&encoded.out, &encoded.frames)?;
        for (owner, fate, mut segment) in encoded.segments {
            if fate != Fate::Unchanged {
                rebase(&mut segment, first);
            }
            self.pending.take(owner, Some(fate), segment);
        }
        self.tried.add(encoded.trials);
        self.recycle(encoded.raw);
        if self.spare_out.len() < MOST_SPARE {
            self.spare_out.push(encoded.out);
        }
        self.pending.drain()
    }
}

/// Turns a frame number within a batch into one in the file.
fn rebase(segment: &mut Segment, first: u32) {
    match &mut segment.stored {
        Stored::Root(root) => root.place.frame += first,
        Stored::Delta(_, patch) | Stored::Alone(patch) => patch.place.frame += first,
        Stored::Hole => {}
    }
}

/// Whether size, time and stamp say that a file's content is the parent's.
fn is_unchanged(old: &Entry, new: &Entry) -> bool {
    let sizes = match (&old.kind, &new.kind) {
        (EntryKind::File { size: old, .. }, EntryKind::File { size: new, .. }) => old == new,
        _ => false,
    };
    sizes && old.mtime_ns == new.mtime_ns && old.stamp.is_some() && old.stamp == new.stamp
}
