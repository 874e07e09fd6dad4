//! Consolidation: of a chain only an incremental backup is kept. If that becomes a full backup, the rest can go.

use crate::domain::BackupId;

use super::history::Family;

/// What is saved has to be this part of what the chain takes, so that flash is not worn for next to nothing.
const LEAST_SAVED: u64 = 10;

/// The member of a family that is worth to become a full backup. `kept` are the restore points that the policy keeps
/// of it.
///
/// The full backup will take about as much as the family's root, more if the source grew. If two points are kept, two
/// full backups would hardly take less than the chain.
pub(super) fn worthwhile(family: &Family<'_>, kept: &[BackupId]) -> Option<BackupId> {
    let [only] = kept else { return None };
    let point = family.members.iter().find(|it| it.id == *only)?;
    point.parent?;
    let (root, bytes) = (family.root, family.bytes());
    let grown = u128::from(root.stored_bytes) * u128::from(point.source_bytes)
        / u128::from(root.source_bytes.max(1));
    let grown = u64::try_from(grown).unwrap_or(u64::MAX);
    let cost = root.stored_bytes.max(grown);
    (bytes.saturating_sub(cost) > bytes / LEAST_SAVED).then_some(*only)
}
