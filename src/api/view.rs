//! Backups as they go over the wire. Trove's words live in `view*.rs` and nowhere else.

use std::fmt;

use serde::{Serialize, Serializer};
use uuid::Uuid;

use crate::catalog::Shelf;
use crate::domain::{
    Backup, BackupId, Datastore, Failure, InstanceId, RowsByTable, Status, WireTime,
};

use super::link::Link;
use super::view_drill::{self, DrillView};

/// A gigabyte, as Trove counts them.
const GIB: f64 = 1_073_741_824.0;

/// A backup. Every key is always there: the stock client asks again, or crashes, over a missing one.
/// Borrows from the row, so that a list is written without copying it first.
#[derive(Debug, Serialize)]
pub(super) struct BackupView<'a> {
    id: BackupId,
    name: &'a str,
    description: Option<&'a str>,
    instance_id: Option<InstanceId>,
    parent_id: Option<BackupId>,
    project_id: &'a str,
    #[serde(rename = "locationRef")]
    location_ref: Option<String>,
    size: Option<f64>,
    status: &'static str,
    created: WireTime,
    updated: WireTime,
    storage_driver: &'static str,
    datastore: DatastoreView<'a>,
    size_bytes: Option<u64>,
    source_bytes: Option<u64>,
    checksum: Option<Checksum<'a>>,
    kind: &'static str,
    progress: f64,
    failure: Option<&'a Failure>,
    verified_at: Option<WireTime>,
    verify_level: Option<&'static str>,
    drill: Option<DrillView<'a>>,
}

#[derive(Debug, Serialize)]
struct DatastoreView<'a> {
    #[serde(rename = "type")]
    engine: &'a str,
    version: &'a str,
    version_id: Uuid,
}

/// A checksum with the name of its kind.
#[derive(Debug)]
struct Checksum<'a>(&'a str);

impl Serialize for Checksum<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&format_args!("blake3:{}", self.0))
    }
}

/// Views of rows. Remembers the ids of datastores, which are hashes: a page has one or two.
struct Viewer<'a> {
    shelf: &'a dyn Shelf,
    version_ids: Vec<(&'a Datastore, Uuid)>,
}

impl<'a> Viewer<'a> {
    const fn new(shelf: &'a dyn Shelf) -> Self {
        Self { shelf, version_ids: Vec::new() }
    }

    fn version_id(&mut self, datastore: &'a Datastore) -> Uuid {
        if let Some((_known, id)) = self.version_ids.iter().find(|(it, _id)| *it == datastore) {
            return *id;
        }
        let id = datastore.version_uuid();
        self.version_ids.push((datastore, id));
        id
    }

    fn backup(&mut self, backup: &'a Backup) -> BackupView<'a> {
        let facts = backup.facts.as_ref();
        BackupView {
            id: backup.id,
            name: &backup.name,
            description: backup.description.as_deref(),
            instance_id: backup.instance,
            parent_id: backup.parent,
            project_id: backup.project.as_str(),
            location_ref: facts.map(|facts| self.shelf.url(&facts.location)),
            size: facts.map(|facts| gigabytes(facts.stored_bytes)),
            status: backup.status.as_str(),
            created: backup.created.wire(),
            updated: backup.updated.wire(),
            storage_driver: self.shelf.driver(),
            datastore: DatastoreView {
                engine: &backup.datastore.engine,
                version: &backup.datastore.version,
                version_id: self.version_id(&backup.datastore),
            },
            size_bytes: facts.map(|facts| facts.stored_bytes),
            source_bytes: facts.map(|facts| facts.source_bytes),
            checksum: facts.map(|facts| Checksum(&facts.checksum)),
            kind: backup.kind.as_str(),
            progress: progress(backup),
            failure: backup.failure.as_ref(),
            verified_at: facts.map(|facts| facts.verified_at.wire()),
            verify_level: facts.map(|facts| facts.verify_level.as_str()),
            drill: view_drill::drill(&backup.drill),
        }
    }
}

/// One backup as the answer to a request for it.
#[derive(Debug, Serialize)]
pub(super) struct OneBackupView<'a> {
    backup: BackupView<'a>,
}

/// One backup on the wire.
pub(super) fn one_backup<'a>(row: &'a Backup, shelf: &'a dyn Shelf) -> OneBackupView<'a> {
    OneBackupView { backup: Viewer::new(shelf).backup(row) }
}

/// The same with what the last drill counted, which is too much for a list.
pub(super) fn one_backup_with_rows<'a>(
    row: &'a Backup,
    rows: RowsByTable,
    shelf: &'a dyn Shelf,
) -> OneBackupView<'a> {
    let mut backup = Viewer::new(shelf).backup(row);
    if let Some(drill) = &mut backup.drill {
        drill.add_rows(rows);
    }
    OneBackupView { backup }
}

/// One page. `links` is left out on the last one: the stock client crashes over null.
#[derive(Debug, Serialize)]
pub(super) struct BackupsView<'a> {
    backups: Rows<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    links: Option<[Link; 1]>,
}

/// One page of backups on the wire.
pub(super) fn backups<'a>(
    rows: &'a [Backup],
    next: Option<Link>,
    shelf: &'a dyn Shelf,
) -> BackupsView<'a> {
    BackupsView { backups: Rows { rows, shelf }, links: next.map(|link| [link]) }
}

/// Rows that become views one by one, as they are written.
struct Rows<'a> {
    rows: &'a [Backup],
    shelf: &'a dyn Shelf,
}

impl fmt::Debug for Rows<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_list().entries(self.rows).finish()
    }
}

impl Serialize for Rows<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut viewer = Viewer::new(self.shelf);
        to.collect_seq(self.rows.iter().map(|row| viewer.backup(row)))
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
