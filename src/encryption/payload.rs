//! The content of an age file: pieces of 64 KiB, each encrypted with `ChaCha20-Poly1305` under its number, and the last one
//! also under the fact that it is the last. So none can be changed, left out, swapped or cut off unnoticed.

use std::fmt;
use std::ops::Range;

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, Salt};

use crate::domain::num::{saturating_usize, to_u64};

use super::error::{EncryptionError, Result};

/// What is encrypted at once.
pub(super) const PIECE: u64 = 64 << 10;
/// How much longer it is then.
pub(super) const TAG: u64 = 16;
pub(super) const SEALED_PIECE: u64 = PIECE + TAG;

/// The key of an age file.
pub(super) const FILE_KEY_BYTES: usize = 16;
/// What makes the key of the content another one in each file.
pub(super) const NONCE_BYTES: usize = 16;

/// Encrypts and decrypts the pieces of one file.
pub(super) struct Payload(LessSafeKey);

impl fmt::Debug for Payload {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Payload")
    }
}

impl Payload {
    pub(super) fn new(file_key: &[u8; FILE_KEY_BYTES], nonce: &[u8; NONCE_BYTES]) -> Result<Self> {
        let derived = Salt::new(HKDF_SHA256, nonce).extract(file_key);
        let key = derived.expand(&[b"payload"], &CHACHA20_POLY1305).map(UnboundKey::from);
        let failed = |_unspecified| EncryptionError::Failed("no key can be derived".to_owned());
        Ok(Self(LessSafeKey::new(key.map_err(failed)?)))
    }

    /// Encrypts the piece `number` in place, and appends its tag.
    pub(super) fn seal(&self, number: u64, is_last: bool, piece: &mut Vec<u8>) -> Result<()> {
        let sealed = self.0.seal_in_place_append_tag(nonce(number, is_last), Aad::empty(), piece);
        sealed.map_err(|_unspecified| EncryptionError::Failed("a piece is too long".to_owned()))
    }

    /// Decrypts the piece `number` in place; what it was is returned.
    pub(super) fn open<'a>(
        &self,
        number: u64,
        is_last: bool,
        sealed: &'a mut [u8],
    ) -> Result<&'a [u8]> {
        let opened = self.0.open_in_place(nonce(number, is_last), Aad::empty(), sealed);
        opened.map(|piece| &*piece).map_err(|_unspecified| {
            let at = number.saturating_mul(PIECE);
            EncryptionError::Damaged(format!(
                "what is stored for byte {at} and the next is not what was written"
            ))
        })
    }
}

/// The number of a piece, big-endian in 11 bytes, and whether it is the last.
fn nonce(number: u64, is_last: bool) -> Nonce {
    let mut bytes = [0; NONCE_LEN];
    if let Some(place) = bytes.get_mut(3..11) {
        place.copy_from_slice(&number.to_be_bytes());
    }
    if let Some(last) = bytes.last_mut() {
        *last = u8::from(is_last);
    }
    Nonce::assume_unique_for_key(bytes)
}

/// How many pieces there are of content of this length; of none there is one, which is empty.
pub(super) fn pieces(length: u64) -> u64 {
    length.div_ceil(PIECE).max(1)
}

/// How long content of this length is when it is encrypted.
pub(super) fn sealed_length(length: u64) -> u64 {
    length.saturating_add(pieces(length).saturating_mul(TAG))
}

/// The reverse of [`sealed_length`]; an error if there is no such content.
pub(super) fn opened_length(sealed: u64) -> Result<u64> {
    let pieces = sealed.div_ceil(SEALED_PIECE).max(1);
    let length = sealed.checked_sub(pieces.saturating_mul(TAG));
    let found = length.filter(|length| sealed_length(*length) == sealed);
    found.ok_or_else(|| EncryptionError::Damaged("it was cut short".to_owned()))
}

/// Which bytes of a piece, or of a file, are meant: those of `range` that are in `from..from + length`, counted from
/// there, and where they go in a buffer for all of `range`.
pub(super) fn overlap(
    (start, end): (u64, u64),
    from: u64,
    length: usize,
) -> Option<(Range<usize>, Range<usize>)> {
    let (first, last) = (start.max(from), end.min(from.saturating_add(to_u64(length))));
    (first < last).then(|| {
        let here = saturating_usize(first - from)..saturating_usize(last - from);
        let there = saturating_usize(first - start)..saturating_usize(last - start);
        (here, there)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_of_content_follows_from_that_of_its_encryption_and_others_are_refused() {
        for length in [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE, 3 * PIECE + 7] {
            assert_eq!(opened_length(sealed_length(length)).unwrap(), length);
        }
        for cut in [0, 15, SEALED_PIECE + 1, SEALED_PIECE + 15, SEALED_PIECE + 16] {
            assert!(opened_length(cut).unwrap_err().is_damage(), "{cut}");
        }
    }
}
