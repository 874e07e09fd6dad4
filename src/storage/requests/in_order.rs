//! Reading an object in order: what was received of it and not read yet, and the answer that is still to come.

use std::io::{self, Read as _};

use ureq::BodyReader;

use crate::domain::num::{saturating_usize, to_u64};

/// The least that is read of an answer at once.
pub(super) const PIECE: u64 = 64 << 10;
/// Threads that share the work of reading in order come out of it by some pieces: what is so far ahead is still in order,
/// and what they have skipped is kept for as long as it is not more than twice that.
pub(super) const AHEAD: u64 = 2 << 20;

/// Where reading in order has come to.
#[derive(Default)]
pub(super) struct InOrder {
    /// What was received and not read yet, from here on.
    start: u64,
    pub(super) kept: Vec<u8>,
    /// How much the last request asked for, and what of its answer is still to come.
    pub(super) asked: u64,
    pub(super) rest: Option<Rest>,
}

/// An answer that is read further when its bytes are wanted.
pub(super) struct Rest {
    pub(super) bytes: u64,
    pub(super) body: BodyReader<'static>,
}

impl InOrder {
    /// Up to where it was received.
    pub(super) fn next(&self) -> u64 {
        self.start.saturating_add(to_u64(self.kept.len()))
    }

    /// Whether what begins at `offset` comes soon.
    pub(super) fn comes_to(&self, offset: u64) -> bool {
        self.asked > 0 && offset >= self.start && offset <= self.next().saturating_add(AHEAD)
    }

    /// Begins at `offset`, where it came to a short time ago or elsewhere.
    pub(super) fn begin(&mut self, offset: u64) {
        let asked = if self.next() == offset { self.asked } else { 0 };
        *self = Self { start: offset, asked, ..Self::default() };
    }

    /// Takes what begins at `offset`; what comes before it stays for whoever is late.
    pub(super) fn take(&mut self, buffer: &mut [u8], offset: u64) -> bool {
        if !copy(&self.kept, self.start, buffer, offset) {
            return false;
        }
        let end = offset.saturating_add(to_u64(buffer.len()));
        let from = if offset <= self.start { end } else { end.saturating_sub(2 * AHEAD) };
        let forgotten = from.saturating_sub(self.start);
        self.kept.drain(..saturating_usize(forgotten).min(self.kept.len()));
        self.kept.shrink_to(saturating_usize(PIECE));
        self.start = self.start.saturating_add(forgotten);
        true
    }
}

impl Rest {
    /// Reads on by so many bytes, or by those that are left.
    pub(super) fn read_on(mut self, into: &mut Vec<u8>, length: u64) -> io::Result<Option<Self>> {
        let (had, more) = (into.len(), length.min(self.bytes));
        into.resize(had.saturating_add(saturating_usize(more)), 0);
        if let Err(error) = self.body.read_exact(into.get_mut(had..).unwrap_or_default()) {
            into.truncate(had);
            return Err(error);
        }
        self.bytes = self.bytes.saturating_sub(more);
        if self.bytes > 0 {
            return Ok(Some(self));
        }
        // The client uses a connection again only after it has seen the end of the answer.
        match self.body.read(&mut [0]) {
            Ok(0) | Err(_) => Ok(None),
            Ok(_) => Err(io::Error::other("the answer is longer than what was asked for")),
        }
    }
}

/// Copies what begins at `offset` of `bytes`, which begin at `start`, if all of it is there.
pub(super) fn copy(bytes: &[u8], start: u64, buffer: &mut [u8], offset: u64) -> bool {
    let Some(skip) = offset.checked_sub(start) else { return false };
    let skip = saturating_usize(skip);
    let found = bytes.get(skip..skip.saturating_add(buffer.len()));
    found.map(|found| buffer.copy_from_slice(found)).is_some()
}
