//! Reading the index, record after record, with one block of it in memory.

use std::ops::Deref;
use std::sync::Arc;

use super::blocks::IndexBlocks;
use super::code::{
    ALONE, Before, DELTA, DIRECTORY, FILE, HAS_EXTENTS, HAS_LAYOUT, HAS_STAMP, HAS_XATTRS, HOLE,
    KIND_BITS, ROOT, ROOT_IS_NEXT, SAME_HOLDER, STORED_BITS, SYMLINK, next_root, unzigzag,
};
use super::{
    LONGEST_TEXT, LONGEST_XATTRS, Layout, MOST_EXTENTS, PatchPlace, Place, Record, RootPlace,
    Segment, Stored, segment_count, segment_length, xattr_cost,
};
use crate::archive::error::{ArchiveError, Flaw};
use crate::archive::hash;
use crate::archive::order::Sequence;
use crate::archive::reader::Reader;
use crate::archive::sparse;
use crate::domain::{Entry, EntryKind, EntryPath, Extent, SEGMENT_BYTES, Stamp};

/// The entries of an archive, in its order; no path comes twice. In an archive in no order, 9 to 18 bytes
/// are held for each entry read. After an error there are no more.
#[derive(Debug)]
pub struct Entries<R> {
    blocks: IndexBlocks<R>,
    block: Vec<u8>,
    at: usize,
    before: Before,
    sequence: Sequence,
    /// The longest chain position a patch may name.
    depth: u16,
    ended: bool,
}

/// Name and value of an extended attribute.
type Xattr = (Vec<u8>, Vec<u8>);

/// A number that does not fit, or text that does not end: nothing we wrote.
fn flaw(what: &str) -> Flaw {
    Flaw(format!("its index is not what was written: {what}"))
}

impl<R: Deref<Target = Reader>> Iterator for Entries<R> {
    type Item = Result<Record, ArchiveError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let found = self.record();
        self.ended = !matches!(found, Ok(Some(_)));
        found.transpose()
    }
}

impl<R: Deref<Target = Reader>> Entries<R> {
    /// The entries of this archive; an incremental's index is read together with that of its `root`.
    pub(in crate::archive) fn new(
        reader: R,
        root: Option<&Arc<Reader>>,
    ) -> Result<Self, ArchiveError> {
        let (depth, sequence) = (reader.depth(), Sequence::new(reader.order()));
        Ok(Self {
            blocks: IndexBlocks::new(reader, root)?,
            block: Vec::new(),
            at: 0,
            before: Before::default(),
            sequence,
            depth,
            ended: false,
        })
    }

    fn broken(&self, what: &str) -> ArchiveError {
        self.blocks.reader().damaged(flaw(what))
    }

    /// Whether there is another byte; gets the next block if need be.
    fn more(&mut self) -> Result<bool, ArchiveError> {
        while self.at >= self.block.len() {
            self.at = 0;
            if !self.blocks.next(&mut self.block)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn byte(&mut self) -> Result<u8, ArchiveError> {
        let found = if self.more()? { self.block.get(self.at).copied() } else { None };
        self.at += 1;
        found.ok_or_else(|| self.broken("it ends within a record"))
    }

    fn number<T: TryFrom<u128>>(&mut self) -> Result<T, ArchiveError> {
        let mut number = 0_u128;
        for shift in (0..128).step_by(7) {
            let byte = self.byte()?;
            let bits = u128::from(byte & 0x7F);
            number |= bits << shift;
            if byte & 0x80 == 0 {
                let lost = shift == 126 && bits > 3;
                let fits = if lost { None } else { T::try_from(number).ok() };
                return fits.ok_or_else(|| self.broken("a number is too large"));
            }
        }
        Err(self.broken("a number does not end"))
    }

    fn signed(&mut self) -> Result<i128, ArchiveError> {
        self.number::<u128>().map(unzigzag)
    }

    /// The next `length` bytes; memory is taken only as they are found.
    fn take(&mut self, length: usize, out: &mut Vec<u8>) -> Result<(), ArchiveError> {
        let mut missing = length;
        while missing > 0 {
            if !self.more()? {
                return Err(self.broken("it ends within a record"));
            }
            let rest = self.block.get(self.at..).unwrap_or(&[]);
            let now = rest.get(..missing).unwrap_or(rest);
            out.extend_from_slice(now);
            self.at += now.len();
            missing -= now.len();
        }
        Ok(())
    }

    fn text(&mut self) -> Result<Vec<u8>, ArchiveError> {
        let length = self.number()?;
        if length > LONGEST_TEXT {
            return Err(self.broken("a text is too long"));
        }
        let mut text = Vec::new();
        self.take(length, &mut text)?;
        Ok(text)
    }

    fn digest(&mut self) -> Result<hash::Digest, ArchiveError> {
        let mut bytes = Vec::with_capacity(32);
        self.take(32, &mut bytes)?;
        bytes.try_into().map_err(|_short| self.broken("a hash is cut short"))
    }

    fn path(&mut self, bytes: Vec<u8>) -> Result<EntryPath, ArchiveError> {
        EntryPath::new(bytes).map_err(|bad| self.broken(&bad.to_string()))
    }

    fn record(&mut self) -> Result<Option<Record>, ArchiveError> {
        if !self.more()? {
            return Ok(None);
        }
        let entry = self.entry()?;
        self.sequence
            .admit(&entry.path)
            .map_err(|unfit| self.blocks.reader().damaged(unfit.found(&entry.path)))?;
        self.content(entry).map(Some)
    }

    /// A record of this archive's that [`super::encode`] made bytes of.
    pub(in crate::archive) fn decode(&mut self, bytes: Vec<u8>) -> Result<Record, ArchiveError> {
        let block = std::mem::replace(&mut self.block, bytes);
        let (at, before) = (std::mem::take(&mut self.at), std::mem::take(&mut self.before));
        let found = self.entry().and_then(|entry| self.content(entry));
        (self.block, self.at, self.before) = (block, at, before);
        found
    }

    /// The rest of a record.
    fn content(&mut self, entry: Entry) -> Result<Record, ArchiveError> {
        let EntryKind::File { size, .. } = entry.kind else {
            return Ok(Record { entry, segments: Vec::new(), hash: None });
        };
        let count = segment_count(size).ok_or_else(|| self.broken("a file is too long"))?;
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

    fn entry(&mut self) -> Result<Entry, ArchiveError> {
        let flags = self.byte()?;
        let shared: usize = self.number()?;
        let suffix = self.text()?;
        let mut path = std::mem::take(&mut self.before.path);
        if shared > path.len() || shared + suffix.len() > LONGEST_TEXT {
            return Err(self.broken("a path is too long"));
        }
        path.truncate(shared);
        path.extend_from_slice(&suffix);
        self.before.path.clone_from(&path);
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

    fn stamp(&mut self, mtime_ns: i128) -> Result<Stamp, ArchiveError> {
        let ctime_ns = self.signed()?.wrapping_add(mtime_ns);
        let (inode, device) = (self.number()?, self.number()?);
        Ok(Stamp { ctime_ns, inode, device, beside: self.number()? })
    }

    fn xattrs(&mut self) -> Result<Vec<Xattr>, ArchiveError> {
        let count: usize = self.number()?;
        let (mut found, mut together) = (Vec::new(), 0_usize);
        for _ in 0..count {
            let (name, value) = (self.text()?, self.text()?);
            together = together.saturating_add(xattr_cost(&name, &value));
            if together > LONGEST_XATTRS {
                return Err(self.broken("an entry has too many extended attributes"));
            }
            found.push((name, value));
        }
        Ok(found)
    }

    fn file(&mut self, sparse: bool) -> Result<EntryKind, ArchiveError> {
        let size = self.number()?;
        if !sparse {
            return Ok(EntryKind::File { size, extents: None });
        }
        let count: usize = self.number()?;
        if count > MOST_EXTENTS {
            return Err(self.broken("a file has too many data ranges"));
        }
        let (mut extents, mut end) = (Vec::new(), 0_u64);
        for _ in 0..count {
            let gap: u64 = self.number()?;
            let (offset, length) = (end.saturating_add(gap), self.number()?);
            extents.push(Extent { offset, length });
            end = offset.saturating_add(length);
            // Checked here, so that a made-up count is noticed before memory is full of it.
            if end > size || length == 0 {
                return Err(self.broken("a data range is not within its file"));
            }
        }
        sparse::check(&extents, size).map_err(|bad| self.broken(&bad.0))?;
        Ok(EntryKind::File { size, extents: Some(extents) })
    }

    fn segment(&mut self, length: usize) -> Result<Segment, ArchiveError> {
        let tag = self.byte()?;
        let hash = self.digest()?;
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        let stored = match tag & STORED_BITS {
            HOLE => Stored::Hole,
            ROOT => {
                let root = self.root(tag, length)?;
                if root.length() != length {
                    return Err(self.broken("a segment is of another length than in the root"));
                }
                Stored::Root(root)
            }
            DELTA => Stored::Delta(self.root(tag, length)?, self.patch(tag, length)?),
            ALONE => Stored::Alone(self.patch(tag, length)?),
            _ => return Err(self.broken("a segment is of an unknown kind")),
        };
        Ok(Segment { hash, stored })
    }

    fn root(&mut self, tag: u8, length: u32) -> Result<RootPlace, ArchiveError> {
        let before = self.before.root;
        let place =
            if tag & ROOT_IS_NEXT == 0 { self.place(before)? } else { next_root(before, length) };
        let layout = if tag & HAS_LAYOUT == 0 { None } else { Some(Box::new(self.layout()?)) };
        self.before.root = place;
        Ok(RootPlace { place, layout })
    }

    fn patch(&mut self, tag: u8, length: u32) -> Result<PatchPlace, ArchiveError> {
        let before = self.before.patch;
        let holder = if tag & SAME_HOLDER == 0 { self.number()? } else { before.holder };
        let place = self.place(before.place)?;
        if holder == 0 || holder > self.depth || place.length != length {
            return Err(self.broken("a segment lies where it cannot"));
        }
        self.before.patch = PatchPlace { holder, place };
        Ok(self.before.patch)
    }

    fn place(&mut self, before: Place) -> Result<Place, ArchiveError> {
        let frame = self.signed()?.checked_add(i128::from(before.frame));
        let frame = frame.and_then(|it| u32::try_from(it).ok());
        let frame = frame.ok_or_else(|| self.broken("a frame number is too large"))?;
        Ok(Place { frame, offset: self.number()?, length: self.number()? })
    }

    fn layout(&mut self) -> Result<Layout, ArchiveError> {
        let length: u32 = self.number()?;
        let count: u32 = self.number()?;
        let longest = u32::try_from(SEGMENT_BYTES).unwrap_or(u32::MAX);
        if length > longest || count > length {
            return Err(self.broken("a segment is too long"));
        }
        let (mut ranges, mut end) = (Vec::new(), 0_u32);
        for _ in 0..count {
            let gap: u32 = self.number()?;
            let (start, long) = (end.saturating_add(gap), self.number()?);
            ranges.push((start, long));
            end = start.saturating_add(long);
            if end > length || long == 0 {
                return Err(self.broken("a data range is not within its segment"));
            }
        }
        Ok(Layout { length, ranges })
    }
}
