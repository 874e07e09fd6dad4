//! Encrypting a file that is written from its beginning on, piece by piece.

use std::io;
use std::sync::Arc;

use crate::domain::num::{saturating_usize, to_u64};

use super::error::Result;
use super::head::FileHead;
use super::payload::{PIECE, SEALED_PIECE, sealed_length};

/// Gives on the file as it is encrypted, as its content comes. The head comes first, and is not given on here.
#[derive(Debug)]
pub struct Encryptor {
    head: Arc<FileHead>,
    number: u64,
    piece: Vec<u8>,
}

impl Encryptor {
    pub fn new(head: Arc<FileHead>) -> Self {
        Self { head, number: 0, piece: Vec::with_capacity(saturating_usize(SEALED_PIECE)) }
    }

    /// Takes the next bytes of the content.
    pub fn feed(
        &mut self,
        bytes: &[u8],
        mut give_on: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<()> {
        let (whole, mut rest) = (saturating_usize(PIECE), bytes);
        while !rest.is_empty() {
            // Whether a full piece is the last is only known when more comes.
            if self.piece.len() == whole {
                self.seal(false, &mut give_on)?;
            }
            let room = whole - self.piece.len();
            let (now, later) = rest.split_at_checked(room).unwrap_or((rest, &[]));
            self.piece.extend_from_slice(now);
            rest = later;
        }
        Ok(())
    }

    /// The content has ended. Nothing may follow.
    pub fn finish(&mut self, mut give_on: impl FnMut(&[u8]) -> io::Result<()>) -> Result<()> {
        self.seal(true, &mut give_on)
    }

    /// How many bytes are given on, at most, for so many more of content.
    pub fn room_for(&self, more: u64) -> u64 {
        sealed_length(more.saturating_add(to_u64(self.piece.len())))
    }

    fn seal(
        &mut self,
        is_last: bool,
        give_on: &mut impl FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<()> {
        self.head.payload().seal(self.number, is_last, &mut self.piece)?;
        give_on(&self.piece)?;
        self.piece.clear();
        self.number += 1;
        Ok(())
    }
}
