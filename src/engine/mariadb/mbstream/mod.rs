//! What `mariadb-backup --stream=mbstream` writes, and the folder it becomes.
//!
//! Why Coffer unpacks the stream itself: left to write the folder, the tool has the kernel bring each file to
//! the disk at once and forget it, and preparing and archiving read all of it from there again. Unpacked here it
//! stays in memory where there is room, and what is removed soon enough never meets the disk.
//!
//! Tried and given up: compressing segments in advance while they pass here. On two processors the pouring of
//! 617 MiB took 0.3 s less and the copying 0.35 to 0.4 s more, as the tool and the server work meanwhile too; of
//! files that preparing changes it was for nothing.

mod chunk;
mod folder;
#[cfg(test)]
mod tests;

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use self::chunk::{Chunk, Chunks};
use self::folder::Folder;

/// Why a stream did not become a folder.
#[derive(Debug)]
pub(super) enum Broken {
    /// It could not be read, or is not what it should be.
    Stream(io::Error),
    /// This could not be written.
    Folder(PathBuf, io::Error),
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        Self::Stream(error)
    }
}

/// Unpacks a whole stream into `root`, which is empty. `original` is the data directory it comes from: where a
/// file has holes, the copy has them too.
pub(super) fn unpack(stream: impl Read, root: &Path, original: &Path) -> Result<(), Broken> {
    let mut folder = Folder::new(root, original);
    let mut chunks = Chunks::of(stream);
    while let Some(chunk) = chunks.next()? {
        match chunk {
            Chunk::Content { path, replaces, mut offset, content } => {
                let open = folder.file(&path, replaces)?;
                chunks.read(content, |piece| {
                    let end = offset.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
                    open.write(piece, std::mem::replace(&mut offset, end))
                })?;
            }
            Chunk::End(path) => folder.end(&path)?,
            Chunk::Seek => {}
            Chunk::Rename { from, to } => folder.rename(&from, &to)?,
            Chunk::Remove(path) => folder.remove(&path)?,
        }
    }
    folder.finish()
}
