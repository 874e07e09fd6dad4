//! What a worker makes of a batch of segments: hashes, and frames ready to be written.

use std::ops::Range;
use std::sync::Arc;

use super::bytes::wide;
use super::error::ArchiveError;
use super::frame::{Compressor, LONGEST_FRAME, PATCH_MAGIC, SKIPPABLE_HEADER, push_skippable};
use super::hash::{self, Digest};
use super::index::{Layout, PatchPlace, Place, RootPlace, Segment, Stored};
use super::load::{Holders, Loader};
use super::patch::{self, Changes};
use super::reader::Reader;
use super::tried::Trial;

/// A segment in a batch.
#[derive(Debug)]
pub(super) struct Span {
    /// Whose it is.
    pub(super) owner: Owner,
    /// Where it starts in the batch.
    pub(super) start: usize,
    /// How many bytes of the batch it is.
    pub(super) length: usize,
    /// Whether its file has no other.
    pub(super) only: bool,
    /// Its hash and holes, where the batch holds its data ranges alone.
    pub(super) sparse: Option<(Digest, Box<Layout>)>,
    /// The parent's version.
    pub(super) old: Option<Segment>,
}

/// Which segment of which record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Owner {
    /// The record's number.
    pub(super) record: u64,
    /// The segment's number in the file.
    pub(super) number: usize,
}

/// Bytes to be put into the archive together.
#[derive(Debug)]
pub(super) struct Batch {
    /// Whether they are part of the visible tar, or of an incremental's patch frames.
    pub(super) visible: bool,
    /// The bytes: at most a MiB.
    pub(super) raw: Vec<u8>,
    /// The segments in them.
    pub(super) spans: Vec<Span>,
    /// A buffer for what is made of them.
    pub(super) out: Vec<u8>,
}

/// What became of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is as it was.
    Unchanged,
    /// It is in this batch's frames, whole.
    Whole,
    /// Its changed pages are.
    Patched,
}

/// A batch ready to be written.
#[derive(Debug)]
pub(super) struct Encoded {
    /// The buffer the bytes were in.
    pub(super) raw: Vec<u8>,
    /// The frames, one behind the other.
    pub(super) out: Vec<u8>,
    /// Stored and visible length of each.
    pub(super) frames: Vec<(u32, u32)>,
    /// The segments. Places in this batch's frames count from its first frame.
    pub(super) segments: Vec<(Owner, Fate, Segment)>,
    /// The patches among the frames, each applied and what came out compared.
    pub(super) trials: Vec<Trial>,
}

/// A worker's tools.
#[derive(Debug)]
pub(super) struct Encoder {
    compressor: Compressor,
    page_bytes: u32,
    /// Of an incremental: its own place in the chain, and the way to the root's content.
    basis: Option<(u16, Loader)>,
    scratch: Vec<u8>,
    changes: Changes,
}

impl Encoder {
    /// An encoder; for an incremental with its place in the chain, and the root.
    pub(super) fn new(
        level: i32,
        page_bytes: u32,
        basis: Option<(u16, &Arc<Reader>)>,
    ) -> Result<Self, ArchiveError> {
        let basis = match basis {
            Some((depth, root)) => {
                Some((depth, Loader::new(Arc::new(Holders::of([Arc::clone(root)])))?))
            }
            None => None,
        };
        Ok(Self {
            compressor: Compressor::new(level),
            page_bytes,
            basis,
            scratch: Vec::new(),
            changes: Changes::default(),
        })
    }

    /// Hashes, compares and compresses.
    pub(super) fn encode(&mut self, batch: Batch) -> Result<Encoded, ArchiveError> {
        let Batch { visible, raw, spans, out } = batch;
        let mut encoded = Encoded {
            raw: Vec::new(),
            out,
            frames: Vec::new(),
            segments: Vec::new(),
            trials: Vec::new(),
        };
        encoded.out.clear();
        encoded.out.reserve_exact(LONGEST_FRAME);
        if visible {
            self.compressor.frame(&raw, &mut encoded.out)?;
            encoded.frames.push((narrow(encoded.out.len()), narrow(raw.len())));
            encoded.segments.extend(spans.into_iter().map(|span| whole_in_root(&raw, span)));
        } else {
            self.patches(&raw, spans, &mut encoded)?;
        }
        encoded.raw = raw;
        Ok(encoded)
    }

    fn patches(
        &mut self,
        raw: &[u8],
        spans: Vec<Span>,
        encoded: &mut Encoded,
    ) -> Result<(), ArchiveError> {
        let mut alone = Vec::new();
        for span in spans {
            let bytes = bytes_of(raw, &span);
            let hash = hash::segment(bytes, span.owner.number, span.only);
            match span.old.as_ref() {
                Some(old) if old.hash == hash => {
                    encoded.segments.push((span.owner, Fate::Unchanged, old.clone()));
                }
                Some(old) if old.root().is_some() => {
                    let (fate, stored) = self.against_root((bytes, &hash), old, encoded)?;
                    encoded.segments.push((span.owner, fate, Segment { hash, stored }));
                }
                _ => alone.push((span, hash)),
            }
        }
        if alone.is_empty() { Ok(()) } else { self.alone(raw, alone, encoded) }
    }

    /// A changed segment that the root has too: its changed pages, and that they make it of the root's.
    fn against_root(
        &mut self,
        (bytes, hash): (&[u8], &Digest),
        old: &Segment,
        encoded: &mut Encoded,
    ) -> Result<(Fate, Stored), ArchiveError> {
        let broken = || ArchiveError::Worker("no root to compare with".to_owned());
        let root = old.root().ok_or_else(broken)?.clone();
        let (holder, loader) = self.basis.as_mut().ok_or_else(broken)?;
        let holder = *holder;
        let before = loader.root(&root, &mut self.scratch)?;
        let page_bytes = usize::try_from(self.page_bytes).unwrap_or(usize::MAX);
        if !self.changes.find(before, bytes, page_bytes) {
            return Ok((Fate::Unchanged, Stored::Root(root)));
        }
        let length = narrow(bytes.len());
        let (frame, content) = push_patch(encoded, |out| {
            self.changes.pack(&mut self.compressor, self.page_bytes, length, out)
        })?;
        let content = encoded.out.get(content).unwrap_or(&[]);
        if patch::makes(content, before, bytes) != Ok(true) {
            let what = "changed pages do not make the segment that they were taken from";
            return Err(ArchiveError::Worker(what.to_owned()));
        }
        encoded.trials.push(Trial::of(content, &root, bytes.len(), hash));
        let place = Place { frame, offset: 0, length };
        Ok((Fate::Patched, Stored::Delta(root, PatchPlace { holder, place })))
    }

    /// New segments: all of this batch in one frame.
    fn alone(
        &mut self,
        raw: &[u8],
        spans: Vec<(Span, Digest)>,
        encoded: &mut Encoded,
    ) -> Result<(), ArchiveError> {
        let holder = self.basis.as_ref().map_or(0, |(depth, _)| *depth);
        let mut packed = Vec::new();
        let all = matches!(spans.as_slice(), [(span, _)] if span.length == raw.len());
        if !all {
            packed.reserve_exact(spans.iter().map(|(span, _)| span.length).sum());
            for (span, _) in &spans {
                packed.extend_from_slice(bytes_of(raw, span));
            }
        }
        let source = if all { raw } else { packed.as_slice() };
        let (frame, _content) = push_patch(encoded, |out| {
            out.push(patch::WHOLE);
            self.compressor.frame(source, out)
        })?;
        let mut offset = 0;
        for (span, hash) in spans {
            let length = narrow(span.length);
            let place = Place { frame, offset, length };
            let stored = Stored::Alone(PatchPlace { holder, place });
            encoded.segments.push((span.owner, Fate::Whole, Segment { hash, stored }));
            offset = offset.saturating_add(length);
        }
        Ok(())
    }
}

/// Adds a patch frame with the content that `fill` adds; gives its number in the batch, and where its content is.
fn push_patch(
    encoded: &mut Encoded,
    fill: impl FnOnce(&mut Vec<u8>) -> Result<(), ArchiveError>,
) -> Result<(u32, Range<usize>), ArchiveError> {
    let content = push_skippable(&mut encoded.out, PATCH_MAGIC, fill)?;
    encoded.frames.push((narrow(SKIPPABLE_HEADER + content.len()), 0));
    Ok((narrow(encoded.frames.len() - 1), content))
}

fn bytes_of<'a>(raw: &'a [u8], span: &Span) -> &'a [u8] {
    raw.get(span.start..span.start.saturating_add(span.length)).unwrap_or(&[])
}

/// A segment of a full backup.
fn whole_in_root(raw: &[u8], span: Span) -> (Owner, Fate, Segment) {
    let place = Place { frame: 0, offset: narrow(span.start), length: narrow(span.length) };
    let (hash, layout) = match span.sparse {
        Some((hash, layout)) => (hash, Some(layout)),
        None => (hash::segment(bytes_of(raw, &span), span.owner.number, span.only), None),
    };
    let stored = Stored::Root(RootPlace { place, layout });
    (span.owner, Fate::Whole, Segment { hash, stored })
}

/// Within a batch everything fits 32 bits.
fn narrow(length: usize) -> u32 {
    u32::try_from(wide(length)).unwrap_or(u32::MAX)
}
