//! Opening an archive, and reading its frames.

use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use crate::archive::error::{ArchiveError, Damage, Result};
use crate::archive::frame::{
    Decompressor, FOOTER_BYTES, Frame, MAX_FRAME_BYTES, SeekTable, TRAILER_BYTES, Trailer,
    ZSTD_MAGIC, le32,
};
use crate::archive::hash::Digest;
use crate::archive::index::Block;
use crate::archive::manifest::{MAX_MANIFEST_BYTES, Manifest};
use crate::archive::order::Order;
use crate::domain::num::{saturating_usize, to_u64, to_usize};
use crate::domain::{BackupId, Cancel, ReadAt, SEGMENT_BYTES};

/// An archive whose manifest, index and seek table are what was written.
pub struct Reader {
    file: File,
    table: SeekTable,
    trailer: Trailer,
    manifest: Manifest,
    reported_id: Option<BackupId>,
}

/// The bytes of an archive, until they are no longer wanted.
struct File {
    bytes: Arc<dyn ReadAt>,
    cancel: Cancel,
}

impl fmt::Debug for Reader {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Reader")
            .field("backup", &self.manifest.backup.id)
            .field("bytes", &self.file.bytes)
            .finish_non_exhaustive()
    }
}

impl Reader {
    /// Opens an archive: reads its seek table, trailer, manifest and index, and checks their hashes. Does not read
    /// the data. This and everything that reads the archive later ends with [`ArchiveError::Cancelled`] as soon
    /// as `cancel` is cancelled.
    pub fn open(bytes: Arc<dyn ReadAt>, cancel: &Cancel) -> Result<Self> {
        let file = File { bytes, cancel: cancel.clone() };
        let (table, trailer) = file.read_ends()?;
        let json = file.read_manifest(&table, &trailer)?;
        let manifest = Manifest::parse(&json).map_err(|damage| damage.in_backup(None))?;
        let reader = Self { file, table, trailer, manifest, reported_id: None };
        reader.check_index()?;
        Ok(reader)
    }

    /// Makes errors name this backup instead of the one in the manifest: a registered archive has a backup id of
    /// its own in the catalog.
    #[must_use]
    pub const fn reported_as(mut self, backup: BackupId) -> Self {
        self.reported_id = Some(backup);
        self
    }

    /// The backup that errors name.
    pub fn reported_id(&self) -> BackupId {
        self.reported_id.unwrap_or_else(|| self.id())
    }

    /// Compares the index's frames with their hash. Does not decode them, which for an incremental takes the root.
    fn check_index(&self) -> Result<()> {
        let (mut stored, mut hasher, mut length) = (Vec::new(), blake3::Hasher::new(), 0_u64);
        for number in self.index_frames()? {
            self.stored_frame(number, &mut stored)?;
            let block =
                Block::parse(&stored, self.manifest.kind).map_err(|damage| self.damaged(damage))?;
            length = length.saturating_add(to_u64(block.length));
            hasher.update(&stored);
        }
        let facts = &self.manifest.index;
        let hash = hasher.finalize();
        if *hash.as_bytes() == self.trailer.index_hash
            && length == self.trailer.index_bytes
            && facts.blake3 == hash.to_hex().as_str()
            && facts.raw_bytes == length
        {
            Ok(())
        } else {
            Err(self.damaged(Damage::new("its index differs from what was written")))
        }
    }

    pub(crate) fn index_frames(&self) -> Result<Range<u32>> {
        let start = self.trailer.index_frame;
        let end = start
            .checked_add(self.trailer.index_count)
            .ok_or_else(|| self.damaged(Damage::new("its index is not in the file")))?;
        Ok(start..end)
    }

    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// BLAKE3 of the manifest in hex: a child's `parent_manifest`.
    pub fn manifest_hash(&self) -> String {
        hex::encode(self.trailer.manifest_hash)
    }

    pub const fn id(&self) -> BackupId {
        self.manifest.backup.id
    }

    pub fn stored_bytes(&self) -> u64 {
        self.file.bytes.len()
    }

    /// The root that an incremental needs, or the error that it was not given.
    pub(crate) fn require_root<'a>(&self, root: Option<&'a Arc<Self>>) -> Result<&'a Arc<Self>> {
        let (id, needed_by) = (self.manifest.root_id, self.id());
        root.ok_or(ArchiveError::MissingParent { id, needed_by })
    }

    pub(crate) const fn order(&self) -> Order {
        self.manifest.index.order
    }

    /// The position of the archive in its chain; 0 is the full backup.
    pub(crate) fn depth(&self) -> u16 {
        u16::try_from(self.manifest.chain.len().saturating_sub(1)).unwrap_or(u16::MAX)
    }

    pub(super) const fn table(&self) -> &SeekTable {
        &self.table
    }

    pub(crate) fn damaged(&self, damage: Damage) -> ArchiveError {
        damage.in_backup(Some(self.reported_id()))
    }

    /// Replaces what is in `out` with a frame as it is stored.
    pub(crate) fn stored_frame(&self, number: u32, out: &mut Vec<u8>) -> Result<Frame> {
        self.file.stored_frame(&self.table, number, out).map_err(|error| match error {
            ArchiveError::Damaged { backup: None, what } => self.damaged(Damage(what)),
            other => other,
        })
    }

    /// Fills `buffer` with the bytes of the file from `offset` on.
    pub(super) fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<()> {
        self.file.read_at(buffer, offset)
    }
}

impl File {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<()> {
        if self.cancel.is_cancelled() {
            return Err(ArchiveError::Cancelled);
        }
        self.bytes.read_exact_at(buffer, offset).map_err(|error| {
            if error.kind() == io::ErrorKind::UnexpectedEof {
                ArchiveError::Truncated(format!("it has nothing at byte {offset}"))
            } else {
                error.into()
            }
        })
    }

    fn stored_frame(&self, table: &SeekTable, number: u32, out: &mut Vec<u8>) -> Result<Frame> {
        let frame =
            table.get(number).filter(|frame| frame.stored_bytes <= MAX_FRAME_BYTES).ok_or_else(
                || Damage(format!("there is no frame {number}, or it is too long")).in_backup(None),
            )?;
        // The old content is overwritten, so that only growing costs zeros. The exact size is reserved because
        // growing by doubling would make each thread's buffer up to twice as long as the longest frame.
        out.reserve_exact(frame.stored_bytes.saturating_sub(out.len()));
        out.resize(frame.stored_bytes, 0);
        self.read_at(out, frame.offset)?;
        Ok(frame)
    }

    /// Reads the seek table and the trailer at the end of the file.
    fn read_ends(&self) -> Result<(SeekTable, Trailer)> {
        let length = self.bytes.len();
        let mut footer = [0; FOOTER_BYTES];
        let start = length.checked_sub(to_u64(FOOTER_BYTES)).ok_or_else(|| self.no_end())?;
        self.read_at(&mut footer, start)?;
        let table_bytes = SeekTable::frame_length(&footer).ok_or_else(|| self.no_end())?;
        let table_start = length.checked_sub(table_bytes).ok_or_else(|| self.no_end())?;
        let mut frame = vec![0; saturating_usize(table_bytes)];
        self.read_at(&mut frame, table_start)?;
        let seek_hash: Digest = *blake3::hash(&frame).as_bytes();
        let table = SeekTable::parse(&frame).map_err(|damage| damage.in_backup(None))?;

        let trailer_start =
            table_start.checked_sub(to_u64(TRAILER_BYTES)).ok_or_else(|| self.no_end())?;
        let mut frame = [0; TRAILER_BYTES];
        self.read_at(&mut frame, trailer_start)?;
        let trailer = Trailer::parse(&frame)?;
        if seek_hash != trailer.seek_hash || table.end() != table_start {
            return Err(Damage::new("its seek table differs from what was written").in_backup(None));
        }
        Ok((table, trailer))
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

    fn read_manifest(&self, table: &SeekTable, trailer: &Trailer) -> Result<Vec<u8>> {
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
            decompressor
                .decompress(&stored, bytes, &mut content)
                .map_err(|it| it.in_backup(None))?;
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
