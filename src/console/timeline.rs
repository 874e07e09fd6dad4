//! The restore points of an instance: a drawing of all on the page, and the table behind it.

use std::collections::HashMap;

use maud::{Markup, html};

use crate::catalog::{BackupFilter, BackupPage};
use crate::domain::{Backup, BackupId, CopyState, Instance, Limit, Position, Timestamp, Verdict};
use crate::policy::Decision;

use super::asked::Asked;
use super::chart::{self, Point};
use super::error::ConsoleError;
use super::show::{self, minute, size, when};

/// Backups a page.
const ROWS: u32 = 50;

pub(super) struct Timeline {
    page: BackupPage,
    /// The number of the chain of each, the newest first.
    chains: HashMap<BackupId, usize>,
    is_first: bool,
}

impl Timeline {
    pub(super) fn read(
        asked: &Asked,
        instance: &Instance,
        decision: &Decision,
    ) -> Result<Self, ConsoleError> {
        let after = position(asked.query.text("after"));
        let filter = BackupFilter {
            all_projects: false,
            project: None,
            instance: Some(instance.id.to_string()),
            engine: None,
            status: None,
            limit: Limit::clamped(ROWS, ROWS),
            after,
        };
        let scope = asked.session.scope_in(&instance.project)?;
        let page = asked.console.catalog.backups(&scope, &filter)?;
        let numbered = decision.chains.iter().zip(1..);
        let chains = numbered
            .flat_map(|(chain, number)| chain.members.iter().map(move |id| (*id, number)))
            .collect();
        Ok(Self { page, chains, is_first: after.is_none() })
    }

    pub(super) fn show(&self, instance: &Instance, now: Timestamp) -> Markup {
        let base = format!("/console/instances/{}", instance.id);
        html! {
            @if self.page.rows.is_empty() {
                div.empty { p { "There is no backup yet. The first one is a full one." } }
            } @else {
                (self.drawing())
                table.cards {
                    caption.hidden { "Backups, newest first" }
                    thead {
                        tr {
                            th scope="col" { "Asked for" }
                            th scope="col" { "Status" }
                            th scope="col" { "Chain" }
                            th.number scope="col" { "Archive" }
                            th scope="col" { "Proof" }
                            th scope="col" { "Copies" }
                        }
                    }
                    tbody { @for it in &self.page.rows { (self.row(it, now)) } }
                }
                nav.pages aria-label="Pages of backups" {
                    @if !self.is_first { a rel="prev" href={ (base) "#backups" } { "Newest" } }
                    @if let Some(next) = self.page.next {
                        a rel="next" href={ (base) "?after=" (next.created.as_micros()) "." (next.id) "#backups" } { "Older" }
                    }
                }
            }
        }
    }

    fn drawing(&self) -> Markup {
        let points: Vec<Point> =
            self.page.rows.iter().rev().filter_map(|it| self.point(it)).collect();
        html! {
            // One bar alone shows nothing.
            @if points.len() > 1 {
                (chart::timeline("Restore points over time; the table below has the same", &points))
                p.legend.soft { "Height: size of the archive. Strong colour: a full backup. A line below joins a chain." }
            }
        }
    }

    fn point(&self, it: &Backup) -> Option<Point> {
        let bytes = it.facts.as_ref()?.stored_bytes;
        let class = if it.failure.is_some() { "bad" } else { "good" };
        let says = format!("{}, {}, {}", minute(it.created), show::kind(it.kind), size(bytes));
        Some(Point { at: it.created, kind: it.kind, chain: self.chain_of(it), bytes, class, says })
    }

    fn chain_of(&self, it: &Backup) -> usize {
        self.chains.get(&it.id).copied().unwrap_or_default()
    }

    fn row(&self, it: &Backup, now: Timestamp) -> Markup {
        html! {
            tr {
                th scope="row" {
                    a href={ "/console/backups/" (it.id) } { (it.name) }
                    span.soft.block { (when(it.created, now)) }
                }
                td data-label="Status" {
                    (show::status(it.status))
                    @if it.status.is_running() { (progress(it)) }
                    @if it.pinned.is_some() { " " (show::badge("soft", "Pinned")) }
                    @if let Some(failure) = &it.failure { span.block.why { (show::sentence(&failure.message)) } }
                }
                td data-label="Chain" {
                    @if self.chain_of(it) > 0 { (self.chain_of(it)) ", " }
                    (show::kind(it.kind).to_lowercase())
                }
                td.number data-label="Archive" {
                    (show::or_nothing(it.facts.as_ref().map(|facts| html! { (size(facts.stored_bytes)) })))
                }
                td data-label="Proof" { (proof(it, now)) }
                td data-label="Copies" { (copies(it)) }
            }
        }
    }
}

/// How far a running backup is.
pub(super) fn progress(it: &Backup) -> Markup {
    // A share of 1 has at most two digits of hundredths.
    let percent = format!("{:.0}", it.progress.clamp(0.0, 1.0) * 100.0);
    html! { " " progress max="100" value=(percent) aria-label="Progress" { (percent) " %" } }
}

fn proof(it: &Backup, now: Timestamp) -> Markup {
    html! {
        @match &it.facts {
            Some(facts) => {
                (show::proof(facts.verify_level))
                span.soft.block { (when(facts.verified_at, now)) }
            }
            None => (show::or_nothing(None)),
        }
        @match it.drill.last.as_ref().map(|it| &it.verdict) {
            Some(Verdict::Damaged(_)) => { " " (show::badge("bad", "Drill found damage")) }
            Some(Verdict::Inconclusive(_)) => { " " (show::badge("warn", "Drill did not end")) }
            Some(Verdict::Passed(_)) | None => {}
        }
    }
}

fn copies(it: &Backup) -> Markup {
    html! {
        @if it.copies.is_empty() { (show::or_nothing(None)) }
        @for copy in &it.copies { span.block { (copy.place) ": " (copy_state(copy.state)) } }
    }
}

pub(super) fn copy_state(state: CopyState) -> Markup {
    let class = match state {
        CopyState::Proven => "good",
        CopyState::Waiting | CopyState::Copying => "busy",
        CopyState::Failed => "bad",
        CopyState::Expired => "soft",
    };
    show::badge(class, &show::word(state.as_str()))
}

/// `micros.id`, as links to the next page have it.
fn position(text: &str) -> Option<Position> {
    let (created, id) = text.split_once('.')?;
    Some(Position { created: Timestamp::from_micros(created.parse().ok()?), id: id.parse().ok()? })
}
