//! `coffer pin` and `coffer unpin`.

use serde_json::json;

use crate::cli::args::OneBackup;
use crate::cli::error::Result;
use crate::cli::terminal;

use super::origin::Origin;

pub(in crate::cli) fn pin(args: &OneBackup) -> Result<()> {
    set(args, true)
}

pub(in crate::cli) fn unpin(args: &OneBackup) -> Result<()> {
    set(args, false)
}

fn set(args: &OneBackup, pinned: bool) -> Result<()> {
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
