//! The trailer: the frame of fixed length from which everything else in an archive is found and checked.

use super::skippable::{
    SKIPPABLE_HEADER, TRAILER_MAGIC, le32, le64, skippable_content, skippable_header,
};
use crate::archive::error::{ArchiveError, Damage, Result};
use crate::archive::hash::Digest;

/// The format that this Coffer writes, and the newest that it reads.
pub(crate) const FORMAT: u32 = 1;
const SIGNATURE: &[u8; 16] = b"coffer archive\r\n";
const CONTENT_BYTES: usize = 192;
/// The length of what the last 32 bytes are the hash of.
const HASHED_BYTES: usize = CONTENT_BYTES - 32;
pub(crate) const TRAILER_BYTES: usize = SKIPPABLE_HEADER + CONTENT_BYTES;

/// The fields of the trailer, which the description of the format explains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trailer {
    pub(crate) manifest_frame: u32,
    pub(crate) manifest_offset: u32,
    pub(crate) manifest_bytes: u64,
    pub(crate) manifest_hash: Digest,
    pub(crate) index_frame: u32,
    pub(crate) index_count: u32,
    pub(crate) index_bytes: u64,
    pub(crate) index_hash: Digest,
    pub(crate) seek_hash: Digest,
}

impl Trailer {
    pub(crate) fn to_frame(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(TRAILER_BYTES);
        out.extend_from_slice(SIGNATURE);
        for number in [FORMAT, FORMAT, self.manifest_frame, self.manifest_offset] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&self.manifest_bytes.to_le_bytes());
        out.extend_from_slice(&self.manifest_hash);
        out.extend_from_slice(&self.index_frame.to_le_bytes());
        out.extend_from_slice(&self.index_count.to_le_bytes());
        out.extend_from_slice(&self.index_bytes.to_le_bytes());
        out.extend_from_slice(&self.index_hash);
        out.extend_from_slice(&self.seek_hash);
        out.resize(HASHED_BYTES, 0);
        let hash = blake3::hash(&out);
        out.extend_from_slice(hash.as_bytes());
        let mut frame = skippable_header(TRAILER_MAGIC, out.len()).to_vec();
        frame.append(&mut out);
        frame
    }

    pub(crate) fn parse(frame: &[u8]) -> Result<Self> {
        let damaged = |what: &str| Damage::new(what).in_backup(None);
        let content = skippable_content(frame, TRAILER_MAGIC).map_err(|_other_frame| {
            ArchiveError::NotAnArchive("it does not end as an archive does".to_owned())
        })?;
        if !content.starts_with(SIGNATURE) {
            let what = "another program made it";
            return Err(ArchiveError::NotAnArchive(what.to_owned()));
        }
        // Whatever a later format changes, this number and the hash stay where they are.
        let needed =
            le32(content, 20).ok_or_else(|| damaged("the record at its end is cut short"))?;
        let hashed = content.get(..HASHED_BYTES).unwrap_or(&[]);
        let hash = content.get(HASHED_BYTES..).unwrap_or(&[]);
        if blake3::hash(hashed).as_bytes() != hash {
            return Err(damaged("the record at its end differs from what was written"));
        }
        if needed > FORMAT {
            return Err(ArchiveError::NewerFormat { needed, known: FORMAT });
        }
        Self::fields(content).ok_or_else(|| damaged("the record at its end is cut short"))
    }

    fn fields(content: &[u8]) -> Option<Self> {
        let digest = |offset: usize| content.get(offset..)?.first_chunk().copied();
        Some(Self {
            manifest_frame: le32(content, 24)?,
            manifest_offset: le32(content, 28)?,
            manifest_bytes: le64(content, 32)?,
            manifest_hash: digest(40)?,
            index_frame: le32(content, 72)?,
            index_count: le32(content, 76)?,
            index_bytes: le64(content, 80)?,
            index_hash: digest(88)?,
            seek_hash: digest(120)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Trailer {
        Trailer {
            manifest_frame: 7,
            manifest_offset: 12,
            manifest_bytes: 4711,
            manifest_hash: [1; 32],
            index_frame: 8,
            index_count: 3,
            index_bytes: 600_000,
            index_hash: [2; 32],
            seek_hash: [3; 32],
        }
    }

    #[test]
    fn a_trailer_reads_back_and_any_flipped_bit_in_it_is_found() {
        let frame = sample().to_frame();
        assert_eq!(frame.len(), TRAILER_BYTES);
        assert_eq!(Trailer::parse(&frame).unwrap(), sample());
        for at in 0..frame.len() {
            let mut flipped = frame.clone();
            flipped[at] ^= 0x10;
            assert!(Trailer::parse(&flipped).is_err(), "byte {at}");
        }
    }

    #[test]
    fn a_trailer_of_a_newer_format_is_not_reported_as_damage() {
        let mut frame = sample().to_frame();
        frame[SKIPPABLE_HEADER + 20] = 9;
        let (hashed, hash) = frame[SKIPPABLE_HEADER..].split_at_mut(HASHED_BYTES);
        hash.copy_from_slice(blake3::hash(hashed).as_bytes());
        assert!(matches!(
            Trailer::parse(&frame),
            Err(ArchiveError::NewerFormat { needed: 9, known: 1 })
        ));
    }
}
