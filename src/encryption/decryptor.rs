//! Decrypting a file that comes from its beginning on, piece by piece.

use std::sync::Arc;

use crate::domain::num::saturating_usize;

use super::error::{EncryptionError, Result};
use super::head::FileHead;
use super::payload::SEALED_PIECE;

/// Gives on what was encrypted, as the bytes of the file come.
#[derive(Debug)]
pub struct Decryptor {
    head: Arc<FileHead>,
    /// How much of the head has come.
    in_head: usize,
    number: u64,
    piece: Vec<u8>,
}

impl Decryptor {
    pub fn new(head: Arc<FileHead>) -> Self {
        Self { head, in_head: 0, number: 0, piece: Vec::new() }
    }

    /// Takes the next bytes of the file.
    pub fn feed(&mut self, bytes: &[u8], mut give_on: impl FnMut(&[u8])) -> Result<()> {
        let head = self.head.bytes().get(self.in_head..).unwrap_or_default();
        let (of_head, mut rest) = bytes.split_at_checked(head.len()).unwrap_or((bytes, &[]));
        if !head.starts_with(of_head) {
            return Err(EncryptionError::Damaged("its head is another one".to_owned()));
        }
        self.in_head += of_head.len();
        let whole = saturating_usize(SEALED_PIECE);
        while !rest.is_empty() {
            // Whether a full piece is the last is only known when more comes.
            if self.piece.len() == whole {
                self.open(false, &mut give_on)?;
            }
            let room = whole - self.piece.len();
            let (now, later) = rest.split_at_checked(room).unwrap_or((rest, &[]));
            self.piece.extend_from_slice(now);
            rest = later;
        }
        Ok(())
    }

    /// The file has ended.
    pub fn finish(mut self, mut give_on: impl FnMut(&[u8])) -> Result<()> {
        self.open(true, &mut give_on)
    }

    fn open(&mut self, is_last: bool, give_on: &mut impl FnMut(&[u8])) -> Result<()> {
        give_on(self.head.payload().open(self.number, is_last, &mut self.piece)?);
        self.piece.clear();
        self.number += 1;
        Ok(())
    }
}
