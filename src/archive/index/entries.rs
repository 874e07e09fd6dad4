//! Reading the index record by record, with one block of it in memory.

use std::sync::Arc;

use super::block_reader::BlockReader;
use super::code::{
    DELTA, DIRECTORY, FILE, HAS_EXTENTS, HAS_MAP, HAS_STAMP, HAS_XATTRS, HOLE, KIND_BITS, Previous,
    ROOT, ROOT_IS_NEXT, SAME_ARCHIVE, STORED_BITS, SYMLINK, WHOLE, unzigzag,
};
use super::record::{
    DataMap, FrameSlice, MAX_EXTENTS, MAX_TEXT_BYTES, MAX_XATTRS_BYTES, PatchSlice, Record,
    RootSlice, Segment, Stored, segment_count, segment_length, xattr_cost,
};
use crate::archive::error::{ArchiveError, Damage, Result};
use crate::archive::hash::{self, Digest};
use crate::archive::order::PathSequence;
use crate::archive::read::Reader;
use crate::archive::sparse;
use crate::domain::num::{saturating_u32, to_usize};
use crate::domain::{Entry, EntryKind, EntryPath, Extent, SEGMENT_BYTES, Stamp};

type Xattr = (Vec<u8>, Vec<u8>);

/// The entries of an archive, in its order; no path comes twice. Of an unordered archive 9 to 18 bytes are kept
/// for each entry read. After an error there are no more.
#[derive(Debug)]
pub struct Entries {
    blocks: BlockReader,
    block: Vec<u8>,
    /// What is next in the block.
    at: usize,
    previous: Previous,
    sequence: PathSequence,
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
            ended: false,
        })
    }
}

impl Iterator for Entries {
    type Item = Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let found = self.record();
        self.ended = !matches!(found, Ok(Some(_)));
        found.transpose()
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
        let mut bytes = Vec::with_capacity(32);
        self.take(32, &mut bytes)?;
        bytes.try_into().map_err(|_wrong_length| self.damaged("a hash is cut short"))
    }

    fn path(&mut self, bytes: Vec<u8>) -> Result<EntryPath> {
        EntryPath::new(bytes).map_err(|bad| self.damaged(&bad.to_string()))
    }

    fn record(&mut self) -> Result<Option<Record>> {
        if !self.has_more()? {
            return Ok(None);
        }
        let entry = self.entry()?;
        self.sequence
            .push(&entry.path)
            .map_err(|error| self.blocks.reader().damaged(error.of_found(&entry.path)))?;
        self.with_segments(entry).map(Some)
    }

    /// Decodes a record that stands alone, made by [`super::encode`].
    pub(crate) fn decode(&mut self, bytes: Vec<u8>) -> Result<Record> {
        let block = std::mem::replace(&mut self.block, bytes);
        let (at, previous) = (std::mem::take(&mut self.at), std::mem::take(&mut self.previous));
        let found = self.entry().and_then(|entry| self.with_segments(entry));
        (self.block, self.at, self.previous) = (block, at, previous);
        found
    }

    /// Reads the rest of this entry's record.
    fn with_segments(&mut self, entry: Entry) -> Result<Record> {
        let EntryKind::File { size, .. } = entry.kind else {
            return Ok(Record { entry, segments: Vec::new(), hash: None });
        };
        let count = segment_count(size).ok_or_else(|| self.damaged("a file is too long"))?;
        let mut segments = Vec::new();
        for number in 0..count {
            segments.push(self.segment(segment_length(size, number))?);
        }
        let hash = match segments.as_slice() {
            [] => hash::file(&[]),
            [only] => only.hash,
            _ => self.digest()?,
        };
        Ok(Record { entry, segments, hash: Some(hash) })
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
        let ranges = self.ranges(count, size)?.into_iter();
        let extents: Vec<_> = ranges.map(|(offset, length)| Extent { offset, length }).collect();
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
                    return Err(self.damaged("a segment has another length than in the root"));
                }
                Stored::Root(root)
            }
            DELTA => Stored::Delta(self.root(tag, length)?, self.patch(tag, length)?),
            WHOLE => Stored::Whole(self.patch(tag, length)?),
            _ => return Err(self.damaged("a segment is of an unknown kind")),
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
            return Err(self.damaged("a segment is stored where it cannot be"));
        }
        self.previous.patch = PatchSlice { depth, slice };
        Ok(self.previous.patch)
    }

    fn slice(&mut self, previous: FrameSlice) -> Result<FrameSlice> {
        let frame = self.signed()?.checked_add(i128::from(previous.frame));
        let frame = frame.and_then(|it| u32::try_from(it).ok());
        let frame = frame.ok_or_else(|| self.damaged("a frame number is too large"))?;
        Ok(FrameSlice { frame, offset: self.number()?, length: self.number()? })
    }

    fn map(&mut self) -> Result<DataMap> {
        let length: u32 = self.number()?;
        let count: u32 = self.number()?;
        if length > saturating_u32(SEGMENT_BYTES) || count > length {
            return Err(self.damaged("a segment is too long"));
        }
        let ranges = self.ranges(to_usize(count), u64::from(length))?.into_iter();
        let ranges = ranges.map(|(start, range)| (saturating_u32(start), saturating_u32(range)));
        Ok(DataMap { length, ranges: ranges.collect() })
    }

    /// Start and length of data ranges, of which the last ends at `limit` at most.
    fn ranges(&mut self, count: usize, limit: u64) -> Result<Vec<(u64, u64)>> {
        let (mut ranges, mut end) = (Vec::new(), 0_u64);
        for _ in 0..count {
            let gap: u64 = self.number()?;
            let (start, length) = (end.saturating_add(gap), self.number()?);
            ranges.push((start, length));
            end = start.saturating_add(length);
            // Checked for each, so that a made-up count cannot fill the memory.
            if end > limit || length == 0 {
                return Err(self.damaged("a data range is not within its file or segment"));
            }
        }
        Ok(ranges)
    }
}
