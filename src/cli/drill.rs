//! `coffer drill`.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::json;

use crate::domain::BackupId;
use crate::executor::{self, Context, DrillPlan, JobError, PassedDrill};
use crate::storage::StorageError;

use super::args::BackupArgs;
use super::as_owner::go_on_as_owner;
use super::error::{CommandError, Result};
use super::offline::{self, Opened, Purpose};
use super::terminal;

#[derive(Debug, Args)]
pub(super) struct DrillArgs {
    /// Where to make the temporary folder [default: tmp/ of the data directory; for archive files, the
    /// system's folder for temporary files].
    #[arg(long = "in", value_name = "FOLDER")]
    within: Option<PathBuf>,
    #[command(flatten)]
    backup: BackupArgs,
}

impl DrillArgs {
    /// Whether it reads only what is the server's own, and no file of the one who runs it.
    const fn is_of_the_catalog_alone(&self) -> bool {
        let BackupArgs { archive, from, keys, .. } = &self.backup;
        self.within.is_none() && archive.is_empty() && from.is_none() && keys.has_no_identity()
    }
}

pub(super) fn run(args: &DrillArgs) -> Result<()> {
    let started = Instant::now();
    if let Some(folder) = args.within.as_ref().filter(|it| !it.is_dir()) {
        return Err(CommandError::Failed(format!("--in {}: it is not a folder", folder.display())));
    }
    if args.is_of_the_catalog_alone() {
        let config = args.backup.with.load_silently()?;
        if config.encryption.identity_files.is_empty() {
            go_on_as_owner(&config);
        }
    }
    let opened = match offline::open(&args.backup, Purpose::Verify) {
        Err(CommandError::Job(error)) => {
            let outcome = Err(error);
            if let Some((context, id)) = offline::reopen(&args.backup) {
                record(Some(&context), id, &outcome, started.elapsed())?;
            }
            return outcome.map_err(CommandError::from).map(drop::<PassedDrill>);
        }
        other => other?,
    };
    let outcome = drill(args, &opened);
    record(opened.context.as_ref(), opened.id(), &outcome, started.elapsed())?;
    let drilled = outcome.map_err(|error| match error {
        JobError::Cancelled => error.into(),
        error if error.is_damage() => error.into(),
        error if args.within.is_none() && is_read_only(&error) => CommandError::Failed(format!(
            "nothing was drilled: {error}; --in FOLDER drills in a folder of another filesystem"
        )),
        error => CommandError::Failed(format!(
            "the drill is inconclusive, which takes nothing from the backup: {error}"
        )),
    })?;
    report(args, &opened, &drilled);
    Ok(())
}

fn drill(args: &DrillArgs, opened: &Opened) -> Result<PassedDrill, JobError> {
    let temporary = std::env::temp_dir();
    let within: &Path = match (&args.within, &opened.context) {
        (Some(folder), _) => folder,
        (None, Some(context)) => context.local.scratch()?,
        (None, None) => &temporary,
    };
    let how = DrillPlan {
        within,
        headroom: opened.config.storage.headroom_bytes(),
        source: opened.instance().map(|it| &it.source),
        workers: opened.decoder_threads(),
        limit: opened.config.executor.drill_limit(),
        cancel: opened.cancel(),
    };
    terminal::with_progress("restoring", |progress| executor::drill(&opened.chain, &how, progress))
}

/// Records how the drill ended. One that was interrupted did not end.
fn record(
    context: Option<&Context>,
    id: BackupId,
    outcome: &Result<PassedDrill, JobError>,
    took: Duration,
) -> Result<()> {
    let Some(context) = context else { return Ok(()) };
    match outcome {
        Ok(_passed) => {
            let recorded = executor::record_drill(context, id, outcome, took);
            Ok(terminal::warn_unless_recorded("the drill", recorded)?)
        }
        Err(JobError::Cancelled) => Ok(()),
        // There was nothing to drill.
        Err(_) if !context.catalog.find(id).is_ok_and(|it| it.status.is_usable()) => Ok(()),
        Err(_) => {
            // Why it did not pass is the error to report; failing to record it is only mentioned.
            let recorded = executor::record_drill(context, id, outcome, took);
            if let Err(cause) = terminal::warn_unless_recorded("the drill", recorded) {
                terminal::complain(&cause);
            }
            Ok(())
        }
    }
}

/// Whether there was no place to restore to because nothing can be written there.
fn is_read_only(error: &JobError) -> bool {
    let JobError::Storage(StorageError::Io { source, .. }) = error else { return false };
    source.kind() == io::ErrorKind::ReadOnlyFilesystem
}

fn report(args: &DrillArgs, opened: &Opened, drilled: &PassedDrill) {
    let (id, manifest) = (opened.id(), opened.manifest());
    let PassedDrill { report, took, level } = drilled;
    let engine = &manifest.datastore.engine;
    if args.backup.json {
        terminal::say_json(&json!({
            "backup": id,
            "chain": manifest.chain,
            "engine": engine,
            "version": report.version,
            "check": report.check,
            "tables": report.tables,
            "rows": report.total_rows,
            "rows_by_table": report.rows,
            "seconds": took.as_secs_f64(),
            "verify_level": level.as_str(),
        }));
        return;
    }
    terminal::say(format_args!(
        "Backup {id} ({}) was restored and used by {engine} {}: {} passed; {}; {:.1} s. The restored copy was removed.",
        opened.title(),
        report.version,
        report.check,
        report.total(),
        took.as_secs_f64(),
    ));
    for (table, rows) in &report.rows {
        terminal::say(format_args!("{rows:>14}  {table}"));
    }
}
