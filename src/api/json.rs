//! Answers as JSON, written straight into the bytes that are sent.

use actix_web::http::header::{CONTENT_TYPE, HeaderValue};
use actix_web::{HttpResponse, HttpResponseBuilder};
use serde::Serialize;

use super::error::ApiError;

/// Where one backup fits in, so that the bytes of most answers are never moved while they grow.
const USUAL: usize = 1024;

/// The answer with this value as its body, which is about `rows` backups long.
pub(super) fn answer(
    mut response: HttpResponseBuilder,
    value: &impl Serialize,
    rows: usize,
) -> HttpResponse {
    let mut bytes = Vec::with_capacity(USUAL.saturating_mul(rows.clamp(1, 64)));
    match serde_json::to_writer(&mut bytes, value) {
        Ok(()) => response
            .insert_header((CONTENT_TYPE, HeaderValue::from_static("application/json")))
            .body(bytes),
        Err(error) => ApiError::Fault(format!("an answer cannot be written: {error}")).into(),
    }
}
