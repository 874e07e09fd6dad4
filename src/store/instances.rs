//! The rows of instances.

use rusqlite::{Row, named_params};

use super::columns::{Bytes, unfit};
use super::{Records, Removal, StoreError, sql};
use crate::domain::{
    BackupId, Datastore, Failure, Instance, InstanceId, InstanceOrigin, InstanceStatus, ProjectId,
    Source, Timestamp,
};

/// A row, with what only the catalog's rules look at.
#[derive(Debug, Clone, PartialEq)]
pub struct InstanceRecord {
    /// The instance; its status is BACKUP while a backup of it runs.
    pub instance: Instance,
    /// Where its removal stands.
    pub removal: Option<Removal>,
}

/// The columns that [`read`] reads, in its order: what is stored, and what backups tell.
macro_rules! columns {
    () => {
        "id, project, name, engine, version, restored_from, source, check_level, status, \
         failure_code, failure_message, removal, created, updated, verify, \
         EXISTS (SELECT 1 FROM backups WHERE backups.instance = instances.id \
                 AND backups.status IN ('NEW', 'BUILDING', 'SAVING')) AS runs, \
         coalesce((SELECT source_bytes FROM backups WHERE backups.instance = instances.id \
                   AND backups.status = 'COMPLETED' \
                   ORDER BY backups.created DESC, backups.id DESC LIMIT 1), used_bytes) AS used"
    };
}
pub(super) use columns;

pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<InstanceRecord> {
    let restored_from: Option<BackupId> = row.get(5)?;
    let stored = row.get(8)?;
    let source: String = row.get(6)?;
    let source: Source = serde_json::from_str(&source).map_err(|error| unfit(6, error))?;
    let instance = Instance {
        id: row.get(0)?,
        project: row.get(1)?,
        name: row.get(2)?,
        datastore: Datastore { engine: row.get(3)?, version: row.get(4)? },
        origin: restored_from.map_or(InstanceOrigin::Configured, InstanceOrigin::Restored),
        source,
        check: row.get(7)?,
        verify: row.get(14)?,
        status: match stored {
            InstanceStatus::Active if row.get(15)? => InstanceStatus::Backup,
            other => other,
        },
        used_bytes: row.get::<_, Bytes>(16)?.0,
        failure: failure(row, 9, 10)?,
        created: row.get(12)?,
        updated: row.get(13)?,
    };
    Ok(InstanceRecord { instance, removal: row.get(11)? })
}

/// A failure in two columns.
fn failure(row: &Row<'_>, code: usize, text: usize) -> rusqlite::Result<Option<Failure>> {
    let Some(code) = row.get(code)? else { return Ok(None) };
    let message = row.get::<_, Option<String>>(text)?.unwrap_or_default();
    Ok(Some(Failure { code, message }))
}

const BY_ID: &str = concat!("SELECT ", columns!(), " FROM instances WHERE id = ?1");

const OF_PROJECT: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM instances WHERE project = :project AND (name, id) > (:name, :id)
      AND removal IS NULL AND status <> 'DETACHED' ORDER BY name, id LIMIT :rows"
);

const OF_EVERYBODY: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM instances WHERE (project, name, id) > ('', '', '')
      AND removal IS NULL AND status <> 'DETACHED' ORDER BY project, name, id"
);

const CONFIGURED: &str = "SELECT id FROM instances WHERE restored_from IS NULL";

const COUNTED: &str =
    "SELECT count(*) FROM instances WHERE project = ?1 AND restored_from IS NOT NULL";

const NEXT_DATASTORE: &str = "SELECT engine, version FROM instances
     WHERE (engine, version) > (?1, ?2) ORDER BY engine, version LIMIT 1";

const PUT_CONFIGURED: &str = "INSERT INTO instances
     (id, project, name, engine, version, source, check_level, verify, status, created, updated)
     VALUES (:id, :project, :name, :engine, :version, :source, :check, :verify, 'ACTIVE', :at, :at)
     ON CONFLICT (id) DO UPDATE SET project = excluded.project, name = excluded.name,
         engine = excluded.engine,
         version = CASE WHEN excluded.version = 'unknown' AND engine = excluded.engine
                        THEN version ELSE excluded.version END,
         restored_from = NULL, source = excluded.source, check_level = excluded.check_level,
         verify = excluded.verify,
         status = 'ACTIVE', failure_code = NULL, failure_message = NULL, updated = excluded.updated
     WHERE status <> 'ACTIVE' OR restored_from IS NOT NULL OR project <> excluded.project
         OR name <> excluded.name OR engine <> excluded.engine
         OR (version <> excluded.version AND excluded.version <> 'unknown')
         OR source <> excluded.source OR check_level <> excluded.check_level
         OR verify <> excluded.verify";

const INSERT: &str = "INSERT INTO instances
     (id, project, name, engine, version, restored_from, source, check_level, verify, status,
      restore, created, updated)
     VALUES (:id, :project, :name, :engine, :version, :restored_from, :source, :check, :verify,
      :status, :restore, :created, :updated)
     ON CONFLICT (id) DO NOTHING";

const REACHED: &str = "UPDATE instances SET version = :version, updated = :at
     WHERE id = :id AND engine = :engine AND version <> :version";

const DETACH: &str = "UPDATE instances SET status = 'DETACHED', updated = ?2
     WHERE id = ?1 AND status <> 'DETACHED'";

const PLACED: &str = "UPDATE instances SET status = 'ACTIVE', restore = NULL, source = :source,
         used_bytes = :used, updated = :at
     WHERE id = :id AND status = 'BUILD'";

const FAIL: &str = "UPDATE instances SET status = 'ERROR', restore = NULL, failure_code = :code,
         failure_message = :message, updated = :at
     WHERE id = :id AND status = 'BUILD'";

const ASK_REMOVAL: &str = "UPDATE instances SET removal = 'asked', updated = ?2
     WHERE id = ?1 AND removal IS NULL AND restored_from IS NOT NULL";

const REMOVED: &str = "DELETE FROM instances WHERE id = ?1 AND removal IS NOT NULL";

/// Every statement of this file.
#[cfg(test)]
pub(super) const STATEMENTS: &[&str] = &[
    BY_ID,
    OF_PROJECT,
    OF_EVERYBODY,
    CONFIGURED,
    COUNTED,
    NEXT_DATASTORE,
    PUT_CONFIGURED,
    INSERT,
    REACHED,
    DETACH,
    PLACED,
    FAIL,
    ASK_REMOVAL,
    REMOVED,
];

/// The source as one text: its keys are in order, so equal sources are equal texts.
fn text_of(source: &Source) -> Result<String, StoreError> {
    serde_json::to_string(source)
        .map_err(|error| StoreError::from(rusqlite::Error::ToSqlConversionFailure(Box::new(error))))
}

impl Records<'_> {
    /// The row of an instance.
    pub fn instance(self, id: InstanceId) -> Result<Option<InstanceRecord>, StoreError> {
        sql::first(self.0, BY_ID, [id], read)
    }

    /// Instances of a project in order of (name, id), behind a place; without detached ones and those
    /// that are being removed.
    pub fn instances_of(
        self,
        project: &ProjectId,
        after: Option<(&str, InstanceId)>,
        rows: u32,
    ) -> Result<Vec<InstanceRecord>, StoreError> {
        let (name, id) = after.map_or(("", String::new()), |(name, id)| (name, id.to_string()));
        let params = named_params! { ":project": project, ":name": name, ":id": id, ":rows": rows };
        sql::all(self.0, OF_PROJECT, params, read)
    }

    /// The same of every project.
    pub fn every_instance(self) -> Result<Vec<InstanceRecord>, StoreError> {
        sql::all(self.0, OF_EVERYBODY, [], read)
    }

    /// Ids of the instances that come from the configuration, detached ones too.
    pub fn configured_instances(self) -> Result<Vec<InstanceId>, StoreError> {
        sql::all(self.0, CONFIGURED, [], |row| row.get(0))
    }

    /// Instances made by restores, which count against the project's quota.
    pub fn restored_instances_of(self, project: &ProjectId) -> Result<i64, StoreError> {
        sql::the(self.0, COUNTED, [project], |row| row.get(0))
    }

    /// Every engine and version that an instance has, in order.
    pub fn datastores_of_instances(self) -> Result<Vec<Datastore>, StoreError> {
        sql::each_datastore(self.0, NEXT_DATASTORE)
    }

    /// Adds a configured instance or brings it to date. A version that was known is kept while the
    /// configuration does not know it. False: nothing was new.
    pub fn put_configured(self, it: &Instance, at: Timestamp) -> Result<bool, StoreError> {
        let params = named_params! {
            ":id": it.id, ":project": it.project, ":name": it.name,
            ":engine": it.datastore.engine, ":version": it.datastore.version,
            ":source": text_of(&it.source)?, ":check": it.check, ":verify": it.verify, ":at": at
        };
        Ok(sql::change(self.0, PUT_CONFIGURED, params)? > 0)
    }

    /// Adds an instance as it stands; one in BUILD waits for its restore. False: the id is taken.
    pub fn insert_instance(self, it: &Instance) -> Result<bool, StoreError> {
        let restored_from = match it.origin {
            InstanceOrigin::Configured => None,
            InstanceOrigin::Restored(backup) => Some(backup),
        };
        let params = named_params! {
            ":id": it.id, ":project": it.project, ":name": it.name,
            ":engine": it.datastore.engine, ":version": it.datastore.version,
            ":restored_from": restored_from, ":source": text_of(&it.source)?,
            ":check": it.check, ":verify": it.verify, ":status": it.status,
            ":restore": (it.status == InstanceStatus::Build).then_some("asked"),
            ":created": it.created, ":updated": it.updated
        };
        Ok(sql::change(self.0, INSERT, params)? > 0)
    }

    /// Its database was reached and told its version. False: nothing was new, or it is another engine's.
    pub fn set_version(
        self,
        id: InstanceId,
        seen: &Datastore,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let params = named_params! {
            ":id": id, ":engine": seen.engine, ":version": seen.version, ":at": at
        };
        Ok(sql::change(self.0, REACHED, params)? > 0)
    }

    /// The configuration no longer names it.
    pub fn detach(self, id: InstanceId, at: Timestamp) -> Result<bool, StoreError> {
        Ok(sql::change(self.0, DETACH, rusqlite::params![id, at])? > 0)
    }

    /// BUILD → ACTIVE: the restore is where it belongs.
    pub fn set_placed(
        self,
        id: InstanceId,
        source: &Source,
        used_bytes: u64,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let params = named_params! {
            ":id": id, ":source": text_of(source)?, ":used": Bytes(used_bytes), ":at": at
        };
        Ok(sql::change(self.0, PLACED, params)? > 0)
    }

    /// BUILD → ERROR.
    pub fn set_restore_failed(
        self,
        id: InstanceId,
        failure: &Failure,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let params = named_params! {
            ":id": id, ":code": failure.code, ":message": failure.message, ":at": at
        };
        Ok(sql::change(self.0, FAIL, params)? > 0)
    }

    /// Marks a restored instance for removal.
    pub fn ask_instance_removal(self, id: InstanceId, at: Timestamp) -> Result<bool, StoreError> {
        Ok(sql::change(self.0, ASK_REMOVAL, rusqlite::params![id, at])? > 0)
    }

    /// Deletes a marked row.
    pub fn delete_marked_instance(self, id: InstanceId) -> Result<bool, StoreError> {
        Ok(sql::change(self.0, REMOVED, [id])? > 0)
    }
}
