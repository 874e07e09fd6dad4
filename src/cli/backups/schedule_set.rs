//! `coffer schedule set` and `coffer schedule unset`.

use clap::Args;
use serde_json::json;

use crate::cli::args::WithConfig;
use crate::cli::error::{CommandError, Result};
use crate::cli::terminal;
use crate::domain::shell_word;
use crate::wire::{WantedKeep, WantedSchedule};

use super::origin::Origin;

#[derive(Debug, Args)]
pub(super) struct SetArgs {
    /// The instance: its name or id.
    #[arg(value_name = "INSTANCE")]
    instance: String,
    /// When: "hourly", "daily 02:30", "weekly sun 03:00", "monthly 1 04:00" or cron's "30 2 * * *"; "" for never.
    #[arg(value_name = "SCHEDULE")]
    schedule: String,
    /// The time zone of these times, such as Europe/Berlin.
    #[arg(long, value_name = "ZONE")]
    timezone: Option<String>,
    /// The time within which the backup begins, such as "15 min".
    #[arg(long, value_name = "TIME")]
    jitter: Option<String>,
    /// The hours in which backups may begin, such as 22:00-06:00.
    #[arg(long, value_name = "HOURS")]
    window: Option<String>,
    /// When a backup is a full one: daily, weekly, monthly, or every so many backups.
    #[arg(long, value_name = "WHEN")]
    full_every: Option<String>,
    /// How often a backup is attempted again after a failure that may pass.
    #[arg(long, value_name = "NUMBER")]
    retries: Option<u32>,
    /// What is kept: rules with commas between, such as `last=3,daily=7,weekly=5,monthly=12`. Besides these there are
    /// hourly, yearly, `min_age=3 days` and `max_size=500 GiB`.
    #[arg(long, value_name = "RULES")]
    keep: Option<String>,
    /// Report as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    with: WithConfig,
}

#[derive(Debug, Args)]
pub(super) struct UnsetArgs {
    /// The instance: its name or id.
    #[arg(value_name = "INSTANCE")]
    instance: String,
    /// Report as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    with: WithConfig,
}

pub(super) fn set(args: &SetArgs) -> Result<()> {
    let wanted = WantedSchedule {
        instance_id: None,
        schedule: args.schedule.clone(),
        timezone: args.timezone.clone(),
        jitter: args.jitter.clone(),
        window: args.window.clone(),
        full_every: args.full_every.clone(),
        retries: args.retries,
        keep: args.keep.as_deref().map(keep).transpose()?,
    };
    let config = args.with.load()?;
    let (origin, client) = Origin::running_server(&config)?;
    let instance = origin.instance(&args.instance)?;
    let set = client.of_project(instance.project.clone()).set_schedule(instance.id, wanted)?;
    if args.json {
        terminal::say_json(&json!({ "backup_schedule": set }));
        return Ok(());
    }
    let (name, word) = (&instance.name, shell_word(&instance.name));
    terminal::say(if args.schedule.is_empty() {
        format!("{name} is backed up only when somebody asks, until coffer schedule unset {word}.")
    } else {
        format!("{name} is backed up {}, until coffer schedule unset {word}.", args.schedule)
    });
    Ok(())
}

pub(super) fn unset(args: &UnsetArgs) -> Result<()> {
    let config = args.with.load()?;
    let (origin, client) = Origin::running_server(&config)?;
    let instance = origin.instance(&args.instance)?;
    client.of_project(instance.project.clone()).unset_schedule(instance.id)?;
    if args.json {
        terminal::say_json(&json!({ "unset": instance.id }));
    } else {
        terminal::say(format_args!("{} is backed up as the configuration says.", instance.name));
    }
    Ok(())
}

/// `last=3,daily=7` and so on.
fn keep(text: &str) -> Result<WantedKeep> {
    let mut keep = WantedKeep::default();
    for rule in text.split(',') {
        let wrong = |why: &str| CommandError::Usage(format!("--keep {rule:?} {why}"));
        let (name, value) = rule.split_once('=').ok_or_else(|| wrong("has no ="))?;
        let value = value.trim();
        let number = || value.parse().map(Some).map_err(|_reason| wrong("is not a number"));
        match name.trim() {
            "last" => keep.last = number()?,
            "hourly" => keep.hourly = number()?,
            "daily" => keep.daily = number()?,
            "weekly" => keep.weekly = number()?,
            "monthly" => keep.monthly = number()?,
            "yearly" => keep.yearly = number()?,
            "min_age" => keep.min_age = Some(value.to_owned()),
            "max_size" => keep.max_size = Some(value.to_owned()),
            _ => {
                return Err(wrong(
                    "is no rule: last, hourly, daily, weekly, monthly, yearly, min_age, max_size",
                ));
            }
        }
    }
    Ok(keep)
}
