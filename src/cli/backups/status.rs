//! `coffer status`: whether everything is safe.

use clap::Args;
use serde_json::{Value, json};

use crate::cli::args::WithConfig;
use crate::cli::error::{CommandError, Result};
use crate::cli::terminal::{self, counted, human};
use crate::policy::SafetyState;
use crate::wire::{
    DrillStatus, GoodBackupView, HealthView, InstanceCopiesView, InstanceHealthView, PlaceView,
    ProblemView,
};

use super::origin::Origin;
use super::table::{self, NOTHING};

/// How many problems and how many instances fit on a screen.
const MOST_PROBLEMS: usize = 10;
const MOST_INSTANCES: usize = 20;

#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 everything is safe, 7 something is wrong or not backed up.")]
pub(in crate::cli) struct StatusArgs {
    /// Show every problem and every instance, also if that is more than a screen.
    #[arg(long)]
    all: bool,
    /// Report as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    with: WithConfig,
}

pub(in crate::cli) fn run(args: &StatusArgs) -> Result<()> {
    let config = args.with.load()?;
    let origin = Origin::open(&config)?;
    let health = origin.health()?;
    if args.json {
        let mut report = json!(health);
        if let Value::Object(report) = &mut report {
            let answers = origin.without_server().is_none();
            report.insert("server_answers".to_owned(), Value::Bool(answers));
        }
        terminal::say_json(&report);
    } else {
        terminal::say(match origin.without_server() {
            None => format!("Coffer runs: {} answers.", origin.place()),
            Some(why) => format!("This is from {}: {why}.", origin.place()),
        });
        show(&health, args.all);
    }
    match health.state {
        SafetyState::Safe => Ok(()),
        SafetyState::NotBackedUp | SafetyState::Warning | SafetyState::Critical => {
            Err(CommandError::NotSafe(verdict(&health)))
        }
    }
}

pub(in crate::cli) fn show(health: &HealthView, all: bool) {
    let [problems, instances] =
        [MOST_PROBLEMS, MOST_INSTANCES].map(|most| if all { usize::MAX } else { most });
    terminal::say(verdict(health));
    for notice in &health.notices {
        terminal::warn(notice);
    }
    for problem in health.problems.iter().take(problems) {
        show_problem(problem);
    }
    say_more(health.problems.len().saturating_sub(problems), "problem");
    if health.instances.is_empty() {
        return terminal::say("There are no instances.");
    }
    let headings = [
        "INSTANCE",
        "STATE",
        "LAST GOOD",
        "PROVEN",
        "DRILL",
        "RESTORE",
        "NEXT",
        "POINTS",
        "SIZE",
        "COPIES",
        "TREND",
    ];
    table::print(headings, health.instances.iter().take(instances).map(row).collect());
    say_more(health.instances.len().saturating_sub(instances), "instance");
    let waits: Vec<String> = health.instances.iter().flat_map(copies_that_wait).collect();
    waits.iter().take(problems).for_each(terminal::say);
    if !health.places.is_empty() {
        let headings =
            ["PLACE", "PROVEN", "SIZE", "WAITING", "COPYING", "FAILED", "LAST PROVEN", "STATE"];
        table::print(headings, health.places.iter().map(place_row).collect());
    }
}

fn place_row(it: &PlaceView) -> [String; 8] {
    [
        it.name.clone(),
        it.proven.to_string(),
        human(it.bytes),
        it.waiting.to_string(),
        it.copying.to_string(),
        it.failed.to_string(),
        it.last_proven_at.map_or_else(|| NOTHING.to_owned(), table::age),
        match it.unusable_since {
            _ if !it.configured => "NOT IN THE CONFIGURATION".to_owned(),
            Some(since) => format!("CANNOT BE USED since {since} UTC"),
            None => "usable".to_owned(),
        },
    ]
}

/// The answer in one line.
fn verdict(health: &HealthView) -> String {
    let count = |is: fn(&InstanceHealthView) -> bool, what: &str| {
        let count = health.instances.iter().filter(|it| is(it)).count();
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        (count > 0).then(|| format!("{} {what}", counted(count, "instance")))
    };
    let problems = u64::try_from(health.problems.len()).unwrap_or(u64::MAX);
    let problems = (problems > 0).then(|| counted(problems, "problem"));
    let missing = count(InstanceHealthView::is_missing_backups, "not backed up by anything");
    let waiting = count(InstanceHealthView::is_waiting, "waiting for the first backup");
    let unsent = count(InstanceHealthView::is_without_copy, "without a copy so far");
    let wrong: Vec<String> = problems.into_iter().chain(missing).collect();
    if wrong.is_empty() {
        let safe = count(|it| it.state == SafetyState::Safe, "backed up");
        let nothing = Some("nothing is wrong".to_owned());
        let all: Vec<String> = [nothing, safe, unsent, waiting].into_iter().flatten().collect();
        return format!("Safe: {}.", all.join(", "));
    }
    format!("Not safe: {}.", wrong.into_iter().chain(waiting).collect::<Vec<_>>().join(", "))
}

fn show_problem(problem: &ProblemView) {
    let severity = problem.severity.as_str();
    terminal::say(format_args!("{severity:<9} {} (since {} UTC)", problem.message, problem.since));
    terminal::say(format_args!("{:<9} {}", "", problem.advice));
}

fn say_more(more: usize, noun: &str) {
    if let Some(more) = u64::try_from(more).ok().filter(|it| *it > 0) {
        terminal::say(format_args!(
            "and {}; --all shows them",
            counted(more, &format!("more {noun}"))
        ));
    }
}

/// How many backups are in each place, and how many are not yet.
fn copies(it: &InstanceHealthView) -> Option<String> {
    let of = it.copies.iter().map(|it| match it.missing {
        0 => format!("{} {}", it.place, it.proven),
        missing => format!("{} {}, {missing} missing", it.place, it.proven),
    });
    (!it.copies.is_empty()).then(|| of.collect::<Vec<_>>().join("; "))
}

/// Places that hold no copy of an instance yet because the last attempt failed.
fn copies_that_wait(it: &InstanceHealthView) -> impl Iterator<Item = String> {
    let whys = it.copies.iter().filter_map(InstanceCopiesView::waits_because);
    whys.map(|why| format!("{}: {why}", it.instance_name))
}

/// What the last drill found. One that passed is a proof only of a backup that is still there.
fn drill(it: &InstanceHealthView) -> Option<String> {
    let (last, passed) = (it.last_drill.as_ref(), it.last_passed_drill);
    let found = match (last.map(|it| it.status), passed) {
        (Some(DrillStatus::Damaged), _) => "DAMAGED",
        (Some(DrillStatus::Inconclusive), _) => "inconclusive",
        (_, Some(passed)) => return Some(format!("passed {}", table::age(passed))),
        (Some(DrillStatus::Passed), None) => "passed",
        (None, None) => return None,
    };
    let last = last?;
    let deleted = if last.backup_deleted { ", its backup is deleted" } else { "" };
    Some(format!("{found} {}{deleted}", table::age(last.ended)))
}

fn row(it: &InstanceHealthView) -> [String; 11] {
    let or_nothing = |cell: Option<String>| cell.unwrap_or_else(|| NOTHING.to_owned());
    let good = it.last_good.as_ref();
    let state = match it.state {
        _ if it.running_since.is_some() => format!("{}, a backup runs", word(it.state)),
        _ if !it.configured && it.last_good.is_some() => {
            format!("{}, not in the configuration", word(it.state))
        }
        _ if it.is_waiting() => "waits for its first".to_owned(),
        state => word(state).to_owned(),
    };
    let proof = |it: &GoodBackupView| {
        format!("{} {}", it.verify_level.as_str(), table::age(it.verified_at))
    };
    let drill = drill(it);
    let mut points = it.restore_points.to_string();
    if it.out_of_reach > 0 {
        points = format!("{points}, {} out of reach", it.out_of_reach);
    }
    if it.bad_backups > 0 {
        points = format!("{points} and {} damaged or missing", it.bad_backups);
    }
    let time = it.duration_percent.map(|percent| format!(", time {percent} %"));
    let trend =
        it.size_percent.map(|percent| format!("size {percent} %{}", time.unwrap_or_default()));
    [
        it.instance_name.clone(),
        state,
        or_nothing(good.map(|it| table::age(it.created))),
        or_nothing(good.map(proof)),
        or_nothing(drill),
        or_nothing(it.restore_seconds.map(|seconds| format!("{seconds} s"))),
        or_nothing(it.next_run.map(|at| format!("{at} UTC"))),
        points,
        human(it.stored_bytes),
        or_nothing(copies(it)),
        or_nothing(trend),
    ]
}

const fn word(state: SafetyState) -> &'static str {
    match state {
        SafetyState::Safe => "safe",
        SafetyState::NotBackedUp => "not backed up",
        SafetyState::Warning => "WARNING",
        SafetyState::Critical => "CRITICAL",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drill_of_a_deleted_backup_is_said_to_be_one() {
        let shown = |status: &str, deleted: bool, passed: Option<&str>| {
            let health = serde_json::json!({
                "instance_id": "11111111-0000-4000-8000-000000000001", "instance_name": "shop",
                "project_id": "a", "engine": "sqlite", "configured": true, "state": "safe",
                "problems": [], "running_since": null, "last_good": null, "last_failure": null,
                "last_drill": {
                    "backup_id": "01a21c3c-c8a3-7543-b60a-b9e95cc32443", "backup_deleted": deleted,
                    "ended": "2026-01-02T00:00:00", "status": status, "failure": null,
                },
                "last_passed_drill": passed, "restore_seconds": 1, "next_run": null,
                "restore_points": 1, "bad_backups": 0, "stored_bytes": 1, "size_percent": null,
                "duration_percent": null, "copies": [],
            });
            drill(&serde_json::from_value(health).unwrap()).unwrap()
        };
        let passed = Some("2026-01-01T00:00:00");
        assert!(!shown("passed", false, passed).contains("deleted"));
        assert!(!shown("passed", true, passed).contains("deleted"), "an earlier one holds");
        assert!(shown("passed", true, None).ends_with(", its backup is deleted"));
        let damaged = shown("damaged", true, passed);
        assert!(damaged.starts_with("DAMAGED") && damaged.ends_with("deleted"), "{damaged}");
    }
}
