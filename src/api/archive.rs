//! `GET backups/{id}/archive`: the archive itself, complete or a range of it.

use std::io;
use std::sync::Arc;

use actix_web::http::header::{
    ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_RANGE, CONTENT_TYPE, ETAG,
};
use actix_web::{HttpResponse, HttpResponseBuilder, web};

use crate::catalog::{Read, Scope};
use crate::domain::{ArchiveFacts, BackupId, ReadAt};
use crate::wire::ErrorBody;

use super::State;
use super::download::ArchivePart;
use super::error::ApiError;
use super::extract::Call;
use super::operation::{Operation, operations};
use super::range::{Selection, select};

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
    let (facts, archive) = web::block(move || open(&state, &scope, id))
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
    describe(&mut response, &facts, tag);
    Ok(response.body(ArchivePart::new(archive, first, count)))
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
) -> Result<(ArchiveFacts, Arc<dyn ReadAt>), ApiError> {
    let backup = state.catalog.backup(scope, id)?;
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
        Ok((facts, archive))
    } else {
        let (is, should) = (archive.len(), facts.stored_bytes);
        Err(fault(format!("it has {is} bytes and should have {should}")))
    }
}
