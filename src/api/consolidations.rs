//! `…/backups/{id}/consolidate`: a full backup of the same moment.

use actix_web::HttpResponse;
use actix_web::web::Json;

use crate::catalog::{Consolidation, Read, Write};
use crate::domain::BackupId;
use crate::wire::{ConsolidationAnswer, ConsolidationView, ErrorBody};

use super::error::ApiError;
use super::extract::Call;
use super::operation::{Operation, operations};

pub(super) fn routes() -> Vec<Operation> {
    operations![consolidate_backup, show_consolidation]
}

/// Make a full backup of an incremental one
///
/// An extension. The full backup is made of the archives and not of the source, and is proven. It has the name, the time
/// and the content of the incremental one, which stays. One that waits or runs already is not made twice. There is no
/// request body.
#[utoipa::path(
    post,
    path = "/backups/{id}/consolidate",
    responses(
        (status = 202, description = "Accepted.", body = ConsolidationAnswer),
        (status = 422, description = "It is a full backup, there is one of the same moment, or its chain is not sound.", body = ErrorBody),
    )
)]
async fn consolidate_backup(call: Call<Write>) -> Result<HttpResponse, ApiError> {
    let id = call.id()?;
    let found = call.state.catalog.ask_consolidation(&call.scope, id).done().await?;
    Ok(HttpResponse::Accepted().json(answer(id, &found)))
}

/// Show how far the consolidation of a backup is
///
/// An extension.
#[utoipa::path(
    get,
    path = "/backups/{id}/consolidate",
    responses((status = 200, description = "What became of the last request.", body = ConsolidationAnswer))
)]
async fn show_consolidation(call: Call<Read>) -> Result<Json<ConsolidationAnswer>, ApiError> {
    let id = call.id()?;
    let (catalog, scope) = call.catalog();
    Ok(Json(answer(id, &catalog.consolidation(scope, id)?)))
}

fn answer(id: BackupId, found: &Consolidation) -> ConsolidationAnswer {
    let consolidation = ConsolidationView::new(id, found.run.as_ref(), found.full);
    ConsolidationAnswer { consolidation }
}
