//! `coffer delete`.

use clap::Args;
use serde_json::json;

use crate::cli::args::OneBackup;
use crate::cli::error::{CommandError, Result};
use crate::cli::terminal;
use crate::config::Config;
use crate::domain::BackupId;
use crate::storage::{Local, LocalSettings};
use crate::wire::BackupView;

use super::origin::Origin;

#[derive(Debug, Args)]
pub(in crate::cli) struct DeleteArgs {
    /// Delete the incremental backups that are built on it as well. Without this, a backup that others are
    /// built on is not deleted.
    #[arg(long)]
    with_incrementals: bool,
    #[command(flatten)]
    one: OneBackup,
}

pub(in crate::cli) fn run(args: &DeleteArgs) -> Result<()> {
    let config = args.one.with.load()?;
    let (origin, client) = Origin::running_server(&config)?;
    let id = origin.find(&args.one.backup)?;
    let backup = origin.backup(id)?;
    let others = built_on(id, &origin.backups(backup.instance_id)?);
    let counted = terminal::counted(others.len(), "incremental backup");
    if !others.is_empty() && !args.with_incrementals {
        return Err(CommandError::Usage(format!(
            "{counted} built on {id} would be deleted too; say --with-incrementals to do that"
        )));
    }
    let short = is_short_of_room(&config);
    client.of_project(backup.project_id).delete_backup(id)?;
    if args.one.json {
        terminal::say_json(&json!({ "deleted": id, "also_deleted": others }));
        return Ok(());
    }
    terminal::say(if others.is_empty() {
        format!("Backup {id} is deleted.")
    } else {
        format!("Backup {id} and {counted} built on it are deleted.")
    });
    if config.storage.trash_window_s > 0 && short {
        terminal::say(
            "The disk has less than storage.headroom_mib free, so its archive is removed at once to make room: nothing \
             brings it back.",
        );
    } else if config.storage.trash_window_s > 0 {
        terminal::say(format_args!(
            "As long as its archive is in the trash, coffer undelete {id} brings it back."
        ));
    }
    Ok(())
}

/// Whether the disk of the archives, if it is this machine's, has so little room that the server gives up the time in the
/// trash.
fn is_short_of_room(config: &Config) -> bool {
    let headroom_bytes = config.storage.headroom_bytes();
    let settings = LocalSettings { headroom_bytes, ..LocalSettings::default() };
    let local = Local::existing(&config.data_dir, settings);
    local.and_then(|local| local.is_short_of_room()).unwrap_or(false)
}

/// The backups that need this one, in any order.
fn built_on(id: BackupId, backups: &[BackupView]) -> Vec<BackupId> {
    let mut found = vec![id];
    let mut checked = 0;
    while let Some(parent) = found.get(checked).copied() {
        checked += 1;
        let children = backups.iter().filter(|it| it.parent_id == Some(parent)).map(|it| it.id);
        found.extend(children.filter(|child| *child != id).collect::<Vec<_>>());
    }
    found.split_off(1)
}
