//! Deleting: what goes, and how it comes back.

use std::time::Duration;

use actix_web::HttpResponse;
use maud::{Markup, html};

use crate::domain::{Backup, BackupId, Here, InstanceId, Timestamp};

use super::asked::Asked;
use super::backup_actions::project_of;
use super::error::ConsoleError;
use super::page::{Page, form_token, go_to};
use super::part::Part;
use super::show::{self, counted, size, when};

/// What a delete takes; nothing is done yet.
pub(super) fn page(asked: &Asked, id: BackupId) -> Result<Page, ConsoleError> {
    let console = &asked.console;
    let found = console.catalog.deletion(&asked.session.scope()?, id)?;
    let backup = console.catalog.backup(&asked.session.scope()?, id)?;
    let bytes = found.members.iter().filter_map(|it| it.facts.as_ref()).map(|it| it.stored_bytes);
    let bytes = bytes.fold(0, u64::saturating_add);
    let away = found.members.iter().filter(|it| it.here == Here::No).count();
    let others = found.members.len().saturating_sub(1);
    let body = html! {
        p.crumbs { a href={ "/console/backups/" (id) } { (backup.name) } }
        h1 { "Delete " (backup.name) "?" }
        @match &found.refusal {
            Some(why) => div.notice.bad role="alert" { p { "It cannot be deleted now: " (show::sentence(&why.to_string())) } },
            None => {
                p {
                    (counted(found.members.len(), "backup")) " would go, with " (size(bytes)) " of archives"
                    @if others > 0 { ": this one, and " (counted(others, "other")) " built on it" }
                    "."
                }
                p { (window(console.settings.trash_window, away)) }
            }
        }
        (list(asked, id, &found.members))
        @if found.refusal.is_none() {
            form.buttons method="post" {
                (form_token(&asked.session))
                button.danger type="submit" { "Delete " (counted(found.members.len(), "backup")) }
                a.button.plain href={ "/console/backups/" (id) } { "Keep" }
            }
        }
    };
    Ok(Page::new(format!("Delete {}?", backup.name), body).still())
}

/// Whether it can be undone. `away`: so many archives lie only in copies.
fn window(time: Duration, away: usize) -> String {
    if time.is_zero() {
        return "This cannot be undone: the server keeps no trash.".to_owned();
    }
    let place = match away {
        0 => "until then the archives are in the trash".to_owned(),
        _ => format!(
            "until then the archives are in the trash; {} of them went from this machine before, and the copies of \
             these stay in their places until then",
            show::grouped(u64::try_from(away).unwrap_or(u64::MAX))
        ),
    };
    format!("It can be undone for {}: {place}.", show::span(time))
}

fn list(asked: &Asked, id: BackupId, members: &[Backup]) -> Markup {
    let part = Part::of(asked, "members", members);
    let path = format!("/console/backups/{id}/delete");
    html! {
        table.cards {
            caption.hidden { "What goes" }
            thead { tr { th scope="col" { "Backup" } th scope="col" { "Kind" } th scope="col" { "Made" } th.number scope="col" { "Archive" } } }
            tbody {
                @for it in part.rows {
                    tr {
                        th scope="row" { (it.name) }
                        td data-label="Kind" { (show::kind(it.kind)) }
                        td data-label="Made" { (show::time(it.created)) }
                        td.number data-label="Archive" { (size(it.facts.as_ref().map_or(0, |it| it.stored_bytes))) }
                    }
                }
            }
        }
        (part.links(asked, (&path, "main"), "backup"))
    }
}

pub(super) async fn delete(asked: &Asked, id: BackupId) -> Result<HttpResponse, ConsoleError> {
    let (backup, project) = project_of(asked, id)?;
    let scope = asked.session.scope_in(&project)?;
    asked.console.catalog.delete_backup(&scope, id).done().await?;
    Ok(go_to(&match backup.instance {
        Some(instance) => format!("/console/instances/{instance}?deleted={id}"),
        None => "/console/".to_owned(),
    }))
}

/// What the page of an instance says after a delete.
pub(super) fn undo_offer(asked: &Asked) -> Markup {
    let Some(id) = asked.query.number::<BackupId>("deleted") else { return html! {} };
    let is_there =
        asked.session.scope().is_ok_and(|it| asked.console.catalog.backup(&it, id).is_ok());
    html! {
        @if !is_there {
            div.notice.good role="status" {
                p { "Deleted, with what was built on it." }
                @if !asked.console.settings.trash_window.is_zero() { (undo(asked, id, "Undo")) }
            }
        }
    }
}

fn undo(asked: &Asked, id: BackupId, says: &str) -> Markup {
    html! {
        form method="post" action={ "/console/backups/" (id) "/undelete" } {
            (form_token(&asked.session))
            button.plain type="submit" { (says) }
        }
    }
}

/// The deleted backups of an instance that can be brought back.
pub(super) fn trash(asked: &Asked, id: InstanceId, trash: &[Backup], now: Timestamp) -> Markup {
    let part = Part::of(asked, "trash", trash);
    let path = format!("/console/instances/{id}");
    html! {
        @if !trash.is_empty() {
            section aria-labelledby="trash" {
                h2 #trash { "Deleted" }
                p { "These can be brought back, with what they are built on." }
                table.cards {
                    thead { tr { th scope="col" { "Backup" } th scope="col" { "Made" } th.number scope="col" { "Archive" } th scope="col" { "Bring it back" } } }
                    tbody {
                        @for it in part.rows {
                            tr {
                                th scope="row" { (it.name) }
                                td data-label="Made" { (when(it.created, now)) }
                                td.number data-label="Archive" { (size(it.facts.as_ref().map_or(0, |it| it.stored_bytes))) }
                                td { @if asked.session.may_write() { (undo(asked, it.id, "Undelete")) } }
                            }
                        }
                    }
                }
                (part.links(asked, (&path, "trash"), "deleted backup"))
            }
        }
    }
}
