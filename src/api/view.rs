//! Backups as they go over the wire. Trove's words live in `view*.rs` and nowhere else.

use serde::Serialize;

use crate::catalog::Shelf;
use crate::domain::{Backup, Failure, RowsByTable, Status};

use super::link::Link;
use super::view_drill::{self, DrillView};

/// A gigabyte, as Trove counts them.
const GIB: f64 = 1_073_741_824.0;

/// A backup. Every key is always there: the stock client asks again, or crashes, over a missing one.
#[derive(Debug, Serialize)]
pub(super) struct BackupView {
    id: String,
    name: String,
    description: Option<String>,
    instance_id: Option<String>,
    parent_id: Option<String>,
    project_id: String,
    #[serde(rename = "locationRef")]
    location_ref: Option<String>,
    size: Option<f64>,
    status: &'static str,
    created: String,
    updated: String,
    storage_driver: &'static str,
    datastore: DatastoreView,
    size_bytes: Option<u64>,
    source_bytes: Option<u64>,
    checksum: Option<String>,
    kind: &'static str,
    progress: f64,
    failure: Option<Failure>,
    verified_at: Option<String>,
    verify_level: Option<&'static str>,
    drill: Option<DrillView>,
}

#[derive(Debug, Serialize)]
struct DatastoreView {
    #[serde(rename = "type")]
    engine: String,
    version: String,
    version_id: String,
}

fn backup(backup: &Backup, shelf: &dyn Shelf) -> BackupView {
    let facts = backup.facts.as_ref();
    BackupView {
        id: backup.id.to_string(),
        name: backup.name.clone(),
        description: backup.description.clone(),
        instance_id: backup.instance.map(|id| id.to_string()),
        parent_id: backup.parent.map(|id| id.to_string()),
        project_id: backup.project.to_string(),
        location_ref: facts.map(|facts| shelf.url(&facts.location)),
        size: facts.map(|facts| gigabytes(facts.stored_bytes)),
        status: backup.status.as_str(),
        created: backup.created.to_wire(),
        updated: backup.updated.to_wire(),
        storage_driver: shelf.driver(),
        datastore: DatastoreView {
            engine: backup.datastore.engine.clone(),
            version: backup.datastore.version.clone(),
            version_id: backup.datastore.version_id(),
        },
        size_bytes: facts.map(|facts| facts.stored_bytes),
        source_bytes: facts.map(|facts| facts.source_bytes),
        checksum: facts.map(|facts| format!("blake3:{}", facts.checksum)),
        kind: backup.kind.as_str(),
        progress: progress(backup),
        failure: backup.failure.clone(),
        verified_at: facts.map(|facts| facts.verified_at.to_wire()),
        verify_level: facts.map(|facts| facts.verify_level.as_str()),
        drill: view_drill::drill(&backup.drill),
    }
}

/// One backup as the answer to a request for it.
#[derive(Debug, Serialize)]
pub(super) struct OneBackupView {
    backup: BackupView,
}

/// One backup on the wire.
pub(super) fn one_backup(row: &Backup, shelf: &dyn Shelf) -> OneBackupView {
    OneBackupView { backup: backup(row, shelf) }
}

/// The same with what the last drill counted, which is too much for a list.
pub(super) fn one_backup_with_rows(
    row: &Backup,
    rows: RowsByTable,
    shelf: &dyn Shelf,
) -> OneBackupView {
    let mut backup = backup(row, shelf);
    if let Some(drill) = &mut backup.drill {
        drill.add_rows(rows);
    }
    OneBackupView { backup }
}

/// One page. `links` is left out on the last one: the stock client crashes over null.
#[derive(Debug, Serialize)]
pub(super) struct BackupsView {
    backups: Vec<BackupView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    links: Option<[Link; 1]>,
}

/// One page of backups on the wire.
pub(super) fn backups(rows: &[Backup], next: Option<Link>, shelf: &dyn Shelf) -> BackupsView {
    BackupsView {
        backups: rows.iter().map(|row| backup(row, shelf)).collect(),
        links: next.map(|link| [link]),
    }
}

fn progress(backup: &Backup) -> f64 {
    match backup.status {
        Status::Completed | Status::Restored | Status::DeleteFailed => 1.0,
        _ => backup.progress.clamp(0.0, 1.0),
    }
}

/// Bytes as gigabytes, without rounding away what is small.
pub(super) fn gigabytes(bytes: u64) -> f64 {
    // Two halves that each fit, since there is no exact way from 64 bits.
    let high = u32::try_from(bytes >> 32).unwrap_or(u32::MAX);
    let low = u32::try_from(bytes & u64::from(u32::MAX)).unwrap_or(u32::MAX);
    (f64::from(high) * 4_294_967_296.0 + f64::from(low)) / GIB
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_archive_is_not_rounded_to_nothing() {
        assert!((gigabytes(42_000) - 0.000_039_115_548_133_850_1).abs() < 1e-12);
        assert!((gigabytes(10 << 30) - 10.0).abs() < f64::EPSILON);
        assert!(gigabytes(0).abs() < f64::EPSILON);
    }
}
