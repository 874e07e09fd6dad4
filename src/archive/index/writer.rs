//! Writing the index: records are encoded, cut into blocks and compressed as they come.

use super::block::BLOCK_BYTES;
use super::code::Previous;
use super::encode::put_record;
use super::record::Record;
use super::root_index::{PrefixFinder, RootIndex};
use crate::archive::error::Result;
use crate::archive::frame::{Compressor, INDEX_MAGIC, push_skippable};
use crate::archive::hash::Digest;
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

    pub(crate) fn push(&mut self, record: &Record) -> Result<()> {
        put_record(&mut self.block, record, &mut self.previous);
        while self.block.len() >= BLOCK_BYTES {
            self.finish_block(BLOCK_BYTES)?;
        }
        Ok(())
    }

    /// Compresses the first `length` bytes that wait as a block.
    fn finish_block(&mut self, length: usize) -> Result<()> {
        let rest = self.block.split_off(length);
        self.raw_bytes = self.raw_bytes.saturating_add(to_u64(self.block.len()));
        let mut frame = Vec::new();
        push_skippable(&mut frame, INDEX_MAGIC, |out| {
            let Some(prefixes) = self.prefixes.as_mut() else {
                return self.compressor.compress(&self.block, out);
            };
            let (start, prefix) = prefixes.next(&self.block)?;
            out.extend_from_slice(&start.to_le_bytes());
            self.compressor.compress_with_prefix(prefix, &self.block, out)
        })?;
        frame.shrink_to_fit();
        self.hasher.update(&frame);
        self.frames.push(frame);
        self.block = rest;
        Ok(())
    }

    pub(crate) fn finish(mut self) -> Result<FinishedIndex> {
        if !self.block.is_empty() {
            self.finish_block(self.block.len())?;
        }
        let hash = *self.hasher.finalize().as_bytes();
        Ok(FinishedIndex { frames: self.frames, raw_bytes: self.raw_bytes, hash })
    }
}
