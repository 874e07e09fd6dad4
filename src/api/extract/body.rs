//! The JSON body of a request.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header::CONTENT_LENGTH;
use actix_web::rt::time::timeout;
use actix_web::web::{Bytes, Data};
use actix_web::{Error, FromRequest, HttpMessage as _, HttpRequest, web};
use serde::de::DeserializeOwned;
use serde_json::Value;
use utoipa::ToSchema;

use crate::api::State;
use crate::api::error::ApiError;
use crate::api::limits::{Share, TokenUse};

use super::check::check;
use super::shape::ensure_shape;

/// The longest body that is read. Those of this API take a few KiB.
const LONGEST: usize = 64 << 10;

/// A body that conforms to the schema of its type.
#[derive(Debug)]
pub(in crate::api) struct Body<T>(pub(in crate::api) T);

impl<T: DeserializeOwned + ToSchema> FromRequest for Body<T> {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ApiError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let media_type = request.content_type().to_owned();
        let room = room(request);
        let payload = web::Payload::from_request(request, payload);
        Box::pin(async move {
            let (within, _room) = room?;
            let bytes = read(payload.await, within).await?;
            if bytes.is_empty() {
                return Err(ApiError::malformed("the request has no body"));
            }
            // Like Trove, takes this spelling only. Every client sends it.
            if media_type != "application/json" {
                let shown = if media_type.is_empty() { "text/plain" } else { &media_type };
                return Err(ApiError::MediaType(shown.to_owned()));
            }
            parse(&bytes).map(Self)
        })
    }
}

fn too_long() -> ApiError {
    ApiError::OverLimit(format!("The body is longer than {LONGEST} bytes."))
}

/// Takes room for the body out of the limits, and gives the time in which it has to come. A body of unknown
/// length takes as much as the longest.
fn room(request: &HttpRequest) -> Result<(Duration, [Share; 2]), ApiError> {
    let length = request.headers().get(CONTENT_LENGTH);
    let length = length.and_then(|it| it.to_str().ok()).map_or(Some(LONGEST), |it| it.parse().ok());
    let length = length.filter(|it| *it <= LONGEST).ok_or_else(too_long)?;
    let extensions = request.extensions();
    let token = extensions.get::<Arc<TokenUse>>().ok_or(ApiError::Unauthorized)?;
    let state = request.app_data::<Data<State>>().ok_or(ApiError::Unauthorized)?;
    Ok((state.body_timeout, state.limits.body(token, length)?))
}

async fn read(payload: Result<web::Payload, Error>, within: Duration) -> Result<Bytes, ApiError> {
    let payload = payload.map_err(|error| ApiError::malformed(&error.to_string()))?;
    timeout(within, payload.to_bytes_limited(LONGEST))
        .await
        .map_err(|_elapsed| ApiError::Timeout)?
        .map_err(|_too_long| too_long())?
        .map_err(|error| ApiError::malformed(&error.to_string()))
}

/// Parses to a value first, which can be checked for all problems at once.
fn parse<T: DeserializeOwned + ToSchema>(bytes: &[u8]) -> Result<T, ApiError> {
    let malformed = |error: serde_json::Error| ApiError::malformed(&error.to_string());
    ensure_shape(bytes)?;
    let value: Value = serde_json::from_slice(bytes).map_err(malformed)?;
    check::<T>(&value)?;
    serde_json::from_value(value).map_err(malformed)
}
