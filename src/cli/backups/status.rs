//! `coffer status`: whether everything is safe.

use clap::Args;
use serde_json::{Value, json};

use crate::cli::args::WithConfig;
use crate::cli::error::{CommandError, Result};
use crate::cli::terminal::{self, counted, human};
use crate::policy::SafetyState;
use crate::wire::{
    DrillStatus, GoodBackupView, HealthView, InstanceHealthView, PlaceView, ProblemView,
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
    let wrong: Vec<String> = problems.into_iter().chain(missing).collect();
    if wrong.is_empty() {
        let safe = count(|it| it.state == SafetyState::Safe, "backed up");
        let nothing = Some("nothing is wrong".to_owned());
        let all: Vec<String> = [nothing, safe, waiting].into_iter().flatten().collect();
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
    let drill = match (&it.last_drill, it.last_passed_drill) {
        (Some(drill), _) if drill.status == DrillStatus::Damaged => {
            Some(format!("DAMAGED {}", table::age(drill.ended)))
        }
        (Some(drill), _) if drill.status == DrillStatus::Inconclusive => {
            Some(format!("inconclusive {}", table::age(drill.ended)))
        }
        (_, passed) => passed.map(|at| format!("passed {}", table::age(at))),
    };
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
