//! An instance: how it is, its restore points, what its drills counted, its schedule, and what is kept of it.

use std::time::Duration;

use maud::{Markup, html};

use crate::catalog::{DrilledRows, InstanceReport, Scheduled};
use crate::domain::{
    Instance, InstanceId, InstanceOrigin, InstanceStatus, Run, RunKind, Timestamp,
};
use crate::wire::InstanceHealthView;

use super::asked::Asked;
use super::chart::{self, Dot};
use super::error::ConsoleError;
use super::overview::problem;
use super::page::{Page, form_token};
use super::show::{self, counted, grouped, or_nothing, short, size, when};
use super::timeline::Timeline;
use super::{delete, retention};

/// Drills whose rows are drawn.
const DRILLS: u32 = 60;

pub(super) fn page(asked: &Asked, id: InstanceId) -> Result<Page, ConsoleError> {
    let (catalog, now) = (&asked.console.catalog, asked.console.now());
    let InstanceReport { instance, health } =
        catalog.instance_report(&asked.session.scope()?, id)?;
    let scope = asked.session.scope_in(&instance.project)?;
    let ahead = retention::Ahead::read(asked, &scope, id)?;
    let timeline = Timeline::read(asked, &instance, &ahead.today.targets.here)?;
    let drills = catalog.passed_drills(&scope, id, DRILLS)?;
    let schedule = catalog.schedule(&scope, id)?;
    let trash = catalog.trash_of(&scope, id)?;
    let restored = restore_run(asked, &instance)?;
    let view = InstanceHealthView::new(instance.clone(), health);
    let body = html! {
        p.crumbs { a href="/console/" { "Am I safe?" } }
        h1 { (instance.name) " " (show::safety(&view)) }
        (delete::undo_offer(asked))
        (restored_report(&instance, restored.as_ref(), now))
        @if !view.problems.is_empty() {
            ul.problems { @for it in &view.problems { (problem(it, None, now)) } }
        }
        (facts(&instance, &view, now))
        (actions(asked, &instance))
        section aria-labelledby="backups" {
            h2 #backups { "Restore points" }
            (timeline.show(&instance, now))
        }
        (rows_over_time(&drills))
        (schedule_section(schedule.as_ref(), now))
        (ahead.show(asked, id))
        (delete::trash(asked, id, &trash, now))
    };
    Ok(Page::new(instance.name.clone(), body))
}

fn facts(instance: &Instance, view: &InstanceHealthView, now: Timestamp) -> Markup {
    let good = view.last_good.as_ref();
    let proven = |it: &crate::wire::GoodBackupView| {
        html! { (show::proof(it.verify_level)) ", " (when(it.verified_at.at(), now)) }
    };
    html! {
        dl.facts {
            div { dt { "Database" } dd { (instance.datastore.engine) " " (instance.datastore.version) } }
            div { dt { "Last good backup" } dd { (or_nothing(good.map(|it| when(it.created.at(), now)))) } }
            div { dt { "Last proven" } dd { (or_nothing(good.map(proven))) } }
            div { dt { "Last drill that passed" } dd { (or_nothing(view.last_passed_drill.map(|it| when(it.at(), now)))) } }
            div { dt { "Next run" } dd { (or_nothing(view.next_run.map(|it| when(it.at(), now)))) } }
            div { dt { "A restore takes" } dd { (or_nothing(view.restore_seconds.map(|it| html! { (show::span(Duration::from_secs(it))) }))) } }
            div { dt { "Restore points" } dd { (grouped(view.restore_points)) } }
            div { dt { "Archives" } dd { (size(view.stored_bytes)) } }
            div { dt { "Project" } dd { (instance.project) } }
            div { dt { "Id" } dd { code { (instance.id) } } }
        }
    }
}

fn actions(asked: &Asked, instance: &Instance) -> Markup {
    let restored = matches!(instance.origin, InstanceOrigin::Restored(_));
    let can_back_up = matches!(instance.status, InstanceStatus::Active | InstanceStatus::Backup);
    html! {
        @if asked.session.may_write() {
            section.actions aria-label="Actions" {
                @if can_back_up {
                    form method="post" action={ "/console/instances/" (instance.id) "/backup" } {
                        (form_token(&asked.session))
                        span.field {
                            label for="name" { "Name" }
                            input #name name="name" required maxlength="255" value=(format!("{} by hand", instance.name));
                        }
                        span.field {
                            label for="kind" { "Kind" }
                            select #kind name="kind" {
                                option value="incremental" { "Incremental, on the newest" }
                                option value="full" { "Full" }
                            }
                        }
                        button type="submit" { "Back up now" }
                    }
                }
                @if restored {
                    a.button.plain href={ "/console/instances/" (instance.id) "/delete" } { "Delete this instance…" }
                }
            }
        } @else {
            p.soft { "Your token may read only: it cannot make, restore or delete backups." }
        }
    }
}

/// The restore that made this instance, if one did.
fn restore_run(asked: &Asked, instance: &Instance) -> Result<Option<Run>, ConsoleError> {
    let InstanceOrigin::Restored(backup) = instance.origin else { return Ok(None) };
    let runs = asked.console.catalog.runs_of_backup(backup)?;
    let is_it = |it: &Run| it.kind == RunKind::Restore && it.instance == Some(instance.id);
    Ok(runs.into_iter().rfind(is_it))
}

/// What a restore did: from which backup, to where, how long it took.
fn restored_report(instance: &Instance, run: Option<&Run>, now: Timestamp) -> Markup {
    let InstanceOrigin::Restored(backup) = instance.origin else { return html! {} };
    let (class, said) = match instance.status {
        InstanceStatus::Build => ("busy", "The restore waits or is under way."),
        InstanceStatus::Error => ("bad", "The restore failed. Nothing of it is left."),
        _ => ("good", "Restored: every byte was compared on the way."),
    };
    let numbers = run.and_then(|it| it.end.as_ref()).map(|it| &it.numbers);
    html! {
        section.notice.(class) aria-labelledby="report" {
            h2 #report { "Report of the restore" }
            p { (said) }
            @if let Some(failure) = &instance.failure { p { (show::sentence(&failure.message)) } }
            dl.facts {
                div.wide { dt { "From backup" } dd { a href={ "/console/backups/" (backup) } { (backup) } } }
                @if let Some(path) = instance.source.text("path") { div.wide { dt { "It lies in" } dd { code { (path) } } } }
                @if let Some(run) = run {
                    div { dt { "Asked for" } dd { (when(run.asked, now)) } }
                    @if let Some(end) = &run.end { div { dt { "Ended" } dd { (when(end.at, now)) } } }
                }
                @if let Some(took) = numbers.and_then(|it| it.took_ms) {
                    div { dt { "It took" } dd { (show::took(Duration::from_millis(took))) } }
                }
                @if let Some(read) = numbers.and_then(|it| it.read_bytes) { div { dt { "Restored" } dd { (size(read)) } } }
            }
        }
    }
}

/// How many rows there were at each drill.
fn rows_over_time(drills: &[DrilledRows]) -> Markup {
    let total = |it: &DrilledRows| it.rows.values().copied().fold(0_u64, u64::saturating_add);
    let dots: Vec<Dot> = drills
        .iter()
        .rev()
        .map(|it| Dot {
            at: it.at,
            value: total(it),
            says: format!("{}: {} rows", show::minute(it.at), grouped(total(it))),
        })
        .collect();
    html! {
        section aria-labelledby="rows" {
            h2 #rows { "Rows over time" }
            @if dots.is_empty() {
                div.empty { p { "No drill has passed yet. A drill restores a backup only to prove it, and counts its rows." } }
            } @else {
                @match dots.as_slice() {
                    [only] => p { "One drill has passed so far. " (only.says) "." },
                    _ => (chart::line("Rows of all tables at each drill; the table below has the same", &dots)),
                }
                details {
                    summary { "The numbers" }
                    table {
                        thead { tr { th scope="col" { "Drill" } th scope="col" { "Backup" } th.number scope="col" { "Tables" } th.number scope="col" { "Rows" } th.number scope="col" { "It took" } } }
                        tbody {
                            @for it in drills {
                                tr {
                                    th scope="row" { (show::time(it.at)) }
                                    td { a href={ "/console/backups/" (it.backup) } { (short(&it.backup)) } }
                                    td.number { (grouped(u64::try_from(it.rows.len()).unwrap_or(u64::MAX))) }
                                    td.number { (grouped(total(it))) }
                                    td.number { (or_nothing(it.took.map(|it| html! { (show::took(it)) }))) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn schedule_section(schedule: Option<&Scheduled>, now: Timestamp) -> Markup {
    let soon = |at: Option<Timestamp>| or_nothing(at.map(|it| when(it, now)));
    html! {
        section aria-labelledby="schedule" {
            h2 #schedule { "Schedule" }
            @match schedule {
                None => div.empty { p { "Nothing backs it up by itself. Set " code { "schedule" } " in the configuration, or use " code { "coffer schedule set" } "." } },
                Some(it) => {
                    dl.facts {
                        @if let Some(table) = &it.timetable {
                            div { dt { "Backups" } dd { code { (table.schedule) } } }
                            div { dt { "Time zone" } dd { (table.zone.iana_name().unwrap_or("the machine's own")) } }
                            @if let Some(window) = &table.window { div { dt { "Only in" } dd { (window) } } }
                            div { dt { "A full one" } dd { (full_every(&table.full_every.to_string())) } }
                            div { dt { "Next backup" } dd { (soon(it.next)) } }
                        } @else {
                            div { dt { "Backups" } dd { "only when asked for" } }
                        }
                        div { dt { "Drills" } dd { (it.proof.drill.as_deref().unwrap_or("only when asked for")) } }
                        div { dt { "Next drill" } dd { (soon(it.proof.next_drill)) } }
                        div { dt { "Archives are read again" } dd { (soon(it.proof.next_scrub)) } }
                        @if let Some(to) = &it.proof.staging_to {
                            div { dt { "Staging" } dd { code { (to) } ", next " (soon(it.proof.next_staging)) } }
                        }
                        div { dt { "Set" } dd { (if it.set_through_api { "through the API" } else { "in the configuration" }) } }
                    }
                    @if let Some(why) = &it.refused { p.notice.bad { "The last backup that was due was not begun: " (show::sentence(why)) } }
                }
            }
        }
    }
}

fn full_every(text: &str) -> String {
    match text.parse::<usize>() {
        Ok(count) => format!("every {}", counted(count, "backup")),
        Err(_word) => text.to_owned(),
    }
}
