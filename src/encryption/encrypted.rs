//! A file as it is when it is encrypted, without writing it anywhere.

use std::io;
use std::sync::Arc;

use crate::domain::ReadAt;
use crate::domain::num::{saturating_usize, to_u64};

use super::error::{EncryptionError, Result};
use super::head::FileHead;
use super::payload::{PIECE, SEALED_PIECE, overlap, pieces};

/// The encryption of a file that does not change. With the same head, it is always the same.
#[derive(Debug)]
pub struct Encrypted {
    content: Arc<dyn ReadAt>,
    head: Arc<FileHead>,
}

impl Encrypted {
    pub fn new(content: Arc<dyn ReadAt>, head: Arc<FileHead>) -> Self {
        Self { content, head }
    }

    /// The piece `number` as it is stored.
    fn seal_piece(&self, number: u64, piece: &mut Vec<u8>) -> Result<()> {
        let start = number.saturating_mul(PIECE);
        let length = self.content.len().saturating_sub(start).min(PIECE);
        piece.resize(saturating_usize(length), 0);
        self.content.read_exact_at(piece, start)?;
        let is_last = number + 1 == pieces(self.content.len());
        self.head.payload().seal(number, is_last, piece)
    }
}

impl ReadAt for Encrypted {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let end = offset.checked_add(to_u64(buffer.len())).filter(|end| *end <= self.len());
        let end = end.ok_or(io::ErrorKind::UnexpectedEof)?;
        let (head, length) = (self.head.bytes(), self.head.length());
        let mut put = |bytes: &[u8], from: u64| {
            let Some((here, there)) = overlap((offset, end), from, bytes.len()) else { return };
            if let (Some(from), Some(to)) = (bytes.get(here), buffer.get_mut(there)) {
                to.copy_from_slice(from);
            }
        };
        put(head, 0);
        if end <= length {
            return Ok(());
        }
        let first = offset.saturating_sub(length) / SEALED_PIECE;
        let last = (end - 1 - length) / SEALED_PIECE;
        let mut piece = Vec::with_capacity(saturating_usize(SEALED_PIECE));
        for number in first..=last {
            self.seal_piece(number, &mut piece).map_err(|error| match error {
                EncryptionError::Io(error) => error,
                other => io::Error::other(other),
            })?;
            put(&piece, length.saturating_add(number.saturating_mul(SEALED_PIECE)));
        }
        Ok(())
    }

    fn len(&self) -> u64 {
        self.head.encrypted_length(self.content.len())
    }
}
