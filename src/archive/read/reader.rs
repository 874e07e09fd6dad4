//! Opening an archive.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use super::archive_file::ArchiveFile;
use crate::archive::error::{ArchiveError, Damage, Result};
use crate::archive::frame::{Frame, SIGNATURE_MAGIC, StoredTable, Trailer, skippable_content};
use crate::archive::index::Block;
use crate::archive::manifest::Manifest;
use crate::archive::order::Order;
use crate::domain::num::to_u64;
use crate::domain::{BackupId, Cancel, ReadAt};

/// An archive whose manifest, index and seek table are what was written.
pub struct Reader {
    file: ArchiveFile,
    table: StoredTable,
    trailer: Trailer,
    manifest: Manifest,
    signature: Option<Vec<u8>>,
    reported_id: Option<BackupId>,
    /// The file that it lies in, if that is encrypted.
    encrypted: Option<ArchiveFile>,
    has_content: bool,
}

/// The longest signature that is read.
const LONGEST_SIGNATURE: usize = 4 << 10;

impl fmt::Debug for Reader {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Reader")
            .field("backup", &self.manifest.backup.id)
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

impl Reader {
    /// Opens an archive: reads its seek table, trailer, manifest and index, and checks their hashes. Does not read
    /// the data. This and everything that reads the archive later ends with [`ArchiveError::Cancelled`] as soon
    /// as `cancel` is cancelled.
    pub fn open(bytes: Arc<dyn ReadAt>, cancel: &Cancel) -> Result<Self> {
        let mut file = ArchiveFile::new(bytes, cancel);
        let (table, trailer) = file.read_end()?;
        let json = file.read_manifest(&table, &trailer)?;
        let manifest = Manifest::parse(&json).map_err(|damage| damage.in_backup(None))?;
        let mut reader = Self {
            file,
            table,
            trailer,
            manifest,
            signature: None,
            reported_id: None,
            encrypted: None,
            has_content: true,
        };
        reader.check_index()?;
        reader.signature = reader.read_signature()?;
        Ok(reader)
    }

    /// Makes errors name this backup instead of the one in the manifest: a registered archive has a backup id of
    /// its own in the catalog.
    #[must_use]
    pub const fn reported_as(mut self, backup: BackupId) -> Self {
        self.reported_id = Some(backup);
        self
    }

    /// The same archive, which lies in this file, encrypted.
    #[must_use]
    pub fn encrypted_in(mut self, file: Arc<dyn ReadAt>, cancel: &Cancel) -> Self {
        self.encrypted = Some(ArchiveFile::new(file, cancel));
        self
    }

    /// The same, of which only the outline is here.
    pub(super) const fn without_content(mut self) -> Self {
        self.has_content = false;
        self
    }

    /// Whether what is in its files is here.
    pub(crate) const fn has_content(&self) -> bool {
        self.has_content
    }

    /// Where what belongs to its outline begins: with the manifest.
    pub(super) fn outline_start(&self) -> Result<u64> {
        let frame = self
            .table
            .get(self.trailer.manifest_frame, |buffer: &mut [u8], at| self.read_at(buffer, at))?;
        let frame = frame.ok_or_else(|| self.damaged(Damage::new("its manifest is not in it")))?;
        Ok(frame.offset)
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

    /// Reads what is between the index and the trailer, if that is a signature.
    fn read_signature(&self) -> Result<Option<Vec<u8>>> {
        let number = self.index_frames()?.end;
        if number.saturating_add(1) >= self.table.count() {
            return Ok(None);
        }
        let mut stored = Vec::new();
        self.stored_frame(number, &mut stored)?;
        let found = skippable_content(&stored, SIGNATURE_MAGIC).ok();
        Ok(found.filter(|it| it.len() <= LONGEST_SIGNATURE).map(<[u8]>::to_vec))
    }

    /// What was signed, and the signature; `None`: there is none.
    pub fn signature(&self) -> Option<(&[u8; 32], &[u8])> {
        self.signature.as_deref().map(|it| (&self.trailer.manifest_hash, it))
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

    /// The length of the archive, without what was appended to its file.
    pub fn stored_bytes(&self) -> u64 {
        self.file.length()
    }

    /// The length of the file that it lies in, without what was appended: its own, unless it is encrypted.
    pub fn file_bytes(&self) -> u64 {
        self.encrypted.as_ref().unwrap_or(&self.file).length()
    }

    /// Fills `buffer` with the bytes of that file from `offset` on.
    pub(super) fn read_file_at(&self, buffer: &mut [u8], offset: u64) -> Result<()> {
        self.encrypted.as_ref().unwrap_or(&self.file).read_at(buffer, offset)
    }

    /// How many bytes there are in its file behind the archive, which were not written with it.
    pub fn appended_bytes(&self) -> u64 {
        self.file.appended()
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

    pub(super) const fn table(&self) -> &StoredTable {
        &self.table
    }

    pub(crate) fn damaged(&self, damage: Damage) -> ArchiveError {
        damage.in_backup(Some(self.reported_id()))
    }

    /// Replaces what is in `out` with a frame as it is stored.
    pub(crate) fn stored_frame(&self, number: u32, out: &mut Vec<u8>) -> Result<Frame> {
        self.file.stored_frame(&self.table, number, out).map_err(|error| self.blamed(error))
    }

    /// An error of a parser, which does not know whose archive it read, as one of this archive.
    pub(crate) fn blamed(&self, error: ArchiveError) -> ArchiveError {
        match error {
            ArchiveError::Damaged { backup: None, what } => self.damaged(Damage(what)),
            other => other,
        }
    }

    /// Fills `buffer` with the bytes of the file from `offset` on.
    pub(super) fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<()> {
        self.file.read_at(buffer, offset)
    }
}
