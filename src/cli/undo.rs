//! `coffer restore undo`, `forget` and `list`: what restores in place replaced.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;

use crate::config::Config;
use crate::domain::shell_word;
use crate::engine;
use crate::undo::{self, Found, Holds, Seen, UndoPoint};

use super::args::WithConfig;
use super::error::{CommandError, Result, failed};
use super::terminal::{self, human};

#[derive(Debug, Subcommand)]
pub(super) enum UndoCommand {
    /// Bring back what a restore in place replaced. What was restored is kept instead, until `forget`.
    Undo(UndoArgs),
    /// Remove for good what a restore in place replaced.
    Forget(PointArgs),
    /// List what restores in place replaced and still is there, beside the sources of all instances.
    List(ListArgs),
}

#[derive(Debug, Args)]
pub(super) struct UndoArgs {
    /// Exchange it also if another program has it open.
    #[arg(long)]
    even_if_open: bool,
    #[command(flatten)]
    point: PointArgs,
}

#[derive(Debug, Args)]
pub(super) struct PointArgs {
    /// What was restored, by its path, or the id of the undo point.
    #[arg(value_name = "PATH|ID")]
    which: PathBuf,
    /// Report as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    with: WithConfig,
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Only those in this folder.
    #[arg(value_name = "FOLDER")]
    folder: Option<PathBuf>,
    /// Report as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    with: WithConfig,
}

pub(super) fn run(command: &UndoCommand) -> Result<()> {
    match command {
        UndoCommand::Undo(args) => bring_back(args),
        UndoCommand::Forget(args) => forget(args),
        UndoCommand::List(args) => list(args),
    }
}

fn bring_back(args: &UndoArgs) -> Result<()> {
    let mut point = find(&args.point)?;
    let target = point.target();
    if point.was_settled() {
        terminal::warn(format_args!(
            "an exchange of {} was interrupted, and is in order again",
            target.display()
        ));
    } else {
        if !args.even_if_open {
            undo::require_unused(&target, &point.companions()).map_err(refused)?;
        }
        point.exchange().map_err(refused)?;
    }
    if args.point.json {
        terminal::say_json(&point_json(&point));
        return Ok(());
    }
    let (is, kept) = match point.holds() {
        Holds::Restored => ("what it was before the restore", "What was restored"),
        _ => ("what was restored, again", "What it was before the restore"),
    };
    terminal::say(format_args!(
        "{shown} is {is}. {kept} is kept in {folder}: coffer restore forget {word} removes it.",
        shown = target.display(),
        word = shell_word(&target),
        folder = point.folder().display(),
    ));
    Ok(())
}

fn forget(args: &PointArgs) -> Result<()> {
    let point = find(args)?;
    let (report, bytes, target) = (point_json(&point), point.bytes(), point.target());
    point.forget().map_err(refused)?;
    if args.json {
        terminal::say_json(&report);
    } else {
        terminal::say(format_args!(
            "The undo point of {} is removed, which frees {}.",
            target.display(),
            human(bytes)
        ));
    }
    Ok(())
}

fn list(args: &ListArgs) -> Result<()> {
    let folders = match &args.folder {
        Some(folder) => vec![folder.clone()],
        None => source_folders(&args.with.load()?),
    };
    let mut all = Vec::new();
    for folder in &folders {
        let (found, unreadable) = undo::look(folder).map_err(refused)?;
        all.extend(found);
        unreadable.iter().for_each(terminal::warn);
    }
    if args.json {
        let points: Vec<_> = all.iter().map(seen_json).collect();
        terminal::say_json(&json!({ "undo_points": points }));
        return Ok(());
    }
    if all.is_empty() {
        terminal::say("There are no undo points.");
    }
    for point in &all {
        terminal::say(described(point));
    }
    Ok(())
}

/// An undo point in a line.
pub(super) fn described(point: &Seen) -> String {
    let what = match (point.is_under_way, point.holds) {
        (true, _) => "the exchange of a restore that was interrupted",
        (false, Holds::Replaced) => "what a restore replaced",
        (false, Holds::Restored) => "what was restored, before that was undone",
        (false, Holds::Unfinished) => "a restore that was interrupted",
        (false, Holds::Discarded) => "an undo point that was not removed completely",
    };
    format!(
        "{} of {}: {what}, {}, of {} UTC; backup {}",
        point.id,
        point.target.display(),
        human(point.bytes),
        point.made,
        point.backup
    )
}

/// The folders beside whose members restores in place are made: those of the sources that are files or folders.
pub(super) fn source_folders(config: &Config) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = config
        .instances
        .iter()
        .filter(|it| engine::find(&it.engine).is_some_and(|engine| engine.in_place().is_some()))
        .filter_map(|it| std::fs::canonicalize(it.source.text("path")?).ok())
        .filter_map(|path| Some(path.parent()?.to_owned()))
        .collect();
    folders.sort();
    folders.dedup();
    folders
}

/// The newest undo point of this path, or the one with this id.
fn find(args: &PointArgs) -> Result<UndoPoint> {
    let which = &args.which;
    let text = which.to_string_lossy();
    let mut unreadable = Vec::new();
    if text.contains('/') || which.exists() {
        let Found { points, unreadable: bad } = undo::beside(which).map_err(refused)?;
        unreadable.extend(bad);
        if let Some(newest) = points.into_iter().next() {
            return Ok(newest);
        }
    } else {
        let here = PathBuf::from(".");
        for folder in source_folders(&args.with.load()?).iter().chain([&here]) {
            let Found { points, unreadable: bad } = undo::within(folder).map_err(refused)?;
            unreadable.extend(bad);
            if let Some(found) = points.into_iter().find(|it| it.id() == text) {
                return Ok(found);
            }
        }
    }
    match unreadable.into_iter().next() {
        Some(error) => Err(refused(error)),
        None => Err(CommandError::NotFound(format!(
            "there is no undo point {text}: coffer restore list shows those beside the sources; name others by the \
             path that was restored"
        ))),
    }
}

fn refused(error: undo::UndoError) -> CommandError {
    if error.is_not_found() {
        return CommandError::NotFound(error.to_string());
    }
    failed("undo")(error)
}

pub(super) fn point_json(point: &UndoPoint) -> serde_json::Value {
    json!({
        "id": point.id(),
        "folder": point.folder(),
        "target": point.target(),
        "holds": point.holds().as_str(),
        "backup": point.backup(),
        "made": point.made(),
        "bytes": point.bytes(),
    })
}

fn seen_json(point: &Seen) -> serde_json::Value {
    json!({
        "id": point.id,
        "folder": point.folder,
        "target": point.target,
        "holds": point.holds.as_str(),
        "under_way": point.is_under_way,
        "backup": point.backup,
        "made": point.made,
        "bytes": point.bytes,
    })
}

/// What a person does with the undo point of a restore.
pub(super) fn say_made(point: &UndoPoint, target: &Path) {
    terminal::say(format_args!(
        "What it replaced ({size}) is kept in {folder}.\n    coffer restore undo {shown}     # brings it back\n    \
         coffer restore forget {shown}   # removes it",
        size = human(point.bytes()),
        folder = point.folder().display(),
        shown = shell_word(target),
    ));
}
