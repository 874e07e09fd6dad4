//! Records as bytes.

use super::code::{
    DELTA, DIRECTORY, FILE, HARD_LINK, HAS_EXTENTS, HAS_MAP, HAS_STAMP, HAS_XATTRS, HOLE, Previous,
    ROOT, ROOT_IS_NEXT, SAME_ARCHIVE, SYMLINK, WHOLE, put, zigzag,
};
use super::record::Record;
use super::segment::{
    FrameSlice, MAX_EXTENTS, MAX_TEXT_BYTES, MAX_XATTRS_BYTES, PatchSlice, RootSlice, Segment,
    Stored, segment_length, xattr_cost,
};
use crate::archive::error::{ArchiveError, Result};
use crate::domain::num::{saturating_u32, to_u64};
use crate::domain::{Entry, EntryKind};

/// Checks that a record can hold this entry.
pub(crate) fn check_fits(entry: &Entry) -> Result<()> {
    let (target, extents) = match &entry.kind {
        EntryKind::Symlink { target } => (target.len(), 0),
        EntryKind::HardLink { to } => (to.as_bytes().len(), 0),
        EntryKind::File { extents: Some(extents), .. } => (0, extents.len()),
        EntryKind::File { .. } | EntryKind::Directory => (0, 0),
    };
    let xattrs = entry.xattrs.iter().map(|(name, value)| name.len().max(value.len())).max();
    let longest = entry.path.as_bytes().len().max(target).max(xattrs.unwrap_or(0));
    let together: usize = entry.xattrs.iter().map(|(name, value)| xattr_cost(name, value)).sum();
    let what = if longest > MAX_TEXT_BYTES || together > MAX_XATTRS_BYTES {
        "its name or its extended attributes are too long"
    } else if extents > MAX_EXTENTS {
        "it has more than two million data ranges"
    } else {
        return Ok(());
    };
    Err(ArchiveError::TooLarge(format!("{}: {what}", entry.path)))
}

/// A record that stands alone, for [`super::Entries::decode`].
pub(crate) fn encode(record: &Record) -> Vec<u8> {
    let mut out = Vec::new();
    put_record(&mut out, record, &mut Previous::default());
    out
}

fn put_record(out: &mut Vec<u8>, record: &Record, previous: &mut Previous) {
    put_entry(out, &record.entry, previous);
    for (number, segment) in record.segments.iter().enumerate() {
        put_segment(out, segment, segment_length(record.size(), number), previous);
    }
    if record.segments.len() > 1 {
        out.extend_from_slice(&record.hash.unwrap_or_default());
    }
}

fn put_length(out: &mut Vec<u8>, length: usize) {
    put(out, to_u64(length));
}

fn put_text(out: &mut Vec<u8>, text: &[u8]) {
    put_length(out, text.len());
    out.extend_from_slice(text);
}

pub(super) fn put_entry(out: &mut Vec<u8>, entry: &Entry, previous: &mut Previous) {
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
    let shared = path.iter().zip(&previous.path).take_while(|(new, old)| new == old).count();
    put_length(out, shared);
    put_text(out, path.get(shared..).unwrap_or(&[]));
    previous.path.clear();
    previous.path.extend_from_slice(path);
    for number in [entry.mode, entry.uid, entry.gid] {
        put(out, number);
    }
    put(out, zigzag(entry.mtime_ns));
    if let Some(stamp) = entry.stamp {
        put(out, zigzag(stamp.ctime_ns.wrapping_sub(entry.mtime_ns)));
        put(out, stamp.inode);
        put(out, stamp.device);
        put(out, stamp.beside);
    }
    if !entry.xattrs.is_empty() {
        put_length(out, entry.xattrs.len());
        for (name, value) in &entry.xattrs {
            put_text(out, name);
            put_text(out, value);
        }
    }
    match &entry.kind {
        EntryKind::File { size, extents } => {
            put(out, *size);
            if let Some(extents) = extents {
                put_ranges(out, extents.iter().map(|it| (it.offset, it.length)));
            }
        }
        EntryKind::Symlink { target } => put_text(out, target),
        EntryKind::HardLink { to } => put_text(out, to.as_bytes()),
        EntryKind::Directory => {}
    }
}

/// The gap in front of each range, and its length.
fn put_ranges(out: &mut Vec<u8>, ranges: impl ExactSizeIterator<Item = (u64, u64)>) {
    put_length(out, ranges.len());
    let mut end = 0;
    for (start, length) in ranges {
        put(out, start.saturating_sub(end));
        put(out, length);
        end = start.saturating_add(length);
    }
}

pub(super) fn put_segment(
    out: &mut Vec<u8>,
    segment: &Segment,
    length: usize,
    previous: &mut Previous,
) {
    let (kind, root, patch) = match &segment.stored {
        Stored::Hole => (HOLE, None, None),
        Stored::Root(root) => (ROOT, Some(root), None),
        Stored::Delta(root, patch) => (DELTA, Some(root), Some(patch)),
        Stored::Whole(patch) => (WHOLE, None, Some(patch)),
    };
    let next_root = previous.next_root(saturating_u32(length));
    let is_next = root.is_some_and(|it| it.slice == next_root);
    let has_map = root.is_some_and(|it| it.map.is_some());
    let same_archive = patch.is_some_and(|it| it.depth == previous.patch.depth);
    let flag = |set: bool, bit: u8| if set { bit } else { 0 };
    out.push(
        kind | flag(is_next, ROOT_IS_NEXT)
            | flag(has_map, HAS_MAP)
            | flag(same_archive, SAME_ARCHIVE),
    );
    out.extend_from_slice(&segment.hash);
    if let Some(root) = root {
        put_root(out, root, is_next, previous);
    }
    if let Some(patch) = patch {
        put_patch(out, patch, same_archive, previous);
    }
}

fn put_root(out: &mut Vec<u8>, root: &RootSlice, is_next: bool, previous: &mut Previous) {
    if !is_next {
        put_slice(out, root.slice, previous.root);
    }
    if let Some(map) = root.map.as_deref() {
        put(out, map.length);
        let ranges = map.ranges.iter();
        put_ranges(out, ranges.map(|(start, length)| (u64::from(*start), u64::from(*length))));
    }
    previous.root = root.slice;
}

fn put_patch(out: &mut Vec<u8>, patch: &PatchSlice, same_archive: bool, previous: &mut Previous) {
    if !same_archive {
        put(out, patch.depth);
    }
    put_slice(out, patch.slice, previous.patch.slice);
    previous.patch = *patch;
}

fn put_slice(out: &mut Vec<u8>, slice: FrameSlice, previous: FrameSlice) {
    put(out, zigzag(i128::from(slice.frame) - i128::from(previous.frame)));
    put(out, slice.offset);
    put(out, slice.length);
}
