//! What retention keeps, today and on a day to come.

use maud::{Markup, html};

use crate::catalog::{Read, Retention, Scope};
use crate::domain::InstanceId;
use crate::policy::{Chain, Fate, Forecast, Keep};

use super::asked::Asked;
use super::error::ConsoleError;
use super::part::Part;
use super::show::{self, counted, size};

/// How far ahead the slider goes, in days.
const FURTHEST: u32 = 90;

/// Today, and the day that is asked for.
pub(super) struct Ahead {
    pub(super) today: Retention,
    forecast: Forecast,
    days: u32,
}

impl Ahead {
    pub(super) fn read(
        asked: &Asked,
        scope: &Scope<Read>,
        id: InstanceId,
    ) -> Result<Self, ConsoleError> {
        let days = asked.query.number("days").unwrap_or(0).min(FURTHEST);
        let catalog = &asked.console.catalog;
        let today = catalog.retention(scope, id)?;
        Ok(Self { forecast: catalog.forecast(scope, id, days)?, today, days })
    }

    pub(super) fn show(&self, asked: &Asked, id: InstanceId) -> Markup {
        let chains = &self.today.targets.here.chains;
        let part = Part::of(asked, "chains", chains);
        let path = format!("/console/instances/{id}");
        html! {
            section aria-labelledby="retention" {
                h2 #retention { "What is kept" }
                p { (rules(self.today.keep.as_ref())) }
                @for why in &self.today.targets.here.suspended { p.notice.warn { (show::sentence(show::guard(*why))) } }
                form.slider method="get" action={ "/console/instances/" (id) "#retention" } data-slider {
                    label for="days" { "Days ahead" }
                    input #days type="range" name="days" min="0" max=(FURTHEST) value=(self.days) list="weeks";
                    output for="days" { (self.days) }
                    button.plain type="submit" { "Look ahead" }
                }
                (self.result())
                @if !chains.is_empty() {
                    table.cards {
                        caption.hidden { "Chains of today, newest first, and what becomes of them" }
                        thead { tr { th scope="col" { "Chain" } th scope="col" { "Made" } th.number scope="col" { "Restore points" } th.number scope="col" { "Archives" } th scope="col" { (if self.days == 0 { "Now" } else { "On that day" }) } } }
                        tbody { @for (chain, number) in part.rows.iter().zip(part.before.saturating_add(1)..) { (self.row(chain, number)) } }
                    }
                }
                (part.links(asked, (&path, "retention"), "chain"))
            }
        }
    }

    fn result(&self) -> Markup {
        let Self { forecast: Forecast { at, kept, new_points, bytes, .. }, days, .. } = self;
        html! {
            p #ahead role="status" {
                @if *days == 0 { "Today there are " } @else { "On " (show::time(*at)) " there will be " }
                (counted(kept.len(), "backup"))
                @if *days > 0 { " of today and " (counted(*new_points, "new one")) ", if all are made" }
                ", in " (size(*bytes)) "."
            }
        }
    }

    fn row(&self, chain: &Chain, number: usize) -> Markup {
        let stays = self.forecast.kept.contains(&chain.root);
        html! {
            tr {
                th scope="row" { a href={ "/console/backups/" (chain.root) } { (number) } }
                td data-label="Made" { (show::time(chain.created)) }
                td.number data-label="Restore points" { (chain.restore_points) }
                td.number data-label="Archives" { (size(chain.bytes)) }
                td data-label=(if self.days == 0 { "Now" } else { "Then" }) {
                    @if self.days == 0 { (now(chain, !self.today.targets.here.suspended.is_empty())) }
                    @else if stays { (show::badge("good", "Still there")) }
                    @else { (show::badge("soft", "Gone by then")) }
                }
            }
        }
    }
}

/// Why a chain stays or goes today.
fn now(chain: &Chain, suspended: bool) -> Markup {
    let (why, goes) = match &chain.fate {
        Fate::Expired => ("no rule keeps it any more".to_owned(), true),
        Fate::OverSize => ("the archives take more than they may".to_owned(), true),
        Fate::Leaves { places } => {
            (format!("from this machine only: it stays in {}", places.join(", ")), true)
        }
        Fate::Stays { tiers, guards } => {
            let tiers = tiers.iter().map(|it| format!("kept as {}", show::tier(*it)));
            let guards = guards.iter().map(|it| show::guard(*it).to_owned());
            (tiers.chain(guards).collect::<Vec<_>>().join("; "), false)
        }
    };
    html! {
        (match (goes, suspended) {
            (false, _) => show::badge("good", "Stays"),
            (true, true) => show::badge("warn", "Would go"),
            (true, false) => show::badge("warn", "Goes next"),
        })
        @if !why.is_empty() { " " span.soft { (why) } }
        @match chain.consolidates.len() {
            0 => {},
            1 => { " " span.soft { "becomes one full backup" } },
            count => { " " span.soft { "becomes " (count) " full backups" } },
        }
    }
}

fn rules(keep: Option<&Keep>) -> String {
    let Some(keep) = keep.filter(|it| it.lets_go()) else {
        return "No rule lets anything go: everything is kept until somebody deletes it."
            .to_owned();
    };
    let mut parts: Vec<String> =
        keep.tiers().iter().map(|(tier, count)| format!("{count} {}", show::tier(*tier))).collect();
    if let Some(most) = keep.max_size {
        parts.push(format!("no more than {}", size(most.bytes())));
    }
    format!(
        "Kept: {}. Chains go whole, and the newest one that can be restored never goes.",
        parts.join(", ")
    )
}
