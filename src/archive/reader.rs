//! Opening an archive, and reading frames of it.

use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use super::bytes::{le32, wide};
use super::error::{ArchiveError, Flaw};
use super::frame::{Decompressor, LONGEST_FRAME, ZSTD_MAGIC};
use super::hash::{self, Digest};
use super::index::{Entries, raw_length, segment_length};
use super::manifest::{LONGEST_MANIFEST, Manifest};
use super::order::Order;
use super::pool::Pool;
use super::seek_table::{FOOTER_BYTES, Frame, SeekTable};
use super::trailer::{TRAILER_BYTES, Trailer};
use crate::domain::{BackupId, ReadAt, SEGMENT_BYTES};

/// An archive whose manifest, index and seek table are known to be what was written.
pub struct Reader {
    bytes: Arc<dyn ReadAt>,
    table: SeekTable,
    trailer: Trailer,
    manifest: Manifest,
    known_as: Option<BackupId>,
}

impl fmt::Debug for Reader {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Reader")
            .field("backup", &self.manifest.backup.id)
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

impl Reader {
    /// Opens an archive: reads its seek table, trailer, manifest and index, and checks their hashes.
    /// The data is not looked at.
    pub fn open(bytes: Arc<dyn ReadAt>) -> Result<Self, ArchiveError> {
        let (table, trailer) = read_ends(bytes.as_ref())?;
        let json = read_manifest(bytes.as_ref(), &table, &trailer)?;
        let manifest = Manifest::parse(&json).map_err(|flaw| flaw.of(None))?;
        let reader = Self { bytes, table, trailer, manifest, known_as: None };
        reader.check_index()?;
        Ok(reader)
    }

    /// The same archive, known to people as `backup`: one that was registered has a row of its own, and
    /// what is wrong with it is told under that row's id.
    #[must_use]
    pub const fn known_as(mut self, backup: BackupId) -> Self {
        self.known_as = Some(backup);
        self
    }

    /// The backup that people know it as; what it says itself, if nobody said otherwise.
    pub fn name(&self) -> BackupId {
        self.known_as.unwrap_or_else(|| self.id())
    }

    /// Compares the index's frames with their hash. What is in them is not looked at: of an incremental that
    /// needs its root.
    fn check_index(&self) -> Result<(), ArchiveError> {
        let (mut stored, mut hasher, mut length) = (Vec::new(), blake3::Hasher::new(), 0_u64);
        for number in self.index_frames()? {
            self.stored_frame(number, &mut stored)?;
            let raw = raw_length(&stored, self.manifest.kind).map_err(|flaw| self.damaged(flaw))?;
            hasher.update(&stored);
            length = length.saturating_add(wide(raw));
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
            Err(self.damaged(Flaw::new("its index is not what was written")))
        }
    }

    /// The frames of its index.
    pub(super) fn index_frames(&self) -> Result<Range<u32>, ArchiveError> {
        let start = self.trailer.index_frame;
        let end = start
            .checked_add(self.trailer.index_count)
            .ok_or_else(|| self.damaged(Flaw::new("its index is not in the file")))?;
        Ok(start..end)
    }

    /// What the archive is.
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// BLAKE3 of the manifest in hex: a child's `parent_manifest`.
    pub fn manifest_hash(&self) -> String {
        hex::encode(self.trailer.manifest_hash)
    }

    /// Whose archive it is.
    pub const fn id(&self) -> BackupId {
        self.manifest.backup.id
    }

    /// How long the file is.
    pub fn stored_bytes(&self) -> u64 {
        self.bytes.len()
    }

    /// What is in the archive, in its order, read bit by bit. An incremental needs its `root`.
    pub fn entries(&self, root: Option<&Arc<Self>>) -> Result<Entries<&Self>, ArchiveError> {
        Entries::new(self, root)
    }

    /// BLAKE3 of the whole file in hex, as `b3sum` prints it. `progress` is told how many bytes are done.
    /// Read and hashed by several threads, a MiB each; holds 32 bytes a MiB, as the seek table does.
    pub fn checksum(
        &self,
        workers: usize,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<String, ArchiveError> {
        let length = self.bytes.len();
        let mut pool = Pool::start(workers, || {
            let (bytes, mut buffer) = (Arc::clone(&self.bytes), Vec::new());
            Ok(move |number: usize| -> Result<Digest, ArchiveError> {
                buffer.resize(segment_length(length, number), 0);
                read(bytes.as_ref(), &mut buffer, wide(number).saturating_mul(1 << 20))?;
                Ok(hash::segment(&buffer, number, length <= wide(SEGMENT_BYTES)))
            })
        })?;
        let count = usize::try_from(length.div_ceil(1 << 20)).unwrap_or(usize::MAX);
        let (mut parts, mut given) = (Vec::new(), 0);
        while parts.len() < count {
            if given < count && !pool.is_full() {
                pool.submit(given)?;
                given += 1;
            } else if let Some(part) = pool.next()? {
                parts.push(part?);
                progress(wide(parts.len()).saturating_mul(1 << 20).min(length));
            }
        }
        Ok(hex::encode(hash::file(&parts)))
    }

    /// The root, which an incremental needs; else the error that it is not at hand.
    pub(super) fn needed_root<'a>(
        &self,
        root: Option<&'a Arc<Self>>,
    ) -> Result<&'a Arc<Self>, ArchiveError> {
        let (id, needed_by) = (self.manifest.root_id, self.id());
        root.ok_or(ArchiveError::MissingParent { id, needed_by })
    }

    /// In which order its entries are.
    pub(super) const fn order(&self) -> Order {
        self.manifest.index.order
    }

    /// Its place in the chain: 0 is a full backup.
    pub(super) fn depth(&self) -> u16 {
        u16::try_from(self.manifest.chain.len().saturating_sub(1)).unwrap_or(u16::MAX)
    }

    pub(super) const fn table(&self) -> &SeekTable {
        &self.table
    }

    /// The flaw as damage of this archive.
    pub(super) fn damaged(&self, flaw: Flaw) -> ArchiveError {
        flaw.of(Some(self.name()))
    }

    /// The frame as it is stored, with its place; replaces what is in `out`.
    pub(super) fn stored_frame(
        &self,
        number: u32,
        out: &mut Vec<u8>,
    ) -> Result<Frame, ArchiveError> {
        stored_frame(self.bytes.as_ref(), &self.table, number, out).map_err(|error| self.own(error))
    }

    /// Bytes of the file, anywhere.
    pub(super) fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<(), ArchiveError> {
        read(self.bytes.as_ref(), buffer, offset)
    }

    /// The same error, with this archive's id.
    fn own(&self, error: ArchiveError) -> ArchiveError {
        match error {
            ArchiveError::Damaged { backup: None, what } => Flaw(what).of(Some(self.name())),
            other => other,
        }
    }
}

fn read(bytes: &dyn ReadAt, buffer: &mut [u8], offset: u64) -> Result<(), ArchiveError> {
    bytes.read_exact_at(buffer, offset).map_err(|error| {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            ArchiveError::Truncated(format!("nothing at {offset}"))
        } else {
            error.into()
        }
    })
}

fn stored_frame(
    bytes: &dyn ReadAt,
    table: &SeekTable,
    number: u32,
    out: &mut Vec<u8>,
) -> Result<Frame, ArchiveError> {
    let flaw = || Flaw(format!("there is no frame {number}, or it is too long")).of(None);
    let frame = table.get(number).filter(|it| it.stored <= LONGEST_FRAME).ok_or_else(flaw)?;
    // What is in it already is overwritten: only what is missing costs zeros. Doubled, each of a
    // loader's buffers would hold up to twice the longest frame.
    out.reserve_exact(frame.stored.saturating_sub(out.len()));
    out.resize(frame.stored, 0);
    read(bytes, out, frame.offset)?;
    Ok(frame)
}

/// Reads the seek table and the trailer at the end of the file.
fn read_ends(bytes: &dyn ReadAt) -> Result<(SeekTable, Trailer), ArchiveError> {
    let length = bytes.len();
    let mut footer = [0; FOOTER_BYTES];
    let start = length.checked_sub(wide(FOOTER_BYTES)).ok_or_else(|| no_end(bytes))?;
    read(bytes, &mut footer, start)?;
    let table_bytes = SeekTable::frame_length(&footer).ok_or_else(|| no_end(bytes))?;
    let table_start = length.checked_sub(table_bytes).ok_or_else(|| no_end(bytes))?;
    let mut frame = vec![0; usize::try_from(table_bytes).unwrap_or(0)];
    read(bytes, &mut frame, table_start)?;
    let seek_hash: Digest = *blake3::hash(&frame).as_bytes();
    let table = SeekTable::parse(&frame).map_err(|flaw| flaw.of(None))?;

    let trailer_start =
        table_start.checked_sub(wide(TRAILER_BYTES)).ok_or_else(|| no_end(bytes))?;
    let mut frame = [0; TRAILER_BYTES];
    read(bytes, &mut frame, trailer_start)?;
    let trailer = Trailer::parse(&frame)?;
    if seek_hash != trailer.seek_hash || table.end() != table_start {
        return Err(Flaw::new("its seek table is not what was written").of(None));
    }
    Ok((table, trailer))
}

/// Why there is no seek table at the end.
fn no_end(bytes: &dyn ReadAt) -> ArchiveError {
    let mut start = [0; 4];
    let read = bytes.read_exact_at(&mut start, 0);
    if read.is_ok() && le32(&start, 0) == Some(ZSTD_MAGIC) {
        ArchiveError::Truncated("its end is missing, or damaged".to_owned())
    } else {
        ArchiveError::NotAnArchive("it is no zstd file".to_owned())
    }
}

fn read_manifest(
    bytes: &dyn ReadAt,
    table: &SeekTable,
    trailer: &Trailer,
) -> Result<Vec<u8>, ArchiveError> {
    let flaw = || Flaw::new("its manifest is not what was written").of(None);
    let length = usize::try_from(trailer.manifest_bytes)
        .ok()
        .filter(|length| *length <= LONGEST_MANIFEST)
        .ok_or_else(flaw)?;
    let mut decompressor = Decompressor::new()?;
    let (mut json, mut stored, mut raw) = (Vec::new(), Vec::new(), Vec::new());
    let mut skip = usize::try_from(trailer.manifest_offset).unwrap_or(usize::MAX);
    let mut number = trailer.manifest_frame;
    while json.len() < length {
        let frame = stored_frame(bytes, table, number, &mut stored)?;
        if frame.raw > SEGMENT_BYTES || frame.raw == 0 {
            return Err(flaw());
        }
        decompressor.frame(&stored, frame.raw, &mut raw).map_err(|flaw| flaw.of(None))?;
        let found = raw.get(skip..).ok_or_else(flaw)?;
        let missing = length - json.len();
        json.extend_from_slice(found.get(..missing).unwrap_or(found));
        skip = 0;
        number = number.checked_add(1).ok_or_else(flaw)?;
    }
    if *blake3::hash(&json).as_bytes() == trailer.manifest_hash { Ok(json) } else { Err(flaw()) }
}
