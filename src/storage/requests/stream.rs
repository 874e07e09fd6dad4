//! What is sent, read from its source piece by piece.

use std::io::{self, Read};
use std::sync::Arc;

use crate::domain::ReadAt;
use crate::domain::num::{saturating_usize, to_u64};

/// How much of the source is read at once.
const PIECE: u64 = 64 << 10;

/// Reads a range of a source from front to back.
pub(in crate::storage) fn piece_reader(
    source: &Arc<dyn ReadAt>,
    (at, left): (u64, u64),
) -> Box<dyn Read> {
    Box::new(Pieces { source: Arc::clone(source), at, left })
}

struct Pieces {
    source: Arc<dyn ReadAt>,
    at: u64,
    left: u64,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.left.min(PIECE).min(to_u64(buffer.len()));
        let into = buffer.get_mut(..saturating_usize(length)).unwrap_or_default();
        if into.is_empty() {
            return Ok(0);
        }
        self.source.read_exact_at(into, self.at)?;
        self.at = self.at.saturating_add(length);
        self.left = self.left.saturating_sub(length);
        Ok(into.len())
    }
}

/// Remembers why what was to be sent could not be read: the HTTP client does not tell that from a broken connection.
pub(super) struct Watched<'a> {
    pub(super) inner: Box<dyn Read + 'a>,
    pub(super) failure: Option<io::Error>,
}

impl Read for Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buffer).map_err(|error| {
            let again = io::Error::new(error.kind(), "the source cannot be read");
            self.failure = Some(error);
            again
        })
    }
}
