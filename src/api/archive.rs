//! `GET backups/{id}/archive`: the archive itself, complete or a range of it.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, MessageBody};
use actix_web::error::BlockingError;
use actix_web::http::header::{
    ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap, HeaderName,
    IF_NONE_MATCH, IF_RANGE, RANGE,
};
use actix_web::web::{self, Bytes};
use actix_web::{HttpMessage as _, HttpResponse, HttpResponseBuilder};

use crate::catalog::{Read, Scope};
use crate::domain::{ArchiveFacts, BackupId, ProjectId, ReadAt};
use crate::wire::ErrorBody;

use super::State;
use super::counted;
use super::error::ApiError;
use super::extract::Call;
use super::limits::{Share, TokenUse};
use super::operation::{Operation, operations};

pub(super) fn routes() -> Vec<Operation> {
    operations![download_archive]
}

/// Download the archive, whole or in part
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
    )
)]
async fn download_archive(call: Call<Read>) -> Result<HttpResponse, ApiError> {
    let id = call.id()?;
    let (state, scope) = (call.state.clone(), call.scope.clone());
    let (project, facts, archive) = web::block(move || open(&state, &scope, id))
        .await
        .map_err(|error| ApiError::Fault(format!("the archive was not opened: {error}")))??;
    let length = facts.stored_bytes;
    let tag = format!("\"blake3:{}\"", facts.checksum);
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
    describe(&mut response, &facts, tag);
    counted::count_download(&call.state, call.scope.actor(), project, id);
    Ok(response.body(ArchivePart::new(archive, first, count, room)))
}

fn describe(response: &mut HttpResponseBuilder, facts: &ArchiveFacts, tag: String) {
    let name: String = facts
        .location
        .name()
        .chars()
        .filter(|letter| letter.is_ascii_alphanumeric() || "._-".contains(*letter))
        .collect();
    response
        .insert_header((CONTENT_TYPE, "application/zstd"))
        .insert_header((CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")))
        .insert_header((ACCEPT_RANGES, "bytes"))
        .insert_header((ETAG, tag));
}

/// The archive of a backup, if it is what the catalog knows of it.
fn open(
    state: &State,
    scope: &Scope<Read>,
    id: BackupId,
) -> Result<(ProjectId, ArchiveFacts, Arc<dyn ReadAt>), ApiError> {
    let backup = state.catalog.backup(scope, id)?;
    let project = backup.project;
    let Some(facts) = backup.facts else {
        let status = backup.status;
        return Err(ApiError::Unprocessable(format!(
            "Backup {id} has no archive: its status is {status}."
        )));
    };
    let fault = |why: String| {
        ApiError::Fault(format!("the archive of backup {id} ({}): {why}", facts.location))
    };
    let archive = match state.archives.open(&facts.location) {
        Ok(archive) => archive,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            log::warn!("the archive of backup {id} ({}) is gone", facts.location);
            return Err(ApiError::NotFound(format!(
                "The archive of backup {id} is not in the storage."
            )));
        }
        Err(error) => return Err(fault(error.to_string())),
    };
    if archive.len() == facts.stored_bytes {
        Ok((project, facts, archive))
    } else {
        let (is, should) = (archive.len(), facts.stored_bytes);
        Err(fault(format!("it has {is} bytes and should have {should}")))
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

/// Bytes a piece.
const PIECE: u64 = 64 << 10;

type Reading = Pin<Box<dyn Future<Output = Result<io::Result<Bytes>, BlockingError>>>>;

/// A range of an archive.
struct ArchivePart {
    archive: Arc<dyn ReadAt>,
    /// Where the next piece begins.
    offset: u64,
    /// How much of the range was not sent yet.
    left: u64,
    /// The whole range, for the answer's length.
    length: u64,
    reading: Option<Reading>,
    /// What it takes of the limits of downloads.
    _room: [Share; 2],
}

impl ArchivePart {
    /// `length` bytes of `archive` from `offset` on.
    fn new(archive: Arc<dyn ReadAt>, offset: u64, length: u64, room: [Share; 2]) -> Self {
        Self { archive, offset, left: length, length, reading: None, _room: room }
    }

    fn begin_reading(&self) -> Reading {
        let (archive, offset) = (Arc::clone(&self.archive), self.offset);
        let length = self.left.min(PIECE);
        Box::pin(web::block(move || {
            let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
            archive.read_exact_at(&mut bytes, offset)?;
            Ok(bytes.into())
        }))
    }
}

impl MessageBody for ArchivePart {
    type Error = io::Error;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.length)
    }

    /// An error cuts the connection before the promised length, so the client knows.
    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, io::Error>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let mut reading = self.reading.take().unwrap_or_else(|| self.begin_reading());
        let Poll::Ready(read) = reading.as_mut().poll(context) else {
            self.reading = Some(reading);
            return Poll::Pending;
        };
        let read = read.map_err(io::Error::other).flatten();
        match &read {
            Ok(bytes) => {
                let count = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
                self.offset = self.offset.saturating_add(count);
                self.left = self.left.saturating_sub(count);
            }
            Err(error) => {
                log::error!("an archive cannot be read, and its download was cut off: {error}");
                self.left = 0;
            }
        }
        Poll::Ready(Some(read))
    }
}
