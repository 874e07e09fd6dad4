//! The JSON body of a request.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::rt::time::timeout;
use actix_web::{FromRequest, HttpMessage as _, HttpRequest, web};
use serde_json::Value;

use crate::api::error::ApiError;

/// No body of this API is longer.
const LONGEST: usize = 1 << 20;
/// How long a client may take to send one.
const PATIENCE: Duration = Duration::from_secs(30);

/// A body that is JSON, whatever it says.
#[derive(Debug)]
pub(in crate::api) struct JsonBody(Value);

impl JsonBody {
    /// What it asks for. The body ends here: a hostile one takes many times its length in memory, and
    /// must not wait with its handler for a commit.
    pub(in crate::api) fn into<T>(
        self,
        read: impl FnOnce(&Value) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        read(&self.0)
    }
}

impl FromRequest for JsonBody {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ApiError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let media_type = request.content_type().to_owned();
        let payload = web::Payload::from_request(request, payload);
        Box::pin(async move {
            // Trove takes this spelling only, and every client sends it.
            if media_type != "application/json" {
                let shown = if media_type.is_empty() { "text/plain" } else { &media_type };
                return Err(ApiError::MediaType(shown.to_owned()));
            }
            let payload = payload.await.map_err(|error| ApiError::malformed(&error.to_string()))?;
            let bytes = timeout(PATIENCE, payload.to_bytes_limited(LONGEST))
                .await
                .map_err(|_elapsed| ApiError::Timeout)?
                .map_err(|_too_long| {
                    ApiError::OverLimit(format!("The body is longer than {LONGEST} bytes."))
                })?
                .map_err(|error| ApiError::malformed(&error.to_string()))?;
            let value = serde_json::from_slice(&bytes)
                .map_err(|error| ApiError::malformed(&error.to_string()))?;
            Ok(Self(value))
        })
    }
}
