//! The index's blocks: decompressed one by one, an incremental's after the root's index.
//!
//! Most of a child's index is what the root's says: the same paths, times and hashes. Hashes do not compress,
//! so each block of an incremental has a piece of the root's index as zstd prefix: a record that is the
//! root's costs next to nothing. In front of such a block's zstd frame are 8 bytes: where in the root's index,
//! decompressed, its prefix begins. The prefix is [`WINDOW_BYTES`] long, or what there is.
//!
//! After the root's and not the parent's, for the same reason as patches are (see the archive module):
//! whatever the depth, two archives are enough to read an index.

use std::ops::{Deref, Range};
use std::sync::Arc;

use memchr::memmem;

use super::BLOCK_BYTES;
use crate::archive::bytes::{le64, wide};
use crate::archive::error::{ArchiveError, Flaw};
use crate::archive::frame::{
    Decompressor, INDEX_MAGIC, content_length, decompress_after, skippable_content,
};
use crate::archive::reader::Reader;
use crate::domain::Kind;

/// How much of the root's index is a block's prefix.
const WINDOW_BYTES: usize = 2 * BLOCK_BYTES;
/// So far to either side of its place in the root's index a block may differ by what came or went in it.
const SLACK: u64 = 128 << 10;
/// What of a block is looked for in the root's index, and in how many places of the block it is taken.
const PROBE_BYTES: usize = 48;
const PROBES: usize = 16;
/// So many windows of the root's index are looked through before a block counts as new.
const LOOKED_THROUGH: u64 = 32;

/// What the block in this zstd frame comes to.
fn length_of(frame: &[u8]) -> Result<usize, Flaw> {
    let too_long = || Flaw::new("a block of its index is too long");
    content_length(frame).filter(|length| *length <= BLOCK_BYTES).ok_or_else(too_long)
}

/// The start of a block's prefix, and its frame.
fn split_start(content: &[u8]) -> Result<(u64, &[u8]), Flaw> {
    let cut = || Flaw::new("a block of its index is cut short");
    Ok((le64(content, 0).ok_or_else(cut)?, content.get(8..).ok_or_else(cut)?))
}

/// How long a block is that is stored like this, whether it is an incremental's or not.
pub(in crate::archive) fn raw_length(stored: &[u8], kind: Kind) -> Result<usize, Flaw> {
    let content = skippable_content(stored, INDEX_MAGIC)?;
    let frame = if kind == Kind::Full { content } else { split_start(content)?.1 };
    length_of(frame)
}

/// The index of a chain's root, decompressed where it is needed.
#[derive(Debug)]
pub(in crate::archive) struct RootIndex {
    root: Arc<Reader>,
    frames: Range<u32>,
    decompressor: Decompressor,
    stored: Vec<u8>,
    /// The blocks used last, by number.
    kept: Vec<(u64, Vec<u8>)>,
    window: Vec<u8>,
}

impl RootIndex {
    /// The index of this full backup.
    pub(in crate::archive) fn of(root: Arc<Reader>) -> Result<Self, ArchiveError> {
        let frames = root.index_frames()?;
        let decompressor = Decompressor::new()?;
        let (stored, kept, window) = (Vec::new(), Vec::new(), Vec::new());
        Ok(Self { root, frames, decompressor, stored, kept, window })
    }

    /// The index from `start` on, as far as a window reaches.
    pub(super) fn window(&mut self, start: u64) -> Result<&[u8], ArchiveError> {
        let block_bytes = wide(BLOCK_BYTES);
        let mut skip = usize::try_from(start % block_bytes).unwrap_or(0);
        let mut number = start / block_bytes;
        let mut window = std::mem::take(&mut self.window);
        window.clear();
        while window.len() < WINDOW_BYTES {
            let block = self.block(number)?;
            let part = block.get(skip..).unwrap_or(&[]);
            let room = WINDOW_BYTES - window.len();
            window.extend_from_slice(part.get(..room).unwrap_or(part));
            if block.len() < BLOCK_BYTES {
                break;
            }
            (skip, number) = (0, number + 1);
        }
        self.window = window;
        Ok(&self.window)
    }

    /// A block; empty if there is none of that number.
    fn block(&mut self, number: u64) -> Result<&[u8], ArchiveError> {
        let frame = u32::try_from(number).ok().and_then(|it| self.frames.start.checked_add(it));
        let Some(frame) = frame.filter(|it| self.frames.contains(it)) else { return Ok(&[]) };
        let known = self.kept.iter().position(|(kept, _)| *kept == number);
        let block = if let Some(at) = known {
            self.kept.remove(at)
        } else {
            let full = self.kept.len() > WINDOW_BYTES / BLOCK_BYTES;
            let spare = if full { self.kept.remove(0).1 } else { Vec::new() };
            (number, self.read(frame, spare)?)
        };
        self.kept.push(block);
        Ok(self.kept.last().map_or(&[], |(_, block)| block))
    }

    fn read(&mut self, frame: u32, spare: Vec<u8>) -> Result<Vec<u8>, ArchiveError> {
        let mut block = spare;
        self.root.stored_frame(frame, &mut self.stored)?;
        skippable_content(&self.stored, INDEX_MAGIC)
            .and_then(|frame| self.decompressor.frame(frame, length_of(frame)?, &mut block))
            .map_err(|flaw| self.root.damaged(flaw))?;
        Ok(block)
    }

    /// Where in the index a block's content begins, as far as any of it is there at `from` or behind; what is
    /// far in front is not found again. `None`: nothing of it was found.
    fn find(&mut self, block: &[u8], from: u64) -> Result<Option<u64>, ArchiveError> {
        let stride = wide(WINDOW_BYTES - PROBE_BYTES);
        for step in 0..LOOKED_THROUGH {
            let start = from.saturating_sub(SLACK).saturating_add(step * stride);
            let window = self.window(start)?;
            for at in (0..PROBES).map(|probe| block.len() / PROBES * probe) {
                let Some(probe) = block.get(at..at + PROBE_BYTES) else { break };
                if let Some(found) = memmem::find(window, probe) {
                    let found = start.saturating_add(wide(found));
                    return Ok(Some(found.saturating_sub(wide(at))));
                }
            }
            if window.len() < WINDOW_BYTES {
                break;
            }
        }
        Ok(None)
    }
}

/// The prefix of the next block that is written, and where it begins.
#[derive(Debug)]
pub(super) struct Prefixes {
    index: RootIndex,
    /// Where in the root's index the next block is likely to begin.
    likely: u64,
}

impl Prefixes {
    pub(super) const fn of(index: RootIndex) -> Self {
        Self { index, likely: 0 }
    }

    /// The prefix for this block, the next one.
    pub(super) fn next(&mut self, block: &[u8]) -> Result<(u64, &[u8]), ArchiveError> {
        let found = self.index.find(block, self.likely)?;
        let start = found.unwrap_or(self.likely).saturating_sub(SLACK);
        if let Some(found) = found {
            self.likely = found.saturating_add(wide(block.len()));
        }
        Ok((start, self.index.window(start)?))
    }
}

/// The index, block after block.
#[derive(Debug)]
pub(in crate::archive) struct IndexBlocks<R> {
    reader: R,
    frames: Range<u32>,
    /// Of an incremental.
    root: Option<RootIndex>,
    stored: Vec<u8>,
    decompressor: Decompressor,
}

impl<R: Deref<Target = Reader>> IndexBlocks<R> {
    /// The index of this archive; an incremental's needs its `root`.
    pub(in crate::archive) fn new(
        reader: R,
        root: Option<&Arc<Reader>>,
    ) -> Result<Self, ArchiveError> {
        let frames = reader.index_frames()?;
        let root = if reader.manifest().kind == Kind::Full {
            None
        } else {
            Some(RootIndex::of(Arc::clone(reader.needed_root(root)?))?)
        };
        let decompressor = Decompressor::new()?;
        Ok(Self { reader, frames, root, stored: Vec::new(), decompressor })
    }

    pub(super) fn reader(&self) -> &Reader {
        &self.reader
    }

    /// The next block into `out`; `false`: there is none.
    pub(in crate::archive) fn next(&mut self, out: &mut Vec<u8>) -> Result<bool, ArchiveError> {
        out.clear();
        let Some(number) = self.frames.next() else { return Ok(false) };
        self.reader.stored_frame(number, &mut self.stored)?;
        let damaged = |flaw| self.reader.damaged(flaw);
        let content = skippable_content(&self.stored, INDEX_MAGIC).map_err(damaged)?;
        let Some(root) = self.root.as_mut() else {
            let length = length_of(content).map_err(damaged)?;
            self.decompressor.frame(content, length, out).map_err(damaged)?;
            return Ok(true);
        };
        let (start, frame) = split_start(content).map_err(damaged)?;
        let length = length_of(frame).map_err(damaged)?;
        decompress_after(root.window(start)?, frame, length, out).map_err(damaged)?;
        Ok(true)
    }
}
