//! Reading the content of segments from the archives of a chain.

use std::sync::Arc;

use super::reader::Reader;
use super::verified_patches::{PatchDigest, VerifiedPatches};
use crate::archive::error::{ArchiveError, Damage, Result};
use crate::archive::frame::{
    Decompressor, PATCH_MAGIC, WHOLE_SEGMENTS, apply, content_length, skippable_content,
};
use crate::archive::index::{FrameSlice, PatchSlice, RootSlice, Segment, SegmentPosition, Stored};
use crate::domain::SEGMENT_BYTES;
use crate::domain::num::to_usize;

/// The archives of a chain by their position in it; the root is 0. Those that are not needed may be missing.
#[derive(Debug)]
pub(crate) struct ChainReaders(Vec<Option<Arc<Reader>>>);

impl ChainReaders {
    /// These archives, the root first.
    pub(crate) fn new(readers: impl IntoIterator<Item = Arc<Reader>>) -> Self {
        Self(readers.into_iter().map(Some).collect())
    }

    /// The root and one archive that is built on it: enough for the segments that are in one of these two.
    pub(super) fn root_and(root: &Arc<Reader>, other: &Arc<Reader>) -> Self {
        let depth = usize::from(other.depth());
        let mut readers = vec![None; depth + 1];
        for (position, reader) in [(0, root), (depth, other)] {
            if let Some(slot) = readers.get_mut(position) {
                *slot = Some(Arc::clone(reader));
            }
        }
        Self(readers)
    }

    /// The archives that are open, the root first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Reader>> {
        self.0.iter().flatten()
    }

    /// The full backup that the chain starts with.
    pub(crate) fn root(&self) -> Result<&Arc<Reader>> {
        self.get(0)
    }

    fn get(&self, depth: u16) -> Result<&Arc<Reader>> {
        let found = self.0.get(usize::from(depth)).and_then(Option::as_ref);
        found.ok_or_else(|| {
            Damage(format!("archive {depth} of its chain is missing")).in_backup(None)
        })
    }
}

/// Reads segments of a chain. Each thread has its own.
#[derive(Debug)]
pub(crate) struct SegmentReader {
    chain: Arc<ChainReaders>,
    frames: FrameCache,
    patch_buffer: Vec<u8>,
    root_buffer: Vec<u8>,
}

impl SegmentReader {
    pub(crate) fn new(chain: Arc<ChainReaders>) -> Result<Self> {
        let frames = FrameCache::new(chain.iter().count())?;
        Ok(Self { chain, frames, patch_buffer: Vec::new(), root_buffer: Vec::new() })
    }

    /// The content of a segment. An error if its hash differs from the one taken from the source. The result may
    /// borrow from the buffer `scratch`.
    pub(crate) fn read<'a>(
        &'a mut self,
        segment: &Segment,
        position: SegmentPosition,
        scratch: &'a mut Vec<u8>,
    ) -> Result<&'a [u8]> {
        let chain = Arc::clone(&self.chain);
        let content = match &segment.stored {
            // Nothing is stored that could be damaged.
            Stored::Hole => {
                scratch.clear();
                scratch.resize(position.length, 0);
                return Ok(scratch);
            }
            Stored::Root(root) => self.read_root(root, scratch)?,
            Stored::Whole(patch) => {
                self.frames.slice(patch.depth, chain.get(patch.depth)?, patch.slice)?
            }
            Stored::Delta(root, patch) => {
                self.read_delta(root, patch, position.length, scratch)?;
                scratch.as_slice()
            }
        };
        if content.len() == position.length && position.hash(content) == segment.hash {
            return Ok(content);
        }
        let at_fault = chain.get(segment.depth().unwrap_or(0))?;
        Err(at_fault
            .damaged(Damage::new("a part of a file differs from what was read from the source")))
    }

    /// The segment as it is in the root, without comparing its hash. The result may borrow from `scratch`.
    pub(crate) fn read_root<'a>(
        &'a mut self,
        root: &RootSlice,
        scratch: &'a mut Vec<u8>,
    ) -> Result<&'a [u8]> {
        self.frames.root_segment(self.chain.root()?, root, scratch)
    }

    /// Whether the segment is a delta whose patch is in `verified`: the writer has applied and compared it already.
    pub(super) fn is_verified(
        &mut self,
        segment: &Segment,
        position: SegmentPosition,
        verified: &VerifiedPatches,
    ) -> Result<bool> {
        let Stored::Delta(root, patch) = &segment.stored else { return Ok(false) };
        let reader = self.chain.get(patch.depth)?;
        let content = patch_content(reader, patch, &mut self.patch_buffer)?;
        Ok(verified.contains(&PatchDigest::new(content, root, position.length, &segment.hash)))
    }

    fn read_delta(
        &mut self,
        root: &RootSlice,
        patch: &PatchSlice,
        length: usize,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        let old = self.frames.root_segment(self.chain.root()?, root, &mut self.root_buffer)?;
        let reader = self.chain.get(patch.depth)?;
        let content = patch_content(reader, patch, &mut self.patch_buffer)?;
        apply(content, old, length, out).map_err(|error| reader.blamed(error))
    }
}

/// The content of a patch frame with changed pages.
fn patch_content<'a>(
    reader: &Reader,
    patch: &PatchSlice,
    stored: &'a mut Vec<u8>,
) -> Result<&'a [u8]> {
    reader.stored_frame(patch.slice.frame, stored)?;
    skippable_content(stored, PATCH_MAGIC).map_err(|damage| reader.damaged(damage))
}

/// The most decompressed frames in a cache. Neighbouring small files share frames: in a full backup one frame, in a
/// chain one of the root and one of an incremental.
const MAX_CACHED_FRAMES: usize = 2;

#[derive(Debug)]
struct CachedFrame {
    depth: u16,
    number: u32,
    content: Vec<u8>,
    /// A segment that fills the frame was read from it, so no other segment needs it.
    is_used_up: bool,
}

/// Decompressed frames, the one used last at the end.
#[derive(Debug)]
struct FrameCache {
    decompressor: Decompressor,
    frames: Vec<CachedFrame>,
    capacity: usize,
    compressed: Vec<u8>,
}

impl FrameCache {
    fn new(archives: usize) -> Result<Self> {
        let capacity = archives.clamp(1, MAX_CACHED_FRAMES);
        let decompressor = Decompressor::new()?;
        Ok(Self { decompressor, frames: Vec::new(), capacity, compressed: Vec::new() })
    }

    fn root_segment<'a>(
        &'a mut self,
        reader: &Reader,
        root: &RootSlice,
        scratch: &'a mut Vec<u8>,
    ) -> Result<&'a [u8]> {
        let found = self.slice(0, reader, root.slice)?;
        with_holes(found, root, scratch).map_err(|damage| reader.damaged(damage))
    }

    fn slice(&mut self, depth: u16, reader: &Reader, slice: FrameSlice) -> Result<&[u8]> {
        let frame = self.frame(depth, reader, slice.frame)?;
        frame.is_used_up = slice.offset == 0 && to_usize(slice.length) == frame.content.len();
        slice_of(&frame.content, slice).map_err(|damage| reader.damaged(damage))
    }

    /// Gets a frame from the cache or the archive, and makes it the one used last.
    fn frame(&mut self, depth: u16, reader: &Reader, number: u32) -> Result<&mut CachedFrame> {
        let cached = self.frames.iter().position(|it| it.depth == depth && it.number == number);
        let frame = match cached {
            Some(at) => self.frames.remove(at),
            None => self.read(depth, reader, number)?,
        };
        self.frames.push(frame);
        let lost = || ArchiveError::Internal("a frame was lost".to_owned());
        self.frames.last_mut().ok_or_else(lost)
    }

    /// Reads a frame, in place of one that is used up or else of the one that was not used for longest.
    fn read(&mut self, depth: u16, reader: &Reader, number: u32) -> Result<CachedFrame> {
        let is_full = self.frames.len() >= self.capacity;
        let replaced = self.frames.iter().position(|it| it.is_used_up).or(is_full.then_some(0));
        let mut content = replaced.map_or_else(Vec::new, |at| self.frames.remove(at).content);
        let bytes = reader.stored_frame(number, &mut self.compressed)?.content_bytes;
        decompress_segments(&mut self.decompressor, &self.compressed, bytes, &mut content)
            .map_err(|error| reader.blamed(error))?;
        Ok(CachedFrame { depth, number, content, is_used_up: false })
    }
}

/// The bytes of a slice, in the content of its frame.
pub(super) fn slice_of(content: &[u8], slice: FrameSlice) -> Result<&[u8], Damage> {
    let (start, length) = (to_usize(slice.offset), to_usize(slice.length));
    content
        .get(start..start.saturating_add(length))
        .ok_or_else(|| Damage::new("a part of a file is not within its piece of the archive"))
}

/// A segment of the root from the bytes of its slice; one with holes is put together in `scratch`.
pub(super) fn with_holes<'a>(
    found: &'a [u8],
    root: &RootSlice,
    scratch: &'a mut Vec<u8>,
) -> Result<&'a [u8], Damage> {
    let Some(map) = root.map.as_deref() else { return Ok(found) };
    map.insert_holes(found, scratch)
        .ok_or_else(|| Damage::new("the holes of a part of a file do not fit"))?;
    Ok(scratch)
}

/// Replaces what is in `out` with the content of a frame that has segments: a frame of the tar, or a patch frame
/// with whole segments. `content_bytes` is from the seek table: 0 for a patch frame, which zstd skips.
pub(super) fn decompress_segments(
    decompressor: &mut Decompressor,
    stored: &[u8],
    content_bytes: usize,
    out: &mut Vec<u8>,
) -> Result<()> {
    let too_long = || Damage::new("a piece of it is longer than any that is written");
    if content_bytes > SEGMENT_BYTES {
        return Err(too_long().into());
    }
    if content_bytes > 0 {
        return decompressor.decompress(stored, content_bytes, out);
    }
    let content = skippable_content(stored, PATCH_MAGIC)?;
    let (kind, frame) =
        content.split_first().ok_or_else(|| Damage::new("a piece with changes is empty"))?;
    if *kind != WHOLE_SEGMENTS {
        return Err(
            Damage::new("a piece with changes is not of the kind that its index says").into()
        );
    }
    let length = content_length(frame).filter(|it| *it <= SEGMENT_BYTES).ok_or_else(too_long)?;
    decompressor.decompress(frame, length, out)
}
