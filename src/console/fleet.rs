//! The fleet: the instances of other devices whose copies this server reads, the worst first.

use maud::{Markup, html};

use crate::catalog::Admin;
use crate::domain::{FleetInstance, FleetReading, Timestamp};

use super::asked::Asked;
use super::error::ConsoleError;
use super::page::Page;
use super::show::{self, or_nothing, when};

/// Instances a page.
const ROWS: usize = 50;
/// What stands in an address for a time that is not there.
const NEVER: &str = "never";

pub(super) fn page(asked: &Asked) -> Result<Page, ConsoleError> {
    let (catalog, now) = (&asked.console.catalog, asked.console.now());
    let scope = asked.session.scope::<Admin>()?;
    let after = after(asked.query.text("after"));
    let rows = u32::try_from(ROWS).unwrap_or(u32::MAX).saturating_add(1);
    let mut found = catalog.worst_in_fleets(&scope, after, rows)?;
    let more = found.len() > ROWS;
    found.truncate(ROWS);
    let body = html! {
        h1 { "Fleet" }
        p { "Other devices, as the names of their archives say; the one first that should have had another backup for longest." }
        @for it in catalog.fleet_readings()? { (reading(&it, now)) }
        @if found.is_empty() { p.empty { "There are no devices with backups." } } @else { (table(&found, now)) }
        nav.pages aria-label="Pages of the fleet" {
            @if after.is_some() { a rel="prev" href="/console/fleet" { "First" } }
            @if let Some(last) = found.last().filter(|_| more) {
                a rel="next" href={ "/console/fleet?after=" (position(last)) } { "Next" }
            }
        }
    };
    let page = Page::new("Fleet", body).in_menu("fleet");
    Ok(if after.is_some() { page.still() } else { page })
}

fn reading(it: &FleetReading, now: Timestamp) -> Markup {
    html! {
        @if let Some((since, why)) = &it.failing {
            p.notice.warn { strong { (it.place) } " cannot be read, since " (when(*since, now)) ": " (show::sentence(why)) }
        } @else {
            p.soft { strong { (it.place) } ": read " (or_nothing(it.read.map(|at| when(at, now)))) }
        }
    }
}

fn table(found: &[FleetInstance], now: Timestamp) -> Markup {
    html! {
        table.cards {
            caption.hidden { "Instances of the devices, the worst first" }
            thead {
                tr {
                    th scope="col" { "Device" }
                    th scope="col" { "Instance" }
                    th scope="col" { "State" }
                    th scope="col" { "Newest backup" }
                    th scope="col" { "Next one by" }
                    th.number scope="col" { "Backups" }
                    th.number scope="col" { "Size" }
                }
            }
            tbody {
                @for it in found {
                    tr {
                        th scope="row" { (it.device) span.soft.block { (it.place) } }
                        td data-label="Instance" { (name(it)) }
                        td data-label="State" { (state(it, now)) }
                        td data-label="Newest backup" { (or_nothing(it.newest_at.map(|at| when(at, now)))) }
                        td data-label="Next one by" { (or_nothing(it.expected.map(|at| when(at, now)))) }
                        td.number data-label="Backups" { (it.backups) }
                        td.number data-label="Size" { (show::size(it.stored_bytes)) }
                    }
                }
            }
        }
    }
}

fn name(it: &FleetInstance) -> Markup {
    html! {
        @match (&it.name, &it.unread) {
            (Some(name), _) => (name),
            (None, Some(why)) => { (show::short(&it.instance)) span.soft.block { (show::sentence(why)) } },
            (None, None) => (show::short(&it.instance)),
        }
        span.soft.block { "project " (it.project) }
    }
}

fn state(it: &FleetInstance, now: Timestamp) -> Markup {
    if it.is_silent(now) {
        show::badge("bad", "Silent")
    } else if it.expected.is_none() {
        show::badge("soft", "Retired")
    } else {
        show::badge("good", "In time")
    }
}

/// Where a row stands, for the page behind it.
fn position(it: &FleetInstance) -> String {
    let at = it.expected.map_or_else(|| NEVER.to_owned(), |at| at.as_micros().to_string());
    format!("{at}.{}", it.number)
}

/// What [`position`] says; anything else is the beginning.
fn after(text: &str) -> Option<(Option<Timestamp>, u32)> {
    let (at, number) = text.split_once('.')?;
    let at = if at == NEVER { None } else { Some(Timestamp::from_micros(at.parse().ok()?)) };
    Some((at, number.parse().ok()?))
}
