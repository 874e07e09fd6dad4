//! `coffer catalog rebuild` and `coffer catalog accept-loss`.

use clap::{Args, Subcommand};
use serde_json::json;

use crate::config::Config;
use crate::executor::{self, Fetched, RebuildReport};
use crate::server;

use super::args::{WithConfig, WithKeys};
use super::error::{CommandError, Result};
use super::{from, terminal};

#[derive(Debug, Args)]
pub(super) struct CatalogArgs {
    #[command(subcommand)]
    command: CatalogCommand,
}

#[derive(Debug, Subcommand)]
enum CatalogCommand {
    /// Read all archives and add the records that the catalog lacks. The server must be stopped.
    Rebuild(RebuildArgs),
    /// Say that archives which are missing now are lost for good, so that Coffer works on without them.
    AcceptLoss(ReportArgs),
}

#[derive(Debug, Args)]
struct RebuildArgs {
    /// First bring back the archives that the data directory lacks from this place: its name in the configuration,
    /// `s3://bucket/prefix`, or a folder, such as the data directory of another machine.
    #[arg(long, value_name = "PLACE")]
    from: Option<String>,
    #[command(flatten)]
    keys: WithKeys,
    #[command(flatten)]
    report: ReportArgs,
}

#[derive(Debug, Args)]
struct ReportArgs {
    /// Report as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    with: WithConfig,
}

pub(super) fn run(args: &CatalogArgs) -> Result<()> {
    match &args.command {
        CatalogCommand::Rebuild(args) => rebuild(args),
        CatalogCommand::AcceptLoss(args) => accept_loss(args),
    }
}

fn accept_loss(args: &ReportArgs) -> Result<()> {
    let context = server::open_existing(&args.with.load()?)?;
    let missing = executor::accept_loss(&context)?;
    if args.json {
        terminal::say_json(&json!({"missing": missing}));
        return Ok(());
    }
    if missing.is_empty() {
        terminal::say("No archive is missing.");
        return Ok(());
    }
    for id in &missing {
        terminal::say(format_args!("The archive of backup {id} is missing."));
    }
    let advice =
        "Coffer works on without them; the backups stay in the list until they are deleted.";
    terminal::say(advice);
    Ok(())
}

fn rebuild(args: &RebuildArgs) -> Result<()> {
    let config = args.report.with.load()?;
    let (context, _lock) = server::open_and_lock(&config)?;
    let fetched = match &args.from {
        None => Fetched::default(),
        Some(from) => {
            let keys = args.keys.read(&config)?;
            let place = from::place(from, &config, &keys)?;
            terminal::with_progress("fetching archives", |progress| {
                executor::fetch(&context, place, &keys.signers, progress)
            })?
        }
    };
    let mut rebuilt = terminal::with_progress("reading archives", |progress| {
        executor::rebuild(&context, progress)
    })?;
    context.catalog.close();
    rebuilt.unusable.extend(fetched.unusable);
    report_rebuilt(args, &config, fetched.archives, &rebuilt);
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

fn report_rebuilt(args: &RebuildArgs, config: &Config, fetched: usize, rebuilt: &RebuildReport) {
    if args.report.json {
        let unusable: Vec<_> = rebuilt
            .unusable
            .iter()
            .map(|(location, why)| json!({"location": location, "why": why}))
            .collect();
        terminal::say_json(&json!({
            "fetched": fetched,
            "archives": rebuilt.archives,
            "imported": rebuilt.imported,
            "instances": rebuilt.instances,
            "unusable": unusable,
            "not_brought_back": executor::NOT_BROUGHT_BACK,
        }));
    } else {
        if args.from.is_some() {
            let count = terminal::counted(fetched, "archive");
            terminal::say(format_args!("Brought back {count}."));
        }
        terminal::say(format_args!(
            "Read {}; added {} and {} to the catalog.",
            terminal::counted(rebuilt.archives, "archive"),
            terminal::counted(rebuilt.imported, "backup"),
            terminal::counted(rebuilt.instances, "restored instance")
        ));
        terminal::say(format_args!("{}.", executor::NOT_BROUGHT_BACK));
        for (location, why) in &rebuilt.unusable {
            terminal::say(format_args!("Not added: {location}: {why}"));
        }
        if !rebuilt.unusable.is_empty() {
            terminal::say(format_args!(
                "What can be had of them: coffer restore --archive {}/FILE --to PATH --salvage",
                config.data_dir.join("archives").display()
            ));
        }
    }
}
