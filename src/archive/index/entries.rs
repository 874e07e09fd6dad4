//! Reading the index record by record, with one block of it in memory.

use std::sync::Arc;

use super::block_reader::BlockReader;
use super::code::{
    DELTA, DIRECTORY, FILE, HAS_EXTENTS, HAS_MAP, HAS_STAMP, HAS_XATTRS, HOLE, KIND_BITS, Previous,
    ROOT, ROOT_IS_NEXT, SAME_ARCHIVE, STORED_BITS, SYMLINK, WHOLE, unzigzag,
};
use super::record::Record;
use super::segment::{
    DataMap, FrameSlice, MAX_EXTENTS, MAX_RANGES, MAX_TEXT_BYTES, MAX_XATTRS_BYTES, PatchSlice,
    RootSlice, Segment, SegmentPosition, Stored, segment_count, xattr_cost,
};
use super::segments::Segments;
use crate::archive::error::{ArchiveError, Damage, Result};
use crate::archive::hash::{self, Digest, FileTree};
use crate::archive::order::PathSequence;
use crate::archive::read::Reader;
use crate::archive::sparse;
use crate::domain::num::{saturating_u32, to_usize};
use crate::domain::{Entry, EntryKind, EntryPath, Extent, SEGMENT_BYTES, Stamp};

type Xattr = (Vec<u8>, Vec<u8>);

/// What is read of an index next: an entry, and then the segments of a file one by one, because a file may have millions.
#[derive(Debug)]
pub(crate) enum Piece {
    Entry(Entry),
    Segment(SegmentPosition, Segment),
}

/// The segments of the file that is being read.
#[derive(Debug)]
struct OpenFile {
    path: EntryPath,
    size: u64,
    count: usize,
    /// The number of the next one.
    next: usize,
    tree: FileTree,
}

/// The entries of an archive, in its order; no path comes twice. Of an unordered archive some 8 bytes are kept
/// for each entry read. After an error there are no more.
#[derive(Debug)]
pub struct Entries {
    blocks: BlockReader,
    block: Vec<u8>,
    /// What is next in the block.
    at: usize,
    previous: Previous,
    sequence: PathSequence,
    file: Option<OpenFile>,
    /// The hash of the file that was read last.
    hash: Option<Digest>,
    ended: bool,
}

impl Reader {
    /// The entries of the archive. An incremental needs its `root`, with whose index its own is compressed.
    pub fn entries(self: &Arc<Self>, root: Option<&Arc<Self>>) -> Result<Entries> {
        Ok(Entries {
            blocks: BlockReader::new(self, root)?,
            block: Vec::new(),
            at: 0,
            previous: Previous::default(),
            sequence: PathSequence::new(self.order()),
            file: None,
            hash: None,
            ended: false,
        })
    }
}

impl Iterator for Entries {
    type Item = Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        self.record(usize::MAX).transpose()
    }
}

impl Entries {
    fn damaged(&self, what: &str) -> ArchiveError {
        let what = format!("its index differs from what was written: {what}");
        self.blocks.reader().damaged(Damage(what))
    }

    /// Whether there is another byte. Reads the next block if necessary.
    fn has_more(&mut self) -> Result<bool> {
        while self.at >= self.block.len() {
            self.at = 0;
            if !self.blocks.next(&mut self.block)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn byte(&mut self) -> Result<u8> {
        let found = if self.has_more()? { self.block.get(self.at).copied() } else { None };
        self.at += 1;
        found.ok_or_else(|| self.damaged("it ends within a record"))
    }

    fn number<T: TryFrom<u128>>(&mut self) -> Result<T> {
        let mut number = 0_u128;
        for shift in (0..128).step_by(7) {
            let byte = self.byte()?;
            let bits = u128::from(byte & 0x7F);
            number |= bits << shift;
            if byte & 0x80 == 0 {
                let overflows = shift == 126 && bits > 3;
                let fitting = if overflows { None } else { T::try_from(number).ok() };
                return fitting.ok_or_else(|| self.damaged("a number is too large"));
            }
        }
        Err(self.damaged("a number does not end"))
    }

    fn signed(&mut self) -> Result<i128> {
        self.number::<u128>().map(unzigzag)
    }

    /// Appends the next `length` bytes. Memory is allocated only for bytes that exist.
    fn take(&mut self, length: usize, out: &mut Vec<u8>) -> Result<()> {
        let mut missing = length;
        while missing > 0 {
            if !self.has_more()? {
                return Err(self.damaged("it ends within a record"));
            }
            let rest = self.block.get(self.at..).unwrap_or(&[]);
            let now = rest.get(..missing).unwrap_or(rest);
            out.extend_from_slice(now);
            self.at += now.len();
            missing -= now.len();
        }
        Ok(())
    }

    fn text(&mut self) -> Result<Vec<u8>> {
        let length = self.number()?;
        if length > MAX_TEXT_BYTES {
            return Err(self.damaged("a text is too long"));
        }
        let mut text = Vec::new();
        self.take(length, &mut text)?;
        Ok(text)
    }

    fn digest(&mut self) -> Result<Digest> {
        // Nearly always it is within the block.
        let here = self.block.get(self.at..).and_then(|rest| rest.first_chunk());
        if let Some(digest) = here.copied() {
            self.at += 32;
            return Ok(digest);
        }
        let mut bytes = Vec::with_capacity(32);
        self.take(32, &mut bytes)?;
        bytes.try_into().map_err(|_wrong_length| self.damaged("a hash is cut short"))
    }

    fn path(&mut self, bytes: Vec<u8>) -> Result<EntryPath> {
        EntryPath::new(bytes).map_err(|bad| self.damaged(&bad.to_string()))
    }

    /// The next piece. `None`: there are no more, or there was an error.
    pub(crate) fn piece(&mut self) -> Result<Option<Piece>> {
        if self.ended {
            return Ok(None);
        }
        let found = match self.next_segment() {
            Ok(Some((position, segment))) => Ok(Some(Piece::Segment(position, segment))),
            Ok(None) => self.next_entry().map(|entry| entry.map(Piece::Entry)),
            Err(error) => Err(error),
        };
        self.ended = !matches!(found, Ok(Some(_)));
        found
    }

    /// The next entry; its segments are not read.
    pub(crate) fn skip_to_entry(&mut self) -> Result<Option<Entry>> {
        loop {
            match self.piece()? {
                Some(Piece::Entry(entry)) => return Ok(Some(entry)),
                Some(Piece::Segment(..)) => {}
                None => return Ok(None),
            }
        }
    }

    /// The next entry, with as many of its segments as are wanted.
    fn record(&mut self, most: usize) -> Result<Option<Record>> {
        let Some(entry) = self.skip_to_entry()? else { return Ok(None) };
        self.with_segments(entry, most).map(Some)
    }

    /// The record of the entry that was read last, with as many of its segments as are wanted.
    pub(crate) fn with_segments(&mut self, entry: Entry, most: usize) -> Result<Record> {
        let mut segments = Segments::default();
        while let Some((_, segment)) =
            self.next_segment().inspect_err(|_error| self.ended = true)?
        {
            if segments.len() < most {
                segments.push(segment);
            }
        }
        Ok(Record { entry, segments, hash: self.hash.take() })
    }

    /// Decodes a record that stands alone, made by [`super::encode`].
    pub(crate) fn decode(&mut self, bytes: Vec<u8>) -> Result<Record> {
        let block = std::mem::replace(&mut self.block, bytes);
        let (at, previous) = (std::mem::take(&mut self.at), std::mem::take(&mut self.previous));
        let (file, hash) = (self.file.take(), self.hash.take());
        let found = self.entry().and_then(|entry| {
            self.open_file(&entry)?;
            self.with_segments(entry, usize::MAX)
        });
        (self.block, self.at, self.previous) = (block, at, previous);
        (self.file, self.hash) = (file, hash);
        found
    }

    fn next_entry(&mut self) -> Result<Option<Entry>> {
        if !self.has_more()? {
            return Ok(None);
        }
        let entry = self.entry()?;
        self.sequence
            .push(&entry.path)
            .map_err(|error| self.blocks.reader().damaged(error.of_found(&entry.path)))?;
        self.open_file(&entry)?;
        Ok(Some(entry))
    }

    /// Prepares to read the segments of this entry.
    fn open_file(&mut self, entry: &Entry) -> Result<()> {
        self.hash = None;
        let EntryKind::File { size, .. } = entry.kind else { return Ok(()) };
        let count = segment_count(size).ok_or_else(|| self.damaged("a file is too long"))?;
        if count == 0 {
            self.hash = Some(hash::file(&[]));
            return Ok(());
        }
        let (path, tree) = (entry.path.clone(), FileTree::default());
        self.file = Some(OpenFile { path, size, count, next: 0, tree });
        Ok(())
    }

    /// The next segment of the file that was begun, if it has another. After the last one, the file's hash is compared.
    fn next_segment(&mut self) -> Result<Option<(SegmentPosition, Segment)>> {
        let Some(mut file) = self.file.take() else { return Ok(None) };
        let position = SegmentPosition::of(file.next, file.size, file.count);
        let segment = self.segment(position.length)?;
        file.tree.push(&segment.hash);
        file.next += 1;
        if file.next < file.count {
            self.file = Some(file);
            return Ok(Some((position, segment)));
        }
        let hash = if file.count == 1 { segment.hash } else { self.digest()? };
        if file.tree.finish() != hash {
            let what = format!("the hash of {} is not that of its segments", file.path);
            return Err(self.blocks.reader().damaged(Damage(what)));
        }
        self.hash = Some(hash);
        Ok(Some((position, segment)))
    }

    fn entry(&mut self) -> Result<Entry> {
        let flags = self.byte()?;
        let shared: usize = self.number()?;
        let suffix = self.text()?;
        let mut path = std::mem::take(&mut self.previous.path);
        if shared > path.len() || shared + suffix.len() > MAX_TEXT_BYTES {
            return Err(self.damaged("a path is too long"));
        }
        path.truncate(shared);
        path.extend_from_slice(&suffix);
        self.previous.path.clone_from(&path);
        let path = self.path(path)?;
        let (mode, uid, gid) = (self.number()?, self.number()?, self.number()?);
        let mtime_ns = self.signed()?;
        let stamp = if flags & HAS_STAMP == 0 { None } else { Some(self.stamp(mtime_ns)?) };
        let xattrs = if flags & HAS_XATTRS == 0 { Vec::new() } else { self.xattrs()? };
        let kind = match flags & KIND_BITS {
            FILE => self.file(flags & HAS_EXTENTS != 0)?,
            DIRECTORY => EntryKind::Directory,
            SYMLINK => EntryKind::Symlink { target: self.text()? },
            _hard_link => {
                let to = self.text()?;
                EntryKind::HardLink { to: self.path(to)? }
            }
        };
        Ok(Entry { path, kind, mode, uid, gid, mtime_ns, xattrs, stamp })
    }

    fn stamp(&mut self, mtime_ns: i128) -> Result<Stamp> {
        let ctime_ns = self.signed()?.wrapping_add(mtime_ns);
        let (inode, device) = (self.number()?, self.number()?);
        Ok(Stamp { ctime_ns, inode, device, beside: self.number()? })
    }

    fn xattrs(&mut self) -> Result<Vec<Xattr>> {
        let count: usize = self.number()?;
        let (mut found, mut together) = (Vec::new(), 0_usize);
        for _ in 0..count {
            let (name, value) = (self.text()?, self.text()?);
            together = together.saturating_add(xattr_cost(&name, &value));
            if together > MAX_XATTRS_BYTES {
                return Err(self.damaged("an entry has too many extended attributes"));
            }
            found.push((name, value));
        }
        Ok(found)
    }

    fn file(&mut self, has_extents: bool) -> Result<EntryKind> {
        let size = self.number()?;
        if !has_extents {
            return Ok(EntryKind::File { size, extents: None });
        }
        let count: usize = self.number()?;
        if count > MAX_EXTENTS {
            return Err(self.damaged("a file has too many data ranges"));
        }
        // Whole at once, since a list that grows is there twice for a moment. Of a made-up count nothing is used.
        let mut extents = Vec::with_capacity(count);
        self.ranges(count, size, |offset, length| extents.push(Extent { offset, length }))?;
        sparse::check(&extents, size).map_err(|damage| self.damaged(&damage.0))?;
        Ok(EntryKind::File { size, extents: Some(extents) })
    }

    fn segment(&mut self, length: usize) -> Result<Segment> {
        let tag = self.byte()?;
        let hash = self.digest()?;
        let length = saturating_u32(length);
        let stored = match tag & STORED_BITS {
            HOLE => Stored::Hole,
            ROOT => {
                let root = self.root(tag, length)?;
                if root.segment_length() != length {
                    return Err(
                        self.damaged("a part of a file has another length than in the full backup")
                    );
                }
                Stored::Root(root)
            }
            DELTA => Stored::Delta(self.root(tag, length)?, self.patch(tag, length)?),
            WHOLE => Stored::Whole(self.patch(tag, length)?),
            _ => return Err(self.damaged("a part of a file is of an unknown kind")),
        };
        Ok(Segment { hash, stored })
    }

    fn root(&mut self, tag: u8, length: u32) -> Result<RootSlice> {
        let slice = if tag & ROOT_IS_NEXT == 0 {
            self.slice(self.previous.root)?
        } else {
            self.previous.next_root(length)
        };
        let map = if tag & HAS_MAP == 0 { None } else { Some(Box::new(self.map()?)) };
        self.previous.root = slice;
        Ok(RootSlice { slice, map })
    }

    fn patch(&mut self, tag: u8, length: u32) -> Result<PatchSlice> {
        let previous = self.previous.patch;
        let depth = if tag & SAME_ARCHIVE == 0 { self.number()? } else { previous.depth };
        let slice = self.slice(previous.slice)?;
        if depth == 0 || depth > self.blocks.reader().depth() || slice.length != length {
            return Err(self.damaged("a part of a file is stored where it cannot be"));
        }
        self.previous.patch = PatchSlice { depth, slice };
        Ok(self.previous.patch)
    }

    fn slice(&mut self, previous: FrameSlice) -> Result<FrameSlice> {
        let frame = self.signed()?.checked_add(i128::from(previous.frame));
        let frame = frame.and_then(|it| u32::try_from(it).ok());
        let frame = frame.ok_or_else(|| self.damaged("the number of a piece is too large"))?;
        Ok(FrameSlice { frame, offset: self.number()?, length: self.number()? })
    }

    fn map(&mut self) -> Result<DataMap> {
        let length: u32 = self.number()?;
        let count: u32 = self.number()?;
        if length > saturating_u32(SEGMENT_BYTES) || count > length.min(MAX_RANGES) {
            return Err(self.damaged("a part of a file is too long, or has too many data ranges"));
        }
        let mut ranges = Vec::new();
        self.ranges(to_usize(count), u64::from(length), |start, range| {
            ranges.push((saturating_u32(start), saturating_u32(range)));
        })?;
        ranges.shrink_to_fit();
        Ok(DataMap { length, ranges })
    }

    /// Gives start and length of each data range to `take`. Of these the last ends at `limit` at most.
    fn ranges(&mut self, count: usize, limit: u64, mut take: impl FnMut(u64, u64)) -> Result<()> {
        let mut end = 0_u64;
        for _ in 0..count {
            let gap: u64 = self.number()?;
            let (start, length) = (end.saturating_add(gap), self.number()?);
            take(start, length);
            end = start.saturating_add(length);
            // Checked for each, so that a made-up count cannot fill the memory.
            if end > limit || length == 0 {
                return Err(self.damaged("a data range is not within its file"));
            }
        }
        Ok(())
    }
}
