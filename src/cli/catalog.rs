//! `coffer catalog rebuild`.

use clap::{Args, Subcommand};
use serde_json::json;

use crate::executor;
use crate::server;

use super::args::WithConfig;
use super::error::CommandError;
use super::terminal;

#[derive(Debug, Args)]
pub(super) struct CatalogArgs {
    #[command(subcommand)]
    command: CatalogCommand,
}

#[derive(Debug, Subcommand)]
enum CatalogCommand {
    /// Read all archives and add the records that the catalog lacks. The server must be stopped.
    Rebuild(RebuildArgs),
}

#[derive(Debug, Args)]
struct RebuildArgs {
    /// Report as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    with: WithConfig,
}

pub(super) fn run(args: &CatalogArgs) -> Result<(), CommandError> {
    let CatalogCommand::Rebuild(args) = &args.command;
    let config = args.with.load()?;
    let (context, _lock) = server::open_and_lock(&config)?;
    let rebuilt = terminal::with_progress("reading archives", |progress| {
        executor::rebuild(&context, progress)
    })?;
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
        terminal::say(format_args!(
            "Read {}; added {} to the catalog.",
            terminal::counted(rebuilt.archives, "archive"),
            terminal::counted(rebuilt.imported, "backup")
        ));
        for (location, why) in &rebuilt.unusable {
            terminal::say(format_args!("Not added: {location}: {why}"));
        }
    }
    if rebuilt.unusable.is_empty() {
        Ok(())
    } else {
        let count = rebuilt.unusable.len();
        Err(CommandError::Damaged(format!(
            "{} could not be added; see above",
            terminal::counted(count, "archive")
        )))
    }
}
