//! A part of a file in memory, which moves on with what is read.

use std::fmt;
use std::io;
use std::sync::Arc;

use crate::archive::error::{ArchiveError, Result};
use crate::domain::num::{saturating_usize, to_u64};
use crate::domain::{Cancel, ReadAt};

/// How much is read at once.
const READ_BYTES: usize = 2 << 20;

/// The pieces in which a part is read that the disk does not give as a whole: its blocks.
const BLOCK_BYTES: usize = 4096;

pub(super) struct Window {
    file: Arc<dyn ReadAt>,
    cancel: Cancel,
    /// The position of `bytes` in the file.
    start: u64,
    bytes: Vec<u8>,
}

impl fmt::Debug for Window {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Window").field("file", &self.file).finish_non_exhaustive()
    }
}

impl Window {
    pub(super) fn new(file: Arc<dyn ReadAt>, cancel: &Cancel) -> Self {
        Self { file, cancel: cancel.clone(), start: 0, bytes: Vec::new() }
    }

    pub(super) fn file_bytes(&self) -> u64 {
        self.file.len()
    }

    /// The bytes of the file from `offset` on: so many, or fewer where the file ends.
    pub(super) fn get(&mut self, offset: u64, length: usize) -> Result<&[u8]> {
        if self.cancel.is_cancelled() {
            return Err(ArchiveError::Cancelled);
        }
        let left = saturating_usize(self.file.len().saturating_sub(offset));
        let length = length.min(left);
        let begin = offset.checked_sub(self.start).map(saturating_usize);
        let range = begin.and_then(|begin| Some(begin..begin.checked_add(length)?));
        if let Some(range) = range.filter(|range| range.end <= self.bytes.len()) {
            return Ok(self.bytes.get(range).unwrap_or_default());
        }
        self.start = offset;
        self.bytes.resize(READ_BYTES.max(length).min(left), 0);
        read(&*self.file, &mut self.bytes, offset);
        Ok(self.bytes.get(..length).unwrap_or_default())
    }
}

/// Reads what the disk gives. What it does not give is zeros, which no frame begins with and no checksum passes.
fn read(file: &dyn ReadAt, buffer: &mut [u8], offset: u64) {
    if file.read_exact_at(buffer, offset).is_ok() {
        return;
    }
    let (mut at, mut bad, mut first) = (offset, 0_u32, None);
    for block in buffer.chunks_mut(BLOCK_BYTES) {
        if let Err(error) = file.read_exact_at(block, at) {
            block.fill(0);
            if error.kind() != io::ErrorKind::UnexpectedEof {
                bad += 1;
                first.get_or_insert((at, error));
            }
        }
        at = at.saturating_add(to_u64(block.len()));
    }
    if let Some((at, error)) = first {
        log::warn!("{bad} blocks of the archive cannot be read, the first at byte {at}: {error}");
    }
}
