//! The outline of an archive: all of it but the content of its files, to build incrementals on where that cannot be read.
//!
//! | bytes | what |
//! |---|---|
//! | 16 | `coffer outline\r\n` |
//! | 8, 8 | the length of the archive, and from which byte on it is in here |
//! | 4, … | the length of a note of the caller's, and the note |
//! | … | the archive from that byte on: manifest, index, signature, trailer, seek table |
//! | 32 | BLAKE3 of all bytes before |
//!
//! It has the names, sizes, times, link targets and extended attributes of files, and the hash of every segment.

use std::io::{self, Write};
use std::sync::Arc;

use super::reader::Reader;
use crate::archive::error::{Damage, Result};
use crate::domain::num::{saturating_u32, saturating_usize, to_u64};
use crate::domain::{Cancel, ReadAt};

const MAGIC: &[u8; 16] = b"coffer outline\r\n";
/// Magic, two lengths, and that of the note.
const HEAD: usize = 36;
const HASH: usize = 32;
const LONGEST_NOTE: usize = 1 << 20;
/// How much is read at once.
const PIECE: usize = 64 << 10;

impl Reader {
    /// Writes the outline of this archive.
    pub fn write_outline(&self, note: &[u8], out: &mut dyn Write) -> Result<()> {
        let (length, start) = (self.stored_bytes(), self.outline_start()?);
        let mut head = MAGIC.to_vec();
        head.extend(length.to_le_bytes());
        head.extend(start.to_le_bytes());
        head.extend(saturating_u32(note.len()).to_le_bytes());
        head.extend(note);
        let mut hasher = blake3::Hasher::new();
        hasher.update(&head);
        out.write_all(&head)?;
        let (mut at, mut piece) = (start, vec![0; PIECE]);
        while at < length {
            let now = saturating_usize(length - at).min(PIECE);
            let piece = piece.get_mut(..now).unwrap_or_default();
            self.read_at(piece, at)?;
            hasher.update(piece);
            out.write_all(piece)?;
            at = at.saturating_add(to_u64(now));
        }
        out.write_all(hasher.finalize().as_bytes())?;
        Ok(())
    }

    /// Opens an outline that is byte for byte what was written; and its note. What an archive knows without its content is
    /// known of it.
    pub fn open_outline(file: Arc<dyn ReadAt>, cancel: &Cancel) -> Result<(Self, Vec<u8>)> {
        check_hash(&*file)?;
        let mut head = [0; HEAD];
        file.read_exact_at(&mut head, 0)?;
        let number = |at: usize| {
            let bytes = head.get(at..).and_then(<[u8]>::first_chunk).copied();
            u64::from_le_bytes(bytes.unwrap_or_default())
        };
        let note = head.last_chunk().copied().map_or(0, u32::from_le_bytes);
        let (length, start, note) = (number(16), number(24), saturating_usize(u64::from(note)));
        let kept_at = to_u64(HEAD.saturating_add(note));
        let kept = file.len().checked_sub(kept_at.saturating_add(to_u64(HASH)));
        if note > LONGEST_NOTE || kept.is_none() || kept != length.checked_sub(start) {
            return Err(bad("its lengths are wrong"));
        }
        let mut text = vec![0; note];
        file.read_exact_at(&mut text, to_u64(HEAD))?;
        let end = Arc::new(End { file, kept_at, start, length });
        Ok((Self::open(end, cancel)?.without_content(), text))
    }
}

fn bad(what: &str) -> crate::archive::ArchiveError {
    Damage(format!("this is not an outline: {what}")).in_backup(None)
}

fn check_hash(file: &dyn ReadAt) -> Result<()> {
    let end = file.len().checked_sub(to_u64(HASH)).filter(|end| *end >= to_u64(HEAD));
    let end = end.ok_or_else(|| bad("it is too short"))?;
    let (mut hasher, mut at, mut piece) = (blake3::Hasher::new(), 0, vec![0; PIECE]);
    while at < end {
        let now = saturating_usize(end - at).min(PIECE);
        let piece = piece.get_mut(..now).unwrap_or_default();
        file.read_exact_at(piece, at)?;
        if at == 0 && !piece.starts_with(MAGIC) {
            return Err(bad("it begins otherwise"));
        }
        hasher.update(piece);
        at = at.saturating_add(to_u64(now));
    }
    let mut hash = [0; HASH];
    file.read_exact_at(&mut hash, end)?;
    if *hasher.finalize().as_bytes() == hash { Ok(()) } else { Err(bad("its hash is wrong")) }
}

/// An archive of which only the end is here.
#[derive(Debug)]
struct End {
    file: Arc<dyn ReadAt>,
    /// Where it is in the file.
    kept_at: u64,
    /// From which byte of the archive on it is here.
    start: u64,
    length: u64,
}

impl ReadAt for End {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let end = offset.checked_add(to_u64(buffer.len()));
        if end.is_none_or(|end| end > self.length) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let Some(into) = offset.checked_sub(self.start) else {
            return Err(io::Error::other("only the index of this archive is here, and no content"));
        };
        self.file.read_exact_at(buffer, self.kept_at.saturating_add(into))
    }

    fn len(&self) -> u64 {
        self.length
    }
}
