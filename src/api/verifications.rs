//! `…/backups/{id}/verify`: every byte of a backup is read again.

use actix_web::HttpResponse;
use actix_web::web::Json;

use crate::catalog::{Read, Write};
use crate::domain::{BackupId, Run};
use crate::wire::{ErrorBody, VerificationAnswer, VerificationView};

use super::error::ApiError;
use super::extract::Call;
use super::operation::{Operation, operations};

pub(super) fn routes() -> Vec<Operation> {
    operations![verify_backup, show_verification]
}

/// Read every byte of a backup again
///
/// An extension. What it is built on is read too, decoded, and compared with what was proven. Damage is recorded; what could
/// not be read is not damage. A verification that waits or runs already is not made twice, and a restart of the server does
/// not end it. There is no request body.
#[utoipa::path(
    post,
    path = "/backups/{id}/verify",
    responses(
        (status = 202, description = "Accepted.", body = VerificationAnswer),
        (status = 413, description = "As many as may be of the project wait or run already.", body = ErrorBody,
            headers(("Retry-After" = String))),
        (status = 422, description = "There is nothing to read now.", body = ErrorBody),
    )
)]
async fn verify_backup(call: Call<Write>) -> Result<HttpResponse, ApiError> {
    let id = call.id()?;
    let run = call.state.catalog.ask_verification(&call.scope, id).done().await?;
    Ok(HttpResponse::Accepted().json(answer(id, run.as_ref())))
}

/// Show the last verification of a backup
///
/// An extension.
#[utoipa::path(
    get,
    path = "/backups/{id}/verify",
    responses((status = 200, description = "How far it is, or how it ended.", body = VerificationAnswer))
)]
async fn show_verification(call: Call<Read>) -> Result<Json<VerificationAnswer>, ApiError> {
    let id = call.id()?;
    let (catalog, scope) = call.catalog();
    Ok(Json(answer(id, catalog.verification(scope, id)?.as_ref())))
}

fn answer(id: BackupId, run: Option<&Run>) -> VerificationAnswer {
    VerificationAnswer { verification: VerificationView::new(id, run) }
}
