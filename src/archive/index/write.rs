//! Writing the index: records are coded, cut into blocks and compressed as they come.

use super::blocks::{Prefixes, RootIndex};
use super::code::{
    ALONE, Before, DELTA, DIRECTORY, FILE, HARD_LINK, HAS_EXTENTS, HAS_LAYOUT, HAS_STAMP,
    HAS_XATTRS, HOLE, ROOT, ROOT_IS_NEXT, SAME_HOLDER, SYMLINK, next_root, put, zigzag,
};
use super::{
    BLOCK_BYTES, LONGEST_TEXT, LONGEST_XATTRS, Layout, MOST_EXTENTS, PatchPlace, Place, Record,
    RootPlace, Segment, Stored, segment_length, xattr_cost,
};
use crate::archive::bytes::wide;
use crate::archive::error::ArchiveError;
use crate::archive::frame::{Compressor, INDEX_MAGIC, push_skippable};
use crate::archive::hash::Digest;
use crate::domain::{Entry, EntryKind, Extent};

/// Whether every name and value of this entry fits a record.
pub(in crate::archive) fn check_fits(entry: &Entry) -> Result<(), ArchiveError> {
    let target = match &entry.kind {
        EntryKind::Symlink { target } => target.len(),
        EntryKind::HardLink { to } => to.as_bytes().len(),
        EntryKind::File { .. } | EntryKind::Directory => 0,
    };
    let xattrs = entry.xattrs.iter().map(|(name, value)| name.len().max(value.len())).max();
    let longest = entry.path.as_bytes().len().max(target).max(xattrs.unwrap_or(0));
    let together: usize = entry.xattrs.iter().map(|(name, value)| xattr_cost(name, value)).sum();
    let ranges = match &entry.kind {
        EntryKind::File { extents: Some(extents), .. } => extents.len(),
        _ => 0,
    };
    let what = if longest > LONGEST_TEXT || together > LONGEST_XATTRS {
        "its name or its extended attributes are too long"
    } else if ranges > MOST_EXTENTS {
        "it has more than two million data ranges"
    } else {
        return Ok(());
    };
    Err(ArchiveError::TooLarge(format!("{}: {what}", entry.path)))
}

/// Makes an index.
#[derive(Debug)]
pub(in crate::archive) struct IndexWriter {
    compressor: Compressor,
    before: Before,
    block: Vec<u8>,
    frames: Vec<Vec<u8>>,
    hasher: blake3::Hasher,
    raw_bytes: u64,
    /// Of an incremental.
    prefixes: Option<Prefixes>,
}

/// A finished index.
#[derive(Debug)]
pub(in crate::archive) struct FinishedIndex {
    /// Its frames, whole.
    pub(in crate::archive) frames: Vec<Vec<u8>>,
    /// Its length, decompressed.
    pub(in crate::archive) raw_bytes: u64,
    /// BLAKE3 of its frames, as they are stored.
    pub(in crate::archive) hash: Digest,
}

impl IndexWriter {
    /// An empty index; an incremental's after its root's.
    pub(in crate::archive) fn new(level: i32, root: Option<RootIndex>) -> Self {
        Self {
            compressor: Compressor::new(level),
            before: Before::default(),
            block: Vec::new(),
            frames: Vec::new(),
            hasher: blake3::Hasher::new(),
            raw_bytes: 0,
            prefixes: root.map(Prefixes::of),
        }
    }

    /// Adds the next record.
    pub(in crate::archive) fn push(&mut self, record: &Record) -> Result<(), ArchiveError> {
        put_record(&mut self.block, record, &mut self.before);
        while self.block.len() >= BLOCK_BYTES {
            self.cut(BLOCK_BYTES)?;
        }
        Ok(())
    }

    fn cut(&mut self, length: usize) -> Result<(), ArchiveError> {
        let rest = self.block.split_off(length);
        self.raw_bytes = self.raw_bytes.saturating_add(wide(self.block.len()));
        let mut whole = Vec::new();
        push_skippable(&mut whole, INDEX_MAGIC, |out| {
            let Some(prefixes) = self.prefixes.as_mut() else {
                return self.compressor.frame(&self.block, out);
            };
            let (start, prefix) = prefixes.next(&self.block)?;
            out.extend_from_slice(&start.to_le_bytes());
            self.compressor.frame_after(prefix, &self.block, out)
        })?;
        whole.shrink_to_fit();
        self.hasher.update(&whole);
        self.frames.push(whole);
        self.block = rest;
        Ok(())
    }

    /// Adds bytes that need not be records: an index with sound hashes and unsound content.
    #[cfg(test)]
    pub(in crate::archive) fn push_bytes(&mut self, bytes: &[u8]) {
        self.block.extend_from_slice(bytes);
    }

    /// The whole index.
    pub(in crate::archive) fn finish(&mut self) -> Result<FinishedIndex, ArchiveError> {
        if !self.block.is_empty() {
            self.cut(self.block.len())?;
        }
        let hash = *self.hasher.finalize().as_bytes();
        let frames = std::mem::take(&mut self.frames);
        Ok(FinishedIndex { frames, raw_bytes: self.raw_bytes, hash })
    }
}

/// A record on its own, as [`super::Entries::decode`] reads it.
pub(in crate::archive) fn encode(record: &Record) -> Vec<u8> {
    let mut out = Vec::new();
    put_record(&mut out, record, &mut Before::default());
    out
}

fn put_record(out: &mut Vec<u8>, record: &Record, before: &mut Before) {
    put_entry(out, &record.entry, before);
    if let EntryKind::File { size, .. } = record.entry.kind {
        for (number, segment) in record.segments.iter().enumerate() {
            put_segment(out, segment, segment_length(size, number), before);
        }
        if record.segments.len() > 1 {
            out.extend_from_slice(&record.hash.unwrap_or_default());
        }
    }
}

fn put_len(out: &mut Vec<u8>, length: usize) {
    put(out, u128::from(wide(length)));
}

fn put_text(out: &mut Vec<u8>, text: &[u8]) {
    put_len(out, text.len());
    out.extend_from_slice(text);
}

fn put_entry(out: &mut Vec<u8>, entry: &Entry, before: &mut Before) {
    let kind = match &entry.kind {
        EntryKind::File { extents: None, .. } => FILE,
        EntryKind::File { extents: Some(_), .. } => FILE | HAS_EXTENTS,
        EntryKind::Directory => DIRECTORY,
        EntryKind::Symlink { .. } => SYMLINK,
        EntryKind::HardLink { .. } => HARD_LINK,
    };
    let stamp = if entry.stamp.is_some() { HAS_STAMP } else { 0 };
    let xattrs = if entry.xattrs.is_empty() { 0 } else { HAS_XATTRS };
    out.push(kind | stamp | xattrs);
    let path = entry.path.as_bytes();
    let shared = path.iter().zip(&before.path).take_while(|(new, old)| new == old).count();
    put_len(out, shared);
    put_text(out, path.get(shared..).unwrap_or(&[]));
    before.path.clear();
    before.path.extend_from_slice(path);
    for number in [entry.mode, entry.uid, entry.gid] {
        put(out, u128::from(number));
    }
    put(out, zigzag(entry.mtime_ns));
    if let Some(stamp) = entry.stamp {
        put(out, zigzag(stamp.ctime_ns.wrapping_sub(entry.mtime_ns)));
        put(out, u128::from(stamp.inode));
        put(out, u128::from(stamp.device));
        put(out, u128::from(stamp.beside));
    }
    if !entry.xattrs.is_empty() {
        put_len(out, entry.xattrs.len());
        for (name, value) in &entry.xattrs {
            put_text(out, name);
            put_text(out, value);
        }
    }
    match &entry.kind {
        EntryKind::File { size, extents } => {
            put(out, u128::from(*size));
            if let Some(extents) = extents {
                put_extents(out, extents);
            }
        }
        EntryKind::Symlink { target } => put_text(out, target),
        EntryKind::HardLink { to } => put_text(out, to.as_bytes()),
        EntryKind::Directory => {}
    }
}

fn put_extents(out: &mut Vec<u8>, extents: &[Extent]) {
    put_len(out, extents.len());
    let mut end = 0;
    for extent in extents {
        put(out, u128::from(extent.offset.saturating_sub(end)));
        put(out, u128::from(extent.length));
        end = extent.offset.saturating_add(extent.length);
    }
}

fn put_segment(out: &mut Vec<u8>, segment: &Segment, length: usize, before: &mut Before) {
    let (kind, root, patch) = match &segment.stored {
        Stored::Hole => (HOLE, None, None),
        Stored::Root(root) => (ROOT, Some(root), None),
        Stored::Delta(root, patch) => (DELTA, Some(root), Some(patch)),
        Stored::Alone(patch) => (ALONE, None, Some(patch)),
    };
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    let is_next = root.is_some_and(|it| it.place == next_root(before.root, length));
    let layout = root.and_then(|it| it.layout.as_deref());
    let same_holder = patch.is_some_and(|it| it.holder == before.patch.holder);
    let flag = |set: bool, bit: u8| if set { bit } else { 0 };
    out.push(
        kind | flag(is_next, ROOT_IS_NEXT)
            | flag(layout.is_some(), HAS_LAYOUT)
            | flag(same_holder, SAME_HOLDER),
    );
    out.extend_from_slice(&segment.hash);
    if let Some(root) = root {
        put_root(out, root, is_next, before);
    }
    if let Some(patch) = patch {
        put_patch(out, patch, same_holder, before);
    }
}

fn put_root(out: &mut Vec<u8>, root: &RootPlace, is_next: bool, before: &mut Before) {
    if !is_next {
        put_place(out, root.place, before.root);
    }
    if let Some(layout) = root.layout.as_deref() {
        put_layout(out, layout);
    }
    before.root = root.place;
}

fn put_patch(out: &mut Vec<u8>, patch: &PatchPlace, same_holder: bool, before: &mut Before) {
    if !same_holder {
        put(out, u128::from(patch.holder));
    }
    put_place(out, patch.place, before.patch.place);
    before.patch = *patch;
}

fn put_place(out: &mut Vec<u8>, place: Place, before: Place) {
    put(out, zigzag(i128::from(place.frame) - i128::from(before.frame)));
    put(out, u128::from(place.offset));
    put(out, u128::from(place.length));
}

fn put_layout(out: &mut Vec<u8>, layout: &Layout) {
    put(out, u128::from(layout.length));
    put_len(out, layout.ranges.len());
    let mut end = 0;
    for (start, length) in &layout.ranges {
        put(out, u128::from(start.saturating_sub(end)));
        put(out, u128::from(*length));
        end = start.saturating_add(*length);
    }
}
