//! An archive, or a range of it, as the body of an answer. A whole archive is compared with its checksum while it is sent,
//! and cut off before its last piece if it is not what was proven, so that no client takes it for that. A range shorter than
//! the archive is sent as it lies there.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, MessageBody};
use actix_web::error::BlockingError;
use actix_web::web::{self, Bytes};

use crate::domain::ReadAt;

use super::OpenArchive;

/// Bytes a piece.
const PIECE: u64 = 64 << 10;

type Reading = Pin<Box<dyn Future<Output = Result<io::Result<(Bytes, Checked)>, BlockingError>>>>;

/// The checksum that a whole archive has to have, with what was read of it so far.
type Checked = Option<Box<(blake3::Hasher, String)>>;

/// A range of an archive. `R` is what it takes of the limits of downloads, and is held until it is sent.
pub struct ArchivePart<R> {
    archive: Arc<dyn ReadAt>,
    /// Where the next piece begins.
    offset: u64,
    /// How much of the range was not sent yet.
    left: u64,
    /// The whole range, for the answer's length.
    length: u64,
    reading: Option<Reading>,
    checked: Checked,
    _room: R,
}

impl<R> fmt::Debug for ArchivePart<R> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { offset, left, .. } = self;
        write!(out, "{left} bytes of an archive from {offset} on")
    }
}

impl<R> ArchivePart<R> {
    /// `length` bytes from `offset` on of an archive with this checksum.
    pub fn new(opened: &OpenArchive, (offset, length): (u64, u64), room: R) -> Self {
        let is_whole = offset == 0 && length == opened.facts.stored_bytes;
        let begun = || Box::new((blake3::Hasher::new(), opened.facts.checksum.clone()));
        let (archive, checked) = (Arc::clone(&opened.archive), is_whole.then(begun));
        Self { archive, offset, left: length, length, reading: None, checked, _room: room }
    }

    fn begin_reading(&mut self) -> Reading {
        let (archive, offset) = (Arc::clone(&self.archive), self.offset);
        let (length, mut checked) = (self.left.min(PIECE), self.checked.take());
        let is_last = length == self.left;
        Box::pin(web::block(move || {
            let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
            archive.read_exact_at(&mut bytes, offset)?;
            if let Some((hasher, checksum)) = checked.as_deref_mut() {
                hasher.update(&bytes);
                if is_last && hasher.finalize().to_string() != *checksum {
                    let why =
                        format!("its bytes are not those with the checksum blake3:{checksum}");
                    return Err(io::Error::other(why));
                }
            }
            Ok((bytes.into(), checked))
        }))
    }
}

impl<R: Unpin> MessageBody for ArchivePart<R> {
    type Error = io::Error;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.length)
    }

    /// An error cuts the connection before the promised length, so the client knows.
    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, io::Error>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let mut reading = match self.reading.take() {
            Some(reading) => reading,
            None => self.begin_reading(),
        };
        let Poll::Ready(read) = reading.as_mut().poll(context) else {
            self.reading = Some(reading);
            return Poll::Pending;
        };
        let read = read.map_err(io::Error::other).flatten();
        match &read {
            Ok((bytes, _checked)) => {
                let count = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
                self.offset = self.offset.saturating_add(count);
                self.left = self.left.saturating_sub(count);
            }
            Err(error) => {
                log::error!(
                    "an archive was not sent to its end: {error}; see which one is damaged with coffer verify"
                );
                self.left = 0;
            }
        }
        Poll::Ready(Some(read.map(|(bytes, checked)| {
            self.checked = checked;
            bytes
        })))
    }
}
