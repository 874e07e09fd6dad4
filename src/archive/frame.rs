//! zstd frames: the data's own, and skippable ones around what zstd itself does not read.

use std::io::Cursor;
use std::ops::Range;

use zstd_safe::{CCtx, CParameter, DCtx, compress_bound};

use super::bytes::{le32, wide};
use super::error::{ArchiveError, Flaw};

/// Magic of a zstd frame (RFC 8878, 3.1.1).
pub(super) const ZSTD_MAGIC: u32 = 0xFD2F_B528;
/// Magic of the skippable frames (RFC 8878, 3.1.2) that hold an incremental's data.
pub(super) const PATCH_MAGIC: u32 = 0x184D_2A5B;
/// Magic of the skippable frames that hold the index.
pub(super) const INDEX_MAGIC: u32 = 0x184D_2A5C;
/// Magic of the skippable frame that holds the trailer.
pub(super) const TRAILER_MAGIC: u32 = 0x184D_2A5D;
/// Magic of the skippable frame that holds the seek table (zstd's seekable format).
pub(super) const SEEK_MAGIC: u32 = 0x184D_2A5E;
/// Magic and length in front of a skippable frame's content.
pub(super) const SKIPPABLE_HEADER: usize = 8;

/// How long a compressed frame may be at most: what zstd makes of a MiB it cannot compress, the
/// bitmap of a patch, and a page of slack. Longer ones are not read into memory.
pub(super) const LONGEST_FRAME: usize = (1 << 20) + (1 << 18);

fn zstd(code: usize) -> &'static str {
    zstd_safe::get_error_name(code)
}

/// The level whose tables are made smaller, but for a frame with a prefix, which is looked up as well.
const SMALLER_TABLES: i32 = 3;

/// zstd's level 3 looks bytes up in tables of 2^17 and 2^16 entries, 768 KiB, more than the nearest caches of most
/// processors hold. For a MiB at a time half of that is enough, and what zstd itself takes for 128 KiB.
/// Measured (AMD EPYC, 512 KiB of L2 a core; speed, and length of what comes out): InnoDB tables +11 %, -0.1 %;
/// SQLite, words +13 %, +1.9 %; source code +6 %, +0.5 %; libraries +10 %, +0.6 %; JSON lines +15 %, -1.0 %.
const TABLES: [CParameter; 2] = [CParameter::HashLog(16), CParameter::ChainLog(15)];

/// Compresses frames one after another. The context of frames without a prefix is kept from one to
/// the next; one with a prefix lives as long as its frame, and never beside the other: each takes
/// up to 1.3 MiB in every worker.
pub(super) struct Compressor {
    context: Option<CCtx<'static>>,
    level: i32,
}

impl std::fmt::Debug for Compressor {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Compressor").field("level", &self.level).finish_non_exhaustive()
    }
}

fn context<'a>(level: i32, more: &[CParameter]) -> Result<CCtx<'a>, ArchiveError> {
    let mut context = CCtx::try_create()
        .ok_or_else(|| ArchiveError::Worker("no memory for a zstd context".to_owned()))?;
    let always = [CParameter::CompressionLevel(level), CParameter::ChecksumFlag(true)];
    for parameter in always.iter().chain(more) {
        context
            .set_parameter(*parameter)
            .map_err(|code| ArchiveError::Worker(format!("zstd: {}", zstd(code))))?;
    }
    Ok(context)
}

impl Compressor {
    /// A compressor of this level.
    pub(super) const fn new(level: i32) -> Self {
        Self { context: None, level }
    }

    /// `raw` as one frame, with its length and a checksum inside, behind what is in `out`.
    pub(super) fn frame(&mut self, raw: &[u8], out: &mut Vec<u8>) -> Result<(), ArchiveError> {
        let kept = match self.context.take() {
            Some(kept) => kept,
            None => context(self.level, if self.level == SMALLER_TABLES { &TABLES } else { &[] })?,
        };
        compress(self.context.insert(kept), raw, out)
    }

    /// The same with `prefix` as what went before. Only who has the same prefix can read it.
    pub(super) fn frame_after(
        &mut self,
        prefix: &[u8],
        raw: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), ArchiveError> {
        self.context = None;
        let mut once = context(self.level, &[])?;
        once.ref_prefix(prefix)
            .map_err(|code| ArchiveError::Worker(format!("zstd: {}", zstd(code))))?;
        compress(&mut once, raw, out)
    }
}

fn compress(context: &mut CCtx<'_>, raw: &[u8], out: &mut Vec<u8>) -> Result<(), ArchiveError> {
    out.reserve(compress_bound(raw.len()));
    let mut behind = Cursor::new(std::mem::take(out));
    behind.set_position(wide(behind.get_ref().len()));
    let done = context.compress2(&mut behind, raw);
    *out = behind.into_inner();
    done.map_err(|code| ArchiveError::Worker(format!("zstd: {}", zstd(code)))).map(drop)
}

/// Decompresses frames one after another, with one context.
pub(super) struct Decompressor(DCtx<'static>);

impl std::fmt::Debug for Decompressor {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Decompressor")
    }
}

impl Decompressor {
    /// A decompressor.
    pub(super) fn new() -> Result<Self, ArchiveError> {
        DCtx::try_create()
            .map(Self)
            .ok_or_else(|| ArchiveError::Worker("no memory for a zstd context".to_owned()))
    }

    /// What the frame holds, which must be `length` bytes; replaces what is in `out`.
    pub(super) fn frame(
        &mut self,
        frame: &[u8],
        length: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), Flaw> {
        decompress(&mut self.0, frame, length, out)
    }
}

/// The same for a frame that was made with a prefix.
pub(super) fn decompress_after(
    prefix: &[u8],
    frame: &[u8],
    length: usize,
    out: &mut Vec<u8>,
) -> Result<(), Flaw> {
    let mut once = DCtx::try_create().ok_or_else(|| Flaw::new("no memory for a zstd context"))?;
    once.ref_prefix(prefix).map_err(|code| Flaw::new(zstd(code)))?;
    decompress(&mut once, frame, length, out)
}

fn decompress(
    context: &mut DCtx<'_>,
    frame: &[u8],
    length: usize,
    out: &mut Vec<u8>,
) -> Result<(), Flaw> {
    out.clear();
    if content_length(frame) != Some(length) {
        return Err(Flaw::new("a frame is not as long as the archive says"));
    }
    out.reserve_exact(length);
    let found = context
        .decompress(out, frame)
        .map_err(|code| Flaw(format!("a frame cannot be decompressed ({})", zstd(code))))?;
    if found == length {
        Ok(())
    } else {
        Err(Flaw::new("a frame is not as long as the archive says"))
    }
}

/// The length of the content that the frame's header states.
pub(super) fn content_length(frame: &[u8]) -> Option<usize> {
    let stated = zstd_safe::get_frame_content_size(frame).ok().flatten()?;
    usize::try_from(stated).ok()
}

/// The 8 bytes in front of a skippable frame's content of this length.
pub(super) fn skippable_header(magic: u32, length: usize) -> [u8; SKIPPABLE_HEADER] {
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    let mut header = [0; SKIPPABLE_HEADER];
    let (left, right) = header.split_at_mut(4);
    left.copy_from_slice(&magic.to_le_bytes());
    right.copy_from_slice(&length.to_le_bytes());
    header
}

/// Adds a skippable frame with the content that `fill` adds; says where its content is.
pub(super) fn push_skippable<E>(
    out: &mut Vec<u8>,
    magic: u32,
    fill: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
) -> Result<Range<usize>, E> {
    let start = out.len();
    let content = start + SKIPPABLE_HEADER;
    out.resize(content, 0);
    fill(out)?;
    let end = out.len();
    if let Some(header) = out.get_mut(start..content) {
        header.copy_from_slice(&skippable_header(magic, end - content));
    }
    Ok(content..end)
}

/// The content of a skippable frame, if it is one with this magic and nothing is before or behind.
pub(super) fn skippable_content(frame: &[u8], magic: u32) -> Result<&[u8], Flaw> {
    let content = frame.get(SKIPPABLE_HEADER..).unwrap_or(&[]);
    let length = u32::try_from(content.len()).ok();
    if le32(frame, 0) == Some(magic) && le32(frame, 4) == length && length.is_some() {
        Ok(content)
    } else {
        Err(Flaw::new("a frame is not of the kind the archive says"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_made_after_a_prefix_needs_that_prefix() {
        let old: Vec<u8> = (0..40_000_u32).flat_map(|it| (it * 77).to_le_bytes()).collect();
        let mut new = old.clone();
        new[5000] ^= 1;
        let mut compressor = Compressor::new(3);
        let (mut frame, mut back) = (Vec::new(), Vec::new());
        compressor.frame_after(&old, &new, &mut frame).unwrap();
        assert!(frame.len() < 1000, "{}", frame.len());
        decompress_after(&old, &frame, new.len(), &mut back).unwrap();
        assert_eq!(back, new);
        assert!(decompress_after(&vec![7; 160_000], &frame, new.len(), &mut back).is_err());
    }

    #[test]
    fn a_frame_of_another_length_than_stated_is_refused_before_memory_is_taken() {
        let mut compressor = Compressor::new(3);
        let (mut frame, mut back) = (Vec::new(), Vec::new());
        compressor.frame(&vec![0; 100_000], &mut frame).unwrap();
        let mut decompressor = Decompressor::new().unwrap();
        assert!(decompressor.frame(&frame, 10, &mut back).is_err());
        assert_eq!(back.capacity(), 0);
        decompressor.frame(&frame, 100_000, &mut back).unwrap();
        assert_eq!(back, vec![0; 100_000]);
    }
}
