//! Records that wait until their segments are encoded, in the order in which their entries came.

use std::collections::VecDeque;

use super::encoder::{SegmentId, SegmentOutcome};
use crate::archive::error::Result;
use crate::archive::hash::Digest;
use crate::archive::index::{FinishedIndex, IndexWriter, Record, Segment};
use crate::archive::manifest::Totals;
use crate::domain::num::to_u64;
use crate::domain::{Entry, EntryKind};

#[derive(Debug)]
struct PendingRecord {
    record: Record,
    /// How many of its segments are being encoded.
    missing: usize,
    /// Whether it can no longer get segments or be retracted.
    closed: bool,
    retracted: bool,
    totals: Totals,
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
    pub(super) fn begin(&mut self, entry: Entry, known: Option<(Vec<Segment>, Digest)>) -> u64 {
        let number = self.first + to_u64(self.queue.len());
        let mut totals = Totals { entries: 1, ..Totals::default() };
        if let EntryKind::File { size, .. } = entry.kind {
            totals.files = 1;
            totals.content_bytes = size;
        }
        totals.unread_files = u64::from(known.is_some());
        let (segments, hash) = known.map_or((Vec::new(), None), |(list, hash)| (list, Some(hash)));
        let record = Record { entry, segments, hash };
        let pending = PendingRecord { record, missing: 0, closed: false, retracted: false, totals };
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
        // Segments need not come in order: until all are there, copies of one take the place of those missing.
        let segments = &mut pending.record.segments;
        while segments.len() <= id.number {
            segments.push(segment.clone());
        }
        if let Some(place) = segments.get_mut(id.number) {
            *place = segment;
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
            let PendingRecord { mut record, retracted, totals, .. } = front;
            self.first += 1;
            if retracted {
                continue;
            }
            if record.hash.is_none() {
                record.hash = record.hash_of_segments();
            }
            self.index.push(&record)?;
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
        self.stored_segments += other.stored_segments;
        self.patched_segments += other.patched_segments;
        self.unchanged_segments += other.unchanged_segments;
        self.unread_files += other.unread_files;
    }
}
