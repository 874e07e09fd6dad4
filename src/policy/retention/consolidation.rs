//! Consolidation: of a chain only incremental backups are kept. If those become full backups, the rest can go.

use crate::domain::BackupId;

use super::Point;
use super::history::Family;

/// What is saved has to be this part of what the chain takes, so that flash is not worn for next to nothing.
const LEAST_SAVED: u64 = 10;

/// The members of a family that are worth to become full backups, oldest first: all that the policy keeps of it, which
/// are `kept`, or none. A chain whose root is kept stays as it is.
pub(super) fn worthwhile(family: &Family<'_>, kept: &[BackupId]) -> Vec<BackupId> {
    let points = family.members.iter().filter(|it| kept.contains(&it.id));
    let points: Vec<&Point> = points.copied().collect();
    if points.is_empty() || points.iter().any(|it| it.parent.is_none()) {
        return Vec::new();
    }
    let cost = points.iter().map(|it| full_bytes(family, it)).fold(0, u64::saturating_add);
    let bytes = family.bytes();
    if bytes.saturating_sub(cost) <= bytes / LEAST_SAVED {
        return Vec::new();
    }
    points.into_iter().map(|it| it.id).collect()
}

/// About what the full backup of this point takes: as much as the family's root, more if the source grew.
fn full_bytes(family: &Family<'_>, point: &Point) -> u64 {
    let root = family.root;
    let grown = u128::from(root.stored_bytes) * u128::from(point.source_bytes)
        / u128::from(root.source_bytes.max(1));
    root.stored_bytes.max(u64::try_from(grown).unwrap_or(u64::MAX))
}
