//! Alerts: what is or was wrong, and whether messages arrive.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::web;
use maud::{Markup, html};

use crate::catalog::Admin;
use crate::domain::Timestamp;
use crate::policy::{Alert, Delivery};
use crate::wire::ChannelTest;

use super::asked::Asked;
use super::body::Fields;
use super::error::ConsoleError;
use super::page::{Page, form_token, ok};
use super::part::Part;
use super::show::{self, or_nothing, when};

const PATH: &str = "/console/alerts";

pub(super) fn page(asked: &Asked) -> Result<Page, ConsoleError> {
    made(asked, &[])
}

fn made(asked: &Asked, tests: &[ChannelTest]) -> Result<Page, ConsoleError> {
    let (catalog, now) = (&asked.console.catalog, asked.console.now());
    let admin = asked.session.is_admin();
    let alerts = catalog.alerts(&asked.session.scope()?, admin)?;
    let (open, over): (Vec<_>, Vec<_>) = alerts.into_iter().partition(|it| it.ended.is_none());
    let waiting = if admin { catalog.undelivered()? } else { Vec::new() };
    let body = html! {
        h1 { "Alerts" }
        section aria-labelledby="open" {
            h2 #open { "Now" }
            @if open.is_empty() { p.empty { "Nothing is wrong." } } @else { (list(asked, "open", &open, now)) }
        }
        @if admin { (channels(asked, tests)) (undelivered(asked, &waiting, now)) }
        section aria-labelledby="over" {
            h2 #over { "Over" }
            @if over.is_empty() { p.empty { "Nothing was wrong in the last 90 days." } } @else { (list(asked, "over", &over, now)) }
        }
    };
    Ok(Page::new("Alerts", body).in_menu("alerts"))
}

fn list(asked: &Asked, section: &'static str, alerts: &[Alert], now: Timestamp) -> Markup {
    let part = Part::of(asked, section, alerts);
    html! {
        table.cards {
            thead { tr { th scope="col" { "What" } th scope="col" { "Of" } th scope="col" { "Since" } th scope="col" { "Over" } th scope="col" { "Sent to" } } }
            tbody {
                @for it in part.rows {
                    tr {
                        th scope="row" {
                            (show::severity(it.kind.severity())) " " (show::sentence(&it.message))
                            span.advice.block { (show::sentence(&it.advice)) }
                        }
                        td data-label="Of" {
                            @match &it.instance {
                                Some(instance) => a href={ "/console/instances/" (instance.id) } { (instance.name) },
                                None => "the server",
                            }
                        }
                        td data-label="Since" { (when(it.since, now)) }
                        td data-label="Over" { (or_nothing(it.ended.map(|at| when(at, now)))) }
                        td data-label="Sent to" { @if it.channels.is_empty() { span.soft { "nobody" } } @else { (it.channels.join(", ")) } }
                    }
                }
            }
        }
        (part.links(asked, (PATH, section), if section == "open" { "alert" } else { "past alert" }))
    }
}

fn channels(asked: &Asked, tests: &[ChannelTest]) -> Markup {
    let names = asked.console.channels.names();
    html! {
        section aria-labelledby="channels" {
            h2 #channels { "Channels" }
            @for it in tests {
                p.notice.(if it.delivered { "good" } else { "bad" }) role="status" {
                    strong { (it.channel) } (if it.delivered { ": delivered. " } else { ": not delivered. " }) (show::sentence(&it.answer))
                }
            }
            @if names.is_empty() {
                div.empty { p { "Nobody hears of alerts. Name a webhook, a mail address or a command in an " code { "[[alerts]]" } " section of the configuration." } }
            } @else {
                table {
                    thead { tr { th scope="col" { "Channel" } th scope="col" { "Test" } } }
                    tbody {
                        @for name in &names {
                            tr {
                                th scope="row" { (name) }
                                td {
                                    form method="post" action="/console/alerts/test" {
                                        (form_token(&asked.session))
                                        input type="hidden" name="channel" value=(name);
                                        button.plain type="submit" aria-label={ "Send a test message to " (name) } { "Send a test message" }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn undelivered(asked: &Asked, waiting: &[Delivery], now: Timestamp) -> Markup {
    let part = Part::of(asked, "waiting", waiting);
    html! {
        @if !waiting.is_empty() {
            section aria-labelledby="waiting" {
                h2 #waiting { "Messages that wait" }
                table.cards {
                    thead { tr { th scope="col" { "Channel" } th scope="col" { "Message" } th scope="col" { "Next attempt" } th scope="col" { "Last answer" } } }
                    tbody {
                        @for it in part.rows {
                            tr {
                                th scope="row" { (it.channel) }
                                td data-label="Message" { (it.message.title) }
                                td data-label="Next attempt" { (when(it.next_attempt, now)) }
                                td data-label="Last answer" { (it.last_error.as_deref().unwrap_or(show::NOTHING)) }
                            }
                        }
                    }
                }
                (part.links(asked, (PATH, "waiting"), "message"))
            }
        }
    }
}

/// Sends a test message and says what came back.
pub(super) async fn test(asked: &Asked, fields: &Fields) -> Result<HttpResponse, ConsoleError> {
    asked.session.scope::<Admin>()?;
    let channels = Arc::clone(&asked.console.channels);
    let name = fields.text("channel").to_owned();
    if !channels.names().contains(&name) {
        return Err(ConsoleError::Gone("there is no such channel".to_owned()));
    }
    let tests = web::block(move || channels.test(&[name])).await;
    let tests = tests.map_err(|error| ConsoleError::Fault(error.to_string()))?;
    Ok(ok(made(asked, &tests)?.still().document(&asked.console, &asked.session, 0)))
}
