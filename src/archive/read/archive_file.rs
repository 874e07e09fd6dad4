//! The file of an archive: where the archive ends in it, and its frames.

use std::fmt;
use std::io;
use std::sync::Arc;

use memchr::memmem;

use crate::archive::error::{ArchiveError, Damage, Result};
use crate::archive::frame::{
    Decompressor, FOOTER_BYTES, FOOTER_MAGIC, Frame, MAX_FRAME_BYTES, SeekTable, StoredTable,
    TRAILER_BYTES, Trailer, ZSTD_MAGIC, le32,
};
use crate::archive::manifest::MAX_MANIFEST_BYTES;
use crate::domain::num::{saturating_usize, to_u64, to_usize};
use crate::domain::{Cancel, ReadAt, SEGMENT_BYTES};

/// How far from the end of the file the archive's end is looked for, in bytes.
const MOST_APPENDED: u64 = 64 << 20;

/// The bytes of an archive, until they are no longer wanted.
pub(super) struct ArchiveFile {
    bytes: Arc<dyn ReadAt>,
    /// The length of the archive in them, once its end is found.
    length: u64,
    cancel: Cancel,
}

impl fmt::Debug for ArchiveFile {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("ArchiveFile").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

impl ArchiveFile {
    pub(super) fn new(bytes: Arc<dyn ReadAt>, cancel: &Cancel) -> Self {
        let length = bytes.len();
        Self { bytes, length, cancel: cancel.clone() }
    }

    pub(super) const fn length(&self) -> u64 {
        self.length
    }

    pub(super) fn appended(&self) -> u64 {
        self.bytes.len().saturating_sub(self.length)
    }

    pub(super) fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<()> {
        if self.cancel.is_cancelled() {
            return Err(ArchiveError::Cancelled);
        }
        self.bytes.read_exact_at(buffer, offset).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                ArchiveError::Truncated(format!("it has nothing at byte {offset}"))
            }
            io::ErrorKind::InvalidData => Damage(error.to_string()).in_backup(None),
            _ => error.into(),
        })
    }

    pub(super) fn stored_frame(
        &self,
        table: &StoredTable,
        number: u32,
        out: &mut Vec<u8>,
    ) -> Result<Frame> {
        let frame = table.get(number, |buffer: &mut [u8], at| self.read_at(buffer, at))?;
        let frame =
            frame.filter(|frame| frame.stored_bytes <= MAX_FRAME_BYTES).ok_or_else(|| {
                Damage(format!("it has no piece {number}, or that is too long")).in_backup(None)
            })?;
        // The old content is overwritten, so that only growing costs zeros. The exact size is reserved because
        // growing by doubling would make each thread's buffer up to twice as long as the longest frame.
        out.reserve_exact(frame.stored_bytes.saturating_sub(out.len()));
        out.resize(frame.stored_bytes, 0);
        self.read_at(out, frame.offset)?;
        Ok(frame)
    }

    /// Reads the seek table and the trailer at the archive's end, which is the file's unless something was appended.
    pub(super) fn read_end(&mut self) -> Result<(StoredTable, Trailer)> {
        let error = match self.read_end_at(self.length) {
            Err(error) if error.is_damage() => error,
            ended => return ended,
        };
        let Some(end) = self.find_end()? else { return Err(error) };
        match self.read_end_at(end) {
            // That is the end of another archive, which a file in this one holds.
            Err(other) if other.is_damage() => Err(error),
            found => {
                self.length = end;
                found
            }
        }
    }

    /// The same for an archive that ends at byte `end` of the file.
    fn read_end_at(&self, end: u64) -> Result<(StoredTable, Trailer)> {
        let table_start = self.table_start(end)?.ok_or_else(|| self.no_end())?;
        let trailer = self.trailer_before(table_start)?.ok_or_else(|| self.no_end())?;
        let read = |buffer: &mut [u8], at| self.read_at(buffer, at);
        let (table, hash) = StoredTable::read(read, table_start, end - table_start)?;
        if hash != trailer.seek_hash || table.end() != table_start {
            return Err(Damage::new("its list of pieces differs from what was written").into());
        }
        Ok((table, trailer))
    }

    /// Where the seek table begins of an archive that ends at this byte, by its last bytes.
    fn table_start(&self, end: u64) -> Result<Option<u64>> {
        let Some(start) = end.checked_sub(to_u64(FOOTER_BYTES)) else { return Ok(None) };
        let mut footer = [0; FOOTER_BYTES];
        self.read_at(&mut footer, start)?;
        Ok(SeekTable::frame_length(&footer).and_then(|length| end.checked_sub(length)))
    }

    fn trailer_before(&self, table_start: u64) -> Result<Option<Trailer>> {
        let start = table_start.checked_sub(to_u64(TRAILER_BYTES));
        let Some(start) = start else { return Ok(None) };
        let mut frame = [0; TRAILER_BYTES];
        self.read_at(&mut frame, start)?;
        Trailer::parse(&frame).map(Some)
    }

    /// Where the archive ends, if something was appended to its file: behind the last seek table that a trailer belongs
    /// to.
    fn find_end(&self) -> Result<Option<u64>> {
        let finder = memmem::FinderRev::new(&FOOTER_MAGIC);
        let overlap = to_u64(FOOTER_MAGIC.len() - 1);
        let (mut end, first) = (self.length, self.length.saturating_sub(MOST_APPENDED));
        let mut piece = Vec::new();
        while end > first {
            let start = end.saturating_sub(to_u64(SEGMENT_BYTES)).max(first);
            let length = end.saturating_add(overlap).min(self.length) - start;
            piece.resize(saturating_usize(length), 0);
            self.read_at(&mut piece, start)?;
            for at in finder.rfind_iter(&piece) {
                let found = start.saturating_add(to_u64(at + FOOTER_MAGIC.len()));
                let Some(table_start) = self.table_start(found)? else { continue };
                match self.trailer_before(table_start) {
                    Ok(Some(_)) => return Ok(Some(found)),
                    Err(error) if !error.is_damage() => return Err(error),
                    Ok(None) | Err(_) => {}
                }
            }
            end = start;
        }
        Ok(None)
    }

    fn no_end(&self) -> ArchiveError {
        let mut start = [0; 4];
        match self.read_at(&mut start, 0) {
            Ok(()) if le32(&start, 0) == Some(ZSTD_MAGIC) => {
                ArchiveError::Truncated("its end is missing or damaged".to_owned())
            }
            Err(error) if !error.is_damage() => error,
            Ok(()) | Err(_) => ArchiveError::NotAnArchive("it is not a zstd file".to_owned()),
        }
    }

    pub(super) fn read_manifest(&self, table: &StoredTable, trailer: &Trailer) -> Result<Vec<u8>> {
        let damage = || Damage::new("its manifest differs from what was written").in_backup(None);
        let length = usize::try_from(trailer.manifest_bytes)
            .ok()
            .filter(|length| *length <= MAX_MANIFEST_BYTES)
            .ok_or_else(damage)?;
        let mut decompressor = Decompressor::new()?;
        let (mut json, mut stored, mut content) = (Vec::new(), Vec::new(), Vec::new());
        let mut skip = to_usize(trailer.manifest_offset);
        let mut number = trailer.manifest_frame;
        while json.len() < length {
            let bytes = self.stored_frame(table, number, &mut stored)?.content_bytes;
            if bytes > SEGMENT_BYTES || bytes == 0 {
                return Err(damage());
            }
            decompressor.decompress(&stored, bytes, &mut content)?;
            let found = content.get(skip..).ok_or_else(damage)?;
            let missing = length - json.len();
            json.extend_from_slice(found.get(..missing).unwrap_or(found));
            skip = 0;
            number = number.checked_add(1).ok_or_else(damage)?;
        }
        if *blake3::hash(&json).as_bytes() == trailer.manifest_hash {
            Ok(json)
        } else {
            Err(damage())
        }
    }
}
