//! Ids in paths. One that is malformed is as unknown as one that never was, so both get the same 404.

use std::str::FromStr;

use actix_web::HttpRequest;

use crate::api::error::ApiError;
use crate::domain::{BackupId, InstanceId};

/// The decoded segment of the path with this name.
pub(in crate::api) fn segment<'r>(request: &'r HttpRequest, name: &str) -> &'r str {
    request.match_info().get(name).unwrap_or_default()
}

/// Only the canonical spelling is an id, so that one backup has one URL (Trove: the same).
fn canonical<T: FromStr>(request: &HttpRequest) -> Result<T, ApiError> {
    let text = segment(request, "id");
    match text.parse::<T>() {
        // What parses is hyphenated; only its letters can be other than in the canonical spelling.
        Ok(id) if !text.bytes().any(|byte| byte.is_ascii_uppercase()) => Ok(id),
        _ => Err(ApiError::unknown_id(text)),
    }
}

/// The backup of the path.
pub(in crate::api) fn backup_id(request: &HttpRequest) -> Result<BackupId, ApiError> {
    canonical(request)
}

/// The instance of the path.
pub(in crate::api) fn instance_id(request: &HttpRequest) -> Result<InstanceId, ApiError> {
    canonical(request)
}
