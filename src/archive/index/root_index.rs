//! The index of a chain's root, of which an incremental's blocks have parts as prefix.

use std::ops::Range;
use std::sync::Arc;

use memchr::memmem;

use super::block::{BLOCK_BYTES, Block, PREFIX_BYTES};
use crate::archive::error::{ArchiveError, Result};
use crate::archive::frame::Decompressor;
use crate::archive::read::Reader;
use crate::domain::Kind;
use crate::domain::num::{saturating_usize, to_u64};

/// A prefix starts this much before the place where the block's own content was found, for records that were
/// added or removed.
const MARGIN: u64 = 128 << 10;
/// The length of the pieces of a block that are searched for in the root's index.
const PROBE_BYTES: usize = 48;
/// The number of such pieces.
const PROBES: usize = 16;
/// The number of windows of the root's index that are searched before a block counts as new.
const MAX_WINDOWS: u64 = 32;

/// The index of a full backup, decompressed where it is needed.
#[derive(Debug)]
pub(crate) struct RootIndex {
    root: Arc<Reader>,
    frames: Range<u32>,
    decompressor: Decompressor,
    stored: Vec<u8>,
    /// The blocks that were used last, by number.
    cache: Vec<(u64, Vec<u8>)>,
    window: Vec<u8>,
}

impl RootIndex {
    pub(crate) fn new(root: Arc<Reader>) -> Result<Self> {
        let frames = root.index_frames()?;
        let decompressor = Decompressor::new()?;
        let (stored, cache, window) = (Vec::new(), Vec::new(), Vec::new());
        Ok(Self { root, frames, decompressor, stored, cache, window })
    }

    /// The prefix that starts at this offset; short or empty at the end of the index.
    pub(super) fn window(&mut self, start: u64) -> Result<&[u8]> {
        let block_bytes = to_u64(BLOCK_BYTES);
        let mut skip = saturating_usize(start % block_bytes);
        let mut number = start / block_bytes;
        let mut window = std::mem::take(&mut self.window);
        window.clear();
        while window.len() < PREFIX_BYTES {
            let block = self.block(number)?;
            let part = block.get(skip..).unwrap_or(&[]);
            let missing = PREFIX_BYTES - window.len();
            window.extend_from_slice(part.get(..missing).unwrap_or(part));
            if block.len() < BLOCK_BYTES {
                break;
            }
            (skip, number) = (0, number + 1);
        }
        self.window = window;
        Ok(&self.window)
    }

    /// The content of a block; empty if there is none of this number.
    fn block(&mut self, number: u64) -> Result<&[u8]> {
        let frame = u32::try_from(number).ok().and_then(|it| self.frames.start.checked_add(it));
        let Some(frame) = frame.filter(|it| self.frames.contains(it)) else { return Ok(&[]) };
        let block = match self.cache.iter().position(|(cached, _)| *cached == number) {
            Some(at) => self.cache.remove(at),
            None => (number, self.read(frame)?),
        };
        self.cache.push(block);
        Ok(self.cache.last().map_or(&[], |(_, block)| block))
    }

    /// Reads a block, into the buffer of the one that was not used for longest if the cache is full.
    fn read(&mut self, frame: u32) -> Result<Vec<u8>> {
        let full = self.cache.len() > PREFIX_BYTES / BLOCK_BYTES;
        let mut content = if full { self.cache.remove(0).1 } else { Vec::new() };
        self.root.stored_frame(frame, &mut self.stored)?;
        Block::parse(&self.stored, Kind::Full)
            .map_err(ArchiveError::from)
            .and_then(|it| self.decompressor.decompress(it.frame, it.length, &mut content))
            .map_err(|error| self.root.blamed(error))?;
        Ok(content)
    }

    /// Where in this index the content of a child's block starts, judging by pieces of it that are found at `from`
    /// or after it, or a little before. `None` if none is found.
    fn find(&mut self, block: &[u8], from: u64) -> Result<Option<u64>> {
        let stride = to_u64(PREFIX_BYTES - PROBE_BYTES);
        for step in 0..MAX_WINDOWS {
            let start = from.saturating_sub(MARGIN).saturating_add(step * stride);
            let window = self.window(start)?;
            for at in (0..PROBES).map(|probe| block.len() / PROBES * probe) {
                let Some(probe) = block.get(at..at + PROBE_BYTES) else { break };
                if let Some(found) = memmem::find(window, probe) {
                    let found = start.saturating_add(to_u64(found));
                    return Ok(Some(found.saturating_sub(to_u64(at))));
                }
            }
            if window.len() < PREFIX_BYTES {
                break;
            }
        }
        Ok(None)
    }
}

/// Chooses the prefixes of an incremental's blocks, one block after the other.
#[derive(Debug)]
pub(super) struct PrefixFinder {
    index: RootIndex,
    /// Where in the root's index the content of the next block is likely to start.
    likely: u64,
}

impl PrefixFinder {
    pub(super) const fn new(index: RootIndex) -> Self {
        Self { index, likely: 0 }
    }

    /// The prefix for the next block, and where it starts in the root's index.
    pub(super) fn next(&mut self, block: &[u8]) -> Result<(u64, &[u8])> {
        let found = self.index.find(block, self.likely)?;
        let start = found.unwrap_or(self.likely).saturating_sub(MARGIN);
        if let Some(found) = found {
            self.likely = found.saturating_add(to_u64(block.len()));
        }
        Ok((start, self.index.window(start)?))
    }
}
