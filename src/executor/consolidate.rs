//! Consolidations that the last process did not end.

use crate::domain::{BackupId, Kind};

use super::rebuild::{Candidate, Roots, candidates, import};
use super::{Context, OnProgress, Result};
use crate::catalog::RecordOf;

/// Takes full backups into the catalog that were published before their consolidation was recorded, and lets every
/// other one that was begun wait again. Returns how many wait.
pub(super) fn settle(context: &Context, progress: OnProgress<'_>) -> Result<usize> {
    let interrupted = context.catalog.interrupted_consolidations()?;
    if interrupted.is_empty() {
        return Ok(0);
    }
    let mut published = Vec::new();
    for candidate in candidates(context)? {
        if is_of(context, &candidate, &interrupted)? {
            published.push(candidate);
        }
    }
    if !published.is_empty() {
        let made = import(context, published, Roots::new(), progress)?;
        log::info!("{} consolidated backups were published before the interruption", made.imported);
    }
    Ok(context.catalog.reopen_consolidations().wait()?)
}

/// Whether this is a published archive that the catalog does not have, made of one of these.
fn is_of(context: &Context, candidate: &Candidate, interrupted: &[BackupId]) -> Result<bool> {
    let location = &candidate.stored.location;
    if candidate.discarded.is_some()
        || location.kind() != Kind::Full
        || context.catalog.record_of(location)? != RecordOf::Nothing
    {
        return Ok(false);
    }
    // What cannot be opened is named by `coffer doctor`.
    let Ok(reader) = candidate.open(context) else { return Ok(false) };
    let of = reader.manifest().consolidated.as_ref();
    Ok(of.is_some_and(|it| interrupted.contains(&it.from)))
}
