//! The trailer: the fixed-size frame from which everything else in an archive is found and checked.

use super::bytes::{le32, le64};
use super::error::{ArchiveError, Flaw};
use super::frame::{SKIPPABLE_HEADER, TRAILER_MAGIC, skippable_content, skippable_header};
use super::hash::Digest;

/// The format this Coffer writes, and the newest it reads.
pub(super) const FORMAT: u32 = 1;
const TEXT: &[u8; 16] = b"coffer archive\r\n";
const CONTENT_BYTES: usize = 192;
const HASHED_BYTES: usize = CONTENT_BYTES - 32;
/// How long the trailer's frame is.
pub(super) const TRAILER_BYTES: usize = SKIPPABLE_HEADER + CONTENT_BYTES;

/// What the trailer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trailer {
    /// The frame that the manifest starts in.
    pub(super) manifest_frame: u32,
    /// Where in that frame's content.
    pub(super) manifest_offset: u32,
    /// How long it is; it may go on in the frames that follow.
    pub(super) manifest_bytes: u64,
    /// Its BLAKE3.
    pub(super) manifest_hash: Digest,
    /// The first frame of the index.
    pub(super) index_frame: u32,
    /// How many frames it has.
    pub(super) index_count: u32,
    /// How long it is, decompressed.
    pub(super) index_bytes: u64,
    /// BLAKE3 of its frames, as they are stored.
    pub(super) index_hash: Digest,
    /// BLAKE3 of the seek table's frame.
    pub(super) seek_hash: Digest,
}

impl Trailer {
    /// The trailer as a frame.
    pub(super) fn to_frame(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(TRAILER_BYTES);
        out.extend_from_slice(TEXT);
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

    /// The trailer that this frame holds.
    pub(super) fn parse(frame: &[u8]) -> Result<Self, ArchiveError> {
        let damaged = |what: &str| Flaw::new(what).of(None);
        let content = skippable_content(frame, TRAILER_MAGIC)
            .map_err(|_flaw| ArchiveError::NotAnArchive("it has no trailer".to_owned()))?;
        if !content.starts_with(TEXT) {
            return Err(ArchiveError::NotAnArchive("its trailer is another program's".to_owned()));
        }
        // Whatever else a later format changes: this stays where it is.
        let needed = le32(content, 20).ok_or_else(|| damaged("the trailer is cut short"))?;
        let hashed = content.get(..HASHED_BYTES).unwrap_or(&[]);
        let hash = content.get(HASHED_BYTES..).unwrap_or(&[]);
        if blake3::hash(hashed).as_bytes() != hash {
            return Err(damaged("the trailer is not what was written"));
        }
        if needed > FORMAT {
            return Err(ArchiveError::NewerFormat { needed, known: FORMAT });
        }
        Self::fields(content).ok_or_else(|| damaged("the trailer is cut short"))
    }

    fn fields(content: &[u8]) -> Option<Self> {
        let digest = |at: usize| content.get(at..at + 32).and_then(|it| it.try_into().ok());
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
    fn a_trailer_of_a_newer_format_is_told_apart_from_damage() {
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
