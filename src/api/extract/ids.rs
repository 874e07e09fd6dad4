//! Ids in paths. A malformed id gets the same 404 as an unknown one.

use std::str::FromStr;

use actix_web::HttpRequest;

use crate::api::error::ApiError;

/// The decoded segment of the path with this name.
pub(in crate::api) fn segment<'r>(request: &'r HttpRequest, name: &str) -> &'r str {
    request.match_info().get(name).unwrap_or_default()
}

/// The id of the path, in its canonical spelling only, so that one backup has one URL, as in Trove.
pub(in crate::api) fn id<T: FromStr>(request: &HttpRequest) -> Result<T, ApiError> {
    let text = segment(request, "id");
    match text.parse::<T>() {
        // An id that parses is hyphenated, so it can only differ by upper case.
        Ok(id) if !text.bytes().any(|byte| byte.is_ascii_uppercase()) => Ok(id),
        _ => Err(ApiError::unknown_id(text)),
    }
}
