//! What happens around every request: the request id, HEAD, the access log, the count, and Trove's form
//! for the refusals that the HTTP library makes.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::header::{CONTENT_LENGTH, HeaderName, HeaderValue, RANGE};
use actix_web::http::{ConnectionType, Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage as _, web};
use log::Level;
use uuid::Uuid;

use crate::catalog::{Read, Scope};
use crate::telemetry::Subject;

use super::connection::{Connection, RequestBody};
use super::error::{ApiError, cause, is_actix_error, to_api_error};
use super::{State, heads, held};

/// Trove's header for the id that leads from an answer to the log.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-openstack-request-id");

/// The path that is answered on every connection.
const HEALTH: &str = "/healthcheck";

/// The target of the access log's lines.
const ACCESS: &str = "coffer::access";

/// One line of the access log.
struct Line {
    /// `req-` and a random UUID.
    id: String,
    method: Method,
    path: String,
    started: Instant,
}

impl Line {
    /// Leaves out the query, which may hold names.
    fn write(&self, status: StatusCode, caller: &str) {
        if !log::log_enabled!(target: ACCESS, Level::Debug) {
            return;
        }
        let Self { id, method, path, started } = self;
        let took = started.elapsed().as_micros();
        let status = status.as_str();
        let _about = Subject::new("request_id", id);
        log::debug!(
            target: ACCESS,
            "{method} {path} {status} {took}us caller={caller} {id}"
        );
    }

    fn header(&self) -> HeaderValue {
        HeaderValue::from_str(&self.id).expect("a word and a UUID are ASCII")
    }
}

pub(super) async fn observe<B: MessageBody + 'static>(
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let line = Line {
        id: format!("req-{}", Uuid::new_v4()),
        method: request.method().clone(),
        path: request.uri().path().to_owned(),
        started: Instant::now(),
    };
    let head = line.method == Method::HEAD;
    if head {
        // HEAD is answered as GET without Range would be.
        request.head_mut().method = Method::GET;
        request.headers_mut().remove(RANGE);
    }
    let state = request.app_data::<web::Data<State>>().cloned();
    let count = |status| {
        if let Some(state) = &state {
            state.answered.add(status);
        }
    };
    let connection = request.conn_data::<Arc<Connection>>().cloned();
    match answer(connection, request, next).await {
        Ok(response) => {
            let mut response = in_trove_form(response);
            match response.request().extensions().get::<Scope<Read>>() {
                Some(scope) => line.write(response.status(), &scope.caller().name),
                None => line.write(response.status(), "-"),
            }
            if let Some(cause) = cause(response.response()) {
                let _about = Subject::new("request_id", &line.id);
                log::error!("{} {} failed: {cause} ({})", line.method, line.path, line.id);
            }
            count(response.status());
            response.headers_mut().insert(REQUEST_ID, line.header());
            Ok(if head {
                response.map_body(|_head, body| BoxBody::new(HeadBody(body.size())))
            } else {
                response
            })
        }
        Err(error) => {
            let mut response = error.error_response();
            if is_actix_error(&response) {
                response = to_api_error(response.status()).into();
            }
            line.write(response.status(), "-");
            count(response.status());
            response.headers_mut().insert(REQUEST_ID, line.header());
            Err(InternalError::from_response(error, response).into())
        }
    }
}

/// The answer of the handler. On a connection of the reserve the health check is answered at once, and all else when it
/// has a place.
async fn answer<B: MessageBody + 'static>(
    connection: Option<Arc<Connection>>,
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let _counted = heads::Open::begin();
    // Nothing here speaks another protocol (RFC 9110, section 7.8): the answer is the ordinary one. The HTTP library
    // ends the connection of such a request, and would answer as if it changed the protocol.
    let asks_for_other_protocol = request.head().upgrade();
    let body = body_of(&request);
    let head = heads::settle(&mut request);
    let Some(connection) = connection else {
        return match head {
            Ok(()) => next.call(request).await.map(ServiceResponse::map_into_boxed_body),
            Err(refusal) => Ok(request.error_response(refusal)),
        };
    };
    let _open = Arc::clone(&connection).begin(body);
    let response = if let Err(refusal) = head {
        request.error_response(refusal)
    } else if request.path() == HEALTH || connection.wait_for_place().await {
        next.call(request).await?.map_into_boxed_body()
    } else {
        request.error_response(no_connection_left())
    };
    let is_last = connection.ends_with_answer() || asks_for_other_protocol;
    // If its body is sent in pieces, the connection knows until the last one.
    let mut response = held::until_sent(response, || connection.begin_long_body());
    if is_last {
        response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    }
    Ok(response)
}

/// The body that the HTTP library expects after this head, which it has checked.
fn body_of(request: &ServiceRequest) -> RequestBody {
    if request.chunked().unwrap_or(false) {
        return RequestBody::Chunked;
    }
    let length = request.headers().get(CONTENT_LENGTH).and_then(|it| it.to_str().ok());
    RequestBody::Sized(length.and_then(|it| it.trim().parse().ok()).unwrap_or(0))
}

fn no_connection_left() -> ApiError {
    let why = "As many connections as this server may have are open.".to_owned();
    ApiError::LimitReached { why, retry_after_s: 1 }
}

/// Puts refusals that the HTTP library made into Trove's form.
fn in_trove_form(response: ServiceResponse<BoxBody>) -> ServiceResponse<BoxBody> {
    if is_actix_error(response.response()) {
        let ours = to_api_error(response.status());
        let (request, _theirs) = response.into_parts();
        ServiceResponse::from_err(ours, request)
    } else {
        response
    }
}

/// The body of an answer to HEAD: no bytes, but the size that GET would give.
struct HeadBody(BodySize);

impl MessageBody for HeadBody {
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
