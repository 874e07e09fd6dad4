//! Batches of segments: bytes that are waiting to be encoded, what a worker makes of them, and how.

use std::ops::Range;
use std::sync::Arc;

use crate::archive::error::{ArchiveError, Result};
use crate::archive::frame::{
    Changes, Compressor, MAX_FRAME_BYTES, PATCH_MAGIC, SKIPPABLE_HEADER, WHOLE_SEGMENTS,
    check_result, push_skippable,
};
use crate::archive::hash::{self, Digest};
use crate::archive::index::{DataMap, FrameSlice, PatchSlice, RootSlice, Segment, Stored};
use crate::archive::read::{ChainReaders, PatchDigest, Reader, SegmentReader};
use crate::domain::num::{saturating_u32, to_usize};

#[derive(Debug)]
struct Root {
    /// The position of the incremental in the chain.
    depth: u16,
    /// `None`: its content is not here, so that what has changed is stored whole.
    segments: Option<SegmentReader>,
}

/// Encodes batches. Each worker has its own.
#[derive(Debug)]
pub(super) struct Encoder {
    compressor: Compressor,
    page_bytes: u32,
    /// Of an incremental.
    root: Option<Root>,
    scratch: Vec<u8>,
    changes: Changes,
}

impl Encoder {
    /// An encoder. An incremental's gets its position in the chain, and the root.
    pub(super) fn new(
        level: i32,
        page_bytes: u32,
        root: Option<(u16, &Arc<Reader>)>,
    ) -> Result<Self> {
        let root = root.map(|(depth, root)| {
            let chain = root.has_content().then(|| ChainReaders::new([Arc::clone(root)]));
            let segments = chain.map(|it| SegmentReader::new(Arc::new(it))).transpose()?;
            Ok::<_, ArchiveError>(Root { depth, segments })
        });
        Ok(Self {
            compressor: Compressor::new(level),
            page_bytes,
            root: root.transpose()?,
            scratch: Vec::new(),
            changes: Changes::default(),
        })
    }

    pub(super) fn encode(&mut self, batch: Batch) -> Result<EncodedBatch> {
        let Batch { in_tar, bytes, segments, out } = batch;
        let mut encoded = EncodedBatch { out, ..EncodedBatch::default() };
        encoded.out.clear();
        encoded.out.reserve_exact(MAX_FRAME_BYTES);
        if in_tar {
            self.compressor.compress(&bytes, &mut encoded.out)?;
            encoded.frames.push((saturating_u32(encoded.out.len()), saturating_u32(bytes.len())));
            encoded.segments.extend(segments.into_iter().map(|it| in_tar_frame(&bytes, it)));
        } else {
            self.encode_patches(&bytes, segments, &mut encoded)?;
        }
        encoded.spare = bytes;
        Ok(encoded)
    }

    fn encode_patches(
        &mut self,
        bytes: &[u8],
        segments: Vec<BatchSegment>,
        encoded: &mut EncodedBatch,
    ) -> Result<()> {
        let mut new = Vec::new();
        for segment in segments {
            let content = segment.bytes(bytes);
            let hash = hash::segment(content, segment.id.number, segment.only);
            let (outcome, stored) = match segment.old.as_ref() {
                Some(old) if old.hash == hash => (SegmentOutcome::Unchanged, old.stored.clone()),
                Some(Segment { stored: Stored::Root(root) | Stored::Delta(root, _), .. })
                    if self.root.as_ref().is_some_and(|it| it.segments.is_some()) =>
                {
                    self.encode_changes(content, &hash, root, encoded)?
                }
                _ => {
                    new.push((segment, hash));
                    continue;
                }
            };
            let (id, segment) = (segment.id, Segment { hash, stored });
            encoded.segments.push(EncodedSegment { id, outcome, segment });
        }
        if new.is_empty() { Ok(()) } else { self.encode_new(bytes, new, encoded) }
    }

    /// Encodes a changed segment of which the root has a version: makes a patch of the changed pages, and verifies it.
    fn encode_changes(
        &mut self,
        content: &[u8],
        hash: &Digest,
        old: &RootSlice,
        encoded: &mut EncodedBatch,
    ) -> Result<(SegmentOutcome, Stored)> {
        let no_root = || ArchiveError::Internal("no root to compare with".to_owned());
        let Root { depth, segments } = self.root.as_mut().ok_or_else(no_root)?;
        let segments = segments.as_mut().ok_or_else(no_root)?;
        let before = segments.read_root(old, &mut self.scratch)?;
        if !self.changes.find(before, content, to_usize(self.page_bytes)) {
            return Ok((SegmentOutcome::Unchanged, Stored::Root(old.clone())));
        }
        let length = saturating_u32(content.len());
        let (frame, patch) = push_patch(encoded, |out| {
            self.changes.encode(&mut self.compressor, self.page_bytes, length, out)
        })?;
        let patch = encoded.out.get(patch).unwrap_or(&[]);
        if !check_result(patch, before, content)? {
            let what = "changed pages do not make the segment that they were taken from";
            return Err(ArchiveError::Internal(what.to_owned()));
        }
        encoded.proofs.push(PatchDigest::new(patch, old, content.len(), hash));
        let slice = FrameSlice { frame, offset: 0, length };
        let stored = Stored::Delta(old.clone(), PatchSlice { depth: *depth, slice });
        Ok((SegmentOutcome::Patched, stored))
    }

    /// Encodes the new segments of a batch: all of them in one patch frame.
    fn encode_new(
        &mut self,
        bytes: &[u8],
        segments: Vec<(BatchSegment, Digest)>,
        encoded: &mut EncodedBatch,
    ) -> Result<()> {
        let depth = self.root.as_ref().map_or(0, |root| root.depth);
        let mut packed = Vec::new();
        let is_all = matches!(segments.as_slice(), [(only, _)] if only.length == bytes.len());
        if !is_all {
            packed.reserve_exact(segments.iter().map(|(segment, _)| segment.length).sum());
            for (segment, _) in &segments {
                packed.extend_from_slice(segment.bytes(bytes));
            }
        }
        let content = if is_all { bytes } else { packed.as_slice() };
        let (frame, _patch) = push_patch(encoded, |out| {
            out.push(WHOLE_SEGMENTS);
            self.compressor.compress(content, out)
        })?;
        let (mut offset, outcome) = (0_u32, SegmentOutcome::Stored);
        for (BatchSegment { id, length, .. }, hash) in segments {
            let slice = FrameSlice { frame, offset, length: saturating_u32(length) };
            offset = offset.saturating_add(slice.length);
            let segment = Segment { hash, stored: Stored::Whole(PatchSlice { depth, slice }) };
            encoded.segments.push(EncodedSegment { id, outcome, segment });
        }
        Ok(())
    }
}

/// Appends a patch frame whose content is what `fill` appends; returns its number in the batch, and where its
/// content is.
fn push_patch(
    encoded: &mut EncodedBatch,
    fill: impl FnOnce(&mut Vec<u8>) -> Result<()>,
) -> Result<(u32, Range<usize>)> {
    let number = saturating_u32(encoded.frames.len());
    let content = push_skippable(&mut encoded.out, PATCH_MAGIC, fill)?;
    encoded.frames.push((saturating_u32(SKIPPABLE_HEADER + content.len()), 0));
    Ok((number, content))
}

/// A segment that is in the batch's only frame, as part of the tar.
fn in_tar_frame(bytes: &[u8], segment: BatchSegment) -> EncodedSegment {
    let offset = saturating_u32(segment.start);
    let slice = FrameSlice { frame: 0, offset, length: saturating_u32(segment.length) };
    let (hash, map) = match segment.sparse {
        Some((hash, map)) => (hash, Some(map)),
        None => (hash::segment(segment.bytes(bytes), segment.id.number, segment.only), None),
    };
    let segment_in_root = Segment { hash, stored: Stored::Root(RootSlice { slice, map }) };
    EncodedSegment { id: segment.id, outcome: SegmentOutcome::Stored, segment: segment_in_root }
}

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
