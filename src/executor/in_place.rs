//! Restoring in place: what is there is exchanged with what was restored, and kept as an undo point.

use std::path::Path;

use crate::archive::Chain;
use crate::domain::{Clock as _, SystemClock};
use crate::engine::{Placed, Target};
use crate::failpoint;
use crate::undo::{self, UndoPoint};

use super::restore::{RestorePlan, RestoreReport, engine_of, restore};
use super::{JobError, OnProgress, Result};

#[derive(Debug, Clone, Copy)]
pub struct InPlacePlan<'a> {
    /// What is replaced.
    pub target: &'a Path,
    /// Whether it may be open in other programs.
    pub even_if_open: bool,
}

/// Restores the last backup of `chain` in place of what is at the target, which the undo point has afterwards. The
/// target of `how` counts for nothing. Until all is restored and checked, the target is as it was.
pub fn restore_in_place(
    chain: &Chain,
    how: &RestorePlan<'_>,
    place: InPlacePlan<'_>,
    progress: OnProgress<'_>,
) -> Result<(RestoreReport, UndoPoint)> {
    let manifest = chain.last().manifest();
    let Some(kind) = engine_of(chain)?.in_place() else {
        return Err(JobError::NotInPlace(format!(
            "a backup of {} is not restored in place: restore it to a new path",
            manifest.datastore.engine
        )));
    };
    let InPlacePlan { target, even_if_open } = place;
    if target.exists() && target.is_dir() != kind.is_folder {
        let (is, wanted) =
            if kind.is_folder { ("no folder", "folder") } else { ("a folder", "file") };
        return Err(JobError::NotInPlace(format!(
            "{} is {is}, and the backup is of a {wanted}: name what it is to replace with --to",
            target.display()
        )));
    }
    // What an interrupted restore left is settled first.
    let left = if target.exists() { undo::beside(target)?.unreadable } else { Vec::new() };
    if let Some(error) = left.into_iter().next() {
        return Err(error.into());
    }
    let require_unused =
        || if even_if_open { Ok(()) } else { undo::require_unused(target, kind.companions) };
    require_unused()?;
    let made = SystemClock.now().to_wire();
    let mut point = UndoPoint::make(target, chain.last().reported_id(), made, kind.companions)?;
    failpoint::at("undo-made");
    let held = point.held();
    let plan = RestorePlan { target: Target::Path(&held), ..*how };
    let report = restore(chain, &plan, progress)?;
    require_unused()?;
    point.exchange()?;
    let report = RestoreReport { target: Placed::At(point.target()), ..report };
    Ok((report, point))
}
