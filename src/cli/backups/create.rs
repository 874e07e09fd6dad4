//! `coffer backup`.

use std::time::Duration;

use clap::Args;
use indicatif::ProgressBar;
use serde_json::json;

use crate::cli::args::WithConfig;
use crate::cli::error::{CommandError, Result};
use crate::cli::interrupt::Interrupt;
use crate::cli::terminal;
use crate::client::Client;
use crate::domain::{BackupId, Clock as _, Status, SystemClock};
use crate::wire::{BackupView, CreateBackup, HealthStatus};

use super::origin::Origin;
use super::table::{self, Lineage};

/// How often the server is asked how far the backup is.
const POLL: Duration = Duration::from_millis(500);

#[derive(Debug, Args)]
pub(in crate::cli) struct BackupArgs {
    /// The instance to back up, by name or id.
    #[arg(value_name = "INSTANCE")]
    instance: String,
    /// Store only what changed since the newest completed backup.
    #[arg(long)]
    incremental: bool,
    /// The backup's name [default: the instance's name and the time].
    #[arg(long)]
    name: Option<String>,
    /// Wait until it is completed or has failed, and show how far it is.
    #[arg(long)]
    wait: bool,
    /// Report as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    with: WithConfig,
}

pub(in crate::cli) fn run(args: &BackupArgs) -> Result<()> {
    let config = args.with.load()?;
    let (origin, client) = Origin::running_server(&config)?;
    let instance = origin.instance(&args.instance)?;
    let client = client.of_project(instance.project.clone());
    let name = args.name.clone();
    let asked = client.create_backup(CreateBackup {
        name: name.unwrap_or_else(|| format!("{} {}", instance.name, SystemClock.now().to_wire())),
        instance: Some(instance.id),
        incremental: args.incremental.then_some(1),
        ..CreateBackup::default()
    })?;
    let backup = if args.wait { wait(&client, asked.id)? } else { asked };
    report(args, &backup);
    match (&backup.failure, backup.status) {
        (Some(failure), Status::Failed) => {
            Err(CommandError::Failed(format!("backup {} failed: {failure}", backup.id)))
        }
        _ => Ok(()),
    }
}

/// Asks until the backup has ended.
fn wait(client: &Client, id: BackupId) -> Result<BackupView> {
    let interrupt = Interrupt::listen()?;
    let bar = terminal::progress_bar(1000, "{msg} [{bar:30}] {percent} %, {elapsed}");
    let mut said = Vec::new();
    let ended = loop {
        let backup = client.backup(id).map_err(|error| {
            CommandError::Failed(format!(
                "{error}; a server that stopped or crashed fails backup {id} as interrupted when it starts again, else \
                 it goes on: coffer show {id} tells"
            ))
        })?;
        if !backup.status.is_running() {
            break backup;
        }
        if backup.status == Status::New {
            warn_of_stop(client, &bar, &mut said);
        }
        bar.set_message(backup.status.to_string());
        bar.set_position(permille(backup.progress));
        interrupt.pause(POLL);
        if interrupt.cancel().is_cancelled() {
            bar.finish_and_clear();
            return Err(CommandError::Failed(format!(
                "not waiting any longer; the server goes on with backup {id}, and coffer show {id} tells how far it is"
            )));
        }
    };
    bar.finish_and_clear();
    Ok(ended)
}

/// Says why a server that has stopped work does not begin, once.
fn warn_of_stop(client: &Client, bar: &ProgressBar, said: &mut Vec<String>) {
    let Ok(health) = client.health() else { return };
    if health.status == HealthStatus::Stopped && health.notices != *said {
        for notice in &health.notices {
            bar.suspend(|| {
                terminal::warn(format_args!("the server begins nothing for now: {notice}"));
            });
        }
        *said = health.notices;
    }
}

/// A share of one in thousandths.
fn permille(share: f64) -> u64 {
    (0..=1000_u32).rev().find(|it| f64::from(*it) <= share * 1000.0).unwrap_or_default().into()
}

fn report(args: &BackupArgs, backup: &BackupView) {
    if args.json {
        terminal::say_json(&json!(backup));
    } else if backup.status.is_running() {
        terminal::say(format_args!(
            "Backup {} of {} is asked for; coffer show {} tells how far it is.",
            backup.id, args.instance, backup.id
        ));
    } else if backup.status.is_usable() {
        terminal::say(format_args!(
            "Backup {} of {} is {}: {}, {}, proven: {}.",
            backup.id,
            args.instance,
            backup.status,
            backup.kind.as_str(),
            table::size(backup),
            table::proof(backup, &Lineage::new(&[])),
        ));
    }
}
