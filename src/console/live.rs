//! Changes, said to open pages as server-sent events. One signal of the catalog reaches all of them; nothing is read
//! for it.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::body::{BodySize, MessageBody};
use actix_web::rt::time::{sleep, timeout};
use actix_web::web::Bytes;
use tokio::sync::OwnedSemaphorePermit;

use crate::bell::Follower;

use super::asked::Asked;
use super::error::ConsoleError;

/// How often a page hears that the server is still there. That a page was closed is found out by the second time it cannot
/// be said, and until then it has a place: who turns pages quickly leaves some behind.
const STILL_HERE: Duration = Duration::from_secs(4);
/// Changes in this time are one: a page is not loaded more often.
const PAUSE: Duration = Duration::from_millis(700);

/// The stream of a page. It is closed when too many are open, or when the server stops.
struct Stream {
    next: Option<Next>,
    _place: OwnedSemaphorePermit,
}

type Next = Pin<Box<dyn Future<Output = Option<(Bytes, Follower)>>>>;

/// A page asks for what changed `since` the count that it carries: what came between reading it and this is not missed.
pub(super) fn stream(asked: &Asked) -> Result<HttpResponse, ConsoleError> {
    let console = &asked.console;
    let place = Arc::clone(&console.live_pages).try_acquire_owned();
    let busy = ConsoleError::Busy("as many pages as may be are kept up to date already");
    let place = place.map_err(|_full| busy)?;
    let changes = console.catalog.changes();
    let since = asked.query.text("since").parse();
    let follower = since.map_or_else(|_none| changes.follow(), |seen| changes.follow_past(seen));
    let hello = async move { Some((Bytes::from_static(b"retry: 3000\n\n"), follower)) };
    let stream = Stream { next: Some(Box::pin(hello)), _place: place };
    Ok(HttpResponse::Ok().content_type("text/event-stream").body(stream))
}

/// The answer without a session: an `EventSource` that gets 204 asks no more and reports no fault (HTML standard,
/// "server-sent events").
pub(super) fn is_over() -> HttpResponse {
    HttpResponse::NoContent().finish()
}

async fn next(mut follower: Follower) -> Option<(Bytes, Follower)> {
    match timeout(STILL_HERE, follower.next()).await {
        Err(_elapsed) => Some((Bytes::from_static(b": still here\n\n"), follower)),
        Ok(true) => {
            sleep(PAUSE).await;
            follower.forget();
            Some((Bytes::from_static(b"event: change\ndata: \n\n"), follower))
        }
        Ok(false) => None,
    }
}

impl MessageBody for Stream {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Infallible>>> {
        let Some(waiting) = &mut self.next else { return Poll::Ready(None) };
        let Poll::Ready(found) = waiting.as_mut().poll(context) else { return Poll::Pending };
        let (said, follower) = found.unzip();
        let after = |it| -> Next { Box::pin(next(it)) };
        self.next = follower.map(after);
        Poll::Ready(said.map(Ok))
    }
}
