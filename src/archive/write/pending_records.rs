//! Records that wait until their segments are encoded, in the order in which their entries came.

use std::collections::VecDeque;
use std::ops::Range;

use super::encoder::{SegmentId, SegmentOutcome};
use crate::archive::error::Result;
use crate::archive::hash::Digest;
use crate::archive::index::{FinishedIndex, HOLE, IndexWriter, Segment, Segments};
use crate::archive::manifest::Totals;
use crate::domain::num::to_u64;
use crate::domain::{Entry, EntryKind};

#[derive(Debug)]
struct PendingRecord {
    entry: Entry,
    content: Content,
    /// How many of its segments are being encoded.
    missing: usize,
    /// Whether it can no longer get segments or be retracted.
    closed: bool,
    retracted: bool,
    totals: Totals,
}

#[derive(Debug)]
enum Content {
    /// Of a file that need not be read.
    Known(Segments, Digest),
    /// The segments so far with their numbers, in any order, and in order rows of holes that were not hashed.
    Read(Vec<(usize, Segment)>, Vec<Range<usize>>),
}

impl Content {
    /// Moves an entry with its content into the index.
    fn push_to(self, index: &mut IndexWriter, entry: &Entry) -> Result<()> {
        let (mut data, holes) = match self {
            Self::Known(segments, hash) => {
                return index.push(entry, segments.iter(), Some(hash));
            }
            Self::Read(data, holes) => (data, holes),
        };
        data.sort_by_key(|(number, _)| *number);
        let mut data = data.iter().peekable();
        let mut holes = holes.into_iter().flatten().peekable();
        let segments = std::iter::from_fn(|| match (data.peek(), holes.peek()) {
            (Some((number, _)), Some(hole)) if hole < number => holes.next().map(|_| &HOLE),
            (Some(_), _) => data.next().map(|(_, segment)| segment),
            (None, _) => holes.next().map(|_| &HOLE),
        });
        index.push(entry, segments, None)
    }
}

/// The records on their way into the index.
#[derive(Debug)]
pub(super) struct PendingRecords {
    queue: VecDeque<PendingRecord>,
    /// The number of the record at the front.
    first: u64,
    index: IndexWriter,
    totals: Totals,
}

impl PendingRecords {
    pub(super) fn new(index: IndexWriter) -> Self {
        Self { queue: VecDeque::new(), first: 0, index, totals: Totals::default() }
    }

    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    /// Adds the record of an entry and returns its number. `known` are the segments and the hash of a file that
    /// need not be read.
    pub(super) fn begin(&mut self, entry: Entry, known: Option<(Segments, Digest)>) -> u64 {
        let number = self.first + to_u64(self.queue.len());
        let mut totals = Totals { entries: 1, ..Totals::default() };
        if let EntryKind::File { size, extents } = &entry.kind {
            totals.files = 1;
            totals.content_bytes = *size;
            let data =
                extents.iter().flatten().fold(0_u64, |sum, it| sum.saturating_add(it.length));
            totals.hole_bytes = extents.as_ref().map_or(0, |_| size.saturating_sub(data));
        }
        totals.unread_files = u64::from(known.is_some());
        let content = match known {
            Some((segments, hash)) => Content::Known(segments, hash),
            None => Content::Read(Vec::new(), Vec::new()),
        };
        let (closed, retracted) = (false, false);
        let pending = PendingRecord { entry, content, missing: 0, closed, retracted, totals };
        self.queue.push_back(pending);
        number
    }

    fn get(&mut self, number: u64) -> Option<&mut PendingRecord> {
        let at = usize::try_from(number.checked_sub(self.first)?).ok()?;
        self.queue.get_mut(at)
    }

    /// Makes the record wait for one more segment.
    pub(super) fn await_segment(&mut self, number: u64) {
        if let Some(pending) = self.get(number) {
            pending.missing += 1;
        }
    }

    /// Adds a segment that its record waits for.
    pub(super) fn add_segment(&mut self, id: SegmentId, outcome: SegmentOutcome, segment: Segment) {
        let Some(pending) = self.get(id.record) else { return };
        pending.missing -= 1;
        match outcome {
            SegmentOutcome::Hole => {}
            SegmentOutcome::Unchanged => pending.totals.unchanged_segments += 1,
            SegmentOutcome::Stored => pending.totals.stored_segments += 1,
            SegmentOutcome::Patched => pending.totals.patched_segments += 1,
        }
        if let Content::Read(data, _) = &mut pending.content {
            data.push((id.number, segment));
        }
    }

    /// Adds holes that were not hashed. They come in order.
    pub(super) fn add_holes(&mut self, number: u64, row: Range<usize>) {
        let Some(pending) = self.get(number) else { return };
        let Content::Read(_, holes) = &mut pending.content else { return };
        match holes.last_mut() {
            Some(last) if last.end == row.start => last.end = row.end,
            _ => holes.push(row),
        }
    }

    /// Ends the record: it gets no more segments and cannot be retracted.
    pub(super) fn close(&mut self, number: u64) {
        if let Some(pending) = self.get(number) {
            pending.closed = true;
        }
    }

    /// Ends the record and keeps it out of the index.
    pub(super) fn retract(&mut self, number: u64) {
        self.close(number);
        if let Some(pending) = self.get(number) {
            pending.retracted = true;
        }
    }

    /// Moves complete records into the index, as far as none before them is incomplete.
    pub(super) fn move_to_index(&mut self) -> Result<()> {
        while self.queue.front().is_some_and(|front| front.closed && front.missing == 0) {
            let Some(front) = self.queue.pop_front() else { break };
            let PendingRecord { entry, content, retracted, totals, .. } = front;
            self.first += 1;
            if retracted {
                continue;
            }
            content.push_to(&mut self.index, &entry)?;
            self.totals.add(&totals);
        }
        Ok(())
    }

    /// Returns the index and the sums, once no record waits.
    pub(super) fn finish(self) -> Result<(FinishedIndex, Totals)> {
        Ok((self.index.finish()?, self.totals))
    }
}

impl Totals {
    fn add(&mut self, other: &Self) {
        self.entries += other.entries;
        self.files += other.files;
        self.content_bytes = self.content_bytes.saturating_add(other.content_bytes);
        self.hole_bytes = self.hole_bytes.saturating_add(other.hole_bytes);
        self.stored_segments += other.stored_segments;
        self.patched_segments += other.patched_segments;
        self.unchanged_segments += other.unchanged_segments;
        self.unread_files += other.unread_files;
    }
}
