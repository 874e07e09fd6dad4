//! `coffer restore`.

use std::path::PathBuf;

use clap::Args;
use log::LevelFilter;
use serde_json::json;

use crate::config::Config;
use crate::domain::{CheckLevel, DamageIn, LogFormat, Source, num};
use crate::engine::{self, Owners, Placed, Target};
use crate::executor::{self, JobError, RestorePlan, RestoreReport};
use crate::telemetry;

use super::args::BackupArgs;
use super::error::{CommandError, Result};
use super::offline::{self, Opened, Purpose};
use super::{salvage, terminal};

#[derive(Debug, Args)]
pub(super) struct RestoreArgs {
    /// The file or folder to restore to. It must not exist: a restore never replaces anything.
    #[arg(long, value_name = "PATH", required_unless_present = "into", conflicts_with = "into")]
    to: Option<PathBuf>,
    /// Load the databases of a logical backup into the running server of this instance of the configuration,
    /// given by name or id. None of them may exist there.
    #[arg(long, value_name = "INSTANCE")]
    into: Option<String>,
    /// How thoroughly the engine checks the result: off, quick or full.
    #[arg(long, value_name = "LEVEL", default_value = "quick", value_parser = parse_check)]
    check: CheckLevel,
    /// Restore what can be had of a backup whose archive is damaged. Every file and range that cannot be
    /// vouched for is named; it is filled with zeros. If the archive's index is lost, the files of a full backup
    /// are restored into the folder PATH, as far as the archive still holds them.
    #[arg(long)]
    salvage: bool,
    #[command(flatten)]
    backup: BackupArgs,
}

fn parse_check(word: &str) -> Result<CheckLevel, String> {
    match word {
        "off" => Ok(CheckLevel::Off),
        "quick" => Ok(CheckLevel::Quick),
        "full" => Ok(CheckLevel::Full),
        _ => Err("one of off, quick, full".to_owned()),
    }
}

pub(super) fn run(args: &RestoreArgs) -> Result<()> {
    if !args.backup.json {
        telemetry::start(LevelFilter::Warn, LogFormat::Text);
    }
    let restored = restore(args);
    telemetry::flush();
    restored
}

fn restore(args: &RestoreArgs) -> Result<()> {
    let opened = match offline::open(&args.backup, Purpose::Use) {
        Err(CommandError::Job(error)) if is_bad_archive(&error) => {
            if args.salvage {
                return salvage::without_index(&args.backup, args.to.as_deref(), error);
            }
            return Err(CommandError::Damaged(format!("{error}; {}", salvage::ADVICE)));
        }
        opened => opened?,
    };
    let target = match (&args.to, &args.into) {
        (Some(path), _) => Target::Path(path),
        (None, into) => {
            Target::Server(server(&opened.config, into.as_deref().unwrap_or_default())?)
        }
    };
    let how = RestorePlan {
        target,
        source: opened.instance().map(|it| &it.source),
        owners: Owners::FromArchive,
        check: args.check,
        workers: opened.decoder_threads(),
        salvage: args.salvage,
        cancel: opened.cancel(),
    };
    let report = terminal::with_progress("restoring", |progress| {
        executor::restore(&opened.chain, &how, progress)
    });
    let report = match report {
        Err(error) if error.is_damaged_archive() && !args.salvage => {
            return Err(CommandError::Damaged(format!("{error}; {}", salvage::ADVICE)));
        }
        report => report?,
    };
    let place = match &report.target {
        Placed::At(path) => path.display().to_string(),
        Placed::In(server) => server.clone(),
    };
    if args.backup.json {
        report_in_json(&opened, &report, &place);
    } else {
        report_as_text(&opened, &report, &place);
    }
    match report.left_out.len() {
        0 => warnings(&opened, &report),
        count => Err(CommandError::InPart(format!(
            "restored in part: {} could not be restored, as named above; everything else is in {place}",
            terminal::counted(num::to_u64(count), "thing")
        ))),
    }
}

/// Whether an archive cannot be opened because of its bytes.
fn is_bad_archive(error: &JobError) -> bool {
    error.is_damaged_archive() || matches!(error, JobError::BadFile { .. })
}

/// What a person does to use what was restored.
fn next_steps(opened: &Opened, report: &RestoreReport) -> Vec<String> {
    match &report.target {
        Placed::At(path) => {
            let engine = engine::find(&opened.manifest().datastore.engine);
            // The commands work from any folder.
            let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
            engine.map(|it| it.next_steps(&path)).unwrap_or_default()
        }
        Placed::In(_server) => Vec::new(),
    }
}

fn report_in_json(opened: &Opened, report: &RestoreReport, place: &str) {
    terminal::say_json(&json!({
        "backup": opened.id(),
        "chain": opened.manifest().chain,
        "target": place,
        "entries": report.entries,
        "content_bytes": report.content_bytes,
        "check": report.check,
        "warning": report.warning,
        "lost": report.lost.iter().map(salvage::lost_json).collect::<Vec<_>>(),
        "left_out": executor::left_out(opened.manifest()),
        "not_restored": report.left_out,
        "next": next_steps(opened, report),
    }));
}

fn report_as_text(opened: &Opened, report: &RestoreReport, place: &str) {
    let check = match (&report.check, &report.warning) {
        (Some(check), _) => check,
        (None, Some(_)) => "failed",
        (None, None) => "not made",
    };
    terminal::say(format_args!(
        "Restored backup {} ({}) to {place}: {} in {}; check: {check}.",
        opened.id(),
        opened.title(),
        terminal::human(report.content_bytes),
        terminal::counted(report.entries, "member"),
    ));
    terminal::say_left_out(&executor::left_out(opened.manifest()));
    for it in &report.left_out {
        terminal::say(format_args!("Not restored: {it}"));
    }
    for line in next_steps(opened, report) {
        terminal::say(format_args!("    {line}"));
    }
    report.lost.iter().for_each(salvage::say_lost);
}

/// What the person who restored must know about the data: an exit code of its own.
fn warnings(opened: &Opened, report: &RestoreReport) -> Result<()> {
    let in_data = opened.reported.iter().find(|it| it.place == DamageIn::Data);
    let warning = match (&report.warning, in_data, report.lost.len()) {
        (_, _, lost) if lost > 0 => {
            format!("{} lost: there are zeros instead", terminal::counted(lost, "range"))
        }
        (Some(failure), ..) => {
            format!("the data is as it was backed up, but it is bad: {failure}")
        }
        (None, Some(damage), _) => {
            format!("the data is as it was backed up, but a drill found it bad: {}", damage.failure)
        }
        (None, None, _) => return Ok(()),
    };
    Err(CommandError::Warned(format!("restored with a warning: {warning}")))
}

/// The source of the instance with this name or id.
fn server<'a>(config: &'a Config, wanted: &str) -> Result<&'a Source> {
    let found = config
        .instances
        .iter()
        .find(|it| it.name == wanted || it.instance_id().to_string() == wanted);
    found.map(|it| &it.source).ok_or_else(|| {
        let names: Vec<&str> = config.instances.iter().map(|it| it.name.as_str()).collect();
        CommandError::Usage(format!(
            "--into {wanted:?}: the configuration has no such instance; it has {}",
            names.join(", ")
        ))
    })
}
