//! Writing the index: records are encoded, cut into blocks and compressed as they come.

use super::block::BLOCK_BYTES;
use super::code::Previous;
use super::encode::{put_entry, put_segment};
use super::root_index::{PrefixFinder, RootIndex};
use super::segment::{Segment, segment_length, size_of};
use crate::archive::error::Result;
use crate::archive::frame::{Compressor, INDEX_MAGIC, push_skippable};
use crate::archive::hash::{Digest, FileTree};
use crate::domain::Entry;
use crate::domain::num::to_u64;

/// The level at which the index is compressed. A higher one gains nothing: it is mostly hashes.
const LEVEL: i32 = 3;

/// Builds the index. Its compressed blocks are kept in memory until the end.
#[derive(Debug)]
pub(crate) struct IndexWriter {
    compressor: Compressor,
    previous: Previous,
    block: Vec<u8>,
    frames: Vec<Vec<u8>>,
    hasher: blake3::Hasher,
    raw_bytes: u64,
    /// Of an incremental.
    prefixes: Option<PrefixFinder>,
}

#[derive(Debug)]
pub(crate) struct FinishedIndex {
    pub(crate) frames: Vec<Vec<u8>>,
    pub(crate) raw_bytes: u64,
    /// BLAKE3 of its frames as they are stored.
    pub(crate) hash: Digest,
}

impl IndexWriter {
    /// An empty index. An incremental's is compressed with that of its root.
    pub(crate) fn new(root: Option<RootIndex>) -> Self {
        Self {
            compressor: Compressor::new(LEVEL),
            previous: Previous::default(),
            block: Vec::new(),
            frames: Vec::new(),
            hasher: blake3::Hasher::new(),
            raw_bytes: 0,
            prefixes: root.map(PrefixFinder::new),
        }
    }

    /// Adds an entry with its segments. `known` is the hash of the file, if it need not be computed.
    pub(crate) fn push<'a>(
        &mut self,
        entry: &Entry,
        segments: impl Iterator<Item = &'a Segment>,
        known: Option<Digest>,
    ) -> Result<()> {
        put_entry(&mut self.block, entry, &mut self.previous);
        let (mut count, mut tree) = (0, FileTree::default());
        for segment in segments {
            let length = segment_length(size_of(entry), count);
            put_segment(&mut self.block, segment, length, &mut self.previous);
            if known.is_none() {
                tree.push(&segment.hash);
            }
            count += 1;
            self.finish_blocks()?;
        }
        if count > 1 {
            self.block.extend_from_slice(&known.unwrap_or_else(|| tree.finish()));
        }
        self.finish_blocks()
    }

    /// Compresses what waits, as far as it fills blocks.
    fn finish_blocks(&mut self) -> Result<()> {
        let full = self.block.len() / BLOCK_BYTES * BLOCK_BYTES;
        if full == 0 {
            return Ok(());
        }
        let mut waiting = std::mem::take(&mut self.block);
        let rest = waiting.split_off(full);
        waiting.chunks(BLOCK_BYTES).try_for_each(|block| self.finish_block(block))?;
        self.block = rest;
        Ok(())
    }

    fn finish_block(&mut self, block: &[u8]) -> Result<()> {
        self.raw_bytes = self.raw_bytes.saturating_add(to_u64(block.len()));
        let mut frame = Vec::new();
        push_skippable(&mut frame, INDEX_MAGIC, |out| {
            let Some(prefixes) = self.prefixes.as_mut() else {
                return self.compressor.compress(block, out);
            };
            let (start, prefix) = prefixes.next(block)?;
            out.extend_from_slice(&start.to_le_bytes());
            self.compressor.compress_with_prefix(prefix, block, out)
        })?;
        frame.shrink_to_fit();
        self.hasher.update(&frame);
        self.frames.push(frame);
        Ok(())
    }

    pub(crate) fn finish(mut self) -> Result<FinishedIndex> {
        let last = std::mem::take(&mut self.block);
        if !last.is_empty() {
            self.finish_block(&last)?;
        }
        let hash = *self.hasher.finalize().as_bytes();
        Ok(FinishedIndex { frames: self.frames, raw_bytes: self.raw_bytes, hash })
    }
}
