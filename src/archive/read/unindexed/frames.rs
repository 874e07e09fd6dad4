//! The content of an archive's zstd frames, one after another.

use std::sync::Arc;

use memchr::memmem;

use super::window::Window;
use crate::archive::error::{ArchiveError, Result};
use crate::archive::frame::{
    Decompressor, FOOTER_BYTES, Frame, MAX_FRAME_BYTES, PATCH_MAGIC, SKIPPABLE_HEADER, SeekTable,
    ZSTD_MAGIC, content_length, is_skippable, le32, stored_length,
};
use crate::domain::num::{saturating_usize, to_u64};
use crate::domain::{Cancel, ReadAt, SEGMENT_BYTES};

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// Content, which is in the buffer.
    Content,
    /// Content of this length is lost.
    Lost(u64, String),
    /// It is not known how much is lost.
    Gap(String),
    End,
}

/// The frames of an archive. Where the seek table at the end can be read it says where each frame is and how much it
/// holds; else each frame must be found behind the one before.
#[derive(Debug)]
pub(super) struct Frames {
    window: Window,
    table: Option<SeekTable>,
    /// The next frame in the table.
    number: u32,
    at: u64,
    decompressor: Decompressor,
    /// Whether the last piece is of a frame whose end is cut off, and its checksum with it.
    pub(super) is_cut: bool,
    /// Whether there are frames as only incremental archives have them.
    pub(super) has_patches: bool,
}

impl Frames {
    pub(super) fn open(file: Arc<dyn ReadAt>, cancel: &Cancel) -> Result<Self> {
        let mut window = Window::new(file, cancel);
        let table = seek_table(&mut window)?;
        let decompressor = Decompressor::new()?;
        Ok(Self {
            window,
            table,
            number: 0,
            at: 0,
            decompressor,
            is_cut: false,
            has_patches: false,
        })
    }

    /// How much of the file was read.
    pub(super) const fn position(&self) -> u64 {
        self.at
    }

    /// The next piece. Its content replaces what is in `out`.
    pub(super) fn next(&mut self, out: &mut Vec<u8>) -> Result<Piece> {
        out.clear();
        loop {
            let next = match &self.table {
                Some(table) => match table.get(self.number) {
                    Some(frame) => self.listed(frame, out)?,
                    None => Some(Piece::End),
                },
                None => self.found(out)?,
            };
            if let Some(piece) = next {
                return Ok(piece);
            }
        }
    }

    /// The frame that the table names; `None` if it has no content.
    fn listed(&mut self, frame: Frame, out: &mut Vec<u8>) -> Result<Option<Piece>> {
        let Frame { offset, stored_bytes, content_bytes } = frame;
        self.number += 1;
        self.at = offset.saturating_add(to_u64(stored_bytes));
        let stored = self.window.get(offset, stored_bytes.min(MAX_FRAME_BYTES))?;
        if content_bytes == 0 {
            self.has_patches |= le32(stored, 0) == Some(PATCH_MAGIC);
            return Ok(None);
        }
        let length = content_bytes.min(SEGMENT_BYTES);
        Ok(Some(match self.decompressor.decompress(stored, length, out) {
            Ok(()) => Piece::Content,
            Err(ArchiveError::Damaged { what, .. }) => {
                Piece::Lost(to_u64(content_bytes), at_byte(&what, offset))
            }
            Err(error) => return Err(error),
        }))
    }

    /// The frame at this position; `None` if it has no content.
    fn found(&mut self, out: &mut Vec<u8>) -> Result<Option<Piece>> {
        let (at, file_bytes) = (self.at, self.window.file_bytes());
        let window = self.window.get(at, MAX_FRAME_BYTES)?;
        if window.is_empty() {
            return Ok(Some(Piece::End));
        }
        if let (Some(magic), Some(length)) = (le32(window, 0), le32(window, 4))
            && is_skippable(magic)
        {
            self.has_patches |= magic == PATCH_MAGIC;
            self.at = at.saturating_add(to_u64(SKIPPABLE_HEADER)).saturating_add(length.into());
            self.at = self.at.min(file_bytes);
            return Ok(None);
        }
        let length = content_length(window).filter(|length| *length <= SEGMENT_BYTES);
        let (Some(length), Some(ZSTD_MAGIC)) = (length, le32(window, 0)) else {
            if self.without_its_magic(out)? {
                return Ok(Some(Piece::Content));
            }
            return self.seek("no piece begins there").map(Some);
        };
        let Some(stored) = stored_length(window) else {
            let reaches_end = at.saturating_add(to_u64(window.len())) == file_bytes;
            if reaches_end && self.decompressor.decompress_start(window, length, out) {
                self.at = file_bytes;
                self.is_cut = true;
                return Ok(Some(Piece::Content));
            }
            return self.seek("a piece is not in order").map(Some);
        };
        let frame = window.get(..stored).unwrap_or_default();
        let after = at.saturating_add(to_u64(stored));
        let what = match self.decompressor.decompress(frame, length, out) {
            Ok(()) => {
                self.at = after;
                return Ok(Some(Piece::Content));
            }
            Err(ArchiveError::Damaged { what, .. }) => what,
            Err(error) => return Err(error),
        };
        // Where the next one begins right behind it, it is this long.
        if after == file_bytes || begins_frame(self.window.get(after, SKIPPABLE_HEADER)?) {
            self.at = after;
            return Ok(Some(Piece::Lost(to_u64(length), at_byte(&what, at))));
        }
        self.seek(&what).map(Some)
    }

    /// Reads the frame at this position if only its first bytes are wrong, which are the same in every frame. Its
    /// checksum tells whether it is one. Returns whether it was.
    fn without_its_magic(&mut self, out: &mut Vec<u8>) -> Result<bool> {
        let window = self.window.get(self.at, MAX_FRAME_BYTES)?;
        let Some(rest) = window.get(ZSTD_MAGIC_BYTES.len()..) else { return Ok(false) };
        let mended = [&ZSTD_MAGIC_BYTES[..], rest].concat();
        let length = content_length(&mended).filter(|length| *length <= SEGMENT_BYTES);
        let frame = stored_length(&mended).and_then(|stored| mended.get(..stored));
        let (Some(length), Some(frame)) = (length, frame) else { return Ok(false) };
        if self.decompressor.decompress(frame, length, out).is_err() {
            out.clear();
            return Ok(false);
        }
        self.at = self.at.saturating_add(to_u64(frame.len()));
        Ok(true)
    }

    /// Moves on to the next frame that can be decompressed.
    fn seek(&mut self, what: &str) -> Result<Piece> {
        let (bad, mut at) = (self.at, self.at);
        let (finder, mut scratch) = (memmem::Finder::new(&ZSTD_MAGIC_BYTES), Vec::new());
        loop {
            at = at.saturating_add(1);
            let window = self.window.get(at, MAX_FRAME_BYTES)?;
            if window.len() < ZSTD_MAGIC_BYTES.len() {
                self.at = self.window.file_bytes();
                return Ok(Piece::Gap(at_byte(what, bad)));
            }
            let Some(found) = finder.find(window) else {
                at = at.saturating_add(to_u64(window.len() - ZSTD_MAGIC_BYTES.len()));
                continue;
            };
            at = at.saturating_add(to_u64(found));
            let window = self.window.get(at, MAX_FRAME_BYTES)?;
            let length = content_length(window).filter(|length| *length <= SEGMENT_BYTES);
            let frame = stored_length(window).and_then(|stored| window.get(..stored));
            if let (Some(length), Some(frame)) = (length, frame)
                && self.decompressor.decompress(frame, length, &mut scratch).is_ok()
            {
                self.at = at;
                return Ok(Piece::Gap(at_byte(what, bad)));
            }
        }
    }
}

const ZSTD_MAGIC_BYTES: [u8; 4] = ZSTD_MAGIC.to_le_bytes();

fn at_byte(what: &str, offset: u64) -> String {
    format!("{what}, at byte {offset} of the archive")
}

fn begins_frame(bytes: &[u8]) -> bool {
    le32(bytes, 0).is_some_and(|magic| magic == ZSTD_MAGIC || is_skippable(magic))
}

/// A longer seek table, which is that of a million frames, is not read: the frames are found without it.
const LONGEST_TABLE: u64 = 8 << 20;

/// The seek table at the end of the file, if it is there and fits the file.
fn seek_table(window: &mut Window) -> Result<Option<SeekTable>> {
    let end = window.file_bytes();
    let footer = window.get(end.saturating_sub(to_u64(FOOTER_BYTES)), FOOTER_BYTES)?;
    let length = SeekTable::frame_length(footer).filter(|length| *length <= end.min(LONGEST_TABLE));
    let Some(length) = length else { return Ok(None) };
    let start = end - length;
    let frame = window.get(start, saturating_usize(length))?;
    Ok(SeekTable::parse(frame).ok().filter(|table| table.end() == start))
}
