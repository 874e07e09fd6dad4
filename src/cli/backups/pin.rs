//! `coffer pin` and `coffer unpin`.

use clap::Args;
use serde_json::json;

use crate::cli::args::WithConfig;
use crate::cli::error::Result;
use crate::cli::terminal;

use super::origin::Origin;
use super::selector::Selector;

#[derive(Debug, Args)]
pub(in crate::cli) struct PinArgs {
    /// The backup: its id, the beginning of it, its name, or latest:INSTANCE.
    #[arg(value_name = "BACKUP")]
    backup: Selector,
    /// Report as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    with: WithConfig,
}

pub(in crate::cli) fn pin(args: &PinArgs) -> Result<()> {
    set(args, true)
}

pub(in crate::cli) fn unpin(args: &PinArgs) -> Result<()> {
    set(args, false)
}

fn set(args: &PinArgs, pinned: bool) -> Result<()> {
    let config = args.with.load()?;
    let (origin, client) = Origin::running_server(&config)?;
    let id = origin.find(&args.backup)?;
    let project = origin.backup(id)?.project_id;
    let backup = client.of_project(project).pin_backup(id, pinned)?;
    if args.json {
        terminal::say_json(&json!({ "backup": id, "pinned_at": backup.pinned_at }));
    } else if pinned {
        terminal::say(format_args!(
            "Backup {id} stays, with what it is built on, until coffer unpin {id}."
        ));
    } else {
        terminal::say(format_args!("Backup {id} is pinned no longer."));
    }
    Ok(())
}
