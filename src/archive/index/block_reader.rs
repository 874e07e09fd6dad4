//! Reading the blocks of an archive's index, one after the other.

use std::ops::Range;
use std::sync::Arc;

use super::block::Block;
use super::root_index::RootIndex;
use crate::archive::error::Result;
use crate::archive::frame::{Decompressor, decompress_with_prefix};
use crate::archive::read::Reader;
use crate::domain::Kind;

/// Decompresses the index block by block.
#[derive(Debug)]
pub(crate) struct BlockReader {
    reader: Arc<Reader>,
    frames: Range<u32>,
    /// Of an incremental.
    root: Option<RootIndex>,
    stored: Vec<u8>,
    decompressor: Decompressor,
}

impl BlockReader {
    /// Starts at the first block. An incremental needs its `root`.
    pub(crate) fn new(reader: &Arc<Reader>, root: Option<&Arc<Reader>>) -> Result<Self> {
        let root = match reader.manifest().kind {
            Kind::Full => None,
            Kind::Incremental => Some(RootIndex::new(Arc::clone(reader.require_root(root)?))?),
        };
        let frames = reader.index_frames()?;
        let decompressor = Decompressor::new()?;
        Ok(Self { reader: Arc::clone(reader), frames, root, stored: Vec::new(), decompressor })
    }

    pub(super) const fn reader(&self) -> &Arc<Reader> {
        &self.reader
    }

    /// Replaces what is in `out` with the next block; returns `false` after the last one.
    pub(crate) fn next(&mut self, out: &mut Vec<u8>) -> Result<bool> {
        out.clear();
        let Some(number) = self.frames.next() else { return Ok(false) };
        self.reader.stored_frame(number, &mut self.stored)?;
        let damaged = |damage| self.reader.damaged(damage);
        let block = Block::parse(&self.stored, self.reader.manifest().kind).map_err(damaged)?;
        let result = match (self.root.as_mut(), block.prefix_start) {
            (Some(root), Some(start)) => {
                decompress_with_prefix(root.window(start)?, block.frame, block.length, out)
            }
            _ => self.decompressor.decompress(block.frame, block.length, out),
        };
        result.map_err(|error| self.reader.blamed(error))?;
        Ok(true)
    }
}
