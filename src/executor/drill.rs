//! Drills: a backup is restored into a folder that is removed again, and used there by its engine.

use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::archive::Chain;
use crate::catalog::CatalogError;
use crate::domain::{
    BackupId, Cancel, CheckLevel, Damage, DamageIn, DrillFacts, FailureCode, LeftOut, RunEnd,
    RunKind, RunNumbers, RunResult, Source, VerifyLevel,
};
use crate::engine::{DrillReport, DrillRequest, EngineError, Owners, Placed, Target};
use crate::failpoint;
use crate::storage::{StorageError, Workspace};

use super::restore::{RestorePlan, engine_of, restore};
use super::{Context, JobError, OnProgress, Result, millis, proof, why_archives_missing};

/// Where a drill is made, and how.
#[derive(Debug, Clone, Copy)]
pub struct DrillPlan<'a> {
    /// The folder in which the drill makes one of its own.
    pub within: &'a Path,
    pub headroom: u64,
    /// The `source` of the backup's instance, if it is known: which tools to use.
    pub source: Option<&'a Source>,
    pub workers: usize,
    pub limit: Option<Duration>,
    /// Checked between two segments, and by the engine.
    pub cancel: &'a Cancel,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassedDrill {
    pub level: VerifyLevel,
    pub took: Duration,
    pub report: DrillReport,
}

/// For the log.
impl fmt::Display for PassedDrill {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { took, report, .. } = self;
        write!(out, "passed in {} ms: {}, {}", took.as_millis(), report.check, report.total())
    }
}

/// Restores the last backup of `chain` into a folder of the drill's own below `how.within`, has the engine
/// use it, and removes it, however this ends. Checks first that there is room. One that takes too long is stopped.
pub fn drill(chain: &Chain, how: &DrillPlan<'_>, progress: OnProgress<'_>) -> Result<PassedDrill> {
    let Some(limit) = how.limit else { return make(chain, how, progress) };
    let limited = DrillPlan { cancel: &how.cancel.child_within(limit), ..*how };
    make(chain, &limited, progress).map_err(|error| match error {
        JobError::Cancelled if !how.cancel.is_cancelled() => JobError::DrillLimit(limit.as_secs()),
        other => other,
    })
}

fn make(chain: &Chain, how: &DrillPlan<'_>, progress: OnProgress<'_>) -> Result<PassedDrill> {
    let started = Instant::now();
    let manifest = chain.last().manifest();
    let engine = engine_of(chain)?;
    let needed = manifest.totals.restored_bytes();
    let workspace = Workspace::make(how.within, needed, how.headroom)?;
    let target = workspace.folder("data")?.join(engine.target_name(&manifest.backup.instance_name));
    let scratch = workspace.folder("run")?;
    let restoring = RestorePlan {
        target: Target::Path(&target),
        source: how.source,
        owners: Owners::CurrentUser,
        check: CheckLevel::Off,
        workers: how.workers,
        salvage: false,
        cancel: how.cancel,
    };
    let report = restore(chain, &restoring, progress).and_then(|restored| {
        failpoint::at("drill-restored");
        let path = match &restored.target {
            Placed::At(path) => path.as_path(),
            Placed::In(_server) => &target,
        };
        let (source, cancel) = (how.source, how.cancel);
        let request = DrillRequest { restored: path, source, scratch: &scratch, cancel };
        let report = engine.drill(&request)?;
        // The drill's server refuses what leads to another one, so that it reaches none, and has no keys.
        let mut of_data = restored.left_out.iter().filter(|it| !it.holds_no_data);
        match of_data.next().filter(|_| engine.reads_server()) {
            None => Ok(report),
            Some(first) => Err(refused(first, of_data.count()).into()),
        }
    });
    let report = report
        .map_err(|error| cancelled_or(error, how.cancel))
        .map_err(|error| missing_folder_is_not_damage(error, &workspace))?;
    failpoint::at("drill-passed");
    drop(workspace);
    Ok(PassedDrill { level: VerifyLevel::Restored, took: started.elapsed(), report })
}

/// A drill of dumps of which the server here did not take everything shows no damage, and proves not all of them.
fn refused(first: &LeftOut, more: usize) -> EngineError {
    let message = match more {
        0 => format!("the server here refused {first}; what could be loaded is sound"),
        _ => format!(
            "the server here refused {} objects, and what could be loaded is sound; a restore lists them all, and the \
             first is {first}",
            more.saturating_add(1)
        ),
    };
    EngineError::known(FailureCode::Tool, message)
}

/// An error after a cancellation says nothing of the backup: its archive may be in the trash by now.
pub(super) fn cancelled_or(error: JobError, cancel: &Cancel) -> JobError {
    if cancel.is_cancelled() { JobError::Cancelled } else { error }
}

/// If the drill's folder was removed meanwhile, what looks like damage is none.
fn missing_folder_is_not_damage(error: JobError, workspace: &Workspace) -> JobError {
    if error.is_damage() && !workspace.path().exists() {
        let what = workspace.path().display().to_string();
        return StorageError::NotFound { what }.into();
    }
    error
}

/// The damage that a drill of `id` found, or the archive that is missing, if this is how it ended. Any error but
/// damage makes the drill inconclusive.
pub(super) fn damage(error: &JobError, id: BackupId) -> Option<Damage> {
    if let Some((id, failure)) = error.bad_archive() {
        return Some(Damage { id, place: DamageIn::Archive, failure });
    }
    let in_data = matches!(error, JobError::Engine(_));
    let place = if in_data { DamageIn::Data } else { DamageIn::Archive };
    let failure = error.failure();
    failure.code.is_damage().then_some(Damage { id, place, failure })
}

/// Records how a drill ended: in the catalog, and beside the archive, where a rebuilt catalog finds it.
pub fn record(
    context: &Context,
    id: BackupId,
    result: &Result<PassedDrill>,
    took: Duration,
) -> Result<(), CatalogError> {
    let at = context.clock.now();
    let took = result.as_ref().map_or(took, |drilled| drilled.took);
    let mut numbers = RunNumbers { took_ms: Some(millis(took)), ..RunNumbers::default() };
    let (result, damage) = match result {
        Ok(PassedDrill { report, .. }) => {
            numbers.drill = Some(DrillFacts {
                version: report.version.clone(),
                check: report.check.clone(),
                tables: report.tables,
                rows: report.total_rows,
            });
            numbers.rows_by_table.clone_from(&report.rows);
            (RunResult::Done, None)
        }
        Err(JobError::Cancelled) => return context.catalog.retry_run(RunKind::Drill, id).wait(),
        Err(error) => {
            let found = damage(error, id);
            let bad = found.as_ref().is_some_and(|it| it.failure.code.is_damage());
            let result = if bad { RunResult::Damaged } else { RunResult::Failed };
            // A single archive may be missing; where all are, that says nothing of this one.
            let known = bad || why_archives_missing(context)?.is_none();
            (result(error.failure()), found.filter(|_| known))
        }
    };
    let end = RunEnd { at, result, numbers };
    if let Ok(backup) = context.catalog.find(id) {
        proof::record_drill(&*context.storage, &backup, &end, damage.as_ref());
    }
    context.catalog.end_drill(id, end, damage).wait()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::executor::BadLink;

    fn engine(code: FailureCode) -> JobError {
        EngineError::known(code, "so it is").into()
    }

    fn broken(bad_backup: BackupId, link: BadLink) -> JobError {
        JobError::ChainBroken { bad_backup, why: "bits rot".to_owned(), link }
    }

    #[test]
    fn damage_is_of_the_bad_archive_or_of_the_restored_data_and_other_errors_are_no_damage() {
        let (id, root) = (BackupId::generate(), BackupId::generate());
        let found = |error: &JobError| damage(error, id).map(|it| (it.id, it.place));
        let damaged = broken(root, BadLink::Damaged);
        assert_eq!(found(&damaged), Some((root, DamageIn::Archive)));
        for code in [FailureCode::ArchiveDamaged, FailureCode::SourceDamaged] {
            assert_eq!(found(&engine(code)), Some((id, DamageIn::Data)));
        }
        for code in [FailureCode::Tool, FailureCode::DiskFull, FailureCode::SourceMissing] {
            assert_eq!(found(&engine(code)), None);
        }
        let full = StorageError::Full { what: "tmp".to_owned(), needed: 2, free: 1 };
        for error in [broken(root, BadLink::OutOfReach), full.into(), JobError::Panicked] {
            assert_eq!(found(&error), None, "{error}");
        }
    }

    #[test]
    fn what_the_server_of_a_drill_refused_is_counted_in_a_plain_sentence() {
        let first = LeftOut::new("INDEX by_name in database shop", "no function f");
        let of = |more| refused(&first, more).to_string();
        assert_eq!(
            of(0),
            "the server here refused INDEX by_name in database shop: no function f; what could be loaded is sound"
        );
        assert!(
            of(5).contains("refused 6 objects, and what could be loaded is sound"),
            "{}",
            of(5)
        );
        assert!(of(5).ends_with("the first is INDEX by_name in database shop: no function f"));
    }

    #[test]
    fn an_error_after_a_cancellation_is_a_cancellation() {
        let cancel = Cancel::default();
        let id = BackupId::generate();
        assert!(matches!(
            cancelled_or(broken(id, BadLink::Damaged), &cancel),
            JobError::ChainBroken { .. }
        ));
        cancel.cancel();
        assert!(matches!(cancelled_or(broken(id, BadLink::Damaged), &cancel), JobError::Cancelled));
    }

    #[test]
    fn a_folder_that_was_removed_is_no_damage() {
        let within = tempfile::tempdir().unwrap();
        let workspace = Workspace::make(within.path(), 0, 0).unwrap();
        let damage = || engine(FailureCode::ArchiveDamaged);
        assert!(missing_folder_is_not_damage(damage(), &workspace).is_damage());
        std::fs::remove_dir_all(workspace.path()).unwrap();
        let error = missing_folder_is_not_damage(damage(), &workspace);
        assert!(!error.is_damage() && error.to_string().contains("drill-"), "{error}");
    }
}
