//! What the forms of a backup's page ask for, and the download of its archive.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use actix_web::web;

use crate::access::{self, ArchivePart, OpenArchive, open_archive};
use crate::catalog::{Counted, Write};
use crate::domain::{Action, Backup, BackupId, ProjectId};

use super::asked::Asked;
use super::error::ConsoleError;
use super::page::go_to;
use super::route::BackupAction;

pub(super) async fn act(
    asked: &Asked,
    id: BackupId,
    action: BackupAction,
) -> Result<HttpResponse, ConsoleError> {
    let (catalog, archives) = (&asked.console.catalog, &asked.console.archives);
    let scope = asked.session.scope::<Write>()?;
    match action {
        BackupAction::Drill => drop(catalog.ask_drill(&scope, id).done().await?),
        BackupAction::Verify => drop(catalog.ask_verification(&scope, id).done().await?),
        BackupAction::Consolidate => drop(catalog.ask_consolidation(&scope, id).done().await?),
        BackupAction::Pin | BackupAction::Unpin => {
            let pinned = action == BackupAction::Pin;
            drop(access::pin(catalog, archives, &scope, (id, pinned)).await?);
        }
        BackupAction::Undelete => drop(access::undelete(catalog, archives, &scope, id).await?),
        BackupAction::Delete | BackupAction::Restore => return Err(ConsoleError::NoPage),
    }
    Ok(go_to(&format!("/console/backups/{id}")))
}

/// The project of a backup that the caller may see.
pub(super) fn project_of(asked: &Asked, id: BackupId) -> Result<(Backup, ProjectId), ConsoleError> {
    let backup = asked.console.catalog.backup(&asked.session.scope()?, id)?;
    let project = backup.project.clone();
    Ok((backup, project))
}

/// Sends the archive.
pub(super) async fn download(asked: &Asked, id: BackupId) -> Result<HttpResponse, ConsoleError> {
    let (console, scope) = (Arc::clone(&asked.console), asked.session.scope()?);
    let room = Arc::clone(&console.downloads).try_acquire_owned();
    let room = room
        .map_err(|_full| ConsoleError::Busy("as many archives as may be are downloaded already"))?;
    let opening = Arc::clone(&console);
    let opened = web::block(move || open_archive(&opening.catalog, &*opening.archives, &scope, id));
    let opened = opened.await.map_err(|error| ConsoleError::Fault(error.to_string()))??;
    let name = opened.file_name();
    let body = ArchivePart::new(&opened, (0, opened.facts.stored_bytes), room);
    let OpenArchive { project, .. } = opened;
    let actor = asked.session.scope_in::<crate::catalog::Read>(&project)?.actor();
    let (action, project, object) = (Action::BackupDownload, Some(project), Some(id.to_string()));
    console.catalog.count_event(Counted { action, actor, project, object, refused: false });
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "application/zstd"))
        .insert_header((CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")))
        .body(body))
}
