//! A backup: what is in it, what was left out, how far it is proven, where its copies are, how to restore it by hand.

use maud::{Markup, html};

use crate::domain::{ArchiveFacts, Backup, BackupId, CopyState, Here, Kind, Run, Timestamp};

use super::asked::Asked;
use super::error::ConsoleError;
use super::page::{Page, form_token};
use super::proof;
use super::show::{self, or_nothing, size, when};
use super::timeline::{copy_state, progress};

pub(super) fn page(asked: &Asked, id: BackupId) -> Result<Page, ConsoleError> {
    let (catalog, now) = (&asked.console.catalog, asked.console.now());
    let scope = asked.session.scope()?;
    let backup = catalog.backup(&scope, id)?;
    let instance = match backup.instance {
        Some(instance) => catalog.instance(&scope, instance).ok(),
        None => None,
    };
    let chain = if backup.status.is_usable() { catalog.chain_to_restore(id).ok() } else { None };
    let (chain, damages) = chain.unwrap_or_default();
    let rows = catalog.drill_rows(&scope, id)?;
    let verification = catalog.verification(&scope, id)?;
    let body = html! {
        p.crumbs {
            a href="/console/" { "Am I safe?" }
            @if let Some(it) = &instance { " / " a href={ "/console/instances/" (it.id) } { (it.name) } }
        }
        h1 { (backup.name) " " (show::status(backup.status)) }
        (state(&backup))
        @for damage in &damages { p.notice.bad { "Damage was reported: " (show::sentence(&damage.failure.message)) } }
        (facts(&backup, now))
        (actions(asked, &backup, verification.as_ref()))
        (left_out(backup.facts.as_ref()))
        (proof::section(asked, &backup, (verification.as_ref(), &rows), now))
        (copies(&backup, now))
        (chain_section(&chain, id))
        (by_hand(asked, &backup, &chain))
    };
    Ok(Page::new(backup.name.clone(), body))
}

fn state(backup: &Backup) -> Markup {
    html! {
        @if backup.status.is_running() {
            p role="status" { "Under way." (progress(backup)) " It is COMPLETED once every byte is proven." }
        }
        @if let Some(failure) = &backup.failure {
            div.notice.bad role="alert" {
                p { (show::sentence(&failure.message)) }
                p.soft { "Code " code { (failure.code.as_str()) } }
            }
        }
    }
}

fn facts(backup: &Backup, now: Timestamp) -> Markup {
    let facts = backup.facts.as_ref();
    html! {
        dl.facts {
            div { dt { "Asked for" } dd { (when(backup.created, now)) } }
            div { dt { "Kind" } dd { (show::kind(backup.kind)) } }
            div { dt { "Database" } dd { (backup.datastore.engine) " " (backup.datastore.version) } }
            @if let Some(facts) = facts {
                div { dt { "It restores to" } dd { (size(facts.source_bytes)) } }
                div { dt { "Archive" } dd { (size(facts.stored_bytes)) (where_it_lies(backup)) } }
            }
            @if let Some(text) = &backup.description { div { dt { "Description" } dd { (text) } } }
            @if let Some(at) = backup.pinned { div { dt { "Pinned" } dd { (when(at, now)) } } }
            div { dt { "Id" } dd { code { (backup.id) } } }
        }
    }
}

/// Where the archive is, if it is not only on this machine.
fn where_it_lies(backup: &Backup) -> Markup {
    let proven = backup.copies.iter().filter(|it| it.state == CopyState::Proven);
    let places: Vec<&str> = proven.map(|it| it.place.as_str()).collect();
    html! {
        @match backup.here {
            Here::No => { ", only in " (places.join(", ")) },
            Here::Leaving => { ", on this machine for now, and in " (places.join(", ")) },
            Here::Yes => {},
        }
    }
}

fn actions(asked: &Asked, backup: &Backup, verification: Option<&Run>) -> Markup {
    let verifies = verification.is_some_and(|it| it.end.is_none());
    let at = |what: &str| format!("/console/backups/{}/{what}", backup.id);
    let usable = backup.status.is_usable();
    let button = |what: &str, says: &str| {
        html! {
            form method="post" action=(at(what)) { (form_token(&asked.session)) button.plain type="submit" { (says) } }
        }
    };
    html! {
        section.actions aria-label="Actions" {
            @if usable && asked.session.may_write() { a.button href=(at("restore")) { "Restore…" } }
            @if backup.facts.is_some() { a.button.plain href=(at("archive")) download { "Download the archive" } }
            @if asked.session.may_write() {
                @if usable {
                    @if !verifies { (button("verify", "Verify now")) }
                    @if backup.drill.next.is_none() { (button("drill", "Drill now")) }
                    @if backup.kind == Kind::Incremental { (button("consolidate", "Make a full backup of it")) }
                }
                @if backup.pinned.is_some() { (button("unpin", "Unpin")) }
                @else if usable { (button("pin", "Pin: keep it")) }
                @if !backup.status.is_running() { a.button.plain href=(at("delete")) { "Delete…" } }
            }
        }
    }
}

fn left_out(facts: Option<&ArchiveFacts>) -> Markup {
    let Some(facts) = facts else { return html! {} };
    html! {
        section aria-labelledby="left-out" {
            h2 #left-out { "Left out" }
            @if facts.left_out.is_empty() {
                p { "Nothing that a person could miss was left out." }
            } @else {
                ul { @for it in &facts.left_out { li { strong { (it.what) } ": " (show::sentence(&it.why)) } } }
            }
        }
    }
}

fn copies(backup: &Backup, now: Timestamp) -> Markup {
    html! {
        section aria-labelledby="copies" {
            h2 #copies { "Copies" }
            @if backup.copies.is_empty() {
                p.soft { "Nobody asked for copies elsewhere: the archive on this machine is the only one." }
            } @else {
                table.cards {
                    thead { tr { th scope="col" { "Place" } th scope="col" { "State" } th.number scope="col" { "Sent" } th scope="col" { "Proven" } } }
                    tbody {
                        @for it in &backup.copies {
                            tr {
                                th scope="row" { (it.place) }
                                td data-label="State" {
                                    (copy_state(it.state))
                                    @if let Some(failure) = &it.failure { span.block.why { (show::sentence(&failure.message)) } }
                                    @if let Some(next) = it.next { span.soft.block { "tried again " (when(next, now)) } }
                                }
                                td.number data-label="Sent" { (size(it.sent)) }
                                td data-label="Proven" { (or_nothing(it.proven.map(|(at, _)| when(at, now)))) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn chain_section(chain: &[Backup], id: BackupId) -> Markup {
    html! {
        @if chain.len() > 1 {
            section aria-labelledby="chain" {
                h2 #chain { "Its chain" }
                p { "To restore it, all of these are needed, in this order:" }
                ol {
                    @for it in chain {
                        li {
                            @if it.id == id { strong { (it.name) } } @else { a href={ "/console/backups/" (it.id) } { (it.name) } }
                            " " span.soft { (show::kind(it.kind)) ", " (show::time(it.created)) }
                        }
                    }
                }
            }
        }
    }
}

/// The commands that restore it on this machine, with Coffer and without.
fn by_hand(asked: &Asked, backup: &Backup, chain: &[Backup]) -> Markup {
    let Some(facts) = backup.facts.as_ref().filter(|_| backup.status.is_usable()) else {
        return html! {};
    };
    let url = asked.console.archives.url(&facts.location);
    let file = url.strip_prefix("file://").map_or_else(|| url.clone(), ToOwned::to_owned);
    html! {
        section aria-labelledby="by-hand" {
            h2 #by-hand { "Restore it by hand" }
            (command(&format!("coffer restore {} --to PATH", backup.id)))
            @if backup.here == Here::No || chain.iter().any(|it| it.here == Here::No) {
                p {
                    "Not all that it needs lies on this machine any more: it is read from the copies. Without Coffer, bring it back as \
                     one file first, which is then all that is needed."
                }
                (command(&format!("coffer export {} --to FILE.tar.zst", backup.id)))
                (command("zstd -dc FILE.tar.zst | tar -xf - -C FOLDER"))
            } @else if chain.len() > 1 {
                p { "Without Coffer, make a full backup of it first: the one file is then all that is needed." }
                (command(&format!("coffer export {} --to FILE.tar.zst", backup.id)))
            } @else {
                p { "Without Coffer, and without this server:" }
                (command(&format!("zstd -dc '{}' | tar -xf - -C FOLDER", file.replace('\'', "'\\''"))))
            }
            p.soft { "RESTORE.txt in the archive says what follows for this kind of database." }
        }
    }
}

fn command(text: &str) -> Markup {
    html! { div.command { pre tabindex="0" { code { (text) } } button.plain type="button" data-copy hidden { "Copy" } } }
}
