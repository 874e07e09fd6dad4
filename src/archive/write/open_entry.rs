//! The entry that is being written: which segment comes next, and what of it is to be stored.

use std::ops::Range;
use std::sync::Arc;

use super::encoder::{BatchSegment, SegmentId};
use crate::archive::error::{ArchiveError, Result};
use crate::archive::hash::{self, Digest};
use crate::archive::index::{DataMap, Record, segment_length, segment_start};
use crate::archive::sparse::{self, Coverage};
use crate::domain::{EntryPath, Extent};

/// The entry that was begun last.
#[derive(Debug)]
pub(super) struct OpenEntry {
    pub(super) number: u64,
    pub(super) path: EntryPath,
    pub(super) size: u64,
    pub(super) extents: Option<Vec<Extent>>,
    /// How many segments came.
    pub(super) given: usize,
    /// How many segments are to come in all.
    pub(super) count: usize,
    /// How many bytes of data the tar member still lacks.
    pub(super) missing_bytes: u64,
    /// The zeros after the data that the tar member still lacks.
    pub(super) padding: usize,
    /// The parent's version.
    pub(super) old: Option<Arc<Record>>,
}

/// What is to be stored of a segment.
#[derive(Debug)]
pub(super) enum SegmentData {
    /// Nothing but its hash. The buffer can be used again.
    Hole(Vec<u8>, Digest),
    Bytes(Vec<u8>),
    /// The bytes of its data ranges; with the hash of the segment, and these ranges.
    Ranges(Vec<u8>, Digest, Box<DataMap>),
}

impl OpenEntry {
    /// Takes the next segment, which must have this length.
    pub(super) fn next_segment(&mut self, length: usize) -> Result<BatchSegment> {
        let number = self.given;
        let expected = segment_length(self.size, number);
        if number >= self.count || length != expected {
            let path = &self.path;
            let what = format!("{path}: a segment of {length} bytes instead of {expected}");
            return Err(ArchiveError::Misuse(what));
        }
        self.given += 1;
        let old = self.old.as_ref().and_then(|old| old.segments.get(number)).cloned();
        let id = SegmentId { record: self.number, number };
        Ok(BatchSegment { id, start: 0, length, only: self.count == 1, sparse: None, old })
    }

    /// Takes the next segment, which must have no data.
    pub(super) fn next_hole(&mut self) -> Result<BatchSegment> {
        let segment = self.next_segment(segment_length(self.size, self.given))?;
        match sparse::coverage(self.extents.as_deref(), self.size, segment.id.number) {
            Coverage::Hole => Ok(segment),
            _ => Err(ArchiveError::Misuse(format!("{}: a hole where data is", self.path))),
        }
    }

    /// Takes the next so many segments, which must have no data; returns their numbers.
    pub(super) fn next_holes(&mut self, count: usize) -> Result<Range<usize>> {
        let row = self.given..self.given.saturating_add(count);
        let (start, end) = (segment_start(row.start), segment_start(row.end).min(self.size));
        let extents = self.extents.as_deref();
        let next = extents.and_then(|all| {
            let behind = all.partition_point(|it| it.offset.saturating_add(it.length) <= start);
            all.get(behind)
        });
        if row.end > self.count || extents.is_none() || next.is_some_and(|it| it.offset < end) {
            return Err(ArchiveError::Misuse(format!("{}: a hole where data is", self.path)));
        }
        self.given = row.end;
        Ok(row)
    }

    /// Removes the holes of a segment. The tar has only its data ranges. A patch frame keeps the holes as zeros,
    /// because a restore knows from the entry where they are.
    pub(super) fn remove_holes(
        &self,
        bytes: Vec<u8>,
        segment: &BatchSegment,
        in_tar: bool,
    ) -> Result<SegmentData> {
        let mut bytes = bytes;
        let number = segment.id.number;
        let outside =
            || ArchiveError::Misuse(format!("{}: data outside of the data ranges", self.path));
        match sparse::coverage(self.extents.as_deref(), self.size, number) {
            Coverage::Full => Ok(SegmentData::Bytes(bytes)),
            Coverage::Hole if sparse::is_zero(&bytes) => {
                let hash = hash::segment(&bytes, number, segment.only);
                Ok(SegmentData::Hole(bytes, hash))
            }
            Coverage::Hole => Err(outside()),
            Coverage::Partial(map) if in_tar => {
                let hash = hash::segment(&bytes, number, segment.only);
                map.remove_holes(&mut bytes).ok_or_else(outside)?;
                Ok(SegmentData::Ranges(bytes, hash, Box::new(map)))
            }
            Coverage::Partial(map) => {
                map.remove_holes(&mut bytes.clone()).ok_or_else(outside)?;
                Ok(SegmentData::Bytes(bytes))
            }
        }
    }
}
