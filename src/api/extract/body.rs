//! The JSON body of a request.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::rt::time::timeout;
use actix_web::web::Bytes;
use actix_web::{Error, FromRequest, HttpMessage as _, HttpRequest, web};
use serde::de::DeserializeOwned;
use serde_json::Value;
use utoipa::ToSchema;

use crate::api::error::ApiError;

use super::check::check;

/// The longest body that is read.
const LONGEST: usize = 1 << 20;
/// How long a client may take to send one.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A body that conforms to the schema of its type.
#[derive(Debug)]
pub(in crate::api) struct Body<T>(pub(in crate::api) T);

impl<T: DeserializeOwned + ToSchema> FromRequest for Body<T> {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ApiError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let media_type = request.content_type().to_owned();
        let payload = web::Payload::from_request(request, payload);
        Box::pin(async move {
            let bytes = read(payload.await).await?;
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

async fn read(payload: Result<web::Payload, Error>) -> Result<Bytes, ApiError> {
    let payload = payload.map_err(|error| ApiError::malformed(&error.to_string()))?;
    timeout(TIMEOUT, payload.to_bytes_limited(LONGEST))
        .await
        .map_err(|_elapsed| ApiError::Timeout)?
        .map_err(|_too_long| {
            ApiError::OverLimit(format!("The body is longer than {LONGEST} bytes."))
        })?
        .map_err(|error| ApiError::malformed(&error.to_string()))
}

/// Parses to a value first, which can be checked for all problems at once.
fn parse<T: DeserializeOwned + ToSchema>(bytes: &[u8]) -> Result<T, ApiError> {
    let malformed = |error: serde_json::Error| ApiError::malformed(&error.to_string());
    let value: Value = serde_json::from_slice(bytes).map_err(malformed)?;
    check::<T>(&value)?;
    serde_json::from_value(value).map_err(malformed)
}
