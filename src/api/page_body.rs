//! The JSON of a page, written while its rows are read: a long one is never in memory as a whole.

use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::HttpResponse;
use actix_web::body::{BodySize, MessageBody};
use actix_web::http::header::ContentType;
use actix_web::web::Bytes;
use serde::Serialize;

use crate::wire::Link;

use super::error::ApiError;

/// Rows that are read at a time. The usual pages are read at once.
pub(super) const ROWS: u32 = 32;
/// Room for a row in JSON; few need more.
const ROW_BYTES: usize = 1024;

/// The rows of a page, a few at a time.
pub(super) trait Rows: Unpin + 'static {
    type Row: Serialize;

    /// The key of the list in the page.
    const KEY: &'static str;

    /// The next rows, at most [`ROWS`].
    fn read(&mut self) -> Result<Batch<Self::Row>, ApiError>;
}

pub(super) struct Batch<R> {
    pub(super) rows: Vec<R>,
    pub(super) rest: Rest,
}

/// What follows a batch.
pub(super) enum Rest {
    Rows,
    /// Nothing; the link leads to the next page.
    End(Option<Link>),
}

/// The answer with a page. It has a length if its rows fit into one batch.
pub(super) fn answer<R: Rows>(mut rows: R) -> Result<HttpResponse, ApiError> {
    let mut text = format!("{{\"{}\":[", R::KEY).into_bytes();
    let ended = write_batch(&mut text, true, rows.read()?);
    let mut response = HttpResponse::Ok();
    response.content_type(ContentType::json());
    if ended {
        return Ok(response.body(text));
    }
    Ok(response.body(PageBody { next: Some(text.into()), rows: Some(rows), paused: false }))
}

/// Writes a batch, and the end of the page if it is the last one, which it says.
fn write_batch<R: Serialize>(text: &mut Vec<u8>, first: bool, batch: Batch<R>) -> bool {
    text.reserve(batch.rows.len().saturating_add(1).saturating_mul(ROW_BYTES));
    for (at, row) in batch.rows.iter().enumerate() {
        if !(first && at == 0) {
            text.push(b',');
        }
        write(text, row);
    }
    let Rest::End(link) = batch.rest else { return false };
    text.push(b']');
    if let Some(link) = link {
        text.extend_from_slice(b",\"links\":");
        write(text, &[link]);
    }
    text.push(b'}');
    true
}

fn write(text: &mut Vec<u8>, value: &impl Serialize) {
    serde_json::to_writer(text, value).expect("rows and links are JSON, and memory takes them");
}

struct PageBody<R> {
    next: Option<Bytes>,
    /// `None` once all are read.
    rows: Option<R>,
    /// Whether others had a turn since the last batch.
    paused: bool,
}

impl<R: Rows> MessageBody for PageBody<R> {
    type Error = ApiError;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    /// An error cuts the connection before the end of the page, so the client knows.
    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, ApiError>>> {
        if let Some(piece) = self.next.take() {
            return Poll::Ready(Some(Ok(piece)));
        }
        // Reading does not wait for anything, so every other request would wait for the whole page.
        self.paused = !self.paused;
        if self.paused {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let Some(mut rows) = self.rows.take() else { return Poll::Ready(None) };
        let batch = match rows.read() {
            Ok(batch) => batch,
            Err(error) => {
                log::warn!("a page of {} was cut off: {error}", R::KEY);
                return Poll::Ready(Some(Err(error)));
            }
        };
        let mut text = Vec::new();
        if !write_batch(&mut text, false, batch) {
            self.rows = Some(rows);
        }
        Poll::Ready(Some(Ok(text.into())))
    }
}

#[cfg(test)]
mod tests {
    use actix_web::body::to_bytes;
    use serde_json::{Value, json};

    use super::*;

    struct Numbers(u32);

    impl Rows for Numbers {
        type Row = u32;
        const KEY: &'static str = "numbers";

        fn read(&mut self) -> Result<Batch<u32>, ApiError> {
            let rows: Vec<u32> = (0..self.0.min(2)).collect();
            self.0 -= self.0.min(2);
            let link = Link { href: "/x".to_owned(), rel: "next".to_owned() };
            let rest = if self.0 == 0 { Rest::End(Some(link)) } else { Rest::Rows };
            Ok(Batch { rows, rest })
        }
    }

    #[actix_web::test]
    async fn a_page_is_the_same_json_in_one_batch_and_in_several() {
        for (count, rows) in [
            (0, json!([])),
            (2, json!([0, 1])),
            (3, json!([0, 1, 0])),
            (6, json!([0, 1, 0, 1, 0, 1])),
        ] {
            let body = answer(Numbers(count)).unwrap().into_body();
            let sized = matches!(body.size(), BodySize::Sized(_));
            assert_eq!(sized, count <= 2);
            let text = to_bytes(body).await.unwrap();
            let page: Value = serde_json::from_slice(&text).unwrap();
            assert_eq!(page, json!({"numbers": rows, "links": [{"href": "/x", "rel": "next"}]}));
        }
    }
}
