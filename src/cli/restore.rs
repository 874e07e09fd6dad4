//! `coffer restore`.

use std::path::PathBuf;

use clap::Args;
use log::LevelFilter;
use serde_json::json;

use crate::config::Config;
use crate::domain::{Action, CheckLevel, DamageIn, LogFormat, Source, num};
use crate::engine::{self, Owners, Placed, Target};
use crate::executor::{self, InPlacePlan, JobError, RestorePlan, RestoreReport};
use crate::telemetry;
use crate::undo::UndoPoint;

use super::args::BackupArgs;
use super::error::{CommandError, Result};
use super::offline::{self, Opened, Purpose};
use super::undo::{self, UndoCommand};
use super::{salvage, terminal, unpacked};

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct RestoreArgs {
    #[command(subcommand)]
    undo: Option<UndoCommand>,
    /// The file or folder to restore to. It must not exist: a restore never replaces anything, but with --in-place.
    #[arg(
        long,
        value_name = "PATH",
        required_unless_present_any = ["into", "in_place"],
        conflicts_with = "into"
    )]
    to: Option<PathBuf>,
    /// Replace what is there: the source of the instance, or PATH. What is replaced is kept beside it, until
    /// `coffer restore undo` brings it back or `coffer restore forget` removes it. For SQLite databases and folders.
    #[arg(long, conflicts_with_all = ["into", "salvage"])]
    in_place: bool,
    /// With --in-place: replace it also if another program has it open, which then goes on with what is set aside.
    #[arg(long, requires = "in_place")]
    even_if_open: bool,
    /// Load the databases of a logical backup into the running server of this instance of the configuration,
    /// given by name or id. None of them may exist there. The dumps are unpacked first: in the data directory, or
    /// with the temporary files (TMPDIR) if the backup is read from files or nothing can be written there.
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
    if let Some(command) = &args.undo {
        return undo::run(command);
    }
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
    let replaced = args.in_place.then(|| replaced(args, &opened)).transpose()?;
    let path = args.to.as_ref().or(replaced.as_ref());
    let unpacked;
    let target = if let Some(path) = path {
        Target::Path(path)
    } else {
        let source = server(&opened.config, args.into.as_deref().unwrap_or_default())?;
        unpacked = unpacked::folder(&opened)?;
        Target::Server { source, within: unpacked.path() }
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
    let in_place = replaced.as_deref().map(|target| {
        let even_if_open = args.even_if_open;
        InPlacePlan { target, even_if_open }
    });
    let (report, point) = match carry_out(&opened, &how, in_place) {
        Err(error) if error.is_damaged_archive() && !args.salvage => {
            return Err(CommandError::Damaged(format!("{error}; {}", salvage::ADVICE)));
        }
        restored => restored?,
    };
    let place = match &report.target {
        Placed::At(path) => path.display().to_string(),
        Placed::In(server) => server.clone(),
    };
    opened.record(Action::BackupRestore, &place)?;
    if args.backup.json {
        report_in_json(&opened, &report, &place, point.as_ref());
    } else {
        report_as_text(&opened, &report, &place);
        if let Some(point) = &point {
            undo::say_made(point, &point.target());
        }
    }
    match report.left_out.len() {
        0 => warnings(&opened, &report),
        count => Err(CommandError::InPart(format!(
            "restored in part: {} could not be restored, as named above; everything else is in {place}",
            terminal::counted(num::to_u64(count), "thing")
        ))),
    }
}

/// Restores, to a new place or in place of what is there: then there is an undo point of that.
fn carry_out(
    opened: &Opened,
    how: &RestorePlan<'_>,
    place: Option<InPlacePlan<'_>>,
) -> Result<(RestoreReport, Option<UndoPoint>), JobError> {
    let chain = &opened.chain;
    terminal::with_progress("restoring", |progress| match place {
        None => Ok((executor::restore(chain, how, progress)?, None)),
        Some(place) => {
            let (report, point) = executor::restore_in_place(chain, how, place, progress)?;
            Ok((report, Some(point)))
        }
    })
}

/// What is replaced: the path that was named, or the source of the backup's instance.
fn replaced(args: &RestoreArgs, opened: &Opened) -> Result<PathBuf> {
    let source = opened.instance().and_then(|it| it.source.text("path"));
    let path = args.to.clone().or_else(|| source.map(PathBuf::from));
    path.ok_or_else(|| {
        CommandError::Usage(
            "--in-place: the configuration has no path of this backup's instance; name what it is to replace with --to"
                .to_owned(),
        )
    })
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

fn report_in_json(opened: &Opened, report: &RestoreReport, place: &str, point: Option<&UndoPoint>) {
    terminal::say_json(&json!({
        "undo_point": point.map(undo::point_json),
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
