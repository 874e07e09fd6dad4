//! The write-ahead log as it lies on the disk: which pages of a snapshot are in it, and where.
//!
//! Source: "The WAL File Format" in SQLite's documentation ("Database File Format", 4.1). A header of 32
//! bytes, then frames: 24 bytes of header (page number, salts…) and a page. Numbers are big-endian.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

const HEADER: u64 = 32;
const FRAME_HEADER: u64 = 24;
/// Either kind of checksum: the last bit says which.
const MAGIC: u32 = 0x377f_0682;

/// What tells one use of the log from the next: both change whenever it begins anew.
pub(super) type Salts = [u8; 8];

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at.checked_add(4)?)?.try_into().ok().map(u32::from_be_bytes)
}

/// The salts and the page size of a log; `None`: it is empty, or no log.
pub(super) fn header(log: &File) -> Option<(Salts, u32)> {
    let mut bytes = [0; 32];
    log.read_exact_at(&mut bytes, 0).ok()?;
    let sound = be32(&bytes, 0)? | 1 == MAGIC | 1;
    let salts = bytes.get(16..24)?.try_into().ok()?;
    sound.then_some((salts, be32(&bytes, 8)?))
}

/// The pages that the first `count` frames of a log hold: page number and number of its last frame,
/// counted from 0, in order of page.
pub(super) fn pages(
    log: &File,
    salts: Salts,
    page_size: u32,
    count: u32,
) -> io::Result<Vec<(u32, u32)>> {
    let mut found = Vec::new();
    let mut header = [0; 24];
    for frame in 0..count {
        log.read_exact_at(&mut header, position(frame, page_size))?;
        let number = be32(&header, 0).filter(|number| *number > 0);
        match number {
            Some(number) if header.get(8..16) == Some(&salts[..]) => found.push((number, frame)),
            _ => return Err(io::Error::other("the log began anew")),
        }
    }
    // The last frame of a page is the valid one.
    found.sort_unstable_by_key(|(page, frame)| (*page, std::cmp::Reverse(*frame)));
    found.dedup_by_key(|(page, _)| *page);
    Ok(found)
}

/// Reads the page of a frame.
pub(super) fn page(log: &File, frame: u32, page: &mut [u8]) -> io::Result<()> {
    let size = u32::try_from(page.len()).map_err(io::Error::other)?;
    log.read_exact_at(page, position(frame, size) + FRAME_HEADER)
}

/// Where a frame begins.
fn position(frame: u32, page_size: u32) -> u64 {
    HEADER + u64::from(frame) * (FRAME_HEADER + u64::from(page_size))
}
