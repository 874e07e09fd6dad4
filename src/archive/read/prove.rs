//! Proving that what is in an archive file is what was read from the source.

use std::iter::Peekable;
use std::sync::Arc;

use crossbeam_channel::unbounded;

use super::archive_file::ArchiveFile;
use super::reader::Reader;
use super::segment_reader::{ChainReaders, decompress_segments, slice_of, with_holes};
use super::verified_patches::VerifiedPatches;
use super::walk::{Content, Walk};
use crate::archive::error::{ArchiveError, Damage, Result};
use crate::archive::frame::Decompressor;
use crate::archive::hash::{self, Digest, FileTree};
use crate::archive::index::{
    Piece, Segment, SegmentPosition, Stored, segment_length, segment_start,
};
use crate::archive::manifest::Manifest;
use crate::archive::pool::Pool;
use crate::domain::num::{saturating_usize, to_u64};
use crate::domain::{Cancel, Kind, ReadAt, SEGMENT_BYTES};

/// What the writer of an archive says of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Finished {
    pub stored_bytes: u64,
    /// The length of the content that it restores to.
    pub source_bytes: u64,
    /// BLAKE3 of the file, in hex.
    pub checksum: String,
    pub manifest: Manifest,
    /// The patches that were verified when they were made.
    pub(crate) verified: Arc<VerifiedPatches>,
}

/// Proves an archive that was just written, before its backup is COMPLETED. Reads the file once from front to back
/// and compares its checksum, decompresses every frame, compares every stored segment with the hash taken from the
/// source, and the manifest and the index with what the writer says. Patches that the writer verified are not
/// applied again (see `verified_patches`). An incremental needs its `root`. `progress` is called with the
/// number of bytes of the file that are done.
pub fn prove(
    reader: &Arc<Reader>,
    root: Option<&Arc<Reader>>,
    finished: &Finished,
    workers: usize,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<()> {
    let damaged = |what: &str| reader.damaged(Damage::new(what));
    if reader.stored_bytes() != finished.stored_bytes || reader.appended_bytes() > 0 {
        return Err(damaged("the file is not as long as what was written"));
    }
    if *reader.manifest() != finished.manifest {
        return Err(damaged("the manifest differs from what was written"));
    }
    let checksum = read_file(reader, workers, progress)?;
    if checksum != finished.checksum {
        return Err(damaged("the file's checksum is not that of what was written"));
    }
    check_own_segments(reader, root, &finished.verified, workers)
}

/// Verifies an archive file that only its own manifest describes: reads it once from front to back,
/// decompresses every frame, and compares every segment that it stores with its hash. An incremental needs its
/// `root`. Returns BLAKE3 of the file in hex.
pub fn verify_file(
    reader: &Arc<Reader>,
    root: Option<&Arc<Reader>>,
    workers: usize,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<String> {
    let checksum = read_file(reader, workers, progress)?;
    check_own_segments(reader, root, &Arc::default(), workers)?;
    Ok(checksum)
}

/// Compares the segments that an incremental stores with their hashes, except for verified patches. Those of a full
/// backup were compared frame by frame.
fn check_own_segments(
    reader: &Arc<Reader>,
    root: Option<&Arc<Reader>>,
    verified: &Arc<VerifiedPatches>,
    workers: usize,
) -> Result<()> {
    if reader.manifest().kind == Kind::Full {
        return Ok(());
    }
    let chain = Arc::new(ChainReaders::root_and(reader.require_root(root)?, reader));
    let walk = Walk {
        backup: reader,
        chain: &chain,
        only_own_except: Some(verified),
        lost: None,
        workers,
        cancel: &Cancel::default(),
        progress: &|_bytes| {},
    };
    walk.run(|_entry| Ok(Content::Check)).map(drop)
}

/// A segment of a full backup, and its position in its file.
type FullSegment = (SegmentPosition, Segment);

/// Reads the whole file, checks the frames of its tar, and returns its BLAKE3 in hex. The workers also do the
/// reading: a file that was just synced comes from the disk, and while one of them waits for it another
/// decompresses.
fn read_file(
    reader: &Arc<Reader>,
    workers: usize,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<String> {
    let (spare, spares) = unbounded::<Vec<u8>>();
    let pool = Pool::start(workers, || {
        let mut decompressor = Decompressor::new()?;
        let (mut content, mut scratch) = (Vec::new(), Vec::new());
        let (reader, spares) = (Arc::clone(reader), spares.clone());
        Ok(move |(number, segments): (u32, Vec<FullSegment>)| {
            let mut stored = spares.try_recv().unwrap_or_default();
            let frame = reader.stored_frame(number, &mut stored)?;
            if frame.content_bytes > 0 {
                decompress_segments(&mut decompressor, &stored, frame.content_bytes, &mut content)
                    .and_then(|()| Ok(check_segments(&segments, &content, &mut scratch)?))
                    .map_err(|error| reader.blamed(error))?;
            }
            Ok::<_, ArchiveError>(stored)
        })
    })?;
    let is_full = reader.manifest().kind == Kind::Full;
    let mut segments = if is_full { Some(full_segments(reader)?.peekable()) } else { None };
    let frames = (0..reader.table().count()).map(|number| {
        let segments = segments.iter_mut().flat_map(|all| in_frame(all, number));
        Ok((number, segments.collect::<Result<_, _>>()?))
    });
    let (mut hasher, mut done) = (blake3::Hasher::new(), 0_u64);
    pool.run::<ArchiveError>(frames, |stored| {
        let stored = stored?;
        hasher.update(&stored);
        done = done.saturating_add(to_u64(stored.len()));
        progress(done);
        // Fails only once the workers have ended.
        drop(spare.send(stored));
        Ok(())
    })?;
    if segments.is_some_and(|mut rest| rest.next().is_some()) {
        return Err(reader.damaged(Damage::new("a part of a file is in no piece of it")));
    }
    hash_seek_table(reader, &mut hasher)?;
    progress(reader.stored_bytes());
    Ok(hasher.finalize().to_hex().as_str().to_owned())
}

/// The segments of a full backup that are not holes. Their frames are in the order of the index, because they were
/// written so.
fn full_segments(reader: &Arc<Reader>) -> Result<impl Iterator<Item = Result<FullSegment>>> {
    let mut entries = reader.entries(None)?;
    Ok(std::iter::from_fn(move || {
        loop {
            match entries.piece().transpose()? {
                Ok(Piece::Segment(position, segment)) if segment.stored != Stored::Hole => {
                    return Some(Ok((position, segment)));
                }
                Ok(_entry_or_hole) => {}
                Err(error) => return Some(Err(error)),
            }
        }
    }))
}

/// Takes the segments in this frame. Frames must be asked for in order, without gaps.
fn in_frame<I: Iterator<Item = Result<FullSegment>>>(
    segments: &mut Peekable<I>,
    frame: u32,
) -> impl Iterator<Item = I::Item> {
    let is_in_frame = move |next: &I::Item| match next {
        Ok((_, segment)) => segment.root().is_some_and(|root| root.slice.frame == frame),
        Err(_) => true,
    };
    std::iter::from_fn(move || segments.next_if(is_in_frame))
}

/// How much of the seek table is read at a time.
const SEEK_TABLE_PIECE: usize = 64 << 10;

/// Adds the frame of the seek table, which does not list itself.
fn hash_seek_table(reader: &Reader, hasher: &mut blake3::Hasher) -> Result<()> {
    let (mut at, mut piece) = (reader.table().end(), vec![0; SEEK_TABLE_PIECE]);
    while at < reader.stored_bytes() {
        let left = saturating_usize(reader.stored_bytes().saturating_sub(at));
        let piece = piece.get_mut(..left.min(SEEK_TABLE_PIECE)).unwrap_or_default();
        reader.read_at(piece, at)?;
        hasher.update(piece);
        at = at.saturating_add(to_u64(piece.len()));
    }
    Ok(())
}

/// Compares the segments in a frame with their hashes.
fn check_segments(
    segments: &[FullSegment],
    content: &[u8],
    scratch: &mut Vec<u8>,
) -> Result<(), Damage> {
    for (position, segment) in segments {
        let Stored::Root(root) = &segment.stored else { continue };
        let bytes = with_holes(slice_of(content, root.slice)?, root, scratch)?;
        if position.hash(bytes) != segment.hash {
            return Err(Damage::new("a part of a file differs from what was read from the source"));
        }
    }
    Ok(())
}

impl Reader {
    /// BLAKE3 of the file in hex, as `b3sum` prints it; of an encrypted archive that of the file as it lies there.
    /// Several threads read and hash a MiB each. `progress` is called with the number of bytes that are done.
    pub fn checksum(
        self: &Arc<Self>,
        workers: usize,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<String> {
        let reader = Arc::clone(self);
        let read = move |buffer: &mut [u8], at| reader.read_file_at(buffer, at);
        checksum(self.file_bytes(), &read, workers, progress)
    }
}

/// The same of any file, which need not be an archive.
pub fn file_checksum(
    file: &Arc<dyn ReadAt>,
    cancel: &Cancel,
    workers: usize,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<String> {
    let (length, file) = (file.len(), Arc::new(ArchiveFile::new(Arc::clone(file), cancel)));
    let read = move |buffer: &mut [u8], at| file.read_at(buffer, at);
    checksum(length, &read, workers, progress)
}

fn checksum<R>(
    length: u64,
    read: &R,
    workers: usize,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<String>
where
    R: Fn(&mut [u8], u64) -> Result<()> + Clone + Send + 'static,
{
    let pool = Pool::start(workers, || {
        let (read, mut buffer) = (read.clone(), Vec::new());
        Ok(move |number: usize| -> Result<Digest> {
            buffer.resize(segment_length(length, number), 0);
            read(&mut buffer, segment_start(number))?;
            Ok(hash::segment(&buffer, number, length <= to_u64(SEGMENT_BYTES)))
        })
    })?;
    let count = saturating_usize(length.div_ceil(to_u64(SEGMENT_BYTES)));
    let mut tree = FileTree::default();
    pool.run((0..count).map(Ok::<_, ArchiveError>), |hash| {
        tree.push(&hash?);
        progress(segment_start(tree.count()).min(length));
        Ok(())
    })?;
    Ok(hex::encode(tree.finish()))
}
