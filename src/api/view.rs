//! Backups as they go over the wire. Trove's words live in `view*.rs` and nowhere else.

use uuid::Uuid;

use crate::catalog::Shelf;
use crate::domain::{Backup, BackupId, Datastore, InstanceId, RowsByTable, Status};

use super::json::{self, Fields, key};
use super::view_drill;

/// A gigabyte, as Trove counts them.
const GIB: f64 = 1_073_741_824.0;

/// Writes backups. Remembers the ids of datastores, which are hashes: a page has one or two.
pub(super) struct Viewer<'a> {
    shelf: &'a dyn Shelf,
    version_ids: Vec<(Datastore, Uuid)>,
}

impl<'a> Viewer<'a> {
    /// A viewer that has written nothing yet.
    pub(super) const fn new(shelf: &'a dyn Shelf) -> Self {
        Self { shelf, version_ids: Vec::new() }
    }

    fn version_id(&mut self, datastore: &Datastore) -> Uuid {
        let known = self.version_ids.iter().find(|(it, _id)| it == datastore);
        if let Some((_known, id)) = known {
            return *id;
        }
        let id = datastore.version_uuid();
        self.version_ids.push((datastore.clone(), id));
        id
    }

    /// The fields of a backup, and what its last drill counted. Every key is always there: the stock
    /// client asks again, or crashes, over a missing one.
    pub(super) fn backup(
        &mut self,
        to: &mut Fields<'_>,
        backup: &Backup,
        counted: Option<RowsByTable>,
    ) {
        let facts = backup.facts.as_ref();
        to.id(key!("id"), backup.id.as_uuid());
        to.text(key!("name"), backup.name.as_str());
        to.text(key!("description"), backup.description.as_deref());
        to.id(key!("instance_id"), backup.instance.map(InstanceId::as_uuid));
        to.id(key!("parent_id"), backup.parent.map(BackupId::as_uuid));
        to.text(key!("project_id"), backup.project.as_str());
        match facts.map(|facts| self.shelf.url(facts.location.as_str())) {
            Some([store, place]) => to.joined(key!("locationRef"), [&store, &place]),
            None => to.text(key!("locationRef"), None),
        }
        to.value(key!("size"), &facts.map(|facts| gigabytes(facts.stored_bytes)));
        to.word(key!("status"), backup.status.as_str());
        to.time(key!("created"), backup.created);
        to.time(key!("updated"), backup.updated);
        to.word(key!("storage_driver"), self.shelf.driver());
        let version_id = self.version_id(&backup.datastore);
        to.object(key!("datastore"), |to| {
            to.text(key!("type"), backup.datastore.engine.as_str());
            to.text(key!("version"), backup.datastore.version.as_str());
            to.id(key!("version_id"), version_id);
        });
        to.value(key!("size_bytes"), &facts.map(|facts| facts.stored_bytes));
        to.value(key!("source_bytes"), &facts.map(|facts| facts.source_bytes));
        match facts {
            Some(facts) => to.joined(key!("checksum"), ["blake3:", &facts.checksum]),
            None => to.text(key!("checksum"), None),
        }
        to.word(key!("kind"), backup.kind.as_str());
        to.value(key!("progress"), &progress(backup));
        to.value(key!("failure"), &backup.failure);
        to.time(key!("verified_at"), facts.map(|facts| facts.verified_at));
        to.word(key!("verify_level"), facts.map(|facts| facts.verify_level.as_str()));
        to.value(key!("drill"), &view_drill::drill(&backup.drill, counted));
    }
}

/// One backup as the answer to a request for it.
pub(super) fn one_backup(backup: &Backup, shelf: &dyn Shelf) -> Vec<u8> {
    one_backup_with_rows(backup, None, shelf)
}

/// The same with what the last drill counted, which is too much for a list.
pub(super) fn one_backup_with_rows(
    backup: &Backup,
    counted: Option<RowsByTable>,
    shelf: &dyn Shelf,
) -> Vec<u8> {
    json::object(1, |answer| {
        answer.object(key!("backup"), |to| Viewer::new(shelf).backup(to, backup, counted));
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
