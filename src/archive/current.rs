//! The entry that a writer is at: which segment is next, and what of it is to be stored.

use std::sync::Arc;

use super::encode::{Owner, Span};
use super::error::ArchiveError;
use super::hash::{self, Digest};
use super::index::{Layout, Record, segment_length};
use super::sparse::{self, Cover};
use crate::domain::{EntryPath, Extent};

/// The entry begun last.
#[derive(Debug)]
pub(super) struct Current {
    pub(super) number: u64,
    pub(super) size: u64,
    pub(super) extents: Option<Vec<Extent>>,
    /// Segments given, and to be given.
    pub(super) given: usize,
    pub(super) count: usize,
    /// Bytes of the tar member's data that are still to come, and zeros behind them.
    pub(super) data_left: u64,
    pub(super) filling: usize,
    /// The parent's version.
    pub(super) old: Option<Arc<Record>>,
    pub(super) path: EntryPath,
}

/// What is to be stored of a segment.
#[derive(Debug)]
pub(super) enum Part {
    /// Nothing: its hash.
    Hole(Digest),
    /// The bytes; if these are its data ranges only, its hash and which ones these are.
    Data(Option<(Digest, Box<Layout>)>),
}

impl Current {
    /// The place of the next segment, which must be `length` bytes.
    pub(super) fn next_span(&mut self, length: usize) -> Result<Span, ArchiveError> {
        let number = self.given;
        let expected = segment_length(self.size, number);
        if number >= self.count || length != expected {
            let path = &self.path;
            let what = format!("{path}: a segment of {length} bytes instead of {expected}");
            return Err(ArchiveError::Misuse(what));
        }
        self.given += 1;
        let old = self.old.as_ref().and_then(|old| old.segments.get(number)).cloned();
        let owner = Owner { record: self.number, number };
        Ok(Span { owner, start: 0, length, only: self.count == 1, sparse: None, old })
    }

    /// Takes the holes out of a segment. A tar has the data ranges only; a patch frame has the holes too,
    /// as zeros: a restore knows from the entry where they are.
    pub(super) fn without_holes(
        &self,
        bytes: Vec<u8>,
        span: &Span,
        visible: bool,
    ) -> Result<(Vec<u8>, Part), ArchiveError> {
        let mut bytes = bytes;
        let number = span.owner.number;
        let cover = self
            .extents
            .as_deref()
            .map_or(Cover::Whole, |extents| sparse::cover(extents, self.size, number));
        if cover == Cover::Whole {
            return Ok((bytes, Part::Data(None)));
        }
        let outside =
            || ArchiveError::Misuse(format!("{}: data outside of the data ranges", self.path));
        let hash = hash::segment(&bytes, number, span.only);
        let Cover::Part(layout) = cover else {
            let zero = bytes.iter().all(|byte| *byte == 0);
            return if zero { Ok((bytes, Part::Hole(hash))) } else { Err(outside()) };
        };
        if visible {
            sparse::gather(&mut bytes, &layout).ok_or_else(outside)?;
            return Ok((bytes, Part::Data(Some((hash, Box::new(layout))))));
        }
        sparse::gather(&mut bytes.clone(), &layout).ok_or_else(outside)?;
        Ok((bytes, Part::Data(None)))
    }
}
