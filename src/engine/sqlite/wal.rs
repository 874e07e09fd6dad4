//! The write-ahead log on disk: which pages of a snapshot are in it, and where.
//!
//! Layout ("Database File Format", section 4.1): a header of 32 bytes, then frames of a 24-byte header (page
//! number, salts…) and a page. Numbers are big-endian.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

const HEADER_BYTES: u64 = 32;
const FRAME_HEADER_BYTES: u64 = 24;
/// The last bit tells the byte order of the checksums.
const MAGIC: u32 = 0x377f_0682;

/// Two random numbers that change whenever the log starts over.
pub(super) type Salts = [u8; 8];

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at.checked_add(4)?)?.try_into().ok().map(u32::from_be_bytes)
}

/// The salts and the page size of a log; `None` if it is empty or not a log.
pub(super) fn header(log: &File) -> Option<(Salts, u32)> {
    let mut bytes = [0; 32];
    log.read_exact_at(&mut bytes, 0).ok()?;
    let is_log = be32(&bytes, 0)? | 1 == MAGIC | 1;
    let salts = bytes.get(16..24)?.try_into().ok()?;
    is_log.then_some((salts, be32(&bytes, 8)?))
}

/// The pages in the first `count` frames, in order: page number, and the number (from 0) of its last frame.
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
            _ => return Err(io::Error::other("the write-ahead log started over")),
        }
    }
    // Only the last frame of a page is valid.
    found.sort_unstable_by_key(|(page, frame)| (*page, std::cmp::Reverse(*frame)));
    found.dedup_by_key(|(page, _)| *page);
    Ok(found)
}

pub(super) fn read_page(log: &File, frame: u32, page: &mut [u8]) -> io::Result<()> {
    let size = u32::try_from(page.len()).map_err(io::Error::other)?;
    log.read_exact_at(page, position(frame, size) + FRAME_HEADER_BYTES)
}

fn position(frame: u32, page_size: u32) -> u64 {
    HEADER_BYTES + u64::from(frame) * (FRAME_HEADER_BYTES + u64::from(page_size))
}
