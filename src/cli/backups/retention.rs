//! `coffer retention preview`.

use clap::{Args, Subcommand};
use serde_json::json;

use crate::cli::args::WithConfig;
use crate::cli::error::Result;
use crate::cli::terminal::{self, counted, human};
use crate::policy::Guard;
use crate::wire::{ChainView, Expiry, RetentionView};

use super::origin::Origin;
use super::table;

#[derive(Debug, Args)]
pub(in crate::cli) struct RetentionArgs {
    #[command(subcommand)]
    command: RetentionCommand,
}

#[derive(Debug, Subcommand)]
enum RetentionCommand {
    /// Show which backups of an instance would be deleted now, and why the others stay. Deletes nothing.
    Preview(PreviewArgs),
}

#[derive(Debug, Args)]
struct PreviewArgs {
    /// The instance: its name or id.
    #[arg(value_name = "INSTANCE")]
    instance: String,
    /// Report as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    with: WithConfig,
}

pub(in crate::cli) fn run(args: &RetentionArgs) -> Result<()> {
    let RetentionCommand::Preview(args) = &args.command;
    let config = args.with.load()?;
    let origin = Origin::open(&config)?;
    let instance = origin.instance(&args.instance)?;
    let view = origin.retention(instance)?;
    if args.json {
        terminal::say_json(&json!(view));
        return Ok(());
    }
    if view.keep.is_empty() && view.max_size_bytes.is_none() {
        terminal::say(format_args!(
            "Every backup of {} is kept: its `keep` names neither a number to keep nor max_size.",
            instance.name
        ));
        return Ok(());
    }
    show(&view);
    Ok(())
}

pub(in crate::cli) fn show(view: &RetentionView) {
    for guard in &view.suspended {
        terminal::say(format_args!("Nothing is deleted for now: {}.", why(*guard)));
    }
    let rows = view.chains.iter().map(row).collect();
    table::print(["FULL BACKUP", "MADE", "BACKUPS", "SIZE", "", "WHY"], rows);
    terminal::say(summary(view));
    for it in &view.copies {
        let count = u64::try_from(it.backup_ids.len()).unwrap_or(u64::MAX);
        let backups = counted(count, "backup");
        terminal::say(format_args!("The copies of {backups} would go from {}.", it.place));
    }
}

fn row(chain: &ChainView) -> [String; 6] {
    let mut reasons: Vec<String> =
        chain.kept_by.iter().map(|tier| tier.as_str().to_owned()).collect();
    reasons.extend(chain.held_by.iter().map(|guard| why(*guard).to_owned()));
    let (fate, reason) = match (chain.reason, chain.goes) {
        (None, _) if !chain.consolidates.is_empty() => ("consolidates", consolidation(chain)),
        (None, _) if reasons.is_empty() => ("stays", "kept as long as there is room".to_owned()),
        (None, _) => ("stays", reasons.join("; ")),
        (Some(expiry), goes) => {
            let reason = match expiry {
                Expiry::Expired => "no rule keeps it any more",
                Expiry::OverSize => "the archives take more than max_size",
                Expiry::Leaves => {
                    "the data directory keeps it no longer, and its copies are proven"
                }
            };
            if goes && !chain.stays_in.is_empty() {
                ("leaves", format!("{reason}; it stays in {}", chain.stays_in.join(", ")))
            } else if goes {
                ("goes", reason.to_owned())
            } else {
                ("stays", format!("nothing is deleted for now; else: {reason}"))
            }
        }
    };
    [
        chain.root_id.to_string(),
        format!("{} UTC", chain.created),
        chain.backup_ids.len().to_string(),
        human(chain.size_bytes),
        fate.to_owned(),
        reason,
    ]
}

fn consolidation(chain: &ChainView) -> String {
    let kept: Vec<_> = chain.consolidates.iter().map(ToString::to_string).collect();
    let then =
        if kept.len() == 1 { "that becomes a full backup" } else { "they become full backups" };
    let tiers: Vec<_> = chain.kept_by.iter().map(|tier| tier.as_str()).collect();
    format!("{} keeps only {}: {then}, then these go", tiers.join(", "), kept.join(", "))
}

fn summary(view: &RetentionView) -> String {
    let going = view.chains.iter().filter(|chain| chain.goes && chain.stays_in.is_empty());
    let backups: usize = going.map(|chain| chain.backup_ids.len()).sum();
    format!(
        "{} would be deleted, which frees {}; {} would be left.",
        counted(u64::try_from(backups).unwrap_or(u64::MAX), "backup"),
        human(view.freed_bytes),
        counted(view.restore_points_left, "restore point")
    )
}

/// Why something stays, as the rest of a sentence.
const fn why(guard: Guard) -> &'static str {
    match guard {
        Guard::NewestProven => "the newest that is proven",
        Guard::NoNewerRoot => "no newer full backup is proven",
        Guard::Pinned => "pinned",
        Guard::Busy => "in use",
        Guard::Damaged => "damaged: delete it yourself once you need nothing of it",
        Guard::TooYoung => "younger than min_age",
        Guard::ClockJumped => {
            "the clock jumped, or the server was off for long, and three backups have to be proven first"
        }
        Guard::StoreNotWhole => "archives are missing",
        Guard::NotConfigured => "the instance is not in the configuration",
        Guard::NotCopied => "a place keeps it for longer and does not have all of it yet",
        Guard::NoKey => {
            "only encrypted copies would be left, and no key of encryption.identity_files reads them"
        }
        Guard::SourceShrank => {
            "the newest backup holds less than half of what others did in the two weeks before"
        }
    }
}
