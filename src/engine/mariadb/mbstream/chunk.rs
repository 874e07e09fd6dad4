//! The chunks of a stream.
//!
//! Chunks of several files alternate. Numbers are little-endian:
//!
//! | bytes | content |
//! |---|---|
//! | 8 | `XBSTCK01` |
//! | 1 | flags: 1, may be ignored by a reader that does not know it; 2, replaces a file of that name |
//! | 1 | type |
//! | 4, n | length of the path, and the path |
//!
//! Then, depending on the type:
//!
//! | type | meaning | followed by |
//! |---|---|---|
//! | `P` | content | length (8), offset in the file (8), CRC-32 (4), the bytes |
//! | `E` | end of the file | |
//! | `S` | the next content has another offset, which it also says itself | offset (8) |
//! | `R` | the path is renamed | length (4) and new path |
//! | `D` | the path is removed; with `*` at its end, all paths that begin so | |
//!
//! Source: `xbstream.h` and `xbstream_write.cc` in MariaDB's `extra/mariabackup`.

use std::io::{self, BufReader, ErrorKind, Read};
use std::path::PathBuf;

use crate::domain::{EntryPath, SEGMENT_BYTES, num};

const MAGIC: [u8; 8] = *b"XBSTCK01";
const REPLACES: u8 = 2;
/// The longest path the tool knows (`FN_REFLEN`) is 512 bytes.
const MAX_PATH: u32 = 4096;

/// Why a stream could not be unpacked.
#[derive(Debug)]
pub(in crate::engine::mariadb) enum UnpackError {
    /// The stream could not be read, or is malformed.
    Stream(io::Error),
    /// This path could not be written.
    Folder(PathBuf, io::Error),
}

impl From<io::Error> for UnpackError {
    fn from(error: io::Error) -> Self {
        Self::Stream(error)
    }
}

pub(super) fn malformed(problem: impl Into<String>) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, problem.into())
}

/// The beginning of a chunk. Read the content with [`Chunks::read`] before calling [`Chunks::next`].
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Chunk {
    /// Bytes of a file at this offset.
    Content {
        path: EntryPath,
        replaces: bool,
        offset: u64,
        content: Content,
    },
    /// A file is complete.
    End(EntryPath),
    Seek,
    /// The server renamed a file during the copy.
    Rename {
        from: EntryPath,
        to: EntryPath,
    },
    /// The server removed a file or folder during the copy. With `*` at its end: all files whose names begin so.
    Remove(EntryPath),
}

/// The length and checksum of a chunk's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "content that is not read would be parsed as the next chunk"]
pub(super) struct Content {
    length: u64,
    crc: u32,
}

#[derive(Debug)]
pub(super) struct Chunks<R> {
    stream: BufReader<R>,
    piece: Vec<u8>,
}

impl<R: Read> Chunks<R> {
    pub(super) fn new(stream: R) -> Self {
        let stream = BufReader::with_capacity(64 << 10, stream);
        Self { stream, piece: vec![0; SEGMENT_BYTES] }
    }

    /// The next chunk; `None` at the end of the stream.
    pub(super) fn next(&mut self) -> io::Result<Option<Chunk>> {
        let mut first = [0];
        if self.stream.read(&mut first)? == 0 {
            return Ok(None);
        }
        let rest = self.bytes::<9>()?;
        let ([before @ .., flags, kind], start) = (rest, first);
        if start != MAGIC[..1] || before != MAGIC[1..] {
            return Err(malformed("there is no chunk where one should begin"));
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
                    "a chunk of the unknown type {kind} for {path}: this mariadb-backup is newer than this \
                     version of Coffer supports; set method = \"logical\""
                )));
            }
        };
        Ok(Some(chunk))
    }

    /// Reads a chunk's content in pieces of at most 1 MiB.
    pub(super) fn read(
        &mut self,
        content: Content,
        mut write: impl FnMut(&[u8]) -> Result<(), UnpackError>,
    ) -> Result<(), UnpackError> {
        let mut sum = crc32fast::Hasher::new();
        let mut left = content.length;
        while left > 0 {
            let length = num::saturating_usize(left).min(self.piece.len());
            let piece = self.piece.get_mut(..length).unwrap_or_default();
            self.stream.read_exact(piece)?;
            sum.update(piece);
            write(piece)?;
            left = left.saturating_sub(num::to_u64(length));
        }
        if sum.finalize() == content.crc {
            Ok(())
        } else {
            Err(malformed("the checksum of a chunk is wrong").into())
        }
    }

    fn bytes<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.stream.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn path(&mut self) -> io::Result<EntryPath> {
        let length = u32::from_le_bytes(self.bytes()?);
        if length > MAX_PATH {
            return Err(malformed(format!("a path of {length} bytes")));
        }
        let mut path = vec![0; num::to_usize(length)];
        self.stream.read_exact(&mut path)?;
        let plain = path.strip_prefix(b"./").unwrap_or(&path);
        let path = EntryPath::new(plain).map_err(|bad| malformed(bad.to_string()))?;
        if path.is_root() { Err(malformed("an empty path")) } else { Ok(path) }
    }
}
