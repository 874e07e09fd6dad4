//! The chunks of a stream.
//!
//! Those of several files come by turns. Numbers are little-endian:
//!
//! | bytes | what |
//! |---|---|
//! | 8 | `XBSTCK01` |
//! | 1 | flags: 1, may be passed over by who does not know it; 2, replaces a file of that name |
//! | 1 | type |
//! | 4, n | a path's length, and the path |
//!
//! and then by type:
//!
//! | type | what | then |
//! |---|---|---|
//! | `P` | content | length (8), offset in the file (8), CRC-32 (4), the bytes |
//! | `E` | the file's end | |
//! | `S` | content will go on elsewhere, and says itself where | offset (8) |
//! | `R` | the path is renamed | length (4) and new path |
//! | `D` | the path is removed; with `*` at its end, all that begin so | |
//!
//! Source: `xbstream.h` and `xbstream_write.cc` in MariaDB's `extra/mariabackup`.

use std::io::{self, BufReader, ErrorKind, Read};

use super::Broken;
use crate::domain::{EntryPath, SEGMENT_BYTES};

const MAGIC: [u8; 8] = *b"XBSTCK01";
const REPLACES: u8 = 2;
/// The longest path the tool knows (`FN_REFLEN`) is 512 bytes.
const LONGEST_PATH: u32 = 4096;

/// A chunk's begin. What a `Content` has comes by [`Chunks::read`], before the next chunk.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Chunk {
    /// Bytes of a file, and where in it they belong.
    Content { path: EntryPath, replaces: bool, offset: u64, content: Content },
    /// A file is whole.
    End(EntryPath),
    /// Says nothing that the content does not say.
    Seek,
    /// The server renamed a file while it was copied.
    Rename { from: EntryPath, to: EntryPath },
    /// The server removed a file or a folder while it was copied; `*`: all whose names begin so.
    Remove(EntryPath),
}

/// How long a chunk's content is, and its checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "what is not read is taken for the next chunk"]
pub(super) struct Content {
    length: u64,
    crc: u32,
}

/// A stream, chunk by chunk.
#[derive(Debug)]
pub(super) struct Chunks<R> {
    stream: BufReader<R>,
    piece: Vec<u8>,
}

impl<R: Read> Chunks<R> {
    /// From the stream's begin.
    pub(super) fn of(stream: R) -> Self {
        let stream = BufReader::with_capacity(64 << 10, stream);
        Self { stream, piece: vec![0; SEGMENT_BYTES] }
    }

    /// The next chunk; `None` at the stream's end.
    pub(super) fn next(&mut self) -> io::Result<Option<Chunk>> {
        let mut first = [0];
        if self.stream.read(&mut first)? == 0 {
            return Ok(None);
        }
        let rest = self.bytes::<9>()?;
        let ([before @ .., flags, kind], start) = (rest, first);
        if start != MAGIC[..1] || before != MAGIC[1..] {
            return Err(malformed("there is no chunk where one should begin".to_owned()));
        }
        let path = self.path()?;
        let chunk = match kind {
            b'P' => {
                let length = u64::from_le_bytes(self.bytes()?);
                let offset = u64::from_le_bytes(self.bytes()?);
                let content = Content { length, crc: u32::from_le_bytes(self.bytes()?) };
                Chunk::Content { path, replaces: flags & REPLACES != 0, offset, content }
            }
            b'E' => Chunk::End(path),
            b'S' => {
                let _offset: [u8; 8] = self.bytes()?;
                Chunk::Seek
            }
            b'R' => Chunk::Rename { from: path, to: self.path()? },
            b'D' => Chunk::Remove(path),
            kind => {
                let kind = char::from(kind).escape_default();
                return Err(malformed(format!(
                    "a chunk of the unknown type {kind} for {path}: this mariadb-backup is newer than what \
                     this version of Coffer knows; set method = \"logical\""
                )));
            }
        };
        Ok(Some(chunk))
    }

    /// Hands a chunk's content out, in pieces of a MiB at most.
    pub(super) fn read(
        &mut self,
        content: Content,
        mut take: impl FnMut(&[u8]) -> Result<(), Broken>,
    ) -> Result<(), Broken> {
        let mut sum = crc32fast::Hasher::new();
        let mut left = content.length;
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(usize::MAX).min(self.piece.len());
            let piece = self.piece.get_mut(..most).unwrap_or_default();
            self.stream.read_exact(piece)?;
            sum.update(piece);
            take(piece)?;
            left = left.saturating_sub(u64::try_from(most).unwrap_or(left));
        }
        if sum.finalize() == content.crc {
            Ok(())
        } else {
            Err(malformed("a chunk's checksum is not that of its content".to_owned()).into())
        }
    }

    fn bytes<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.stream.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn path(&mut self) -> io::Result<EntryPath> {
        let length = u32::from_le_bytes(self.bytes()?);
        if length > LONGEST_PATH {
            return Err(malformed(format!("a path of {length} bytes")));
        }
        let mut path = vec![0; usize::try_from(length).unwrap_or_default()];
        self.stream.read_exact(&mut path)?;
        let plain = path.strip_prefix(b"./").unwrap_or(&path);
        let path = EntryPath::new(plain).map_err(|bad| malformed(bad.to_string()))?;
        if path.is_root() { Err(malformed("an empty path".to_owned())) } else { Ok(path) }
    }
}

/// The stream is not one.
pub(super) fn malformed(what: String) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what)
}
