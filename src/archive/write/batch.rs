//! Batches: bytes that become frames together, and the frames that they have become.

use crate::archive::hash::Digest;
use crate::archive::index::{DataMap, Segment};
use crate::archive::read::PatchDigest;

/// Identifies a segment: the number of its record in the archive, and its own number in the file.
#[derive(Debug, Clone, Copy)]
pub(super) struct SegmentId {
    pub(super) record: u64,
    pub(super) number: usize,
}

#[derive(Debug)]
pub(super) struct BatchSegment {
    pub(super) id: SegmentId,
    /// Where its bytes start in the batch.
    pub(super) start: usize,
    pub(super) length: usize,
    /// Whether its file has no other segment.
    pub(super) only: bool,
    /// If the batch has only its data ranges: its hash, and these ranges.
    pub(super) sparse: Option<(Digest, Box<DataMap>)>,
    /// The parent's version.
    pub(super) old: Option<Segment>,
}

impl BatchSegment {
    /// The bytes of this segment among those of the batch.
    pub(super) fn bytes<'a>(&self, batch: &'a [u8]) -> &'a [u8] {
        batch.get(self.start..self.start.saturating_add(self.length)).unwrap_or(&[])
    }
}

/// Bytes for a worker to encode.
#[derive(Debug)]
pub(super) struct Batch {
    /// Whether they belong to the tar; otherwise they become patch frames of an incremental.
    pub(super) in_tar: bool,
    /// The bytes, at most a MiB.
    pub(super) bytes: Vec<u8>,
    pub(super) segments: Vec<BatchSegment>,
    /// A buffer for the frames.
    pub(super) out: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SegmentOutcome {
    /// It is a hole and takes no bytes.
    Hole,
    /// It equals the parent's or the root's version.
    Unchanged,
    /// All of it is in a frame of the batch.
    Stored,
    /// Its changed pages are in a frame of the batch.
    Patched,
}

/// A segment of an encoded batch. Frame numbers in it count from the batch's first frame, unless it is unchanged.
#[derive(Debug)]
pub(super) struct EncodedSegment {
    pub(super) id: SegmentId,
    pub(super) outcome: SegmentOutcome,
    pub(super) segment: Segment,
}

#[derive(Debug, Default)]
pub(super) struct EncodedBatch {
    /// The buffer that the bytes were in, to be used again.
    pub(super) spare: Vec<u8>,
    pub(super) out: Vec<u8>,
    /// Stored length and content length of each frame, for the seek table.
    pub(super) frames: Vec<(u32, u32)>,
    pub(super) segments: Vec<EncodedSegment>,
    /// The proofs of the patches among the frames.
    pub(super) proofs: Vec<PatchDigest>,
}
