//! `…/instances/{id}/retention` and `…/backups/{id}/pin`: what stays, what goes, and what a person wants kept.

use actix_web::web::Json;

use crate::access;
use crate::catalog::{Read, Write};
use crate::wire::{BackupAnswer, ErrorBody, RetentionAnswer, RetentionView};

use super::State;
use super::error::ApiError;
use super::extract::Call;
use super::operation::{Operation, operations};

pub(super) fn routes() -> Vec<Operation> {
    operations![preview_retention, pin_backup, unpin_backup]
}

/// Show which backups of an instance retention would delete now, and why
///
/// An extension. It is what is deleted after the next backup, unless something changes until then.
#[utoipa::path(
    get,
    path = "/instances/{id}/retention",
    responses((status = 200, description = "Every backup of it, by chains.", body = RetentionAnswer))
)]
async fn preview_retention(call: Call<Read>) -> Result<Json<RetentionAnswer>, ApiError> {
    let id = call.id()?;
    let found = call.read_long(move |catalog, scope| catalog.retention(scope, id)).await?;
    let retention = RetentionView::new(id, found.keep.as_ref(), &found.targets);
    Ok(Json(RetentionAnswer { retention }))
}

/// Keep a backup, whatever the retention says
///
/// An extension. What it is built on is kept with it; neither can be deleted until it is unpinned. There is no request
/// body.
#[utoipa::path(
    put,
    path = "/backups/{id}/pin",
    responses(
        (status = 200, description = "The backup.", body = BackupAnswer),
        (status = 422, description = "It has no archive.", body = ErrorBody),
    )
)]
async fn pin_backup(call: Call<Write>) -> Result<Json<BackupAnswer>, ApiError> {
    pin(&call, true).await
}

/// Keep a backup no longer than the retention says
///
/// It is no error if it was not pinned.
#[utoipa::path(
    delete,
    path = "/backups/{id}/pin",
    responses((status = 200, description = "The backup.", body = BackupAnswer))
)]
async fn unpin_backup(call: Call<Write>) -> Result<Json<BackupAnswer>, ApiError> {
    pin(&call, false).await
}

async fn pin(call: &Call<Write>, pinned: bool) -> Result<Json<BackupAnswer>, ApiError> {
    let State { catalog, archives, .. } = &**call.state;
    let backup = access::pin(catalog, archives, &call.scope, (call.id()?, pinned)).await?;
    Ok(Json(BackupAnswer { backup: call.state.view(backup) }))
}
