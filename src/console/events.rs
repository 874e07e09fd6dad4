//! Events: what was done, by whom and from where.

use maud::html;

use crate::catalog::{EventFilter, FoundEvents};
use crate::domain::Outcome;

use super::asked::Asked;
use super::error::ConsoleError;
use super::page::Page;
use super::show::{self, or_nothing, time};

/// Events a page.
const ROWS: u32 = 100;

pub(super) fn page(asked: &Asked) -> Result<Page, ConsoleError> {
    let admin = asked.session.is_admin();
    let object = asked.query.text("object");
    let filter = EventFilter {
        all_projects: admin,
        object: (!object.is_empty()).then(|| object.chars().take(64).collect()),
        action: None,
        who: None,
        before: asked.query.number("before"),
        rows: ROWS,
    };
    let found = asked.console.catalog.events(&asked.session.scope()?, &filter)?;
    let FoundEvents { events: found, more_before: last } = found;
    let body = html! {
        h1 { "Events" }
        p { "What was done, by whom and from where, newest first. Requests that only read are no events, but for downloads." }
        form.filter method="get" action="/console/events" role="search" {
            span.field {
                label for="object" { "Id of a backup or an instance" }
                input #object type="search" name="object" value=(object);
            }
            button.plain type="submit" { "Show" }
        }
        @if found.is_empty() { p.empty { "There is no such event." } } @else {
            table.cards {
                thead { tr { th scope="col" { "When" } th scope="col" { "What" } th scope="col" { "Who" } @if admin { th scope="col" { "From" } } th scope="col" { "Of" } th scope="col" { "More" } } }
                tbody {
                    @for it in &found {
                        @let event = &it.event;
                        tr {
                            th scope="row" { (time(event.at)) }
                            td data-label="What" {
                                (show::word(event.action.as_str()))
                                @if event.outcome == Outcome::Refused { " " (show::badge("warn", "Refused")) }
                            }
                            td data-label="Who" { (event.who) }
                            @if admin { td data-label="From" { (event.origin) } }
                            td data-label="Of" {
                                (or_nothing(event.object.as_ref().map(|id| html! { a href={ "/console/events?object=" (id) } { (show::short(id)) } })))
                            }
                            td data-label="More" { (event.detail) }
                        }
                    }
                }
            }
            nav.pages aria-label="Pages of events" {
                @if filter.before.is_some() { a rel="prev" href={ "/console/events?object=" (object) } { "Newest" } }
                @if let Some(last) = last { a rel="next" href={ "/console/events?object=" (object) "&before=" (last) } { "Older" } }
            }
        }
    };
    let page = Page::new("Events", body).in_menu("events");
    Ok(if filter.before.is_some() { page.still() } else { page })
}
