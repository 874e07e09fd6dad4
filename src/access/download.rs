//! An archive, or a range of it, as the body of an answer.

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

/// Bytes a piece.
const PIECE: u64 = 64 << 10;

type Reading = Pin<Box<dyn Future<Output = Result<io::Result<Bytes>, BlockingError>>>>;

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
    _room: R,
}

impl<R> fmt::Debug for ArchivePart<R> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { offset, left, .. } = self;
        write!(out, "{left} bytes of an archive from {offset} on")
    }
}

impl<R> ArchivePart<R> {
    /// `length` bytes of `archive` from `offset` on.
    pub fn new(archive: Arc<dyn ReadAt>, offset: u64, length: u64, room: R) -> Self {
        Self { archive, offset, left: length, length, reading: None, _room: room }
    }

    fn begin_reading(&self) -> Reading {
        let (archive, offset) = (Arc::clone(&self.archive), self.offset);
        let length = self.left.min(PIECE);
        Box::pin(web::block(move || {
            let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
            archive.read_exact_at(&mut bytes, offset)?;
            Ok(bytes.into())
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
        let mut reading = self.reading.take().unwrap_or_else(|| self.begin_reading());
        let Poll::Ready(read) = reading.as_mut().poll(context) else {
            self.reading = Some(reading);
            return Poll::Pending;
        };
        let read = read.map_err(io::Error::other).flatten();
        match &read {
            Ok(bytes) => {
                let count = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
                self.offset = self.offset.saturating_add(count);
                self.left = self.left.saturating_sub(count);
            }
            Err(error) => {
                log::error!("an archive cannot be read, and its download was cut off: {error}");
                self.left = 0;
            }
        }
        Poll::Ready(Some(read))
    }
}
