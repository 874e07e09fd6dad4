//! Refusals: the only place that knows status codes and the names of faults.

use actix_web::http::StatusCode;
use actix_web::http::header::{
    ALLOW, CONTENT_RANGE, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
};
use actix_web::{HttpResponse, HttpResponseBuilder, ResponseError};

use crate::domain::{InstanceId, InstanceStatus};
use crate::wire::ErrorBody;

/// The message for a request that cannot be read.
const MALFORMED: &str = "The server could not comply with the request since it is either malformed \
                         or otherwise incorrect.";
/// The message for a fault of the server, whose cause is only in the log.
const FAULT: &str = "The server failed to answer. The cause is in its log, under this answer's \
                     X-Openstack-Request-Id.";
/// The message while the server cannot do what was asked.
pub(super) const LATER: &str = "The server cannot answer at the moment. Try again later.";
/// The realm that browsers show.
const REALM: &str = "coffer";

/// A refusal on its way to the client.
#[derive(Debug, thiserror::Error)]
pub(super) enum ApiError {
    #[error("The request you have made requires authentication.")]
    Unauthorized,
    #[error("{0}")]
    Forbidden(String),
    #[error("{0}")]
    NotFound(String),
    #[error("This method is not allowed here; allowed are: {allow}.")]
    BadMethod { allow: String },
    #[error("{0}")]
    BadRequest(String),
    #[error("The request's body did not arrive in time.")]
    Timeout,
    #[error("{0}")]
    OverLimit(String),
    /// A limit of what may be used at once: later there is room again.
    #[error("{why} Try again later.")]
    LimitReached { why: String, retry_after_s: u64 },
    #[error("The request media type {0} is not supported by this server.")]
    MediaType(String),
    #[error("The archive has {length} bytes; the requested range begins behind its end.")]
    BadRange { length: u64 },
    #[error("{0}")]
    Unprocessable(String),
    #[error("{0}")]
    NotImplemented(String),
    #[error("{0}")]
    Unavailable(&'static str),
    #[error("{0}")]
    OutOfReach(String),
    /// What is asked first cannot answer now; soon it may.
    #[error("{why} Try again later.")]
    Later { why: String, retry_after_s: u64 },
    #[error(
        "Too many wrong passwords or tokens came from your address. Try again in {retry_after_s} seconds."
    )]
    Wait { retry_after_s: u64 },
    /// The text is for the log only.
    #[error("{0}")]
    Fault(String),
}

impl ApiError {
    pub(super) fn unknown_path() -> Self {
        Self::NotFound("The resource could not be found.".to_owned())
    }

    /// An id that is malformed, unknown or another project's: one and the same answer.
    pub(super) fn unknown_id(id: &str) -> Self {
        Self::NotFound(format!("Resource {id:.255} cannot be found."))
    }

    /// Trove's sentence about an instance with which something is going on.
    pub(super) fn busy(id: InstanceId, status: InstanceStatus) -> Self {
        Self::Unprocessable(format!(
            "Instance {id} is not currently available for an action to be performed (instance \
             status was {}).",
            status.as_str()
        ))
    }

    /// A body or header that cannot be read, and why.
    pub(super) fn malformed(why: &str) -> Self {
        Self::BadRequest(format!("{MALFORMED} ({why})"))
    }

    fn fault(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, "unauthorized"),
            Self::Forbidden(_) => (StatusCode::FORBIDDEN, "forbidden"),
            Self::NotFound(_) => (StatusCode::NOT_FOUND, "itemNotFound"),
            Self::BadMethod { .. } => (StatusCode::METHOD_NOT_ALLOWED, "badMethod"),
            Self::BadRequest(_) => (StatusCode::BAD_REQUEST, "badRequest"),
            Self::Timeout => (StatusCode::REQUEST_TIMEOUT, "requestTimeout"),
            Self::OverLimit(_) | Self::LimitReached { .. } => {
                (StatusCode::PAYLOAD_TOO_LARGE, "overLimit")
            }
            Self::MediaType(_) => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "badMediaType"),
            Self::BadRange { .. } => (StatusCode::RANGE_NOT_SATISFIABLE, "badRange"),
            Self::Unprocessable(_) => (StatusCode::UNPROCESSABLE_ENTITY, "unprocessableEntity"),
            Self::NotImplemented(_) => (StatusCode::NOT_IMPLEMENTED, "notImplemented"),
            Self::Unavailable(_) | Self::OutOfReach(_) | Self::Later { .. } => {
                (StatusCode::SERVICE_UNAVAILABLE, "serviceUnavailable")
            }
            Self::Wait { .. } => (StatusCode::TOO_MANY_REQUESTS, "tooManyRequests"),
            Self::Fault(_) => (StatusCode::INTERNAL_SERVER_ERROR, "instanceFault"),
        }
    }

    /// What the client reads.
    fn said(&self) -> String {
        match self {
            Self::Fault(_cause) => FAULT.to_owned(),
            _ => self.to_string(),
        }
    }

    fn add_headers(&self, response: &mut HttpResponseBuilder) {
        match self {
            Self::Unauthorized => {
                response
                    .append_header((
                        WWW_AUTHENTICATE,
                        format!("Basic realm=\"{REALM}\", charset=\"UTF-8\""),
                    ))
                    .append_header((WWW_AUTHENTICATE, format!("Bearer realm=\"{REALM}\"")));
            }
            Self::BadMethod { allow } => {
                response.insert_header((ALLOW, allow.as_str()));
            }
            Self::BadRange { length } => {
                response.insert_header((CONTENT_RANGE, format!("bytes */{length}")));
            }
            Self::LimitReached { retry_after_s, .. }
            | Self::Later { retry_after_s, .. }
            | Self::Wait { retry_after_s } => {
                response.insert_header((RETRY_AFTER, retry_after_s.to_string()));
            }
            _ => {}
        }
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.fault().0
    }

    /// Leaves out the cause of a fault of the server, which `observe` writes to the log.
    fn error_response(&self) -> HttpResponse {
        let (status, name) = self.fault();
        let message = self.said();
        let mut response = HttpResponse::build(status);
        self.add_headers(&mut response);
        response.json(ErrorBody::new(name, status.as_u16(), message))
    }
}

impl From<ApiError> for HttpResponse {
    fn from(error: ApiError) -> Self {
        error.error_response()
    }
}

/// The cause of a fault of the server: for the log, never for the client.
pub(super) fn cause<B>(response: &HttpResponse<B>) -> Option<&str> {
    match response.error()?.as_error::<ApiError>()? {
        ApiError::Fault(cause) => Some(cause),
        _ => None,
    }
}

/// What a refusal of ours says to the client.
pub(super) fn said<B>(response: &HttpResponse<B>) -> Option<String> {
    response.error()?.as_error::<ApiError>().map(ApiError::said)
}

/// Whether the response is a refusal that the HTTP library made, with a body of its own.
pub(super) fn is_actix_error(response: &HttpResponse<impl Sized>) -> bool {
    let kind = response.headers().get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    // Pages of the console say themselves what went wrong.
    let ours = kind.starts_with(b"application/json") || kind.starts_with(b"text/html");
    (response.status().is_client_error() || response.status().is_server_error()) && !ours
}

/// The refusal to send instead of one that the HTTP library made.
pub(super) fn to_api_error(status: StatusCode) -> ApiError {
    match status {
        StatusCode::NOT_FOUND => ApiError::unknown_path(),
        StatusCode::UNAUTHORIZED => ApiError::Unauthorized,
        StatusCode::REQUEST_TIMEOUT => ApiError::Timeout,
        StatusCode::PAYLOAD_TOO_LARGE => {
            ApiError::OverLimit("The request's body is too large.".to_owned())
        }
        StatusCode::UNSUPPORTED_MEDIA_TYPE => ApiError::MediaType("of the request".to_owned()),
        other if other.is_server_error() => {
            ApiError::Fault(format!("the HTTP library answered {other}"))
        }
        _ => ApiError::BadRequest(MALFORMED.to_owned()),
    }
}
