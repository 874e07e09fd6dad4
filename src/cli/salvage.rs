//! `coffer restore --salvage` of an archive whose index, manifest or end is lost.

use std::path::Path;
use std::sync::Arc;

use serde_json::json;

use crate::archive::{Lost, Reader};
use crate::domain::{BackupId, ReadAt};
use crate::engine;
use crate::executor::{self, JobError, SalvageReport};

use super::args::BackupArgs;
use super::backups::Selector;
use super::error::{CommandError, Result};
use super::from;
use super::interrupt::Interrupt;
use super::offline;
use super::terminal::{self, counted};

/// What nothing of is restored without `--salvage`.
pub(super) const ADVICE: &str = "what can be had of it is restored with --salvage";

/// Restores the files of the archive that `error` is about, into the folder `to`.
pub(super) fn without_index(args: &BackupArgs, to: Option<&Path>, error: JobError) -> Result<()> {
    let refused = |advice: &str| Err(CommandError::Damaged(format!("{error}; {advice}")));
    let Some(to) = to else {
        return refused(
            "its files are not loaded into a server: salvage them to a path (--to PATH)",
        );
    };
    let file = match bad_archive(args, &error) {
        Ok(Some(file)) => file,
        Ok(None) => return Err(error.into()),
        Err(advice) => return refused(&advice),
    };
    let interrupt = Interrupt::listen()?;
    if Reader::open(Arc::clone(&file), interrupt.cancel()).is_ok() {
        // Its index is not what is wrong.
        return Err(error.into());
    }
    let report = terminal::with_progress("restoring", |progress| {
        executor::salvage(file, to, interrupt.cancel(), progress)
    })?;
    terminal::warn(&error);
    if args.json {
        report_in_json(&report);
    } else {
        report_as_text(&report);
    }
    let lost = report.lost.len() + report.missing.len() + report.left_out.len();
    let lost = match lost {
        0 => "everything that it names was found".to_owned(),
        lost => format!("{} lost, as named above", counted(lost, "thing")),
    };
    let unchecked = match report.unchecked.len() {
        0 => String::new(),
        ranges => format!("; {} not checked at all, as named above", counted(ranges, "range")),
    };
    Err(CommandError::Warned(format!(
        "restored with a warning: the archive's index is lost, so that nothing could be compared with what was \
         backed up; {lost}{unchecked}"
    )))
}

/// The archive that cannot be read, if it is that of the backup itself; else, what to do.
fn bad_archive(args: &BackupArgs, error: &JobError) -> Result<Option<Arc<dyn ReadAt>>, String> {
    let in_chain = |bad: &str| {
        format!(
            "it is needed for the backup, of which nothing can be had without its index: restore one that is not \
             built on it, or what it holds itself (--salvage with {bad} alone)"
        )
    };
    match (&args.from, &args.backup, error) {
        (Some(from), Some(selector), JobError::BadFile { .. }) => {
            return Ok(in_place(args, from, selector));
        }
        (Some(_), _, JobError::ChainBroken { bad_backup, .. }) => {
            return Err(in_chain(&bad_backup.to_string()));
        }
        (Some(_), ..) => return Ok(None),
        (None, ..) => {}
    }
    match error {
        JobError::BadFile { path, .. } if args.archive.len() > 1 => Err(in_chain(path)),
        JobError::BadFile { path, .. } => Ok(executor::open_bytes(path.as_ref()).ok()),
        JobError::ChainBroken { bad_backup, .. } => {
            let Some((context, id)) = offline::reopen(args) else { return Ok(None) };
            if id != *bad_backup {
                return Err(in_chain(&bad_backup.to_string()));
            }
            Ok(open(&context, id))
        }
        _ => Ok(None),
    }
}

/// The archive of a backup as it lies in another place.
fn in_place(args: &BackupArgs, from: &str, selector: &Selector) -> Option<Arc<dyn ReadAt>> {
    let config = args.with.load_silently().ok()?;
    let inventory = from::inventory(from, &config, &args.keys.read(&config).ok()?).ok()?;
    let location = from::location(&inventory, selector).ok()?;
    inventory.place().open(&location).ok()
}

fn open(context: &executor::Context, id: BackupId) -> Option<Arc<dyn ReadAt>> {
    let location = context.catalog.find(id).ok()?.facts?.location;
    let file = context.storage.open(&location).ok()?;
    if location.is_encrypted() { context.storage.decrypt(&location, file).ok() } else { Some(file) }
}

fn report_in_json(report: &SalvageReport) {
    terminal::say_json(&json!({
        "backup": report.manifest.as_ref().map(|it| it.backup.id),
        "about": report.about,
        "target": report.target,
        "entries": report.counts.entries,
        "content_bytes": report.counts.bytes,
        "hashes_compared": false,
        "lost": report.lost.iter().map(lost_json).collect::<Vec<_>>(),
        "unchecked": report.unchecked.iter().map(lost_json).collect::<Vec<_>>(),
        "missing": report.missing,
        "not_restored": report.left_out,
    }));
}

fn report_as_text(report: &SalvageReport) {
    terminal::say(format_args!(
        "Restored what the archive still holds, as files in the folder {}: {} in {}.\n\
         Its first lines say: {}\n\
         No file was compared with the hash of what was backed up; only the checksum of each complete piece of the archive was.",
        report.target.display(),
        terminal::human(report.counts.bytes),
        counted(report.counts.entries, "member"),
        if report.about.is_empty() { "nothing that can be read" } else { &report.about },
    ));
    for what in &report.missing {
        terminal::say(format_args!("Missing: {what}"));
    }
    for it in &report.left_out {
        terminal::say(format_args!("Not restored: {it}"));
    }
    report.unchecked.iter().for_each(|range| say_range("Not checked", range));
    report.lost.iter().for_each(say_lost);
}

pub(super) fn say_lost(lost: &Lost) {
    say_range("Lost", lost);
}

fn say_range(what: &str, range: &Lost) {
    let Lost { path, offset, bytes, why } = range;
    let (path, end) = (engine::printable(path), offset.saturating_add(*bytes));
    terminal::say(format_args!("{what}: {path}, bytes {offset} to {end}: {why}"));
}

pub(super) fn lost_json(lost: &Lost) -> serde_json::Value {
    let Lost { path, offset, bytes, why } = lost;
    json!({"path": engine::printable(path), "offset": offset, "bytes": bytes, "why": why})
}
