//! Long answers, which hold something until their last piece is sent or the client is gone.

use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::ServiceResponse;
use actix_web::web::Bytes;

/// A longer body is sent in pieces.
const PIECE: u64 = 64 << 10;

/// The answer, which holds what this gives while its body is sent, if that takes more than a moment.
pub(super) fn until_sent<T: Unpin + 'static>(
    response: ServiceResponse<BoxBody>,
    hold: impl FnOnce() -> T,
) -> ServiceResponse<BoxBody> {
    let is_long = match response.response().body().size() {
        BodySize::None => false,
        BodySize::Sized(bytes) => bytes > PIECE,
        BodySize::Stream => true,
    };
    if !is_long {
        return response;
    }
    response.map_body(|_head, body| BoxBody::new(HeldBody { body, _held: hold() }))
}

struct HeldBody<T> {
    body: BoxBody,
    _held: T,
}

impl<T: Unpin> MessageBody for HeldBody<T> {
    type Error = Box<dyn Error>;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(context)
    }
}
