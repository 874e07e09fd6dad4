//! `coffer catalog rebuild`.

use clap::{Args, Subcommand};
use serde_json::json;

use crate::executor;
use crate::server;

use super::{CommandError, WithConfig, terminal};

#[derive(Debug, Args)]
pub(super) struct CatalogArgs {
    #[command(subcommand)]
    command: CatalogCommand,
}

#[derive(Debug, Subcommand)]
enum CatalogCommand {
    /// Reads every archive and writes the records the catalog lacks. The server must be stopped.
    Rebuild(RebuildArgs),
}

#[derive(Debug, Args)]
struct RebuildArgs {
    /// Reports as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    with: WithConfig,
}

pub(super) fn run(args: &CatalogArgs) -> Result<(), CommandError> {
    let CatalogCommand::Rebuild(args) = &args.command;
    let config = args.with.load()?;
    let (context, _lock) = server::open_alone(&config)?;
    let bar = terminal::bar("reading archives");
    let rebuilt = executor::rebuild(&context, &|done, total| {
        bar.set_length(total);
        bar.set_position(done);
    })?;
    bar.finish_and_clear();
    context.catalog.close();
    if args.json {
        let unusable: Vec<_> = rebuilt
            .unusable
            .iter()
            .map(|(location, why)| json!({"location": location, "why": why}))
            .collect();
        terminal::say_json(&json!({
            "archives": rebuilt.archives,
            "imported": rebuilt.imported,
            "unusable": unusable,
        }));
    } else {
        terminal::say(&format!(
            "Read {} archives; {} backups were not in the catalog and are now.",
            rebuilt.archives, rebuilt.imported
        ));
        for (location, why) in &rebuilt.unusable {
            terminal::say(&format!("Not taken in: {location}: {why}"));
        }
    }
    if rebuilt.unusable.is_empty() {
        Ok(())
    } else {
        let count = rebuilt.unusable.len();
        Err(CommandError::Damaged(format!("{count} archives could not be taken in; see above")))
    }
}
