//! Drills: a backup is really restored, into a folder that is removed again, and used there by its engine.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::archive::Chain;
use crate::catalog::{CatalogError, DrillEnd, DrillJob};
use crate::domain::{
    Backup, BackupId, Cancel, CheckLevel, DrillFacts, Failure, Source, VerifyLevel, with_causes,
};
use crate::engine::{DrillOrder, DrillReport, Owners, Placed, Target};
use crate::failpoint;
use crate::storage::{StorageError, Workspace};

use super::guard::guarded;
use super::restore::{Restoring, engine_of, restore};
use super::settle::settle;
use super::{Context, JobError, Progress, chain};

/// Where a drill is made, and how.
#[derive(Debug)]
pub struct Drilling<'a> {
    /// The folder in which the drill makes one of its own.
    pub within: &'a Path,
    /// Bytes that stay free there.
    pub headroom: u64,
    /// The `source` of the instance the backup is of, where that is known: which tools to use.
    pub source: Option<&'a Source>,
    /// Threads that decode.
    pub workers: usize,
    /// Looked at between two segments, and by the engine.
    pub cancel: &'a Cancel,
}

/// A drill that passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drilled {
    /// How far the backup is proven now.
    pub level: VerifyLevel,
    /// How long it took.
    pub took: Duration,
    /// What the engine found.
    pub report: DrillReport,
}

/// Restores the last backup of `chain` into a folder of the drill's own below `how.within`, has the engine
/// use it, and removes it, however this ends. That it fits is looked at before.
pub fn drill(
    chain: &Chain,
    how: &Drilling<'_>,
    progress: Progress<'_>,
) -> Result<Drilled, JobError> {
    let started = Instant::now();
    let manifest = chain.target().manifest();
    let engine = engine_of(chain)?;
    let needed = manifest.totals.content_bytes;
    let workspace = Workspace::make(how.within, needed, how.headroom)?;
    let target = workspace.folder("data")?.join(engine.target_name(&manifest.backup.instance_name));
    let scratch = workspace.folder("run")?;
    let restoring = Restoring {
        target: Target::Path(&target),
        source: how.source,
        owners: Owners::Mine,
        check: CheckLevel::Off,
        workers: how.workers,
        cancel: how.cancel,
    };
    let report = restore(chain, &restoring, progress).and_then(|restored| {
        failpoint::reached("drill-restored");
        let restored = match &restored.target {
            Placed::At(path) => path.as_path(),
            Placed::In(_server) => &target,
        };
        let (source, cancel) = (how.source, how.cancel);
        let order = DrillOrder { restored, source, scratch: &scratch, cancel };
        Ok(engine.drill(&order)?)
    });
    let report = report
        .map_err(|error| told_apart(error, how.cancel))
        .map_err(|error| not_taken_away(error, &workspace))?;
    failpoint::reached("drill-passed");
    drop(workspace);
    Ok(Drilled { level: VerifyLevel::Restored, took: started.elapsed(), report })
}

/// What goes wrong once a drill is given up says nothing of the backup: its archive may be in the trash.
fn told_apart(error: JobError, cancel: &Cancel) -> JobError {
    if cancel.is_cancelled() { JobError::Cancelled } else { error }
}

/// A folder that somebody took away looks like damage from inside, and is none.
fn not_taken_away(error: JobError, workspace: &Workspace) -> JobError {
    if error.is_damage() && !workspace.path().exists() {
        let what = workspace.path().display().to_string();
        return StorageError::NotFound { what }.into();
    }
    error
}

/// What is damaged, if this is how a drill of `id` ends (any other error says that it could not be made): which backup, what to say of it, and whether it is
/// the data (as opposed to the archive's bytes).
fn damaged(error: &JobError, id: BackupId) -> Option<(BackupId, Failure, bool)> {
    if let Some((culprit, failure)) = error.damaged_archive() {
        return Some((culprit, failure, false));
    }
    let failure = error.failure();
    let in_data = matches!(error, JobError::Engine(_));
    failure.code.is_of_the_data().then_some((id, failure, in_data))
}

/// Writes a drill's outcome down: in the row, and, since a rebuilt catalog takes the time of the proof
/// from there, on the archive.
pub fn record(
    context: &Context,
    id: BackupId,
    outcome: &Result<Drilled, JobError>,
    took: Duration,
) -> Result<(), CatalogError> {
    let took = outcome.as_ref().map_or(took, |drilled| drilled.took);
    let end = DrillEnd { at: context.clock.now(), took };
    match outcome {
        Ok(Drilled { report, .. }) => {
            if let Ok(backup) = context.catalog.find(id) {
                date(context, &backup, end);
            }
            let facts = DrillFacts {
                version: report.version.clone(),
                check: report.check.clone(),
                tables: report.tables,
                rows: report.total_rows,
            };
            context.catalog.drill_passed(id, end, facts, report.rows.clone()).wait()
        }
        Err(JobError::Cancelled) => context.catalog.drill_interrupted(id).wait(),
        Err(error) => {
            let failure = error.failure();
            context.catalog.drill_failed(id, end, failure, damaged(error, id)).wait()
        }
    }
}

/// Dates the archive. One that was deleted meanwhile needs no date.
fn date(context: &Context, backup: &Backup, end: DrillEnd) {
    let dated = chain::location_of(backup)
        .and_then(|location| Ok(context.storage.touch(location, end.at)?));
    match dated {
        Ok(()) => {}
        Err(JobError::Storage(error)) if error.is_not_found() => {}
        Err(error) => {
            log::warn!("the archive of backup {} keeps its old date: {error}", backup.id);
        }
    }
}

/// Makes a claimed drill, and writes its outcome down.
pub(super) fn run(context: &Context, job: &DrillJob) {
    let id = job.id;
    log::info!("drill of backup {id} begins");
    let started = Instant::now();
    let cancel = context.cancel.child();
    match context.catalog.drill_begins(id, cancel.clone()).wait() {
        Ok(true) => {}
        Ok(false) => return log::info!("drill of backup {id}: the backup is being deleted"),
        // It stays claimed, and is made after the next start.
        Err(error) => return log::error!("drill of backup {id}: {}", with_causes(&error)),
    }
    failpoint::reached("drill-begins");
    let outcome = guarded(|| {
        let chain = chain::open(&*context.storage, &job.chain, &cancel)?;
        let how = Drilling {
            within: context.storage.scratch(),
            headroom: context.settings.headroom_bytes,
            source: job.source.as_ref(),
            workers: context.settings.compression_threads,
            cancel: &cancel,
        };
        drill(&chain, &how, &|_done, _total| ())
    });
    let outcome = outcome.map_err(|error| told_apart(error, &cancel));
    failpoint::reached("drill-before-settle");
    tell(id, &outcome);
    settle(context, || record(context, id, &outcome, started.elapsed()));
}

fn tell(id: BackupId, outcome: &Result<Drilled, JobError>) {
    match outcome {
        Ok(Drilled { took, report, .. }) => log::info!(
            "drill of backup {id} passed in {} ms: {}, {} rows in {} tables",
            took.as_millis(),
            report.check,
            report.total_rows,
            report.tables
        ),
        Err(JobError::Cancelled) => log::info!("drill of backup {id}: interrupted"),
        Err(error) if damaged(error, id).is_some() => {
            log::warn!(
                "drill of backup {id} failed, nothing is built on it: {}",
                with_causes(error)
            );
        }
        Err(error) => {
            log::warn!("the drill of backup {id} could not be made: {}", with_causes(error));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::FailureCode;
    use crate::engine::EngineError;

    fn engine(code: FailureCode) -> JobError {
        EngineError::known(code, "so it is").into()
    }

    fn broken(culprit: BackupId, lasting: bool) -> JobError {
        JobError::ChainBroken { culprit, why: "bits rot".to_owned(), lasting }
    }

    #[test]
    fn what_is_damaged_is_the_archive_that_is_bad_or_the_data_that_came_out_and_else_nothing() {
        let (id, root) = (BackupId::generate(), BackupId::generate());
        let told = |error: &JobError| damaged(error, id).map(|(id, _, in_data)| (id, in_data));
        assert_eq!(told(&broken(root, true)), Some((root, false)));
        for code in [FailureCode::ArchiveDamaged, FailureCode::SourceDamaged] {
            assert_eq!(told(&engine(code)), Some((id, true)));
        }
        for code in [FailureCode::Tool, FailureCode::DiskFull, FailureCode::SourceMissing] {
            assert_eq!(told(&engine(code)), None);
        }
        let full = StorageError::Full { what: "tmp".to_owned(), needed: 2, free: 1 };
        for error in [broken(root, false), full.into(), JobError::Panicked] {
            assert_eq!(told(&error), None, "{error}");
        }
    }

    #[test]
    fn nothing_counts_that_goes_wrong_once_a_drill_is_given_up() {
        let cancel = Cancel::default();
        let id = BackupId::generate();
        assert!(matches!(told_apart(broken(id, true), &cancel), JobError::ChainBroken { .. }));
        cancel.cancel();
        assert!(matches!(told_apart(broken(id, true), &cancel), JobError::Cancelled));
    }

    #[test]
    fn a_folder_that_was_taken_away_is_no_damage() {
        let within = tempfile::tempdir().unwrap();
        let workspace = Workspace::make(within.path(), 0, 0).unwrap();
        let damage = || engine(FailureCode::ArchiveDamaged);
        assert!(not_taken_away(damage(), &workspace).is_damage());
        std::fs::remove_dir(workspace.path()).unwrap();
        let error = not_taken_away(damage(), &workspace);
        assert!(!error.is_damage() && error.to_string().contains("drill-"), "{error}");
    }
}
