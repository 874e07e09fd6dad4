//! Lists of backups.

use rusqlite::ToSql;

use super::{BackupColumns, BackupRecord, backup_columns, read, select};
use crate::domain::{
    Backup, BackupId, InstanceId, Kind, Location, Position, ProjectId, Status, Timestamp,
};
use crate::store::sql::{query_all, query_first, statements};
use crate::store::{Records, Result};

#[derive(Debug, Clone, Copy)]
pub struct Page<'a> {
    pub project: Option<&'a ProjectId>,
    pub instance: Option<InstanceId>,
    pub engine: Option<&'a str>,
    pub status: Option<Status>,
    /// Only rows after this position, newest first.
    pub after: Option<Position>,
    pub rows: u32,
}

/// What a row says of its archive: the little that a comparison with the disk needs, so that it can be made of a million.
#[derive(Debug)]
pub struct RecordedArchive {
    pub id: BackupId,
    pub kind: Kind,
    pub location: Location,
    /// The backup is finished, is not being deleted, and its archive lies in the data directory.
    pub kept: bool,
}

/// A page of rows that were not deleted: those of one index, behind a place in it.
macro_rules! page {
    ($where:literal, $and:literal) => {
        concat!(
            "SELECT ",
            backup_columns!(),
            " FROM backups WHERE ",
            $where,
            " (backups.created, backups.id) < (:created, :id) ",
            $and,
            " AND coalesce(backups.removal, 'failed') = 'failed'
              ORDER BY backups.created DESC, backups.id DESC LIMIT :rows"
        )
    };
}

statements! {
    OF_PROJECT = page!("backups.project = :project AND", "");

    OF_PROJECT_AND_ENGINE =
        page!("backups.project = :project AND backups.engine = :engine AND", "");

    OF_PROJECT_IN_STATUS = page!(
        "backups.project = :project AND backups.status = :status AND",
        "AND (:engine IS NULL OR backups.engine = :engine)"
    );

    OF_INSTANCE = page!(
        "backups.instance = :instance AND",
        "AND (:project IS NULL OR backups.project = :project)
         AND (:engine IS NULL OR backups.engine = :engine)"
    );

    OF_INSTANCE_IN_STATUS = page!(
        "backups.instance = :instance AND backups.status = :status AND",
        "AND (:project IS NULL OR backups.project = :project)
         AND (:engine IS NULL OR backups.engine = :engine)"
    );

    OF_ALL_PROJECTS = page!("", "");

    OF_ENGINE = page!("backups.engine = :engine AND", "");

    IN_STATUS =
        page!("backups.status = :status AND", "AND (:engine IS NULL OR backups.engine = :engine)");

    OLDEST_FIRST = select!(
        "WHERE (backups.created, backups.id) > (-1, '') AND backups.trashed IS NULL
                 ORDER BY backups.created, backups.id"
    );

    NEWEST = "SELECT created FROM backups WHERE (created, id) > (-1, '')
         ORDER BY created DESC, id DESC LIMIT 1";

    ARCHIVES = "SELECT id, kind, location,
             removal IS NULL AND here = 'yes' AND status IN ('COMPLETED', 'RESTORED')
         FROM backups
         WHERE (created, id) > (-1, '') AND checksum IS NOT NULL AND trashed IS NULL
         ORDER BY created, id";

    IS_EXPECTED = "SELECT 1 FROM backups
         WHERE location = ?1 AND created > ?2 AND checksum IS NOT NULL AND trashed IS NULL";

    NEWEST_ARCHIVES = "SELECT location FROM backups
         WHERE (created, id) > (?1, '~') AND checksum IS NOT NULL AND removal IS NULL
             AND here = 'yes'
         ORDER BY created DESC, id DESC LIMIT 8";

    ANY_ARCHIVE =
        "SELECT 1 FROM backups WHERE (created, id) > (-1, '') AND checksum IS NOT NULL
         ORDER BY created, id LIMIT 1";

    MISSING_ARCHIVES =
        select!("WHERE backups.damage_code = 'archive_missing' AND backups.id > ''");

    DELETED = select!("WHERE backups.removal IN ('asked', 'claimed')");

    IN_TRASH = select!("WHERE backups.trashed > -1");

    INTERRUPTED = select!("WHERE backups.status IN ('BUILDING', 'SAVING')");
}

impl Records<'_> {
    /// One page, newest first, with one row more than was asked for if there are more.
    pub fn backups_page(self, page: &Page<'_>) -> Result<Vec<Backup>> {
        let Page { project, instance, engine, status, after, rows } = page;
        let (created, id) = after.map_or((i64::MAX, String::new()), |place| {
            (place.created.as_micros(), place.id.to_string())
        });
        let one_more = rows.saturating_add(1);
        let mut params: Vec<(&str, &dyn ToSql)> =
            vec![(":created", &created), (":id", &id), (":rows", &one_more)];
        let (statement, names): (&str, &[&str]) = match (instance, project, status, engine) {
            (Some(_), _, Some(_), _) => {
                (OF_INSTANCE_IN_STATUS, &[":instance", ":project", ":engine", ":status"])
            }
            (Some(_), _, None, _) => (OF_INSTANCE, &[":instance", ":project", ":engine"]),
            (None, Some(_), Some(_), _) => {
                (OF_PROJECT_IN_STATUS, &[":project", ":engine", ":status"])
            }
            (None, Some(_), None, Some(_)) => (OF_PROJECT_AND_ENGINE, &[":project", ":engine"]),
            (None, Some(_), None, None) => (OF_PROJECT, &[":project"]),
            (None, None, Some(_), _) => (IN_STATUS, &[":engine", ":status"]),
            (None, None, None, Some(_)) => (OF_ENGINE, &[":engine"]),
            (None, None, None, None) => (OF_ALL_PROJECTS, &[]),
        };
        let filters: [(&str, &dyn ToSql); 4] = [
            (":instance", instance),
            (":project", project),
            (":engine", engine),
            (":status", status),
        ];
        params.extend(filters.into_iter().filter(|(name, _value)| names.contains(name)));
        let mut found = query_all(self.0, statement, params.as_slice(), |row| {
            BackupColumns::read(row).map(Backup::from)
        })?;
        self.read_drills(&mut found)?;
        Ok(found)
    }

    /// Every row but those in the trash, oldest first.
    pub fn every_backup(self) -> Result<Vec<BackupRecord>> {
        query_all(self.0, OLDEST_FIRST, [], read)
    }

    /// When the newest backup was made, also one in the trash.
    pub fn newest_backup(self) -> Result<Option<Timestamp>> {
        query_first(self.0, NEWEST, [], |row| row.get(0))
    }

    /// Shows the archive of every row but those in the trash, oldest first. None is kept in memory.
    pub fn each_archive(self, mut show: impl FnMut(RecordedArchive)) -> Result<()> {
        let mut statement = self.0.prepare_cached(ARCHIVES)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (id, kind) = (row.get(0)?, row.get(1)?);
            show(RecordedArchive { id, kind, location: row.get(2)?, kept: row.get(3)? });
        }
        Ok(())
    }

    /// Whether a backup that was made after this has its archive there.
    pub fn is_expected(self, location: &Location, after: Timestamp) -> Result<bool> {
        Ok(query_first(self.0, IS_EXPECTED, (location, after), |_row| Ok(()))?.is_some())
    }

    /// Where the archives of the newest backups are that were made after this, the newest first.
    pub fn newest_archives(self, after: Timestamp) -> Result<Vec<Location>> {
        query_all(self.0, NEWEST_ARCHIVES, [after], |row| row.get(0))
    }

    /// Whether a row has an archive, also in the trash.
    pub fn has_archives(self) -> Result<bool> {
        Ok(query_first(self.0, ANY_ARCHIVE, [], |_row| Ok(()))?.is_some())
    }

    /// Backups whose archive was reported as missing.
    pub fn missing_archives(self) -> Result<Vec<Backup>> {
        query_all(self.0, MISSING_ARCHIVES, [], |row| Ok(read(row)?.backup))
    }

    /// Every row that was deleted or is being deleted, newest first.
    pub fn deleted_backups(self) -> Result<Vec<BackupRecord>> {
        let mut found = query_all(self.0, DELETED, [], read)?;
        found.sort_by_key(|it| std::cmp::Reverse((it.backup.created, it.backup.id)));
        Ok(found)
    }

    /// Every row in the trash, newest first.
    pub fn trashed_backups(self) -> Result<Vec<BackupRecord>> {
        let mut found = query_all(self.0, IN_TRASH, [], read)?;
        found.sort_by_key(|it| std::cmp::Reverse((it.backup.created, it.backup.id)));
        Ok(found)
    }

    /// Backups that a worker has, oldest first.
    pub fn claimed_backups(self) -> Result<Vec<BackupRecord>> {
        let mut found = query_all(self.0, INTERRUPTED, [], read)?;
        found.sort_by_key(|it| (it.backup.created, it.backup.id));
        Ok(found)
    }
}
