//! `coffer schedule`.

use clap::{Args, Subcommand};
use serde_json::json;

use crate::cli::args::WithConfig;
use crate::cli::error::{CommandError, Result};
use crate::cli::terminal;
use crate::wire::{ScheduleView, UtcTime};

use super::origin::Origin;
use super::schedule_set::{self, SetArgs, UnsetArgs};
use super::table::{self, NOTHING};

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(in crate::cli) struct ScheduleArgs {
    #[command(subcommand)]
    command: Option<ScheduleCommand>,
    /// Report as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    with: WithConfig,
}

#[derive(Debug, Subcommand)]
enum ScheduleCommand {
    /// Set when an instance is backed up and what is kept, where the configuration does not say it in [[instances]].
    Set(SetArgs),
    /// Back up an instance as the configuration says again.
    Unset(UnsetArgs),
}

pub(in crate::cli) fn run(args: &ScheduleArgs) -> Result<()> {
    match &args.command {
        None => show(args),
        Some(ScheduleCommand::Set(args)) => schedule_set::set(args),
        Some(ScheduleCommand::Unset(args)) => schedule_set::unset(args),
    }
}

fn show(args: &ScheduleArgs) -> Result<()> {
    let config = args.with.load()?;
    let origin = Origin::open(&config)?;
    let schedules = origin.schedules()?;
    let without_server = origin.without_server();
    if args.json {
        let server = without_server.is_none();
        terminal::say_json(&json!({ "server_answers": server, "backup_schedules": schedules }));
        return Ok(());
    }
    if let Some(why) = without_server {
        terminal::warn(format_args!("nothing runs by a schedule now: {why}"));
    }
    if schedules.is_empty() {
        terminal::say(
            "No instance has a schedule. Set one in the configuration, for all of them: [defaults] schedule = \"daily \
             02:30\"",
        );
        return Ok(());
    }
    let rows = schedules.into_iter().map(|it| row(&origin, it)).collect::<Result<Vec<_>>>()?;
    let headings =
        ["INSTANCE", "SCHEDULE", "TIME ZONE", "FULL", "NEXT", "LAST", "DRILL", "SCRUB", "STAGING"];
    table::print(headings, rows);
    Ok(())
}

fn row(origin: &Origin, it: ScheduleView) -> Result<[String; 9]> {
    let or_nothing = |cell: Option<String>| cell.unwrap_or_else(|| NOTHING.to_owned());
    let at = |time: Option<UtcTime>| or_nothing(time.map(|at| format!("{at} UTC")));
    let last = match it.last_backup_id.map(|id| origin.backup(id)) {
        // It was deleted.
        None | Some(Err(CommandError::NotFound(_))) => None,
        Some(found) => Some(found?),
    };
    let zone = it.timezone.unwrap_or_else(|| "system".to_owned());
    Ok([
        it.instance_name,
        it.schedule.clone().unwrap_or_else(|| "when asked".to_owned()),
        or_nothing(it.schedule.map(|_| zone)),
        or_nothing(it.full_every),
        at(it.next_run),
        or_nothing(last.map(|it| format!("{}, {}", table::status(&it), table::age(it.created)))),
        at(it.next_drill),
        at(it.next_scrub),
        at(it.next_staging),
    ])
}
