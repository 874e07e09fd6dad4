//! Records that wait for their segments' hashes and places, in the order they came in.

use std::collections::VecDeque;

use super::encode::{Fate, Owner};
use super::error::ArchiveError;
use super::hash;
use super::index::{FinishedIndex, IndexWriter, Record, Segment};
use super::manifest::Totals;
use crate::domain::{Entry, EntryKind};

#[derive(Debug)]
struct Waiting {
    record: Record,
    /// Segments that are being worked on.
    missing: usize,
    /// The next entry has begun: this one can no longer be retracted.
    closed: bool,
    retracted: bool,
    totals: Totals,
}

/// The records on their way into the index.
#[derive(Debug)]
pub(super) struct Pending {
    queue: VecDeque<Waiting>,
    /// The number of the record at the front.
    first: u64,
    index: IndexWriter,
    totals: Totals,
}

impl Pending {
    /// Nothing waits yet.
    pub(super) fn new(index: IndexWriter) -> Self {
        Self { queue: VecDeque::new(), first: 0, index, totals: Totals::default() }
    }

    /// How many records wait.
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    /// Adds a record, open for segments and for retraction; gives its number.
    pub(super) fn begin(
        &mut self,
        entry: Entry,
        known: Option<(Vec<Segment>, hash::Digest)>,
    ) -> u64 {
        let number = self.first + super::bytes::wide(self.queue.len());
        let mut totals = Totals { entries: 1, ..Totals::default() };
        if let EntryKind::File { size, .. } = entry.kind {
            totals.files = 1;
            totals.content_bytes = size;
        }
        totals.unread_files = u64::from(known.is_some());
        let (segments, hash) = known.map_or((Vec::new(), None), |(list, hash)| (list, Some(hash)));
        let record = Record { entry, segments, hash };
        let waiting = Waiting { record, missing: 0, closed: false, retracted: false, totals };
        self.queue.push_back(waiting);
        number
    }

    fn get(&mut self, number: u64) -> Option<&mut Waiting> {
        let at = usize::try_from(number.checked_sub(self.first)?).ok()?;
        self.queue.get_mut(at)
    }

    /// Says that the record's next segment is being worked on.
    pub(super) fn expect(&mut self, number: u64) {
        if let Some(waiting) = self.get(number) {
            waiting.missing += 1;
        }
    }

    /// Takes a segment that was expected. Those of one record come in order.
    pub(super) fn take(&mut self, owner: Owner, fate: Option<Fate>, segment: Segment) {
        if let Some(waiting) = self.get(owner.record) {
            waiting.missing -= 1;
            put(&mut waiting.record.segments, owner.number, segment);
            match fate {
                Some(Fate::Whole) => waiting.totals.stored_segments += 1,
                Some(Fate::Patched) => waiting.totals.patched_segments += 1,
                Some(Fate::Unchanged) => waiting.totals.unchanged_segments += 1,
                None => {}
            }
        }
    }

    /// The record is whole: no more segments, no retraction.
    pub(super) fn close(&mut self, number: u64) {
        if let Some(waiting) = self.get(number) {
            waiting.closed = true;
        }
    }

    /// The record is to be forgotten, once nobody works on its segments any more.
    pub(super) fn retract(&mut self, number: u64) {
        if let Some(waiting) = self.get(number) {
            waiting.retracted = true;
            waiting.closed = true;
        }
    }

    /// Puts what is complete into the index.
    pub(super) fn drain(&mut self) -> Result<(), ArchiveError> {
        while self.queue.front().is_some_and(|front| front.closed && front.missing == 0) {
            let Some(Waiting { mut record, retracted, totals, .. }) = self.queue.pop_front() else {
                break;
            };
            self.first += 1;
            if retracted {
                continue;
            }
            if record.hash.is_none() && matches!(record.entry.kind, EntryKind::File { .. }) {
                let hashes: Vec<_> = record.segments.iter().map(|segment| segment.hash).collect();
                record.hash = Some(hash::file(&hashes));
            }
            self.index.push(&record)?;
            self.totals.add(&totals);
        }
        Ok(())
    }

    /// See [`IndexWriter::push_bytes`].
    #[cfg(test)]
    pub(super) fn push_bytes(&mut self, bytes: &[u8]) {
        self.index.push_bytes(bytes);
    }

    /// The index and the sums, once nothing waits.
    pub(super) fn finish(&mut self) -> Result<(FinishedIndex, Totals), ArchiveError> {
        Ok((self.index.finish()?, self.totals))
    }
}

/// Puts a segment where it belongs. Segments of a batch may come in another order than they have in
/// the file, and holes come at once: until the missing ones are there, others stand in their place.
fn put(segments: &mut Vec<Segment>, number: usize, segment: Segment) {
    while segments.len() <= number {
        segments.push(segment.clone());
    }
    if let Some(place) = segments.get_mut(number) {
        *place = segment;
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
