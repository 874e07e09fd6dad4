//! `…/backups`: show, create, delete, drill.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::HttpResponse;
use actix_web::rt::time::sleep;
use actix_web::web::{self, Json};

use crate::access::{self, ArchiveAccess, NotRead, NotUndeleted};
use crate::catalog::{Read, Write};
use crate::domain::{Backup, Location, NewBackup, ParentChoice, Registration};
use crate::wire::{BackupAnswer, CreateBackup, CreateBackupBody, ErrorBody, RestoreFrom};

use super::State;
use super::error::ApiError;
use super::extract::{Body, Call};
use super::operation::{Operation, operations};

pub(super) fn routes() -> Vec<Operation> {
    operations![create_backup, show_backup, delete_backup, undelete_backup, drill_backup]
}

/// Show a backup
#[utoipa::path(
    get,
    path = "/backups/{id}",
    responses((status = 200, description = "The backup.", body = BackupAnswer))
)]
async fn show_backup(call: Call<Read>) -> Result<Json<BackupAnswer>, ApiError> {
    let id = call.id()?;
    let (catalog, scope) = call.catalog();
    let backup = catalog.backup(scope, id)?;
    let passed = backup.drill.last.as_ref().is_some_and(|it| it.verdict.facts().is_some());
    let rows = passed.then(|| catalog.drill_rows(scope, id)).transpose()?;
    let mut answer = BackupAnswer { backup: call.state.view(backup) };
    if let Some(drill) = &mut answer.backup.drill {
        drill.rows_by_table = rows;
    }
    Ok(Json(answer))
}

/// Restore a backup once, only to prove it
///
/// An extension. A drill that waits or runs already is not made twice. There is no request body.
#[utoipa::path(
    post,
    path = "/backups/{id}/drill",
    responses(
        (status = 202, description = "Accepted; `next_drill` shows that it waits or runs, `drill` what it ended with.", body = BackupAnswer),
        (status = 422, description = "The backup cannot be restored now.", body = ErrorBody),
        (status = 501, description = "The datastore has no engine here.", body = ErrorBody),
    )
)]
async fn drill_backup(call: Call<Write>) -> Result<HttpResponse, ApiError> {
    let id = call.id()?;
    let backup = call.state.catalog.ask_drill(&call.scope, id).done().await?;
    Ok(HttpResponse::Accepted().json(BackupAnswer { backup: call.state.view_with_copies(backup)? }))
}

/// Make a backup, or register an archive
#[utoipa::path(
    post,
    path = "/backups",
    request_body = CreateBackupBody,
    responses(
        (status = 202, description = "Accepted.", body = BackupAnswer),
        (status = 422, description = "It cannot be made now.", body = ErrorBody),
        (status = 501, description = "The datastore has no engine here.", body = ErrorBody),
    )
)]
async fn create_backup(
    call: Call<Write>,
    Body(body): Body<CreateBackupBody>,
) -> Result<HttpResponse, ApiError> {
    let mut wanted = body.backup;
    let State { catalog, archives, .. } = &**call.state;
    if wanted.storage_driver.as_ref().is_some_and(|wanted| wanted != archives.driver()) {
        return Err(ApiError::BadRequest(format!(
            "backup['storage_driver']: this server stores archives with '{}' only.",
            archives.driver()
        )));
    }
    let backup = match wanted.restore_from.take() {
        Some(archive) => {
            let new = registration(&call, wanted, &archive).await?;
            let backup = catalog.register_backup(&call.scope, new).done().await?;
            registered(&call, backup).await?
        }
        None => catalog.create_backup(&call.scope, new_backup(wanted)?).done().await?,
    };
    Ok(HttpResponse::Accepted().json(BackupAnswer { backup: call.state.view(backup) }))
}

fn new_backup(wanted: CreateBackup) -> Result<NewBackup, ApiError> {
    let instance =
        wanted.instance.ok_or_else(|| ApiError::BadRequest("instance is missing.".to_owned()))?;
    let parent = match wanted.parent_id {
        Some(id) => ParentChoice::This(id),
        None if wanted.incremental == Some(1) => ParentChoice::Newest,
        None => ParentChoice::None,
    };
    let (name, description, container) = (wanted.name, wanted.description, wanted.swift_container);
    Ok(NewBackup { name, description, instance, parent, container })
}

async fn registration(
    call: &Call<Write>,
    wanted: CreateBackup,
    archive: &RestoreFrom,
) -> Result<Registration, ApiError> {
    let (archives, scope) = (&call.state.archives, &call.scope);
    let url = &archive.remote_location;
    let refused = |why: &str| {
        ApiError::BadRequest(format!(
            "Failed to restore backup from {url:.300}: \
             backup['restore_from']['remote_location'] {why}."
        ))
    };
    let location = archives
        .locate(url)
        .ok_or_else(|| refused("has to name a file below this server's archive folder"))?;
    // Whether another project has a file there is not said.
    if (scope.caller().is_admin() || location.is_in(scope.project()))
        && is_missing(archives, &location).await?
    {
        return Err(refused("names a file that does not exist"));
    }
    let version_id = archive.local_datastore_version_id.to_string();
    Ok(Registration { name: wanted.name, description: wanted.description, location, version_id })
}

/// Whether there is certainly no such file. What else is wrong with it is found, and said, when it is read.
async fn is_missing(
    archives: &Arc<dyn ArchiveAccess>,
    location: &Location,
) -> Result<bool, ApiError> {
    let (archives, location) = (Arc::clone(archives), location.clone());
    let opened = web::block(move || archives.open(&location).map(drop)).await;
    let opened = opened.map_err(|error| ApiError::Fault(error.to_string()))?;
    Ok(matches!(opened, Err(NotRead::Gone)))
}

/// The registered backup once its archive was proven, as Trove answers; or as it is, if that takes long.
async fn registered(call: &Call<Write>, mut backup: Backup) -> Result<Backup, ApiError> {
    let until = Instant::now() + call.state.registration_wait;
    while backup.status.is_running() && Instant::now() < until {
        sleep(Duration::from_millis(20)).await;
        backup = call.state.catalog.find(backup.id)?;
    }
    Ok(backup)
}

/// Bring back a deleted backup
///
/// An extension. As long as the trash holds their archives, it comes back with the backups that were built on it
/// and those that it is built on. It is pinned if retention could delete it again. There is no request body.
#[utoipa::path(
    post,
    path = "/backups/{id}/undelete",
    responses(
        (status = 202, description = "It is there again.", body = BackupAnswer),
        (status = 422, description = "It is still being deleted.", body = ErrorBody),
        (status = 503, description = "The archives are not where they were.", body = ErrorBody),
    )
)]
async fn undelete_backup(call: Call<Write>) -> Result<HttpResponse, ApiError> {
    let (id, State { catalog, archives, .. }) = (call.id()?, &**call.state);
    let backup = access::undelete(catalog, archives, &call.scope, id).await;
    let backup = backup.map_err(|why| match why {
        NotUndeleted::Catalog(error) => error.into(),
        NotUndeleted::Gone(id) => {
            ApiError::NotFound(format!("The archive of backup {id} is not in the trash any more."))
        }
        NotUndeleted::NoPlace(id) => ApiError::OutOfReach(format!(
            "Backup {id} cannot be brought back now: the archives are not where they were. Try again once their \
             disk is mounted."
        )),
        NotUndeleted::Failed(why) => ApiError::Fault(why),
    })?;
    Ok(HttpResponse::Accepted().json(BackupAnswer { backup: call.state.view_with_copies(backup)? }))
}

/// Delete a backup and every backup built on it
#[utoipa::path(
    delete,
    path = "/backups/{id}",
    responses(
        (status = 202, description = "Accepted."),
        (status = 422, description = "One of them is in use.", body = ErrorBody),
    )
)]
async fn delete_backup(call: Call<Write>) -> Result<HttpResponse, ApiError> {
    let id = call.id()?;
    call.state.catalog.delete_backup(&call.scope, id).done().await?;
    Ok(HttpResponse::Accepted().finish())
}
