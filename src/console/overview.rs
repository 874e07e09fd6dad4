//! *Am I safe?*: every instance, the worst first, and what to do.

use maud::{Markup, html};

use crate::domain::{DiskRoom, Timestamp};
use crate::policy::SafetyState;
use crate::wire::{HealthView, InstanceCopiesView, InstanceHealthView, ProblemView};

use super::asked::Asked;
use super::error::ConsoleError;
use super::page::Page;
use super::show::{self, counted, or_nothing, size, when};

/// Instances a page, and problems of the server and of all instances that are shown in full.
const ROWS: usize = 50;
const PROBLEMS: usize = 10;

pub(super) fn page(asked: &Asked) -> Result<Page, ConsoleError> {
    let (console, session) = (&asked.console, &asked.session);
    let every_project = session.is_admin();
    let found = console.catalog.health(&session.scope()?, every_project)?;
    let room = found.room;
    let instances = found.instances.into_iter().map(|it| (it.instance, it.health));
    let health = HealthView::new(found.problems, found.notices, instances, found.room);
    let now = console.now();
    let list = List::new(asked, &health);
    let body = html! {
        (verdict(&health, now))
        @for notice in &health.notices { p.notice.warn { (show::sentence(notice)) } }
        (problems(&health, now))
        (room_left(room))
        section aria-labelledby="instances" {
            h2 #instances { "Instances" }
            @if health.instances.is_empty() { (nothing_configured()) } @else { (list.table(now, every_project)) }
        }
    };
    Ok(Page::new("Am I safe?", body).in_menu(""))
}

/// The answer, in one line that can be read from afar.
fn verdict(health: &HealthView, now: Timestamp) -> Markup {
    let count =
        |is: fn(&InstanceHealthView) -> bool| health.instances.iter().filter(|it| is(it)).count();
    let missing = count(InstanceHealthView::is_missing_backups);
    let waiting = count(InstanceHealthView::is_waiting);
    let safe = count(|it| it.state == SafetyState::Safe);
    let said = |count: usize, what: &str| {
        (count > 0).then(|| format!("{} {what}", counted(count, "instance")))
    };
    let problems = health.problems.len();
    let problems = (problems > 0).then(|| counted(problems, "problem"));
    let details = [
        problems,
        said(missing, "not backed up by anything"),
        said(waiting, "waiting for the first backup"),
        said(safe, "safe"),
        said(count(InstanceHealthView::is_without_copy), "without a copy so far"),
    ];
    let details: Vec<String> = details.into_iter().flatten().collect();
    let (class, headline) = match health.state {
        SafetyState::Safe if health.instances.is_empty() => ("soft", "Nothing is backed up yet"),
        SafetyState::Safe => ("good", "Yes, everything is safe"),
        SafetyState::NotBackedUp => ("warn", "Not everything is backed up"),
        SafetyState::Warning => ("warn", "Yes, but something is wrong"),
        SafetyState::Critical => ("bad", "No: something is not safe"),
    };
    html! {
        div.verdict.(class) {
            h1 { span.hidden { "Am I safe? " } (headline) }
            p { (details.join(", ")) }
            p.soft { "As of " (show::time(now)) }
        }
    }
}

fn problems(health: &HealthView, now: Timestamp) -> Markup {
    let name_of = |problem: &ProblemView| {
        let id = problem.instance_id?;
        health.instances.iter().find(|it| it.instance_id == id).map(|it| it.instance_name.clone())
    };
    let more = health.problems.len().saturating_sub(PROBLEMS);
    html! {
        @if !health.problems.is_empty() {
            section aria-labelledby="problems" {
                h2 #problems { "What to do" }
                ul.problems {
                    @for it in health.problems.iter().take(PROBLEMS) { (problem(it, name_of(it), now)) }
                }
                @if more > 0 { p { "And " (counted(more, "more problem")) ": they stand beside the instances below." } }
            }
        }
    }
}

/// A problem: what happened, since when, what to do.
pub(super) fn problem(it: &ProblemView, of: Option<String>, now: Timestamp) -> Markup {
    html! {
        li {
            (show::severity(it.severity)) " "
            @match (&it.instance_id, of) {
                (Some(id), Some(name)) => a href={ "/console/instances/" (id) } { (name) },
                (Some(_), None) => "This instance",
                (None, _) => "The server",
            }
            ": " (show::sentence(&it.message))
            " " span.soft { "Since " (when(it.since.at(), now)) "." }
            p.advice { (show::sentence(&it.advice)) }
        }
    }
}

fn room_left(room: Option<DiskRoom>) -> Markup {
    let Some(room) = room else { return html! {} };
    let free = room.free_bytes.saturating_sub(room.headroom_bytes);
    let used = room.total_bytes.saturating_sub(room.free_bytes);
    html! {
        section.room aria-labelledby="room" {
            h2 #room { "Room left" }
            p {
                strong { (size(free)) } " for archives, of a disk of " (size(room.total_bytes)) "."
            }
            meter min="0" max=(room.total_bytes) value=(used) high=(room.total_bytes / 10 * 9)
                aria-label="How full the disk is" { (size(used)) " used" }
        }
    }
}

fn nothing_configured() -> Markup {
    html! {
        div.empty {
            p { "There is no instance yet." }
            p {
                "Name a database in an " code { "[[instances]]" } " section of the configuration, then reload it: "
                code { "systemctl reload coffer" } ". It appears here by itself."
            }
        }
    }
}

/// The instances that are asked for, and which page of them.
struct List<'a> {
    search: &'a str,
    state: &'a str,
    page: usize,
    found: Vec<&'a InstanceHealthView>,
}

impl<'a> List<'a> {
    fn new(asked: &'a Asked, health: &'a HealthView) -> Self {
        let (search, state) = (asked.query.text("search"), asked.query.text("state"));
        let wanted = search.to_lowercase();
        let matches = |it: &&InstanceHealthView| {
            it.instance_name.to_lowercase().contains(&wanted)
                && (state.is_empty() || it.state.as_str() == state)
        };
        let found: Vec<_> = health.instances.iter().filter(matches).collect();
        let last = found.len().div_ceil(ROWS).max(1);
        let page = asked.query.number("page").unwrap_or(1_usize).clamp(1, last);
        Self { search, state, page, found }
    }

    fn table(&self, now: Timestamp, with_project: bool) -> Markup {
        let first = self.page.saturating_sub(1).saturating_mul(ROWS);
        html! {
            form.filter method="get" action="/console/" role="search" {
                span.field {
                    label for="search" { "Name" }
                    input #search type="search" name="search" value=(self.search);
                }
                span.field {
                    label for="state" { "State" }
                    select #state name="state" {
                        option value="" { "All" }
                        @for it in SafetyState::ALL.iter().rev() {
                            option value=(it.as_str()) selected[it.as_str() == self.state] { (show::word(it.as_str())) }
                        }
                    }
                }
                button.plain type="submit" { "Show" }
            }
            @if self.found.is_empty() {
                p.empty { "No instance is like that. " a href="/console/" { "Show all" } }
            } @else {
                table.cards {
                    thead {
                        tr {
                            th scope="col" { "State" }
                            th scope="col" { "Instance" }
                            th scope="col" { "Last good backup" }
                            th scope="col" { "Last proven" }
                            th scope="col" { "Next run" }
                            th.number scope="col" { "Archives" }
                        }
                    }
                    tbody { @for it in self.found.iter().skip(first).take(ROWS) { (row(it, now, with_project)) } }
                }
                (self.pages())
            }
        }
    }

    fn pages(&self) -> Markup {
        let last = self.found.len().div_ceil(ROWS).max(1);
        let url_of = |page: usize| {
            let query = url::form_urlencoded::Serializer::new(String::new())
                .append_pair("search", self.search)
                .append_pair("state", self.state)
                .append_pair("page", &page.to_string())
                .finish();
            format!("/console/?{query}#instances")
        };
        html! {
            @if last > 1 {
                nav.pages aria-label="Pages of instances" {
                    @if self.page > 1 { a rel="prev" href=(url_of(self.page.saturating_sub(1))) { "Previous" } }
                    span { "Page " (self.page) " of " (last) ", " (counted(self.found.len(), "instance")) }
                    @if self.page < last { a rel="next" href=(url_of(self.page.saturating_add(1))) { "Next" } }
                }
            }
        }
    }
}

fn row(it: &InstanceHealthView, now: Timestamp, with_project: bool) -> Markup {
    let good = it.last_good.as_ref();
    html! {
        tr {
            td data-label="State" {
                (show::safety(it))
                @if it.running_since.is_some() { " " (show::badge("busy", "Backing up")) }
            }
            th scope="row" {
                a href={ "/console/instances/" (it.instance_id) } { (it.instance_name) }
                span.soft.block {
                    (it.engine)
                    @if with_project { ", project " (it.project_id) }
                    @if !it.configured { ", not in the configuration" }
                }
                @if let Some(problem) = it.problems.first() {
                    span.block.why { (show::sentence(&problem.message)) }
                } @else if it.is_missing_backups() {
                    span.block.why { "Nobody backs it up. Give it a schedule, or make a backup." }
                }
                @for why in it.copies.iter().filter_map(InstanceCopiesView::waits_because) {
                    span.block.why { (show::sentence(&why)) }
                }
            }
            td data-label="Last good backup" { (or_nothing(good.map(|it| when(it.created.at(), now)))) }
            td data-label="Last proven" {
                (or_nothing(good.map(|it| when(it.verified_at.at(), now))))
                @if let Some(drill) = it.last_passed_drill { span.soft.block { "drill " (show::away(drill.at(), now)) } }
            }
            td data-label="Next run" { (or_nothing(it.next_run.map(|at| when(at.at(), now)))) }
            td.number data-label="Archives" { (size(it.stored_bytes)) span.soft.block { (counted(usize::try_from(it.restore_points).unwrap_or(usize::MAX), "restore point")) } }
        }
    }
}
