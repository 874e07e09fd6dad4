//! The JSON of a page, written while its rows are read: a long one is never in memory as a whole.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::HttpResponse;
use actix_web::body::{BodySize, MessageBody};
use actix_web::http::header::ContentType;
use actix_web::web::Bytes;
use serde::Serialize;

use crate::wire::Link;

use super::error::ApiError;
use super::turns::turn;

/// Rows that are read at a time. The usual pages are read at once.
pub(super) const ROWS: u32 = 32;
/// Room for a row in JSON; few need more.
const ROW_BYTES: usize = 1024;
/// Bytes that are sent at once: a client that takes nothing keeps little of a long page in memory.
const PIECE: usize = 8 << 10;

/// The rows of a page, a few at a time.
pub(super) trait Rows: Unpin + 'static {
    type Row: Serialize;

    /// The key of the list in the page.
    const KEY: &'static str;

    /// The name of the token that asks.
    fn who(&self) -> &str;

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
pub(super) async fn answer<R: Rows>(rows: R) -> Result<HttpResponse, ApiError> {
    let (text, rows) = read(rows, true).await?;
    let mut response = HttpResponse::Ok();
    response.content_type(ContentType::json());
    Ok(match rows {
        None => response.body(text),
        Some(rows) => response.body(PageBody { text, rest: PageRest::Rows(rows) }),
    })
}

/// The next batch as text, and the rows if there are more.
async fn read<R: Rows>(mut rows: R, first: bool) -> Result<(Bytes, Option<R>), ApiError> {
    let _turn = turn(rows.who()).await;
    let mut text = Vec::new();
    if first {
        text.extend_from_slice(format!("{{\"{}\":[", R::KEY).as_bytes());
    }
    let ended = write_batch(&mut text, first, rows.read()?);
    Ok((text.into(), (!ended).then_some(rows)))
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
    /// What was read and not sent.
    text: Bytes,
    rest: PageRest<R>,
}

/// What follows.
enum PageRest<R> {
    Rows(R),
    Reading(Reading<R>),
    End,
}

type Reading<R> = Pin<Box<dyn Future<Output = Result<(Bytes, Option<R>), ApiError>>>>;

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
        if self.text.is_empty() {
            let mut reading = match std::mem::replace(&mut self.rest, PageRest::End) {
                PageRest::Rows(rows) => Box::pin(read(rows, false)),
                PageRest::Reading(reading) => reading,
                PageRest::End => return Poll::Ready(None),
            };
            match reading.as_mut().poll(context) {
                Poll::Pending => {
                    self.rest = PageRest::Reading(reading);
                    return Poll::Pending;
                }
                Poll::Ready(Ok((text, rows))) => {
                    self.text = text;
                    self.rest = rows.map_or(PageRest::End, PageRest::Rows);
                }
                Poll::Ready(Err(error)) => {
                    log::warn!("a page of {} was cut off: {error}", R::KEY);
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
        let piece = self.text.len().min(PIECE);
        Poll::Ready(Some(Ok(self.text.split_to(piece))))
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

        fn who(&self) -> &'static str {
            "alice"
        }

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
            let body = answer(Numbers(count)).await.unwrap().into_body();
            let sized = matches!(body.size(), BodySize::Sized(_));
            assert_eq!(sized, count <= 2);
            let text = to_bytes(body).await.unwrap();
            let page: Value = serde_json::from_slice(&text).unwrap();
            assert_eq!(page, json!({"numbers": rows, "links": [{"href": "/x", "rel": "next"}]}));
        }
    }
}
