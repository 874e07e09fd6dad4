//! The rows of backups: reading, listing, adding.

use rusqlite::{Row, ToSql, named_params};

use super::columns::{Bytes, project_id, text, text_or_null};
use super::seldom::Seldom;
use super::{Records, Removal, StoreError, Task, sql};
use crate::domain::{
    ArchiveFacts, Backup, BackupId, BackupRow, Datastore, Failure, InstanceId, Location, Position,
    ProjectId, Status, Timestamp,
};

/// A row, with what only the catalog's rules look at.
#[derive(Debug, Clone, PartialEq)]
pub struct BackupRecord {
    /// The backup. Its failure is the damage that was found later, if no other is known.
    pub backup: Backup,
    /// What a worker does with it.
    pub task: Task,
    /// The client named the parent.
    pub parent_required: bool,
    /// Where its archive lies, or, for a registration, is said to lie.
    pub location: Option<Location>,
    /// What was found wrong with its archive.
    pub damage: Option<Failure>,
    /// Where its removal stands.
    pub removal: Option<Removal>,
}

/// Which rows, and which page of them.
#[derive(Debug, Clone, Copy)]
pub struct Page<'a> {
    /// Of this project.
    pub project: Option<&'a ProjectId>,
    /// Of this instance.
    pub instance: Option<InstanceId>,
    /// Of this engine.
    pub engine: Option<&'a str>,
    /// In this status.
    pub status: Option<Status>,
    /// Behind this place, newest first.
    pub after: Option<Position>,
    /// How many at most.
    pub rows: u32,
}

/// The columns that [`read_backup`] reads, in its order: it takes them by place, because looking their names
/// up in every row costs as much as finding the row.
macro_rules! shown_columns {
    () => {
        concat!(
            "id, project, instance, name, description, kind, parent, status, engine, version, container, \
             created, updated, location, size, source_bytes, checksum, verified_at, verify_level, ",
            $crate::store::seldom::seldom_column!()
        )
    };
}

/// Those that [`read`] reads: the same, and what only rules look at.
macro_rules! columns {
    () => {
        concat!($crate::store::backups::shown_columns!(), ", task, parent_required, removal")
    };
}
pub(super) use {columns, shown_columns};

pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<BackupRecord> {
    Ok(BackupRecord {
        backup: read_backup(row)?,
        location: row.get(13)?,
        damage: row.get::<_, Seldom>(19)?.damage,
        task: row.get(20)?,
        parent_required: row.get(21)?,
        removal: row.get(22)?,
    })
}

fn read_backup(row: &Row<'_>) -> rusqlite::Result<Backup> {
    Ok(shown(row)?.into_backup(row.get(10)?))
}

fn shown<'r>(row: &'r Row<'_>) -> rusqlite::Result<BackupRow<'r>> {
    let status: Status = row.get(7)?;
    let Seldom { failure, damage, drill } = row.get(19)?;
    Ok(BackupRow {
        id: row.get(0)?,
        project: project_id(row, 1)?,
        instance: row.get(2)?,
        name: text(row, 3)?,
        description: text_or_null(row, 4)?,
        kind: row.get(5)?,
        parent: row.get(6)?,
        status,
        engine: text(row, 8)?,
        version: text(row, 9)?,
        created: row.get(11)?,
        updated: row.get(12)?,
        facts: facts(row)?,
        failure: failure.or(damage),
        progress: if status.is_usable() { 1.0 } else { 0.0 },
        drill,
    })
}

/// All of them or none: a `CHECK` holds that.
fn facts(row: &Row<'_>) -> rusqlite::Result<Option<ArchiveFacts>> {
    let Some(checksum) = row.get(16)? else { return Ok(None) };
    let Some(location) = row.get(13)? else { return Ok(None) };
    Ok(Some(ArchiveFacts {
        location,
        stored_bytes: row.get::<_, Bytes>(14)?.0,
        source_bytes: row.get::<_, Bytes>(15)?.0,
        checksum,
        verified_at: row.get(17)?,
        verify_level: row.get(18)?,
    }))
}

const ANSWERS: &str = "SELECT count(*) FROM backups WHERE id = ''";

const SHOWN: &str = concat!("SELECT ", shown_columns!(), " FROM backups WHERE id = ?1");

const BY_ID: &str = concat!("SELECT ", columns!(), " FROM backups WHERE id = ?1");

/// A page of rows: those of one index, behind a place in it.
macro_rules! page {
    ($which:literal, $besides:literal) => {
        concat!(
            "SELECT ",
            shown_columns!(),
            " FROM backups WHERE ",
            $which,
            " (created, id) < (:created, :id) ",
            $besides,
            " ORDER BY created DESC, id DESC LIMIT :rows"
        )
    };
}

const OF_PROJECT: &str = page!("project = :project AND", "");

const OF_PROJECT_AND_ENGINE: &str = page!("project = :project AND engine = :engine AND", "");

const OF_PROJECT_IN_STATUS: &str = page!(
    "project = :project AND status = :status AND",
    "AND (:engine IS NULL OR engine = :engine)"
);

const OF_INSTANCE: &str = page!(
    "instance = :instance AND",
    "AND (:project IS NULL OR project = :project) AND (:engine IS NULL OR engine = :engine)"
);

const OF_INSTANCE_IN_STATUS: &str = page!(
    "instance = :instance AND status = :status AND",
    "AND (:project IS NULL OR project = :project) AND (:engine IS NULL OR engine = :engine)"
);

const OF_EVERYBODY: &str = page!("", "");

const OF_ENGINE: &str = page!("engine = :engine AND", "");

const IN_STATUS: &str = page!("status = :status AND", "AND (:engine IS NULL OR engine = :engine)");

const OLDEST_FIRST: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM backups WHERE (created, id) > (-1, '') ORDER BY created, id"
);

const LAST_CREATED: &str =
    "SELECT created FROM backups WHERE (created, id) < (9223372036854775807, '')
     ORDER BY created DESC, id DESC LIMIT 1";

const RUNS: &str = "SELECT 1 FROM backups
     WHERE instance = ?1 AND status IN ('NEW', 'BUILDING', 'SAVING')";

const OWNS_LOCATION: &str = "SELECT id FROM backups WHERE location = ?1";

const COUNTED: &str = "SELECT count(*) FROM backups WHERE project = ?1 AND status <> 'FAILED'";

const COMPLETED_OF: &str =
    "SELECT count(*) FROM backups WHERE instance = ?1 AND status = 'COMPLETED'";

const NEXT_DATASTORE: &str = "SELECT engine, version FROM backups
     WHERE (engine, version) > (?1, ?2) ORDER BY engine, version LIMIT 1";

const NEWEST_COMPLETED: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM backups WHERE instance = :instance AND status = 'COMPLETED'
      AND project = :project AND removal IS NULL
      ORDER BY created DESC, id DESC LIMIT 1"
);

const INSERT: &str = "INSERT INTO backups
     (id, project, instance, name, description, task, kind, parent, parent_required, status,
      engine, version, container, created, updated, location, size, source_bytes, checksum,
      verified_at, verify_level)
     VALUES (:id, :project, :instance, :name, :description, :task, :kind, :parent,
      :parent_required, :status, :engine, :version, :container, :created, :updated, :location,
      :size, :source_bytes, :checksum, :verified_at, :verify_level)
     ON CONFLICT (id) DO NOTHING";

/// Every statement of this file.
#[cfg(test)]
pub(super) const STATEMENTS: &[&str] = &[
    ANSWERS,
    SHOWN,
    BY_ID,
    OF_PROJECT,
    OF_PROJECT_AND_ENGINE,
    OF_PROJECT_IN_STATUS,
    OF_INSTANCE,
    OF_INSTANCE_IN_STATUS,
    OF_EVERYBODY,
    OF_ENGINE,
    IN_STATUS,
    OLDEST_FIRST,
    LAST_CREATED,
    RUNS,
    OWNS_LOCATION,
    COUNTED,
    COMPLETED_OF,
    NEXT_DATASTORE,
    NEWEST_COMPLETED,
    INSERT,
];

/// The place before the newest row.
fn start(after: Option<Position>) -> (i64, String) {
    after.map_or((i64::MAX, String::new()), |place| {
        (place.created.as_micros(), place.id.to_string())
    })
}

impl Records<'_> {
    /// Looks at the table, as a proof that it can be looked at.
    pub fn ping(self) -> Result<(), StoreError> {
        sql::the(self.0, ANSWERS, [], |_row| Ok(()))
    }

    /// The row of a backup.
    pub fn backup(self, id: BackupId) -> Result<Option<BackupRecord>, StoreError> {
        sql::first(self.0, BY_ID, [id], read)
    }

    /// The backup alone.
    pub fn shown_backup(self, id: BackupId) -> Result<Option<Backup>, StoreError> {
        sql::first(self.0, SHOWN, [id], read_backup)
    }

    /// Shows each row of one page, newest first, where SQLite has it. True: there are more behind them.
    pub fn page(
        self,
        page: &Page<'_>,
        mut each: impl FnMut(BackupRow<'_>),
    ) -> Result<bool, StoreError> {
        let (created, id) = start(page.after);
        let Page { project, instance, engine, status, rows, .. } = page;
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
            (None, None, None, None) => (OF_EVERYBODY, &[]),
        };
        let filters: [(&str, &dyn ToSql); 4] = [
            (":instance", instance),
            (":project", project),
            (":engine", engine),
            (":status", status),
        ];
        params.extend(filters.into_iter().filter(|(name, _value)| names.contains(name)));
        let (mut left, mut more) = (*rows, false);
        sql::each(self.0, statement, params.as_slice(), |row| {
            more = left == 0;
            if !more {
                left -= 1;
                each(shown(row)?);
            }
            Ok(())
        })?;
        Ok(more)
    }

    /// Every row, oldest first.
    pub fn every_backup(self) -> Result<Vec<BackupRecord>, StoreError> {
        sql::all(self.0, OLDEST_FIRST, [], read)
    }

    /// When the newest backup was created.
    pub fn last_created(self) -> Result<Option<Timestamp>, StoreError> {
        sql::first(self.0, LAST_CREATED, [], |row| row.get(0))
    }

    /// Whether a backup of the instance runs or waits.
    pub fn runs(self, instance: InstanceId) -> Result<bool, StoreError> {
        Ok(sql::first(self.0, RUNS, [instance], |_row| Ok(()))?.is_some())
    }

    /// Whose archive lies there.
    pub fn owner_of(self, location: &Location) -> Result<Option<BackupId>, StoreError> {
        sql::first(self.0, OWNS_LOCATION, [location], |row| row.get(0))
    }

    /// Backups that count against the project's quota.
    pub fn backups_of(self, project: &ProjectId) -> Result<i64, StoreError> {
        sql::the(self.0, COUNTED, [project], |row| row.get(0))
    }

    /// Completed backups of the instance.
    pub fn completed_of(self, instance: InstanceId) -> Result<u64, StoreError> {
        Ok(sql::the(self.0, COMPLETED_OF, [instance], |row| row.get::<_, Bytes>(0))?.0)
    }

    /// The newest completed backup of the instance in the project that is not being deleted.
    pub fn newest_completed(
        self,
        project: &ProjectId,
        instance: InstanceId,
    ) -> Result<Option<BackupRecord>, StoreError> {
        let params = named_params! { ":instance": instance, ":project": project };
        sql::first(self.0, NEWEST_COMPLETED, params, read)
    }

    /// Every engine and version that a backup was made of, in order.
    pub fn datastores_of_backups(self) -> Result<Vec<Datastore>, StoreError> {
        sql::each_datastore(self.0, NEXT_DATASTORE)
    }

    /// Adds a row without failure, damage or removal. False: there is one with this id already.
    pub fn insert_backup(self, record: &BackupRecord) -> Result<bool, StoreError> {
        let BackupRecord { backup, task, parent_required, location, .. } = record;
        let facts = backup.facts.as_ref();
        let added = sql::change(
            self.0,
            INSERT,
            named_params! {
                ":id": backup.id, ":project": backup.project, ":instance": backup.instance,
                ":name": backup.name, ":description": backup.description, ":task": task,
                ":kind": backup.kind, ":parent": backup.parent,
                ":parent_required": parent_required, ":status": backup.status,
                ":engine": backup.datastore.engine, ":version": backup.datastore.version,
                ":container": backup.container, ":created": backup.created,
                ":updated": backup.updated,
                ":location": facts.map(|it| &it.location).or(location.as_ref()),
                ":size": facts.map(|it| Bytes(it.stored_bytes)),
                ":source_bytes": facts.map(|it| Bytes(it.source_bytes)),
                ":checksum": facts.map(|it| it.checksum.as_str()),
                ":verified_at": facts.map(|it| it.verified_at),
                ":verify_level": facts.map(|it| it.verify_level),
            },
        )?;
        Ok(added > 0)
    }
}
