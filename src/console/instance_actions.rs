//! What the forms of an instance's page ask for.

use actix_web::HttpResponse;
use maud::html;

use crate::domain::{InstanceId, NewBackup, ParentChoice};

use super::asked::Asked;
use super::body::Fields;
use super::error::ConsoleError;
use super::page::{Page, form_token, go_to};
use super::route::InstanceAction;

pub(super) async fn act(
    asked: &Asked,
    id: InstanceId,
    action: InstanceAction,
    fields: &Fields,
) -> Result<HttpResponse, ConsoleError> {
    let catalog = &asked.console.catalog;
    let project = catalog.instance(&asked.session.scope()?, id)?.project;
    let scope = asked.session.scope_in(&project)?;
    match action {
        InstanceAction::BackUp => {
            let parent = match fields.text("kind") {
                "full" => ParentChoice::None,
                _ => ParentChoice::Newest,
            };
            let name = fields.name("name", "the name of a backup")?;
            let new = NewBackup { name, description: None, instance: id, parent, container: None };
            let backup = catalog.create_backup(&scope, new).done().await?;
            Ok(go_to(&format!("/console/backups/{}", backup.id)))
        }
        InstanceAction::Delete => {
            catalog.delete_instance(&scope, id).done().await?;
            Ok(go_to("/console/"))
        }
    }
}

/// Asks once more before a restored instance goes with its data.
pub(super) fn delete_page(asked: &Asked, id: InstanceId) -> Result<Page, ConsoleError> {
    let instance = asked.console.catalog.instance(&asked.session.scope()?, id)?;
    let body = html! {
        p.crumbs { a href={ "/console/instances/" (id) } { (instance.name) } }
        h1 { "Delete " (instance.name) "?" }
        div.notice.warn {
            p {
                "This removes the restored data"
                @if let Some(path) = instance.source.text("path") { " in " code { (path) } }
                ", and cannot be undone. The backup that it was restored from stays, and can be restored again."
            }
        }
        form.buttons method="post" {
            (form_token(&asked.session))
            button.danger type="submit" { "Delete the instance and its data" }
            a.button.plain href={ "/console/instances/" (id) } { "Keep it" }
        }
    };
    Ok(Page::new(format!("Delete {}?", instance.name), body).still())
}
