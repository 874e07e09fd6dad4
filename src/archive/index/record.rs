//! A record of the index: an entry, and where the content of its segments is.

use super::segment::size_of;
use super::segments::Segments;
use crate::archive::hash::{self, Digest};
use crate::domain::Entry;

/// An entry of an archive, with where its content is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub entry: Entry,
    pub(crate) segments: Segments,
    pub(crate) hash: Option<Digest>,
}

impl Record {
    /// BLAKE3 of a regular file's content in hex, as `b3sum` prints it; `None` if not all of it was hashed.
    pub fn blake3(&self) -> Option<String> {
        let is_complete = self.segments.iter().all(|it| it.hash != hash::NOT_TAKEN);
        self.hash.filter(|_| is_complete).map(hex::encode)
    }

    /// The length of a regular file; 0 for everything else.
    pub const fn size(&self) -> u64 {
        size_of(&self.entry)
    }
}
