//! A backup's row as clients see it.

use crate::domain::{Backup, Datastore, DrillOutcome, Location, Status, Verdict};

use super::{BackupView, CopyView, DatastoreRef, DrillStatus, DrillView, UtcTime};

/// A gigabyte, as Trove counts them.
const GIB: f64 = 1_073_741_824.0;

/// What a row does not know: how clients name its archive.
pub trait ArchiveUrls {
    /// The `locationRef` of an archive.
    fn url(&self, location: &Location) -> String;

    /// The name of the archive storage (`storage_driver`).
    fn driver(&self) -> &'static str;
}

impl BackupView {
    /// What clients see of a row.
    pub fn new(backup: Backup, archives: &dyn ArchiveUrls) -> Self {
        Self::with_version_id(backup.datastore.version_id(), backup, archives)
    }

    /// A page of backups. Most are of one datastore, whose id is a hash: it is worked out once.
    pub fn page(rows: Vec<Backup>, archives: &dyn ArchiveUrls) -> Vec<Self> {
        let mut last: Option<(Datastore, String)> = None;
        let mut version_id = |datastore: &Datastore| match &last {
            Some((known, id)) if known == datastore => id.clone(),
            _ => {
                let id = datastore.version_id();
                last = Some((datastore.clone(), id.clone()));
                id
            }
        };
        rows.into_iter()
            .map(|row| Self::with_version_id(version_id(&row.datastore), row, archives))
            .collect()
    }

    fn with_version_id(version_id: String, backup: Backup, archives: &dyn ArchiveUrls) -> Self {
        let progress = match backup.status {
            Status::Completed | Status::Restored | Status::DeleteFailed => 1.0,
            _ => backup.progress.clamp(0.0, 1.0),
        };
        let facts = backup.facts.as_ref();
        let archive_bytes = facts.map_or(0, |it| it.stored_bytes);
        Self {
            id: backup.id,
            name: backup.name,
            description: backup.description,
            instance_id: backup.instance,
            parent_id: backup.parent,
            project_id: backup.project,
            location_ref: facts.map(|it| archives.url(&it.location)),
            size: facts.map(|it| gigabytes(it.stored_bytes)),
            status: backup.status,
            created: backup.created.into(),
            updated: backup.updated.into(),
            storage_driver: archives.driver().into(),
            datastore: DatastoreRef {
                engine: backup.datastore.engine,
                version: backup.datastore.version,
                version_id,
            },
            size_bytes: facts.map(|it| it.stored_bytes),
            source_bytes: facts.map(|it| it.source_bytes),
            checksum: facts.map(|it| ["blake3:", &it.checksum].concat()),
            kind: backup.kind,
            progress,
            failure: backup.failure,
            verified_at: facts.map(|it| it.verified_at.into()),
            verify_level: facts.map(|it| it.verify_level),
            left_out: backup.facts.map(|it| it.left_out).unwrap_or_default(),
            drill: backup.drill.last.map(DrillView::from),
            next_drill: backup.drill.next,
            pinned_at: backup.pinned.map(UtcTime::from),
            copies: backup.copies.into_iter().map(|it| CopyView::new(it, archive_bytes)).collect(),
        }
    }
}

impl From<DrillOutcome> for DrillView {
    /// Without the rows of each table.
    fn from(DrillOutcome { at, took, verdict }: DrillOutcome) -> Self {
        let (status, facts, failure) = match verdict {
            Verdict::Passed(facts) => (DrillStatus::Passed, Some(facts), None),
            Verdict::Damaged(failure) => (DrillStatus::Damaged, None, Some(failure)),
            Verdict::Inconclusive(failure) => (DrillStatus::Inconclusive, None, Some(failure)),
        };
        Self {
            status,
            at: at.into(),
            seconds: took.as_secs_f64(),
            tables: facts.as_ref().map(|it| it.tables),
            rows: facts.as_ref().map(|it| it.rows),
            rows_by_table: None,
            check: facts.as_ref().map(|it| it.check.clone()),
            version: facts.map(|it| it.version),
            failure,
        }
    }
}

/// Bytes as gigabytes, without rounding away small sizes.
pub fn gigabytes(bytes: u64) -> f64 {
    // Two halves that are exact, since 64 bits do not fit into a float.
    let high = u32::try_from(bytes >> 32).unwrap_or(u32::MAX);
    let low = u32::try_from(bytes & u64::from(u32::MAX)).unwrap_or(u32::MAX);
    (f64::from(high) * 4_294_967_296.0 + f64::from(low)) / GIB
}
