//! `coffer consolidate`.

use std::time::Duration;

use clap::Args;
use serde_json::json;

use crate::cli::args::OneBackup;
use crate::cli::error::{CommandError, Result};
use crate::cli::interrupt::Interrupt;
use crate::cli::terminal;
use crate::client::Client;
use crate::domain::BackupId;
use crate::wire::{ConsolidationStatus, ConsolidationView};

use super::origin::Origin;

/// How often the server is asked whether it has ended.
const POLL: Duration = Duration::from_millis(500);

#[derive(Debug, Args)]
pub(in crate::cli) struct ConsolidateArgs {
    /// Wait until the full backup is there or could not be made.
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    one: OneBackup,
}

pub(in crate::cli) fn run(args: &ConsolidateArgs) -> Result<()> {
    let config = args.one.with.load()?;
    let (origin, client) = Origin::running_server(&config)?;
    let id = origin.find(&args.one.backup)?;
    let client = client.of_project(origin.backup(id)?.project_id);
    let mut found = client.consolidate_backup(id)?;
    if args.wait {
        found = wait(&client, id, found)?;
    }
    if args.one.json {
        terminal::say_json(&json!(found));
    } else if let Some(full) = found.full_id {
        terminal::say(format_args!(
            "Backup {full} has the moment and the content of {id}, and needs no other. {id} stays until it is deleted."
        ));
    } else if found.status.is_some_and(ConsolidationStatus::is_open) {
        terminal::say(format_args!(
            "A full backup of the same moment as {id} is asked for; coffer list shows it once it is there."
        ));
    }
    match (found.failure, found.status) {
        (Some(failure), _) => {
            Err(CommandError::Failed(format!("backup {id} was not consolidated: {failure}")))
        }
        (None, Some(ConsolidationStatus::Cancelled)) => {
            Err(CommandError::Failed(format!("backup {id} was deleted before it was consolidated")))
        }
        _ => Ok(()),
    }
}

/// Asks until it has ended.
fn wait(client: &Client, id: BackupId, mut found: ConsolidationView) -> Result<ConsolidationView> {
    let interrupt = Interrupt::listen()?;
    while found.status.is_some_and(ConsolidationStatus::is_open) {
        interrupt.pause(POLL);
        if interrupt.cancel().is_cancelled() {
            return Err(CommandError::Failed(format!(
                "not waiting any longer; the server goes on with the consolidation of {id}"
            )));
        }
        found = client.consolidation(id)?;
    }
    Ok(found)
}
