//! `coffer undelete`.

use clap::Args;
use serde_json::json;

use crate::domain::BackupId;
use crate::executor;
use crate::server;

use super::args::WithConfig;
use super::error::Result;
use super::terminal;

#[derive(Debug, Args)]
pub(super) struct UndeleteArgs {
    /// The id of the deleted backup.
    #[arg(value_name = "ID")]
    id: BackupId,
    /// Report as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    with: WithConfig,
}

pub(super) fn run(args: &UndeleteArgs) -> Result<()> {
    let context = server::open_existing(&args.with.load()?)?;
    let backups = executor::undelete(&context, args.id)?;
    if args.json {
        let ids: Vec<_> = backups.iter().map(|it| it.id).collect();
        terminal::say_json(&json!({"backup": args.id, "undeleted": ids}));
        return Ok(());
    }
    for backup in &backups {
        terminal::say(format_args!("Brought back backup {} ({}).", backup.id, backup.name));
    }
    Ok(())
}
