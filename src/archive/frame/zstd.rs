//! Compressing and decompressing zstd frames.

use std::fmt;
use std::io::Cursor;

use zstd_safe::zstd_sys::ZSTD_ErrorCode;
use zstd_safe::{
    CCtx, CParameter, DCtx, InBuffer, OutBuffer, ResetDirective, compress_bound, get_error_name,
};

use crate::archive::error::{ArchiveError, Damage, Result};
use crate::domain::num::to_u64;

/// Magic of a zstd frame (RFC 8878, 3.1.1).
pub(crate) const ZSTD_MAGIC: u32 = 0xFD2F_B528;

/// The level that gets [`SMALL_TABLES`]. A frame with a prefix does not: there the tables hold the prefix too.
const LEVEL_WITH_SMALL_TABLES: i32 = 3;

/// At level 3 zstd's match tables have 2^17 and 2^16 entries, 768 KiB, which is more than the L2 cache of most
/// processors. For input of 1 MiB half of that is enough, and is what zstd itself chooses for 128 KiB.
/// Measured on an AMD EPYC with 512 KiB of L2 cache a core (change of speed; of compressed size):
/// InnoDB tables +11 %, -0.1 %; SQLite with text +13 %, +1.9 %; source code +6 %, +0.5 %;
/// shared libraries +10 %, +0.6 %; JSON lines +15 %, -1.0 %.
const SMALL_TABLES: [CParameter; 2] = [CParameter::HashLog(16), CParameter::ChainLog(15)];

/// Compresses frames. The context of frames without a prefix is kept from one to the next; one with a prefix
/// lives as long as its frame. The two never exist together, because each takes up to 1.3 MiB in every worker.
pub(crate) struct Compressor {
    context: Option<CCtx<'static>>,
    level: i32,
}

impl fmt::Debug for Compressor {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Compressor").field("level", &self.level).finish_non_exhaustive()
    }
}

fn no_memory() -> ArchiveError {
    ArchiveError::Internal("no memory for a zstd context".to_owned())
}

fn failed(code: usize) -> ArchiveError {
    ArchiveError::Internal(format!("zstd: {}", get_error_name(code)))
}

fn new_context<'a>(level: i32, more: &[CParameter]) -> Result<CCtx<'a>> {
    let mut context = CCtx::try_create().ok_or_else(no_memory)?;
    let always = [CParameter::CompressionLevel(level), CParameter::ChecksumFlag(true)];
    for parameter in always.iter().chain(more) {
        context.set_parameter(*parameter).map_err(failed)?;
    }
    Ok(context)
}

impl Compressor {
    pub(crate) const fn new(level: i32) -> Self {
        Self { context: None, level }
    }

    /// Appends `bytes` to `out` as one frame, which states its length and has a checksum.
    pub(crate) fn compress(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let context = match self.context.take() {
            Some(context) => context,
            None if self.level == LEVEL_WITH_SMALL_TABLES => {
                new_context(self.level, &SMALL_TABLES)?
            }
            None => new_context(self.level, &[])?,
        };
        compress(self.context.insert(context), bytes, out)
    }

    /// Appends a frame that is compressed as if `prefix` came before it. Decompressing it takes the same prefix.
    pub(crate) fn compress_with_prefix(
        &mut self,
        prefix: &[u8],
        bytes: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<()> {
        self.context = None;
        let mut context = new_context(self.level, &[])?;
        context.ref_prefix(prefix).map_err(failed)?;
        compress(&mut context, bytes, out)
    }
}

fn compress(context: &mut CCtx<'_>, bytes: &[u8], out: &mut Vec<u8>) -> Result<()> {
    out.reserve(compress_bound(bytes.len()));
    let mut end = Cursor::new(std::mem::take(out));
    end.set_position(to_u64(end.get_ref().len()));
    let result = context.compress2(&mut end, bytes);
    *out = end.into_inner();
    result.map_err(failed).map(drop)
}

/// Decompresses frames one after another, with one context.
pub(crate) struct Decompressor(DCtx<'static>);

impl fmt::Debug for Decompressor {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Decompressor")
    }
}

impl Decompressor {
    pub(crate) fn new() -> Result<Self> {
        DCtx::try_create().map(Self).ok_or_else(no_memory)
    }

    /// Replaces what is in `out` with the content of the frame, which must have this length.
    pub(crate) fn decompress(
        &mut self,
        frame: &[u8],
        length: usize,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        decompress(&mut self.0, frame, length, out)
    }

    /// Replaces what is in `out` with what can be decompressed of a frame of which only the start is there. Returns
    /// whether that is anything.
    pub(crate) fn decompress_start(
        &mut self,
        start: &[u8],
        length: usize,
        out: &mut Vec<u8>,
    ) -> bool {
        out.clear();
        out.reserve_exact(length);
        let (mut input, mut output) = (InBuffer::around(start), OutBuffer::around(out));
        loop {
            let before = (input.pos(), output.pos());
            let ended = self.0.decompress_stream(&mut output, &mut input);
            if ended.is_err() || before == (input.pos(), output.pos()) {
                break;
            }
        }
        // A context in which a frame was begun decompresses no other.
        let reset = self.0.reset(ResetDirective::SessionOnly);
        reset.is_ok() && !out.is_empty()
    }
}

/// Decompresses a frame that [`Compressor::compress_with_prefix`] made.
pub(crate) fn decompress_with_prefix(
    prefix: &[u8],
    frame: &[u8],
    length: usize,
    out: &mut Vec<u8>,
) -> Result<()> {
    let mut context = DCtx::try_create().ok_or_else(no_memory)?;
    // Needs memory, and looks at nothing of the archive.
    context.ref_prefix(prefix).map_err(failed)?;
    decompress(&mut context, frame, length, out)
}

fn decompress(
    context: &mut DCtx<'_>,
    frame: &[u8],
    length: usize,
    out: &mut Vec<u8>,
) -> Result<()> {
    let wrong_length = || Damage::new("a piece of it is not as long as the archive says").into();
    out.clear();
    if content_length(frame) != Some(length) {
        return Err(wrong_length());
    }
    out.reserve_exact(length);
    let found = context.decompress(out, frame).map_err(not_decompressed)?;
    if found == length { Ok(()) } else { Err(wrong_length()) }
}

/// The library gives errors as negative sizes.
#[expect(clippy::as_conversions, reason = "the constants of a C enum have no other conversion")]
const fn error_code(error: ZSTD_ErrorCode) -> usize {
    (error as usize).wrapping_neg()
}

/// What an error of zstd means. Whatever ends the decompression is in the bytes, unless there is no memory for it.
fn not_decompressed(code: usize) -> ArchiveError {
    if code == error_code(ZSTD_ErrorCode::ZSTD_error_memory_allocation) {
        return no_memory();
    }
    Damage(format!("a piece of it cannot be decompressed ({})", get_error_name(code))).into()
}

/// The length of the content, as the frame's header states it.
pub(crate) fn content_length(frame: &[u8]) -> Option<usize> {
    let stated = zstd_safe::get_frame_content_size(frame).ok().flatten()?;
    usize::try_from(stated).ok()
}

/// The length of the frame that the bytes begin with, if all of it is there.
pub(crate) fn stored_length(bytes: &[u8]) -> Option<usize> {
    zstd_safe::find_frame_compressed_size(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_of_an_unexpected_length_is_refused_before_memory_is_allocated() {
        let mut compressor = Compressor::new(3);
        let (mut frame, mut back) = (Vec::new(), Vec::new());
        compressor.compress(&vec![0; 100_000], &mut frame).unwrap();
        let mut decompressor = Decompressor::new().unwrap();
        assert!(decompressor.decompress(&frame, 10, &mut back).is_err());
        assert_eq!(back.capacity(), 0);
        decompressor.decompress(&frame, 100_000, &mut back).unwrap();
        assert_eq!(back, vec![0; 100_000]);
    }

    #[test]
    fn a_lack_of_memory_is_no_damage() {
        let error = |code: ZSTD_ErrorCode| not_decompressed(error_code(code));
        assert!(!error(ZSTD_ErrorCode::ZSTD_error_memory_allocation).is_damage());
        assert!(error(ZSTD_ErrorCode::ZSTD_error_checksum_wrong).is_damage());
        assert!(!no_memory().is_damage());
    }
}
