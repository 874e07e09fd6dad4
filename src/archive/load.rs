//! Getting the content of segments back, out of the archives of a chain.

use std::sync::Arc;

use super::error::{ArchiveError, Flaw};
use super::frame::{Decompressor, PATCH_MAGIC, content_length, skippable_content};
use super::hash;
use super::index::{PatchPlace, Place, RootPlace, Segment, Stored};
use super::reader::Reader;
use super::tried::{Trial, Tried};
use super::{patch, sparse};
use crate::domain::SEGMENT_BYTES;

/// The archives of a chain, by position: the root is 0. Some may be missing where they are not needed.
#[derive(Debug)]
pub(super) struct Holders(Vec<Option<Arc<Reader>>>);

impl Holders {
    /// These archives, the root first.
    pub(super) fn of(readers: impl IntoIterator<Item = Arc<Reader>>) -> Self {
        Self(readers.into_iter().map(Some).collect())
    }

    /// The root alone, and one archive built on it.
    pub(super) fn root_and(root: &Arc<Reader>, other: &Arc<Reader>) -> Self {
        let depth = usize::from(other.depth());
        let mut holders = vec![None; depth + 1];
        for (position, reader) in [(0, root), (depth, other)] {
            if let Some(holder) = holders.get_mut(position) {
                *holder = Some(Arc::clone(reader));
            }
        }
        Self(holders)
    }

    /// Those at hand, the root first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Reader>> {
        self.0.iter().flatten()
    }

    /// The full backup that the chain begins with.
    pub(super) fn root(&self) -> Result<&Arc<Reader>, ArchiveError> {
        self.get(0)
    }

    fn get(&self, depth: u16) -> Result<&Arc<Reader>, ArchiveError> {
        let found = self.0.get(usize::from(depth)).and_then(Option::as_ref);
        found.ok_or_else(|| Flaw(format!("archive {depth} of its chain is not at hand")).of(None))
    }
}

/// How many decompressed frames a loader keeps at most: small files that are neighbours share frames, and
/// in a chain they come from the root and from what was built on it. One archive alone needs one.
const KEPT_FRAMES: usize = 2;

/// Which frame it was, and its content.
#[derive(Debug)]
struct Kept {
    depth: u16,
    frame: u32,
    raw: Vec<u8>,
    /// A segment was all of it: nobody will ask for it again.
    spent: bool,
}

/// Decompressed frames, the one used last at the end.
#[derive(Debug)]
struct Frames {
    decompressor: Decompressor,
    kept: Vec<Kept>,
    most: usize,
    stored: Vec<u8>,
}

/// Gets segments' content; each thread has its own.
#[derive(Debug)]
pub(super) struct Loader {
    holders: Arc<Holders>,
    frames: Frames,
    patch: Vec<u8>,
    old: Vec<u8>,
}

/// Which segment of its file it is: what its hash depends on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Position {
    /// Its number.
    pub(super) number: usize,
    /// Whether it is the only one.
    pub(super) only: bool,
    /// Its length.
    pub(super) length: usize,
}

impl Loader {
    /// A loader for this chain.
    pub(super) fn new(holders: Arc<Holders>) -> Result<Self, ArchiveError> {
        let most = holders.iter().count().clamp(1, KEPT_FRAMES);
        let decompressor = Decompressor::new()?;
        let frames = Frames { decompressor, kept: Vec::new(), most, stored: Vec::new() };
        Ok(Self { holders, frames, patch: Vec::new(), old: Vec::new() })
    }

    /// The segment's content, which has the hash that was taken from the source; else an error. `scratch` is for
    /// what does not lie in a frame as it is.
    pub(super) fn checked<'a>(
        &'a mut self,
        segment: &Segment,
        position: Position,
        scratch: &'a mut Vec<u8>,
    ) -> Result<&'a [u8], ArchiveError> {
        let holders = Arc::clone(&self.holders);
        let content = match &segment.stored {
            Stored::Hole => {
                scratch.clear();
                scratch.resize(position.length, 0);
                scratch.as_slice()
            }
            Stored::Root(root) => self.root(root, scratch)?,
            Stored::Alone(patch) => {
                self.frames.slice(patch.holder, holders.get(patch.holder)?, patch.place)?
            }
            Stored::Delta(root, patch) => {
                self.delta(root, patch, position.length, scratch)?;
                scratch.as_slice()
            }
        };
        let found = hash::segment(content, position.number, position.only);
        if content.len() == position.length && found == segment.hash {
            Ok(content)
        } else {
            let holder = match &segment.stored {
                Stored::Hole | Stored::Root(_) => 0,
                Stored::Alone(patch) | Stored::Delta(_, patch) => patch.holder,
            };
            let flaw = Flaw::new("a segment is not what was read from the source");
            Err(holders.get(holder)?.damaged(flaw))
        }
    }

    /// The root's version of a segment; its hash is not known here. `scratch` is for one with holes.
    pub(super) fn root<'a>(
        &'a mut self,
        root: &RootPlace,
        scratch: &'a mut Vec<u8>,
    ) -> Result<&'a [u8], ArchiveError> {
        let holder = self.holders.root()?;
        root_version(&mut self.frames, holder, root, scratch)
    }

    /// Whether the segment is patched, and its patch was tried with it when it was made.
    pub(super) fn was_tried(
        &mut self,
        segment: &Segment,
        position: Position,
        tried: &Tried,
    ) -> Result<bool, ArchiveError> {
        let Stored::Delta(root, patch) = &segment.stored else { return Ok(false) };
        let holder = self.holders.get(patch.holder)?;
        let content = patch_content(holder, patch, &mut self.patch)?;
        Ok(tried.has(Trial::of(content, root, position.length, &segment.hash)))
    }

    fn delta(
        &mut self,
        root: &RootPlace,
        patch: &PatchPlace,
        length: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), ArchiveError> {
        let old = root_version(&mut self.frames, self.holders.root()?, root, &mut self.old)?;
        let holder = self.holders.get(patch.holder)?;
        let content = patch_content(holder, patch, &mut self.patch)?;
        patch::apply(content, old, length, out).map_err(|flaw| holder.damaged(flaw))
    }
}

/// What the patch frame holds.
fn patch_content<'a>(
    holder: &Reader,
    patch: &PatchPlace,
    stored: &'a mut Vec<u8>,
) -> Result<&'a [u8], ArchiveError> {
    holder.stored_frame(patch.place.frame, stored)?;
    skippable_content(stored, PATCH_MAGIC).map_err(|flaw| holder.damaged(flaw))
}

fn root_version<'a>(
    frames: &'a mut Frames,
    holder: &Reader,
    root: &RootPlace,
    scratch: &'a mut Vec<u8>,
) -> Result<&'a [u8], ArchiveError> {
    let found = frames.slice(0, holder, root.place)?;
    let Some(layout) = root.layout.as_deref() else { return Ok(found) };
    sparse::scatter(found, layout, scratch)
        .ok_or_else(|| holder.damaged(Flaw::new("a segment's holes do not fit")))?;
    Ok(scratch)
}

impl Frames {
    fn slice(&mut self, depth: u16, holder: &Reader, place: Place) -> Result<&[u8], ArchiveError> {
        let kept = self.frame(depth, holder, place.frame)?;
        let start = usize::try_from(place.offset).unwrap_or(usize::MAX);
        let length = usize::try_from(place.length).unwrap_or(usize::MAX);
        kept.spent = start == 0 && length == kept.raw.len();
        kept.raw
            .get(start..start.saturating_add(length))
            .ok_or_else(|| holder.damaged(Flaw::new("a segment is not within its frame")))
    }

    /// The frame's content, decompressed now or lately.
    fn frame(
        &mut self,
        depth: u16,
        holder: &Reader,
        number: u32,
    ) -> Result<&mut Kept, ArchiveError> {
        let known = self.kept.iter().position(|it| it.depth == depth && it.frame == number);
        let kept = match known {
            Some(at) => self.kept.remove(at),
            None => self.read(depth, holder, number)?,
        };
        self.kept.push(kept);
        let lost = || ArchiveError::Worker("a frame was lost".to_owned());
        self.kept.last_mut().ok_or_else(lost)
    }

    /// Reads a frame in place of one that is spent, or of the one that was not used for longest.
    fn read(&mut self, depth: u16, holder: &Reader, number: u32) -> Result<Kept, ArchiveError> {
        let full = self.kept.len() >= self.most;
        let old = self.kept.iter().position(|it| it.spent).or(full.then_some(0));
        let mut raw = old.map_or_else(Vec::new, |at| self.kept.remove(at).raw);
        let frame = holder.stored_frame(number, &mut self.stored)?;
        unpack(&mut self.decompressor, &self.stored, frame.raw, &mut raw)
            .map_err(|flaw| holder.damaged(flaw))?;
        Ok(Kept { depth, frame: number, raw, spent: false })
    }
}

/// The content of a frame that holds segments: of the tar, or of a patch frame with whole ones.
/// `raw_bytes` is what the seek table says.
pub(super) fn unpack(
    decompressor: &mut Decompressor,
    stored: &[u8],
    raw_bytes: usize,
    out: &mut Vec<u8>,
) -> Result<(), Flaw> {
    let too_long = || Flaw::new("a frame is longer than any that is written");
    if raw_bytes > 0 {
        let length = Some(raw_bytes).filter(|it| *it <= SEGMENT_BYTES).ok_or_else(too_long)?;
        return decompressor.frame(stored, length, out);
    }
    let content = skippable_content(stored, PATCH_MAGIC)?;
    let (kind, frame) = content.split_first().ok_or_else(|| Flaw::new("a patch is empty"))?;
    if *kind != patch::WHOLE {
        return Err(Flaw::new("a patch is not of the kind the index says"));
    }
    let length = content_length(frame).filter(|it| *it <= SEGMENT_BYTES).ok_or_else(too_long)?;
    decompressor.frame(frame, length, out)
}
