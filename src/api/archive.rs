//! `GET backups/{id}/archive`: the archive itself, complete or a range of it.

use std::sync::Arc;

use actix_web::http::header::{
    ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap, HeaderName,
    IF_NONE_MATCH, IF_RANGE, RANGE,
};
use actix_web::{HttpMessage as _, HttpResponse, HttpResponseBuilder, web};

use crate::access::{ArchivePart, NotOpened, OpenArchive, open_archive};
use crate::catalog::Read;
use crate::wire::ErrorBody;

use super::counted;
use super::error::ApiError;
use super::extract::Call;
use super::limits::TokenUse;
use super::operation::{Operation, operations};
use super::refusal::sentence;

pub(super) fn routes() -> Vec<Operation> {
    operations![download_archive]
}

/// Download the archive, whole or in part
///
/// A whole archive is compared with its checksum, which is its `ETag`, while it is sent: if its bytes are others, the
/// answer ends before its `Content-Length`. A part of it is sent as it lies there.
#[utoipa::path(
    get,
    path = "/backups/{id}/archive",
    params(
        ("Range" = Option<String>, Header, description = "One range of bytes."),
        ("If-Range" = Option<String>, Header, description = "The `ETag` that Range holds for."),
        ("If-None-Match" = Option<String>, Header, description = "The `ETag` the client has."),
    ),
    responses(
        (status = 200, description = "The archive.", body = Vec<u8>,
            content_type = "application/zstd", headers(("ETag" = String), ("Accept-Ranges" = String))),
        (status = 206, description = "The part that Range asked for.", body = Vec<u8>,
            content_type = "application/zstd", headers(("ETag" = String), ("Content-Range" = String))),
        (status = 304, description = "The client has it."),
        (status = 416, description = "The range begins behind the end.", body = ErrorBody),
        (status = 422, description = "There is no archive yet.", body = ErrorBody),
        (status = 503, description = "It lies only in places that cannot be used now, cannot be read without a key, or is not what was proven.",
            body = ErrorBody),
    )
)]
async fn download_archive(call: Call<Read>) -> Result<HttpResponse, ApiError> {
    let id = call.id()?;
    let (state, scope) = (call.state.clone(), call.scope.clone());
    let opened = web::block(move || open_archive(&state.catalog, &*state.archives, &scope, id))
        .await
        .map_err(|error| ApiError::Fault(format!("the archive was not opened: {error}")))??;
    let length = opened.facts.stored_bytes;
    let tag = format!("\"blake3:{}\"", opened.facts.checksum);
    let (mut response, first, count) = match select(call.request.headers(), &tag, length) {
        Selection::OutOfRange => return Err(ApiError::BadRange { length }),
        Selection::NotModified => {
            return Ok(HttpResponse::NotModified().insert_header((ETAG, tag)).finish());
        }
        Selection::All => (HttpResponse::Ok(), 0, length),
        Selection::Part { first, last } => {
            let mut response = HttpResponse::PartialContent();
            response.insert_header((CONTENT_RANGE, format!("bytes {first}-{last}/{length}")));
            (response, first, last.saturating_sub(first).saturating_add(1))
        }
    };
    let room = {
        let extensions = call.request.extensions();
        let token = extensions.get::<Arc<TokenUse>>().ok_or(ApiError::Unauthorized)?;
        call.state.limits.download(token)?
    };
    describe(&mut response, &opened, tag);
    let body = ArchivePart::new(&opened, (first, count), room);
    counted::count_download(&call.state, call.scope.actor(), opened.project, id);
    Ok(response.body(body))
}

fn describe(response: &mut HttpResponseBuilder, opened: &OpenArchive, tag: String) {
    let name = opened.file_name();
    response
        .insert_header((CONTENT_TYPE, "application/zstd"))
        .insert_header((CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")))
        .insert_header((ACCEPT_RANGES, "bytes"))
        .insert_header((ETAG, tag));
}

impl From<NotOpened> for ApiError {
    fn from(why: NotOpened) -> Self {
        match why {
            NotOpened::Catalog(error) => error.into(),
            NotOpened::NoArchive { id, status } => {
                Self::Unprocessable(format!("Backup {id} has no archive: its status is {status}."))
            }
            NotOpened::Missing(id) => {
                Self::NotFound(format!("The archive of backup {id} is not in the storage."))
            }
            NotOpened::OutOfReach(_) | NotOpened::NoKey(_) | NotOpened::Other { .. } => {
                Self::OutOfReach(sentence(&why))
            }
            NotOpened::Failed(why) => Self::Fault(why),
        }
    }
}

/// What to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Selection {
    /// Nothing: the client has it already.
    NotModified,
    All,
    Part {
        first: u64,
        last: u64,
    },
    /// Nothing: the range begins after the end.
    OutOfRange,
}

/// What these headers select of an archive of this length with this (strong) tag.
fn select(headers: &HeaderMap, tag: &str, length: u64) -> Selection {
    if let Some(known) = text(headers, &IF_NONE_MATCH)
        && known.split(',').map(str::trim).any(|it| it == "*" || it.trim_start_matches("W/") == tag)
    {
        return Selection::NotModified;
    }
    let Some(range) = text(headers, &RANGE) else { return Selection::All };
    // The client has a part of some version already, and the range must be of the same. A date cannot tell.
    if headers.contains_key(IF_RANGE) && text(headers, &IF_RANGE).map(str::trim) != Some(tag) {
        return Selection::All;
    }
    part(range, length).unwrap_or(Selection::All)
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// The only range of a `Range` header. `None` if it cannot be read or has several: then it is ignored.
fn part(header: &str, length: u64) -> Option<Selection> {
    let (unit, range) = header.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") || range.contains(',') {
        return None;
    }
    let (first, last) = range.split_once('-')?;
    let (first, last) = (first.trim(), last.trim());
    let end = length.checked_sub(1);
    if first.is_empty() {
        let suffix = number(last)?;
        return Some(match end {
            Some(end) if suffix > 0 => {
                Selection::Part { first: length.saturating_sub(suffix), last: end }
            }
            _ => Selection::OutOfRange,
        });
    }
    let first = number(first)?;
    let last = if last.is_empty() { u64::MAX } else { number(last)? };
    if last < first {
        return None;
    }
    Some(match end {
        Some(end) if first <= end => Selection::Part { first, last: last.min(end) },
        _ => Selection::OutOfRange,
    })
}

/// Digits only. A number that does not fit is beyond any length.
fn number(digits: &str) -> Option<u64> {
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().unwrap_or(u64::MAX))
}
