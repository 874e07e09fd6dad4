//! Reading an encrypted file by ranges.

use std::io;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::domain::ReadAt;
use crate::domain::num::{saturating_usize, to_u64};

use super::error::{EncryptionError, Result};
use super::head::FileHead;
use super::identities::Identities;
use super::payload::{PIECE, SEALED_PIECE, opened_length, overlap, pieces, sealed_length};

/// How every age file begins.
const MAGIC: &[u8] = b"age-encryption.org/";

/// Whether a file is encrypted, by its first bytes.
pub fn is_encrypted(file: &dyn ReadAt) -> io::Result<bool> {
    let mut start = [0; MAGIC.len()];
    if file.len() < to_u64(MAGIC.len()) {
        return Ok(false);
    }
    file.read_exact_at(&mut start, 0)?;
    Ok(start == MAGIC)
}

/// The content of a file: what was encrypted, if it is encrypted.
pub fn open(file: Arc<dyn ReadAt>, identities: &Identities) -> Result<Arc<dyn ReadAt>> {
    if !is_encrypted(&*file)? {
        return Ok(file);
    }
    let head = FileHead::read(&*file, identities)?;
    Ok(Arc::new(Decrypted::new(file, Arc::new(head))?))
}

/// What was encrypted, read by ranges and by several threads.
#[derive(Debug)]
pub struct Decrypted {
    file: Arc<dyn ReadAt>,
    head: Arc<FileHead>,
    length: u64,
    /// The piece that was decrypted last: much is read in a row that is shorter than a piece.
    last: Mutex<(u64, Vec<u8>)>,
}

impl Decrypted {
    /// The content of `file`. Fails if it does not begin with this head, or does not end as it did.
    pub fn new(file: Arc<dyn ReadAt>, head: Arc<FileHead>) -> Result<Self> {
        let mut found = vec![0; head.bytes().len()];
        let sealed = file.len().checked_sub(head.length());
        if sealed.is_some() {
            file.read_exact_at(&mut found, 0)?;
            if found != head.bytes() {
                return Err(EncryptionError::Damaged("its head is another one".to_owned()));
            }
        }
        let length = sealed.map_or_else(
            || Err(EncryptionError::Damaged("it was cut short".to_owned())),
            opened_length,
        )?;
        let opened = Self { file, head, length, last: Mutex::new((u64::MAX, Vec::new())) };
        let last = pieces(length) - 1;
        let mut sealed = Vec::new();
        opened.read_pieces((last, last), &mut sealed)?;
        opened.open_piece(last, &mut sealed)?;
        Ok(opened)
    }

    /// Reads these pieces as they are stored.
    fn read_pieces(&self, (first, last): (u64, u64), sealed: &mut Vec<u8>) -> io::Result<()> {
        let start = first.saturating_mul(SEALED_PIECE);
        let end = last.saturating_add(1).saturating_mul(SEALED_PIECE);
        let end = end.min(sealed_length(self.length));
        sealed.resize(saturating_usize(end.saturating_sub(start)), 0);
        self.file.read_exact_at(sealed, self.head.length().saturating_add(start))
    }

    fn open_piece<'a>(&self, number: u64, sealed: &'a mut [u8]) -> Result<&'a [u8]> {
        self.head.payload().open(number, number + 1 == pieces(self.length), sealed)
    }

    fn read(&self, buffer: &mut [u8], (start, end): (u64, u64)) -> Result<()> {
        let (first, last) = (start / PIECE, (end - 1) / PIECE);
        if first == last {
            let mut cached = self.last.lock();
            if cached.0 != first {
                cached.0 = u64::MAX;
                self.read_pieces((first, last), &mut cached.1)?;
                let opened = self.open_piece(first, &mut cached.1)?.len();
                cached.1.truncate(opened);
                cached.0 = first;
            }
            copy(&cached.1, first, buffer, (start, end));
            return Ok(());
        }
        let mut sealed = Vec::new();
        self.read_pieces((first, last), &mut sealed)?;
        for (number, piece) in (first..).zip(sealed.chunks_mut(saturating_usize(SEALED_PIECE))) {
            copy(self.open_piece(number, piece)?, number, buffer, (start, end));
        }
        Ok(())
    }
}

/// Copies what is wanted of the piece `number` into the buffer for `range`.
fn copy(piece: &[u8], number: u64, buffer: &mut [u8], range: (u64, u64)) {
    let Some((here, there)) = overlap(range, number.saturating_mul(PIECE), piece.len()) else {
        return;
    };
    if let (Some(from), Some(to)) = (piece.get(here), buffer.get_mut(there)) {
        to.copy_from_slice(from);
    }
}

impl ReadAt for Decrypted {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let end = offset.checked_add(to_u64(buffer.len())).filter(|end| *end <= self.length);
        let end = end.ok_or(io::ErrorKind::UnexpectedEof)?;
        if buffer.is_empty() {
            return Ok(());
        }
        self.read(buffer, (offset, end)).map_err(|error| match error {
            EncryptionError::Io(error) => error,
            other => io::Error::new(io::ErrorKind::InvalidData, other),
        })
    }

    fn len(&self) -> u64 {
        self.length
    }

    fn forget(&self, offset: u64, length: u64) {
        let start = self.head.length().saturating_add(offset / PIECE * SEALED_PIECE);
        self.file.forget(start, sealed_length(length));
    }
}
