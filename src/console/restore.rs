//! A restore into a new instance: the plan, and the request.

use actix_web::HttpResponse;
use maud::{Markup, html};

use crate::catalog::{CatalogError, NewInstance};
use crate::domain::{Backup, BackupId, DiskRoom};

use super::asked::Asked;
use super::backup_actions::project_of;
use super::body::Fields;
use super::error::ConsoleError;
use super::page::{Page, form_token, go_to};
use super::show::{self, size};

/// What a restore reads, writes and needs; nothing is done yet.
pub(super) fn page(asked: &Asked, id: BackupId) -> Result<Page, ConsoleError> {
    let catalog = &asked.console.catalog;
    let (backup, _project) = project_of(asked, id)?;
    let chain = match catalog.chain_to_restore(id) {
        Ok((chain, damages)) => Ok((chain, damages)),
        Err(error @ CatalogError::Store(_)) => return Err(error.into()),
        Err(broken) => Err(broken),
    };
    let took = backup.instance.map(|it| catalog.restore_time(it)).transpose()?.flatten();
    let body = html! {
        p.crumbs { a href={ "/console/backups/" (id) } { (backup.name) } }
        h1 { "Restore " (backup.name) }
        @match &chain {
            Err(broken) => div.notice.bad role="alert" {
                p { "It cannot be restored: " (show::sentence(&broken.to_string())) }
            },
            Ok((chain, damages)) => {
                @for it in damages {
                    p.notice.bad { "Damage was reported: " (show::sentence(&it.failure.message)) " The restore compares every byte and stops at one that is wrong." }
                }
                (plan(&backup, chain, catalog.room(), took))
                form.stacked method="post" {
                    (form_token(&asked.session))
                    label for="name" { "Name of the new instance" }
                    input #name name="name" required maxlength="255" value=(format!("{} restored", backup.name)) aria-describedby="where";
                    p #where .soft { "The data goes to a new folder of this server. No database that runs is touched." }
                    div.buttons {
                        button type="submit" { "Restore" }
                        a.button.plain href={ "/console/backups/" (id) } { "Not now" }
                    }
                }
            }
        }
    };
    Ok(Page::new(format!("Restore {}", backup.name), body).still())
}

fn plan(
    backup: &Backup,
    chain: &[Backup],
    room: Option<DiskRoom>,
    took: Option<std::time::Duration>,
) -> Markup {
    let stored = chain.iter().filter_map(|it| it.facts.as_ref()).map(|it| it.stored_bytes);
    let stored = stored.fold(0, u64::saturating_add);
    let needed = backup.facts.as_ref().map_or(0, |it| it.source_bytes);
    let free = room.map(|it| it.free_bytes.saturating_sub(it.headroom_bytes));
    let fits = free.is_none_or(|it| it >= needed);
    html! {
        section aria-labelledby="plan" {
            h2 #plan { "The plan" }
            dl.facts {
                div { dt { "It shows the moment" } dd { (show::time(backup.created)) } }
                div { dt { "Database" } dd { (backup.datastore.engine) " " (backup.datastore.version) } }
                div { dt { "It is read" } dd { (show::counted(chain.len(), "archive")) ", " (size(stored)) } }
                div { dt { "It takes" } dd { (size(needed)) } }
                @if let Some(free) = free { div { dt { "There is room for" } dd { (size(free)) } } }
                @if let Some(took) = took { div { dt { "The last restore took" } dd { (show::took(took)) } } }
            }
            @if !fits { p.notice.bad { "It does not fit. Make room on the disk first: the restore would stop and leave nothing." } }
        }
    }
}

pub(super) async fn restore(
    asked: &Asked,
    id: BackupId,
    fields: &Fields,
) -> Result<HttpResponse, ConsoleError> {
    let (_backup, project) = project_of(asked, id)?;
    let name = fields.name("name", "the name of an instance")?;
    let new = NewInstance { name, backup: id, engine: None, version: None };
    let scope = asked.session.scope_in(&project)?;
    let instance = asked.console.catalog.create_instance(&scope, new).done().await?;
    Ok(go_to(&format!("/console/instances/{}", instance.id)))
}
