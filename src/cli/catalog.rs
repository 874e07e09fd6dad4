//! `coffer catalog rebuild`, `coffer catalog accept-loss` and `coffer catalog take-over`.

use std::fs;
use std::io::ErrorKind;
use std::sync::Arc;

use clap::{Args, Subcommand};
use serde_json::json;

use crate::config::Config;
use crate::domain::shell_word;
use crate::encryption::Signers;
use crate::executor::{self, Context, Fetched, RebuildReport};
use crate::server;
use crate::storage::Place;

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
    AcceptLoss(AcceptArgs),
    /// Say that this data directory continues another one, which is gone for good and copied to a place until now.
    TakeOver(TakeOverArgs),
}

#[derive(Debug, Args)]
struct RebuildArgs {
    /// First bring back the archives that the data directory lacks from this place: its name in the configuration,
    /// `s3://bucket/prefix`, `swift://container/prefix`, or a folder, such as the data directory of another machine.
    #[arg(long, value_name = "PLACE")]
    from: Option<String>,
    #[command(flatten)]
    keys: WithKeys,
    #[command(flatten)]
    report: ReportArgs,
}

#[derive(Debug, Args)]
struct AcceptArgs {
    /// Say it of this place, which cannot be used or is not in the configuration any more, and of all that lies there.
    #[arg(long, value_name = "PLACE")]
    place: Option<String>,
    #[command(flatten)]
    report: ReportArgs,
}

#[derive(Debug, Args)]
struct TakeOverArgs {
    /// The place, by its name in the configuration.
    #[arg(long, value_name = "PLACE")]
    place: String,
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
        CatalogCommand::TakeOver(args) => take_over(args),
    }
}

fn take_over(args: &TakeOverArgs) -> Result<()> {
    let context = server::open_existing(&args.report.with.load()?)?;
    let (place, before) = (&args.place, executor::take_over(&context, &args.place)?);
    if args.report.json {
        terminal::say_json(&json!({"place": place, "belonged_to": before}));
        return Ok(());
    }
    terminal::say(match before {
        Some(other) => format!(
            "The place {place} was that of the data directory {other}, and is that of this one now. Copies go on by \
             themselves. If the other one still runs, it is refused there from now on."
        ),
        None => format!("No other data directory copies to {place}: nothing is changed."),
    });
    Ok(())
}

fn accept_loss(args: &AcceptArgs) -> Result<()> {
    let context = server::open_existing(&args.report.with.load()?)?;
    let missing = match &args.place {
        Some(place) => executor::accept_loss_of_place(&context, place)?,
        None => executor::accept_loss(&context)?,
    };
    let removed = context.catalog.removed_places()?;
    if args.report.json {
        let removed: Vec<_> = removed
            .iter()
            .map(|it| json!({"place": it.place, "copies": it.copies, "only_there": it.only_there}))
            .collect();
        terminal::say_json(&json!({"missing": missing, "places_not_configured": removed}));
        return Ok(());
    }
    for it in &removed {
        terminal::warn(format_args!(
            "{it}: put it back into the configuration, or say that it is lost: coffer catalog accept-loss --place {}",
            it.place
        ));
    }
    if let Some(place) = &args.place {
        terminal::say(format_args!(
            "The place {place} is lost: the catalog knows of no copy there any more. If it is in the configuration, all that \
             is to be there is copied again after the next start of the server, or systemctl reload coffer."
        ));
    }
    if missing.is_empty() {
        let nothing = match (&args.place, removed.is_empty()) {
            (Some(_), _) => "Each backup that had a copy there has another archive.",
            (None, true) => "No archive is missing.",
            (None, false) => "No archive is missing in the data directory.",
        };
        terminal::say(nothing);
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
    // What opens the place can be wrong, and is read before anything is made here.
    let open = |from: &String| -> Result<_> {
        let keys = args.keys.read(&config)?;
        Ok((from::place(from, &config, &keys)?, keys.signers))
    };
    let place = args.from.as_ref().map(open).transpose()?;
    let config = args.keys.identities_added_to(config);
    let was_there = config.catalog_file().exists();
    let (context, _lock) = server::open_and_lock(&config)?;
    let rebuilt = bring_back(&context, place);
    context.catalog.close();
    let made_nothing = match &rebuilt {
        Ok((fetched, rebuilt)) => rebuilt.imported == 0 && count(fetched, rebuilt) > 0,
        Err(_) => true,
    };
    if !was_there && made_nothing {
        discard(&config);
    }
    let (fetched, rebuilt) = rebuilt?;
    report_rebuilt(args, (&config, &context), &fetched, &rebuilt);
    let bad = count(&fetched, &rebuilt);
    if bad == 0 {
        return Ok(());
    }
    let made = if !was_there && made_nothing { "no catalog was made, because " } else { "" };
    let what = terminal::counted(bad, "archive");
    let why = format!("{made}{what} could not be added; see above");
    if fetched.is_damage || rebuilt.unusable.len() > rebuilt.without_key {
        Err(CommandError::Damaged(why))
    } else {
        Err(CommandError::Failed(why))
    }
}

fn bring_back(
    context: &Context,
    place: Option<(Arc<dyn Place>, Signers)>,
) -> Result<(Fetched, RebuildReport)> {
    let fetched = match place {
        None => Fetched::default(),
        Some((place, signers)) => terminal::with_progress("fetching archives", |progress| {
            executor::fetch(context, place, &signers, progress)
        })?,
    };
    let rebuilt = terminal::with_progress("reading archives", |progress| {
        executor::rebuild(context, progress)
    })?;
    Ok((fetched, rebuilt))
}

/// How many archives could not be added.
fn count(fetched: &Fetched, rebuilt: &RebuildReport) -> usize {
    fetched.unusable.len() + rebuilt.unusable.len()
}

/// Removes a catalog that was just made and has no backup, although there are archives: it would look as if there were
/// none.
fn discard(config: &Config) {
    let file = config.catalog_file();
    for ending in ["db", "db-wal", "db-shm", "ballast"] {
        let part = file.with_extension(ending);
        match fs::remove_file(&part) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                terminal::warn(format_args!("{} is empty and stays: {error}", part.display()));
            }
            _ => {}
        }
    }
}

fn report_rebuilt(
    args: &RebuildArgs,
    (config, context): (&Config, &Context),
    fetched: &Fetched,
    rebuilt: &RebuildReport,
) {
    let of_others = !config.encryption.signers.is_empty() || rebuilt.other_signers.is_empty();
    let signers = if of_others { String::new() } else { rebuilt.advice_on_signers(context) };
    if args.report.json {
        let listed = |unusable: &[(String, String)]| -> Vec<_> {
            let one =
                |(location, why): &(String, String)| json!({"location": location, "why": why});
            unusable.iter().map(one).collect()
        };
        let unusable = [fetched.unusable.as_slice(), &rebuilt.unusable].concat();
        terminal::say_json(&json!({
            "fetched": fetched.archives,
            "not_fetched": fetched.unusable.len(),
            "archives": rebuilt.archives,
            "imported": rebuilt.imported,
            "instances": rebuilt.instances,
            "in_trash": rebuilt.deleted,
            "unusable": listed(&unusable),
            "other_signers": rebuilt.other_signers,
            "brought_back": executor::BROUGHT_BACK,
            "not_brought_back": executor::NOT_BROUGHT_BACK,
        }));
        return;
    }
    if let Some(from) = &args.from {
        let (count, bad) = (terminal::counted(fetched.archives, "archive"), fetched.unusable.len());
        let bad = if bad == 0 { String::new() } else { format!("; {bad} could not be read there") };
        terminal::say(format_args!("Brought back {count} from {from}{bad}."));
    }
    terminal::say(format_args!(
        "Read {}; added {} and {} to the catalog.",
        terminal::counted(rebuilt.archives, "archive"),
        terminal::counted(rebuilt.imported, "backup"),
        terminal::counted(rebuilt.instances, "restored instance")
    ));
    if rebuilt.deleted > 0 {
        terminal::say(format_args!(
            "{} had been deleted and lie in the trash: coffer undelete brings them back.",
            terminal::counted(rebuilt.deleted, "backup")
        ));
    }
    if rebuilt.imported > 0 {
        terminal::say(format_args!("{}.", executor::BROUGHT_BACK));
    }
    terminal::say(format_args!("{}{signers}.", executor::NOT_BROUGHT_BACK));
    for (location, why) in &fetched.unusable {
        terminal::say(format_args!("Not brought back: {location}: {why}"));
    }
    for (location, why) in &rebuilt.unusable {
        terminal::say(format_args!("Not added: {location}: {why}"));
    }
    if !rebuilt.unusable.is_empty() {
        terminal::say(format_args!(
            "What can be had of them: coffer restore --archive {}/FILE --to PATH --salvage",
            shell_word(config.data_dir.join("archives"))
        ));
    }
}
