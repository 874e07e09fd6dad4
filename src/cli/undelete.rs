//! `coffer undelete`.

use std::time::{Duration, Instant};

use clap::Args;
use serde_json::json;

use crate::catalog::{CatalogError, NotNow};
use crate::domain::{Backup, BackupId};
use crate::executor::{self, Context, JobError};
use crate::server;

use super::args::WithConfig;
use super::backups::Selector;
use super::error::Result;
use super::interrupt::Interrupt;
use super::offline;
use super::terminal;

#[derive(Debug, Args)]
pub(super) struct UndeleteArgs {
    /// The deleted backup: its id, the beginning of it, its name, or latest:INSTANCE.
    #[arg(value_name = "BACKUP")]
    backup: Selector,
    /// Report as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    with: WithConfig,
}

/// A delete that has just begun ends soon.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) fn run(args: &UndeleteArgs) -> Result<()> {
    let config = args.with.load()?;
    let context = server::open_existing(&config)?;
    let place = format!("the trash of {}", config.data_dir.display());
    let candidates = || offline::candidates(&context, context.catalog.deleted_backups()?);
    let id = args.backup.find(candidates, &place)?;
    let backups = bring_back(&context, id).map_err(|error| error.not_found_in(id, &place))?;
    let pinned = backups.iter().any(|it| it.id == id && it.pinned.is_some());
    if args.json {
        let ids: Vec<_> = backups.iter().map(|it| it.id).collect();
        terminal::say_json(&json!({"backup": id, "undeleted": ids, "pinned": pinned}));
        return Ok(());
    }
    for backup in &backups {
        terminal::say(format_args!("Brought back backup {} ({}).", backup.id, backup.name));
    }
    if pinned {
        terminal::say(format_args!(
            "Backup {id} is pinned, so that retention does not delete it again, until coffer unpin {id}."
        ));
    }
    Ok(())
}

fn bring_back(context: &Context, id: BackupId) -> Result<Vec<Backup>> {
    let (began, interrupt) = (Instant::now(), Interrupt::listen()?);
    loop {
        match executor::undelete(context, id) {
            Err(JobError::Catalog(CatalogError::NotNow(NotNow::StillDeleting(_))))
                if began.elapsed() < PATIENCE =>
            {
                interrupt.pause(Duration::from_millis(50));
                interrupt.check()?;
            }
            ended => return Ok(ended?),
        }
    }
}
