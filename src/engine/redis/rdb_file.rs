//! The beginning and end of a snapshot file.
//!
//! The client writes what the server sends. A server that does not know the length in advance sends a mark of 40
//! hexadecimal digits after the snapshot, and the client leaves it there.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use crc::{CRC_64_REDIS, Crc};

use crate::domain::Cancel;
use crate::engine::{EngineError, Result};

/// The snapshot's name in the archive and in a restored folder.
pub(super) const SNAPSHOT: &str = "dump.rdb";

/// The opcode at the end of every snapshot; eight bytes of checksum follow.
const END: u8 = 0xFF;
/// The length of the opcode and the checksum.
const END_BYTES: u64 = CHECKSUM_BYTES + 1;
const CHECKSUM_BYTES: u64 = 8;
const MARK_BYTES: u64 = 40;
/// The beginning of a snapshot, by Redis and by Valkey since version 9. The digits of the format's version follow.
const MAGIC: [&[u8]; 2] = [b"REDIS", b"VALKEY"];
/// The length of the beginning with the version.
const HEAD_BYTES: u64 = 9;

/// The length of the snapshot in the first `length` bytes of `file`, without the mark. `None` if it is incomplete
/// or not a snapshot.
///
/// The two endings cannot be confused: nine bytes before the end is either the opcode, which is not a digit, or
/// one of the mark's digits.
pub(super) fn snapshot_length(file: &File, length: u64) -> io::Result<Option<u64>> {
    if length < HEAD_BYTES + END_BYTES || rdb_version(file)?.is_none() {
        return Ok(None);
    }
    if byte_before(file, length, END_BYTES)? == END {
        return Ok(Some(length));
    }
    let Some(bare) = length.checked_sub(MARK_BYTES).filter(|it| *it >= HEAD_BYTES + END_BYTES)
    else {
        return Ok(None);
    };
    let mut mark = [0_u8; 40];
    file.read_exact_at(&mut mark, bare)?;
    let marked =
        mark.iter().all(u8::is_ascii_hexdigit) && byte_before(file, bare, END_BYTES)? == END;
    Ok(marked.then_some(bare))
}

/// Whether the snapshot at `path` is cut off or its bytes do not have the CRC-64 that is written at its end. A
/// server with `rdbchecksum no` writes 0 there, which says nothing.
pub(super) fn contradicts_its_checksum(path: &Path, cancel: &Cancel) -> Result<bool> {
    let failed = |error| EngineError::target("reading", path, error);
    let mut file = File::open(path).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    let Some(length) = snapshot_length(&file, length).map_err(failed)? else { return Ok(true) };
    let crc = Crc::<u64>::new(&CRC_64_REDIS);
    let mut digest = crc.digest();
    let mut covered =
        BufReader::with_capacity(1 << 16, file.by_ref().take(length - CHECKSUM_BYTES));
    loop {
        if cancel.is_cancelled() {
            return Err(EngineError::Cancelled);
        }
        let bytes = covered.fill_buf().map_err(failed)?;
        if bytes.is_empty() {
            break;
        }
        digest.update(bytes);
        let count = bytes.len();
        covered.consume(count);
    }
    let mut written = [0; 8];
    file.read_exact(&mut written).map_err(failed)?;
    let written = u64::from_le_bytes(written);
    Ok(written != 0 && written != digest.finalize())
}

/// The version of the format, if the file begins like a snapshot.
pub(super) fn rdb_version(file: &File) -> io::Result<Option<u32>> {
    let mut head = [0_u8; 9];
    file.read_exact_at(&mut head, 0)?;
    let digits = MAGIC.iter().find_map(|magic| head.strip_prefix(*magic));
    Ok(digits.and_then(|it| std::str::from_utf8(it).ok()?.parse().ok()))
}

fn byte_before(file: &File, end: u64, distance: u64) -> io::Result<u8> {
    let mut byte = [0_u8; 1];
    file.read_exact_at(&mut byte, end.saturating_sub(distance))?;
    let [byte] = byte;
    Ok(byte)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    const CONTENT: &[u8] = b"REDIS0010\xfaaux\xff12345678";

    fn length_of(bytes: &[u8]) -> Option<u64> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        snapshot_length(&file, u64::try_from(bytes.len()).unwrap()).unwrap()
    }

    #[test]
    fn the_mark_after_a_snapshot_is_not_part_of_it() {
        let length = u64::try_from(CONTENT.len()).unwrap();
        assert_eq!(length_of(CONTENT), Some(length));
        let marked = [CONTENT, &[b'a'; 40]].concat();
        assert_eq!(length_of(&marked), Some(length));
        let valkey = [&b"VALKEY080"[..], b"x\xff12345678"].concat();
        assert_eq!(length_of(&valkey), Some(19));
    }

    #[test]
    fn a_snapshot_cut_anywhere_is_incomplete() {
        let marked = [CONTENT, &[b'a'; 40]].concat();
        for length in 0..marked.len() {
            if length != CONTENT.len() {
                assert_eq!(length_of(&marked[..length]), None, "{length}");
            }
        }
        assert_eq!(length_of(&[b"ERROR no such thing", CONTENT].concat()), None);
    }
}
