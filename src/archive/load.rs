//! Getting the content of segments back, out of the archives of a chain.

use std::sync::Arc;

use super::error::{ArchiveError, Flaw};
use super::frame::{Decompressor, PATCH_MAGIC, content_length, skippable_content};
use super::hash;
use super::index::{PatchPlace, Place, RootPlace, Segment, Stored};
use super::reader::Reader;
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

    fn get(&self, depth: u16) -> Result<&Arc<Reader>, ArchiveError> {
        let found = self.0.get(usize::from(depth)).and_then(Option::as_ref);
        found.ok_or_else(|| Flaw(format!("archive {depth} of its chain is not at hand")).of(None))
    }
}

/// How many decompressed frames a loader keeps: small files that are neighbours share frames.
const KEPT_FRAMES: usize = 3;

/// Which frame it was, and its content.
#[derive(Debug)]
struct Kept {
    depth: u16,
    frame: u32,
    raw: Vec<u8>,
}

/// Gets segments' content; each thread has its own.
#[derive(Debug)]
pub(super) struct Loader {
    holders: Arc<Holders>,
    decompressor: Decompressor,
    kept: Vec<Kept>,
    stored: Vec<u8>,
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
        Ok(Self {
            holders,
            decompressor: Decompressor::new()?,
            kept: Vec::new(),
            stored: Vec::new(),
            old: Vec::new(),
        })
    }

    /// The segment's content, which has the hash that was taken from the source; else an error.
    pub(super) fn checked(
        &mut self,
        segment: &Segment,
        position: Position,
        out: &mut Vec<u8>,
    ) -> Result<(), ArchiveError> {
        match &segment.stored {
            Stored::Hole => {
                out.clear();
                out.resize(position.length, 0);
            }
            Stored::Root(root) => self.root(root, out)?,
            Stored::Alone(patch) => {
                let found = self.slice(patch.holder, patch.place)?;
                out.clear();
                out.extend_from_slice(found);
            }
            Stored::Delta(root, patch) => self.delta(root, patch, position.length, out)?,
        }
        let found = hash::segment(out, position.number, position.only);
        if out.len() == position.length && found == segment.hash {
            Ok(())
        } else {
            let holder = match &segment.stored {
                Stored::Hole | Stored::Root(_) => 0,
                Stored::Alone(patch) | Stored::Delta(_, patch) => patch.holder,
            };
            let flaw = Flaw::new("a segment is not what was read from the source");
            Err(self.holders.get(holder).map_or_else(|gone| gone, |it| it.damaged(flaw)))
        }
    }

    /// The root's version of a segment; its hash is not known here.
    pub(super) fn root(&mut self, root: &RootPlace, out: &mut Vec<u8>) -> Result<(), ArchiveError> {
        let found = self.slice(0, root.place)?;
        if let Some(layout) = root.layout.as_deref() {
            let fits = sparse::scatter(found, layout, out);
            let flaw = || Flaw::new("a segment's holes do not fit");
            return fits.ok_or_else(|| {
                self.holders.get(0).map_or_else(|gone| gone, |it| it.damaged(flaw()))
            });
        }
        out.clear();
        out.extend_from_slice(found);
        Ok(())
    }

    fn delta(
        &mut self,
        root: &RootPlace,
        patch: &PatchPlace,
        length: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), ArchiveError> {
        let mut old = std::mem::take(&mut self.old);
        let outcome = self.root(root, &mut old);
        let outcome = outcome.and_then(|()| {
            let holder = self.holders.get(patch.holder)?;
            holder.stored_frame(patch.place.frame, &mut self.stored)?;
            skippable_content(&self.stored, PATCH_MAGIC)
                .and_then(|content| patch::apply(content, &old, length, out))
                .map_err(|flaw| holder.damaged(flaw))
        });
        self.old = old;
        outcome
    }

    fn slice(&mut self, depth: u16, place: Place) -> Result<&[u8], ArchiveError> {
        let holders = Arc::clone(&self.holders);
        let holder = holders.get(depth)?;
        let raw = self.frame(depth, holder, place.frame)?;
        let start = usize::try_from(place.offset).unwrap_or(usize::MAX);
        let length = usize::try_from(place.length).unwrap_or(usize::MAX);
        raw.get(start..start.saturating_add(length))
            .ok_or_else(|| holder.damaged(Flaw::new("a segment is not within its frame")))
    }

    /// The frame's content, decompressed now or lately.
    fn frame(&mut self, depth: u16, holder: &Reader, number: u32) -> Result<&[u8], ArchiveError> {
        let known = self.kept.iter().position(|it| it.depth == depth && it.frame == number);
        let mut kept = match known {
            Some(at) => self.kept.remove(at),
            None => self.read_frame(depth, holder, number)?,
        };
        // The one used last is at the end, the one that goes next at the front.
        kept.depth = depth;
        self.kept.push(kept);
        Ok(self.kept.last().map_or(&[], |it| it.raw.as_slice()))
    }

    fn read_frame(
        &mut self,
        depth: u16,
        holder: &Reader,
        number: u32,
    ) -> Result<Kept, ArchiveError> {
        let oldest = self.kept.len() >= KEPT_FRAMES;
        let mut raw = if oldest { self.kept.remove(0).raw } else { Vec::new() };
        let frame = holder.stored_frame(number, &mut self.stored)?;
        unpack(&mut self.decompressor, &self.stored, frame.raw, &mut raw)
            .map_err(|flaw| holder.damaged(flaw))?;
        Ok(Kept { depth, frame: number, raw })
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
