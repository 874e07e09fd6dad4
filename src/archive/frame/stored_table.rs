//! The seek table of an archive that is read. It stays in the file: whatever it says, a few hundred KiB of it are in
//! memory, and not the 16 bytes for each of millions of frames.

use parking_lot::Mutex;

use super::seek_table::{ENTRY_BYTES, FOOTER_BYTES, Frame};
use super::skippable::{SEEK_MAGIC, SKIPPABLE_HEADER, le32, skippable_header};
use crate::archive::error::{Damage, Result};
use crate::archive::hash::Digest;
use crate::domain::num::{saturating_u32, saturating_usize, to_u64, to_usize};

/// Frames whose entries are read together. Where the first of each group is in the archive is kept.
const GROUP: u32 = 256;
/// The shortest frame: a skippable one without content.
const SHORTEST_FRAME: u32 = 8;

/// Reads the bytes of the archive from an offset on.
pub(crate) trait ReadBytes: Fn(&mut [u8], u64) -> Result<()> {}
impl<F: Fn(&mut [u8], u64) -> Result<()>> ReadBytes for F {}

/// The frames of an archive, in order.
#[derive(Debug)]
pub(crate) struct StoredTable {
    /// Where its entries begin in the file.
    entries_at: u64,
    count: u32,
    /// Where the first frame of each group begins.
    starts: Vec<u64>,
    /// Where the last frame ends.
    end: u64,
    /// The group that was used last.
    last: Mutex<Option<(u32, Vec<Frame>)>>,
}

impl StoredTable {
    /// Reads the frame of the table, which begins at `at` and is so long; also returns the hash of that frame.
    pub(crate) fn read(read: impl ReadBytes, at: u64, bytes: u64) -> Result<(Self, Digest)> {
        let damage = |what: &str| Damage::new(what).in_backup(None);
        let content = saturating_usize(bytes).saturating_sub(SKIPPABLE_HEADER);
        let entries = content.saturating_sub(FOOTER_BYTES);
        let mut piece = vec![0; to_usize(GROUP) * ENTRY_BYTES];
        let (mut hasher, mut place) = (blake3::Hasher::new(), at);
        let mut next = |piece: &mut [u8]| -> Result<()> {
            read(piece, place)?;
            place = place.saturating_add(to_u64(piece.len()));
            hasher.update(piece);
            Ok(())
        };
        let mut header = [0; SKIPPABLE_HEADER];
        next(&mut header)?;
        if header != skippable_header(SEEK_MAGIC, content) {
            return Err(damage("its list of pieces does not begin as one"));
        }
        let (mut starts, mut end, mut left) = (Vec::new(), 0_u64, entries);
        while left > 0 {
            let length = piece.len().min(left);
            let group = piece.get_mut(..length).unwrap_or_default();
            next(group)?;
            starts.push(end);
            for entry in group.chunks_exact(ENTRY_BYTES) {
                let stored = le32(entry, 0).filter(|it| *it >= SHORTEST_FRAME);
                let stored = stored.ok_or_else(|| damage("its list of pieces has an empty one"))?;
                end = end.saturating_add(stored.into());
            }
            left -= length;
        }
        let mut footer = [0; FOOTER_BYTES];
        next(&mut footer)?;
        let entries_at = at.saturating_add(to_u64(SKIPPABLE_HEADER));
        let count = saturating_u32(entries / ENTRY_BYTES);
        let hash = *hasher.finalize().as_bytes();
        Ok((Self { entries_at, count, starts, end, last: Mutex::default() }, hash))
    }

    pub(crate) const fn count(&self) -> u32 {
        self.count
    }

    pub(crate) const fn end(&self) -> u64 {
        self.end
    }

    /// The frame with this number; `None`: there is none.
    pub(crate) fn get(&self, number: u32, read: impl ReadBytes) -> Result<Option<Frame>> {
        let group = number / GROUP;
        let Some(start) = self.starts.get(to_usize(group)) else { return Ok(None) };
        let mut last = self.last.lock();
        let known = last.take_if(|(known, _frames)| *known == group).map(|(_, frames)| frames);
        let frames = match known {
            Some(frames) => frames,
            None => self.read_group(group, *start, read)?,
        };
        let (_, frames) = last.insert((group, frames));
        Ok(frames.get(to_usize(number % GROUP)).copied())
    }

    fn read_group(&self, group: u32, start: u64, read: impl ReadBytes) -> Result<Vec<Frame>> {
        let first = group.saturating_mul(GROUP);
        let count = to_usize(self.count.saturating_sub(first).min(GROUP));
        let mut entries = vec![0; count.saturating_mul(ENTRY_BYTES)];
        let offset = u64::from(first).saturating_mul(to_u64(ENTRY_BYTES));
        read(&mut entries, self.entries_at.saturating_add(offset))?;
        let mut at = start;
        let frames = entries.chunks_exact(ENTRY_BYTES).map(|entry| {
            let length = |field| le32(entry, field).map_or(0, to_usize);
            let frame = Frame { offset: at, stored_bytes: length(0), content_bytes: length(4) };
            at = at.saturating_add(to_u64(frame.stored_bytes));
            frame
        });
        Ok(frames.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::super::seek_table::SeekTable;
    use super::*;

    fn reader(file: &[u8]) -> impl ReadBytes {
        move |buffer: &mut [u8], at: u64| {
            let at = usize::try_from(at).unwrap();
            buffer.copy_from_slice(&file[at..at + buffer.len()]);
            Ok(())
        }
    }

    #[test]
    fn a_table_in_the_file_says_the_same_as_one_in_memory() {
        for count in [0_u32, 1, 255, 256, 257, 1000] {
            let mut table = SeekTable::default();
            for number in 0..count {
                table.push(8 + number * 7 % 100, number % 3).unwrap();
            }
            let frame = table.to_frame();
            let file = [b"before".as_slice(), &frame].concat();
            let read = reader(&file);
            let (found, hash) = StoredTable::read(&read, 6, to_u64(frame.len())).unwrap();
            assert_eq!((found.count(), found.end()), (count, table.end()));
            assert_eq!(hash, *blake3::hash(&frame).as_bytes());
            for number in [0, 300, 1, 999, 256, 255, count, u32::MAX] {
                assert_eq!(found.get(number, &read).unwrap(), table.get(number), "{number}");
            }
        }
    }

    #[test]
    fn a_frame_without_any_bytes_is_refused() {
        let mut table = SeekTable::default();
        table.push(0, 0).unwrap();
        let frame = table.to_frame();
        StoredTable::read(reader(&frame), 0, to_u64(frame.len())).unwrap_err();
    }
}
