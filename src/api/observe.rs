//! What happens around every request, whoever answers it: the request id, HEAD, the access log, the
//! count, and that even the HTTP library's own refusals speak Trove's words.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::header::{HeaderName, HeaderValue, RANGE};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage as _, web};

use crate::catalog::{Read, Scope};

use super::State;
use super::error::{cause, in_our_words, speaks_otherwise};
use super::request_id::RequestId;

/// Trove's name for the header by which an answer is found in the log.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-openstack-request-id");

/// One line of the access log.
struct Line {
    id: RequestId,
    method: Method,
    path: String,
    started: Instant,
}

impl Line {
    /// The query is left out: names and ids in it are nobody's business. What pollers ask all day
    /// long is for those who debug.
    fn write(&self, status: StatusCode, caller: &str) {
        let level = match self.path.as_str() {
            "/healthcheck" | "/metrics" => log::Level::Debug,
            _ => log::Level::Info,
        };
        let Self { id, method, path, started } = self;
        let took = started.elapsed().as_micros();
        let (id, status) = (id.as_str(), status.as_str());
        log::log!(
            target: "coffer::access",
            level,
            "{method} {path} {status} {took}us caller={caller} {id}"
        );
    }

    fn header(&self) -> HeaderValue {
        HeaderValue::from_str(self.id.as_str())
            .unwrap_or_else(|_reason| HeaderValue::from_static("req-"))
    }
}

/// The middleware around everything.
pub(super) async fn observe<B: MessageBody + 'static>(
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let line = Line {
        id: RequestId::next(),
        method: request.method().clone(),
        path: request.uri().path().to_owned(),
        started: Instant::now(),
    };
    let head = line.method == Method::HEAD;
    if head {
        // HEAD is answered as GET would be, for the whole of the thing.
        request.head_mut().method = Method::GET;
        request.headers_mut().remove(RANGE);
    }
    let state = request.app_data::<web::Data<State>>().cloned();
    let count = |status| {
        if let Some(state) = &state {
            state.answered.add(status);
        }
    };
    match next.call(request).await {
        Ok(response) => {
            let mut response = translated(response.map_into_boxed_body());
            match response.request().extensions().get::<Scope<Read>>() {
                Some(scope) => line.write(response.status(), &scope.caller().name),
                None => line.write(response.status(), "-"),
            }
            if let Some(cause) = cause(response.response()) {
                log::error!("{} {} failed: {cause} ({})", line.method, line.path, line.id.as_str());
            }
            count(response.status());
            response.headers_mut().insert(REQUEST_ID, line.header());
            Ok(if head { response.map_body(|_head, body| hollow(&body)) } else { response })
        }
        Err(error) => {
            let mut response = error.error_response();
            if speaks_otherwise(&response) {
                response = in_our_words(response.status()).into();
            }
            line.write(response.status(), "-");
            count(response.status());
            response.headers_mut().insert(REQUEST_ID, line.header());
            Err(InternalError::from_response(error, response).into())
        }
    }
}

/// A refusal of the HTTP library's own becomes one of ours.
fn translated(response: ServiceResponse<BoxBody>) -> ServiceResponse<BoxBody> {
    if speaks_otherwise(response.response()) {
        let ours = in_our_words(response.status());
        let (request, _theirs) = response.into_parts();
        ServiceResponse::from_err(ours, request)
    } else {
        response
    }
}

/// No bytes, but the size that the body would have had.
struct Hollow(BodySize);

impl MessageBody for Hollow {
    type Error = std::convert::Infallible;

    fn size(&self) -> BodySize {
        self.0
    }

    fn poll_next(
        self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<web::Bytes, Self::Error>>> {
        Poll::Ready(None)
    }
}

fn hollow(body: &BoxBody) -> BoxBody {
    BoxBody::new(Hollow(body.size()))
}
