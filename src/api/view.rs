//! Backups as they go over the wire. Trove's words live in `view*.rs` and nowhere else.

use uuid::Uuid;

use crate::catalog::Shelf;
use crate::domain::{Backup, BackupId, Datastore, InstanceId, RowsByTable, Status, WireTime};

use super::json::{self, Fields};
use super::link::Link;
use super::view_drill;

/// A gigabyte, as Trove counts them.
const GIB: f64 = 1_073_741_824.0;

/// Writes backups. Remembers the ids of datastores, which are hashes: a page has one or two.
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

    /// The fields of a backup, and what its last drill counted. Every key is always there: the stock
    /// client asks again, or crashes, over a missing one.
    fn backup(&mut self, to: &mut Fields<'_>, backup: &'a Backup, counted: Option<RowsByTable>) {
        let facts = backup.facts.as_ref();
        to.id("id", backup.id.as_uuid());
        to.text("name", backup.name.as_str());
        to.text("description", backup.description.as_deref());
        to.id("instance_id", backup.instance.map(InstanceId::as_uuid));
        to.id("parent_id", backup.parent.map(BackupId::as_uuid));
        to.text("project_id", backup.project.as_str());
        let url = facts.map(|facts| self.shelf.url(&facts.location));
        to.text("locationRef", url.as_deref());
        to.value("size", &facts.map(|facts| gigabytes(facts.stored_bytes)));
        to.text("status", backup.status.as_str());
        to.text("created", backup.created.wire().as_str());
        to.text("updated", backup.updated.wire().as_str());
        to.text("storage_driver", self.shelf.driver());
        let version_id = self.version_id(&backup.datastore);
        to.object("datastore", |to| {
            to.text("type", backup.datastore.engine.as_str());
            to.text("version", backup.datastore.version.as_str());
            to.id("version_id", version_id);
        });
        to.value("size_bytes", &facts.map(|facts| facts.stored_bytes));
        to.value("source_bytes", &facts.map(|facts| facts.source_bytes));
        match facts {
            Some(facts) => to.joined("checksum", ["blake3:", &facts.checksum]),
            None => to.text("checksum", None),
        }
        to.text("kind", backup.kind.as_str());
        to.value("progress", &progress(backup));
        to.value("failure", &backup.failure);
        let verified_at = facts.map(|facts| facts.verified_at.wire());
        to.text("verified_at", verified_at.as_ref().map(WireTime::as_str));
        to.text("verify_level", facts.map(|facts| facts.verify_level.as_str()));
        to.value("drill", &view_drill::drill(&backup.drill, counted));
    }
}

/// One backup as the answer to a request for it.
pub(super) fn one_backup(row: &Backup, shelf: &dyn Shelf) -> Vec<u8> {
    one_backup_with_rows(row, None, shelf)
}

/// The same with what the last drill counted, which is too much for a list.
pub(super) fn one_backup_with_rows(
    row: &Backup,
    counted: Option<RowsByTable>,
    shelf: &dyn Shelf,
) -> Vec<u8> {
    json::object(1, |answer| {
        answer.object("backup", |to| Viewer::new(shelf).backup(to, row, counted));
    })
}

/// One page. `links` is left out on the last one: the stock client crashes over null.
pub(super) fn backups(rows: &[Backup], next: Option<&Link>, shelf: &dyn Shelf) -> Vec<u8> {
    json::object(rows.len(), |page| {
        let mut viewer = Viewer::new(shelf);
        page.list("backups", rows, |to, row| viewer.backup(to, row, None));
        if let Some(next) = next {
            page.value("links", &[next]);
        }
    })
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
