//! Long answers, which hold something until their last piece is sent or the client is gone.

use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::ServiceResponse;
use actix_web::web::Bytes;

/// A longer body is sent in pieces of so many bytes, the next one when the client took enough of those before: whoever
/// asks for many answers and reads none takes no more memory than for one piece.
const PIECE: usize = 8 << 10;

/// The answer, which holds what this gives while its body is sent, if that takes more than a moment.
pub(super) fn until_sent<T: Unpin + 'static>(
    response: ServiceResponse<BoxBody>,
    hold: impl FnOnce() -> T,
) -> ServiceResponse<BoxBody> {
    let is_long = match response.response().body().size() {
        BodySize::None => false,
        BodySize::Sized(bytes) => usize::try_from(bytes).map_or(true, |bytes| bytes > PIECE),
        BodySize::Stream => true,
    };
    if !is_long {
        return response;
    }
    response.map_body(|_head, body| {
        let size = body.size();
        BoxBody::new(HeldBody { body, size, piece: Bytes::new(), _held: hold() })
    })
}

struct HeldBody<T> {
    body: BoxBody,
    /// Of the whole body.
    size: BodySize,
    /// What is left of a larger piece that the body gave.
    piece: Bytes,
    _held: T,
}

impl<T: Unpin> MessageBody for HeldBody<T> {
    type Error = Box<dyn Error>;

    fn size(&self) -> BodySize {
        self.size
    }

    fn poll_next(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let this = self.get_mut();
        if this.piece.is_empty() {
            match Pin::new(&mut this.body).poll_next(context) {
                Poll::Ready(Some(Ok(piece))) => this.piece = piece,
                other => return other,
            }
        }
        let most = this.piece.len().min(PIECE);
        Poll::Ready(Some(Ok(this.piece.split_to(most))))
    }
}

#[cfg(test)]
mod tests {
    use actix_web::HttpResponse;
    use actix_web::body::to_bytes;
    use actix_web::test::TestRequest;

    use super::*;

    fn answer(body: &'static str) -> ServiceResponse<BoxBody> {
        TestRequest::default().to_srv_request().into_response(HttpResponse::Ok().body(body))
    }

    #[actix_web::test]
    async fn a_long_answer_is_sent_in_pieces_and_is_the_same() {
        let text: &'static str = "0123456789abcdef".repeat(PIECE / 16 * 2 + 1).leak();
        let mut body = until_sent(answer(text), || ()).into_body();
        assert_eq!(body.size(), BodySize::Sized(u64::try_from(text.len()).unwrap()));
        let mut pieces = Vec::new();
        while let Some(piece) =
            std::future::poll_fn(|context| Pin::new(&mut body).poll_next(context)).await
        {
            pieces.push(piece.unwrap());
        }
        let lengths: Vec<_> = pieces.iter().map(Bytes::len).collect();
        assert_eq!(lengths, [PIECE, PIECE, 16]);
        assert_eq!(pieces.concat(), text.as_bytes());
    }

    #[actix_web::test]
    async fn a_short_answer_holds_nothing() {
        let body = until_sent(answer("short"), || unreachable!("it is sent at once")).into_body();
        assert_eq!(to_bytes(body).await.unwrap(), "short");
    }
}
