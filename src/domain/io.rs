//! Bytes at positions: how archives are read and restored files written, by several threads at once.

use std::fmt::Debug;
use std::io;

/// Bytes that can be read at any position, by several threads.
pub trait ReadAt: Send + Sync + Debug {
    /// Fills `buffer` from `offset`; an end before that is an error of kind `UnexpectedEof`, and bytes that are known to
    /// be others than those that were written are one of kind `InvalidData`.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;

    fn len(&self) -> u64;

    /// These bytes are not needed again soon: what is kept of them in memory may go, so that the next read is from the
    /// disk. Nothing by default.
    fn forget(&self, _offset: u64, _length: u64) {}

    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A file that can be written at any position, by several threads.
pub trait WriteAt: Send + Sync + Debug {
    /// Writes all of `bytes` at `offset`. What is never written is a hole.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
}

impl ReadAt for Vec<u8> {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let end = start.saturating_add(buffer.len());
        let found = self.get(start..end).ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(found);
        Ok(())
    }

    fn len(&self) -> u64 {
        u64::try_from(Self::len(self)).unwrap_or(u64::MAX)
    }
}
