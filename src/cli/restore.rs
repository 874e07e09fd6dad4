//! `coffer restore`.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::domain::CheckLevel;
use crate::executor::{self, Cancel, Restoring};
use crate::server;

use super::offline::{self, Purpose, Which};
use super::{CommandError, WithConfig, terminal};

#[derive(Debug, Args)]
pub(super) struct RestoreArgs {
    #[command(flatten)]
    which: Which,
    /// The file or folder to make. It must not exist: a restore never replaces anything.
    #[arg(long, value_name = "PATH")]
    to: PathBuf,
    /// How thoroughly the engine checks the result: off, quick or full.
    #[arg(long, value_name = "LEVEL", default_value = "quick", value_parser = parse_check)]
    check: CheckLevel,
    /// Reports as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    with: WithConfig,
}

pub(super) fn parse_check(word: &str) -> Result<CheckLevel, String> {
    match word {
        "off" => Ok(CheckLevel::Off),
        "quick" => Ok(CheckLevel::Quick),
        "full" => Ok(CheckLevel::Full),
        _ => Err("one of off, quick, full".to_owned()),
    }
}

pub(super) fn run(args: &RestoreArgs) -> Result<(), CommandError> {
    let opened = offline::open(&args.which, Purpose::Use, &args.with)?;
    let manifest = opened.chain.target().manifest();
    let bar = terminal::bar("restoring");
    let how = Restoring {
        target: &args.to,
        check: args.check,
        workers: server::compression_threads(&opened.config),
        cancel: &Cancel::default(),
    };
    let report = executor::restore(&opened.chain, &how, &|done, total| {
        bar.set_length(total);
        bar.set_position(done);
    })?;
    bar.finish_and_clear();
    if args.json {
        terminal::say_json(&json!({
            "backup": opened.chain.target().name(),
            "chain": manifest.chain,
            "target": report.target,
            "entries": report.entries,
            "content_bytes": report.content_bytes,
            "check": report.check,
        }));
    } else {
        let check = report.check.as_deref().unwrap_or("not asked for");
        terminal::say(&format!(
            "Restored backup {} ({}, {} archives) to {}: {} in {} members; check: {check}.",
            opened.chain.target().name(),
            manifest.backup.name,
            manifest.chain.len(),
            report.target.display(),
            terminal::human(report.content_bytes),
            report.entries,
        ));
    }
    Ok(())
}
