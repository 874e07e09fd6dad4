//! A part of a file as the body of an answer: read piece by piece, off the event loop, and only as
//! fast as the client takes it. One download holds one piece in memory, whatever the file's size.

use std::fs::File;
use std::future::Future;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, MessageBody};
use actix_web::error::BlockingError;
use actix_web::web::{self, Bytes};

/// Bytes a piece.
const PIECE: u64 = 128 << 10;

type Read = Result<Result<(File, Bytes), io::Error>, BlockingError>;

enum Step {
    /// Ready to read on.
    Open(File),
    /// A piece is being read.
    Reading(Pin<Box<dyn Future<Output = Read>>>),
    /// Everything was read, or reading failed.
    Done,
}

/// The bytes of a file from a place on.
pub(super) struct FilePart {
    step: Step,
    offset: u64,
    left: u64,
    length: u64,
}

impl FilePart {
    /// `length` bytes of `file` from `offset` on.
    pub(super) fn new(file: File, offset: u64, length: u64) -> Self {
        Self { step: Step::Open(file), offset, left: length, length }
    }

    fn read_on(&mut self, file: File) {
        let (offset, length) = (self.offset, self.left.min(PIECE));
        self.step = Step::Reading(Box::pin(web::block(move || piece(file, offset, length))));
    }
}

fn piece(file: File, offset: u64, length: u64) -> io::Result<(File, Bytes)> {
    let length = usize::try_from(length).map_err(io::Error::other)?;
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, offset)?;
    Ok((file, bytes.into()))
}

impl MessageBody for FilePart {
    type Error = io::Error;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.length)
    }

    /// An error cuts the connection before the promised length, so the client knows.
    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, io::Error>>> {
        loop {
            if self.left == 0 {
                self.step = Step::Done;
                return Poll::Ready(None);
            }
            match std::mem::replace(&mut self.step, Step::Done) {
                Step::Done => return Poll::Ready(None),
                Step::Open(file) => self.read_on(file),
                Step::Reading(mut reading) => {
                    let Poll::Ready(read) = reading.as_mut().poll(context) else {
                        self.step = Step::Reading(reading);
                        return Poll::Pending;
                    };
                    let result = read.map_err(io::Error::other).flatten();
                    return Poll::Ready(Some(result.map(|(file, bytes)| {
                        let read = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
                        self.offset = self.offset.saturating_add(read);
                        self.left = self.left.saturating_sub(read);
                        self.step = Step::Open(file);
                        bytes
                    })));
                }
            }
        }
    }
}
