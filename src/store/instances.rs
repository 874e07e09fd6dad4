//! The rows of instances.

use rusqlite::{Row, named_params, params};

use super::sql::{columns, execute, insert, query_all, query_first, query_one, statements};
use super::types::{Bytes, Json, failure, json};
use super::{Records, Removal, Result};
use crate::domain::{
    BackupId, CheckLevel, Datastore, Failure, FailureCode, Instance, InstanceId, InstanceOrigin,
    InstanceStatus, ProjectId, Source, Timestamp, Verify,
};

/// An instance's row, with what only the catalog's rules need.
#[derive(Debug, Clone, PartialEq)]
pub struct InstanceRecord {
    /// The instance; its status is BACKUP while a backup of it runs.
    pub instance: Instance,
    pub removal: Option<Removal>,
}

columns! {
    InstanceColumns, instance_columns {
        id: InstanceId = "id",
        project: ProjectId = "project",
        name: String = "name",
        engine: String = "engine",
        version: String = "version",
        restored_from: Option<BackupId> = "restored_from",
        source: Json<Source> = "source",
        check: CheckLevel = "check_level",
        verify: Verify = "verify",
        status: InstanceStatus = "status",
        failure_code: Option<FailureCode> = "failure_code",
        failure_message: Option<String> = "failure_message",
        removal: Option<Removal> = "removal",
        created: Timestamp = "created",
        updated: Timestamp = "updated",
        is_backed_up: bool =
            "EXISTS (SELECT 1 FROM backups WHERE backups.instance = instances.id
                     AND backups.status IN ('NEW', 'BUILDING', 'SAVING'))",
        used_bytes: Bytes =
            "coalesce((SELECT source_bytes FROM backups WHERE backups.instance = instances.id
                       AND backups.status = 'COMPLETED'
                       ORDER BY backups.created DESC, backups.id DESC LIMIT 1), used_bytes)",
    }
}

impl From<InstanceColumns> for InstanceRecord {
    fn from(it: InstanceColumns) -> Self {
        let instance = Instance {
            id: it.id,
            project: it.project,
            name: it.name,
            datastore: Datastore { engine: it.engine, version: it.version },
            origin: it.restored_from.map_or(InstanceOrigin::Configured, InstanceOrigin::Restored),
            source: it.source.0,
            check: it.check,
            verify: it.verify,
            status: match it.status {
                InstanceStatus::Active if it.is_backed_up => InstanceStatus::Backup,
                other => other,
            },
            used_bytes: it.used_bytes.0,
            failure: failure(it.failure_code, it.failure_message),
            created: it.created,
            updated: it.updated,
        };
        Self { instance, removal: it.removal }
    }
}

macro_rules! select {
    ($where:literal) => {
        concat!("SELECT ", instance_columns!(), " FROM instances ", $where)
    };
}

statements! {
    BY_ID = select!("WHERE id = ?1");

    OF_PROJECT = select!(
        "WHERE project = :project AND (name, id) > (:name, :id)
             AND removal IS NULL AND status <> 'DETACHED' ORDER BY name, id LIMIT :rows"
    );

    OF_ALL_PROJECTS = select!(
        "WHERE (project, name, id) > (:project, :name, :id)
             AND removal IS NULL AND status <> 'DETACHED' ORDER BY project, name, id LIMIT :rows"
    );

    /// Also those that left the configuration.
    KNOWN = select!(
        "WHERE (project, name, id) > ('', '', '') AND removal IS NULL ORDER BY project, name, id"
    );

    CONFIGURED = "SELECT id FROM instances WHERE restored_from IS NULL";

    COUNTED =
        "SELECT count(*) FROM instances WHERE project = ?1 AND restored_from IS NOT NULL";

    RESTORING = "SELECT count(*) FROM instances WHERE project = ?1 AND status = 'BUILD'";

    NEXT_DATASTORE = "SELECT engine, version FROM instances
         WHERE (engine, version) > (?1, ?2) ORDER BY engine, version LIMIT 1";

    PUT_CONFIGURED = "INSERT INTO instances
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

    INSERT = insert!(
        "instances" (
            "id", "project", "name", "engine", "version", "restored_from", "source", "check_level",
            "verify", "status", "restore", "used_bytes", "created", "updated",
        ) "ON CONFLICT (id) DO NOTHING"
    );

    SET_VERSION = "UPDATE instances SET version = :version, updated = :at
         WHERE id = :id AND engine = :engine AND version <> :version";

    DETACH = "UPDATE instances SET status = 'DETACHED', updated = ?2
         WHERE id = ?1 AND status <> 'DETACHED'";

    CLAIM_RESTORE = "UPDATE instances SET restore = 'claimed'
         WHERE id = (SELECT id FROM instances WHERE restore = 'asked' ORDER BY created, id LIMIT 1)
         RETURNING id";

    CLAIMED_RESTORES = select!("WHERE restore = 'claimed' ORDER BY created, id");

    RETRY_RESTORE =
        "UPDATE instances SET restore = 'asked' WHERE id = ?1 AND restore = 'claimed'";

    RESTORED = "UPDATE instances SET status = 'ACTIVE', restore = NULL, source = :source,
             used_bytes = :used, updated = :at
         WHERE id = :id AND status = 'BUILD'";

    RESTORE_FAILED = "UPDATE instances SET status = 'ERROR', restore = NULL,
             failure_code = :code, failure_message = :message, updated = :at
         WHERE id = :id AND status = 'BUILD'";

    MARK_FOR_REMOVAL = "UPDATE instances SET removal = 'asked', updated = ?2
         WHERE id = ?1 AND removal IS NULL AND restored_from IS NOT NULL";

    CLAIM_REMOVAL = "UPDATE instances SET removal = 'claimed'
         WHERE id = (SELECT id FROM instances WHERE removal = 'asked' ORDER BY created, id LIMIT 1)
         RETURNING id";

    RETRY_REMOVALS = "UPDATE instances SET removal = 'asked' WHERE removal = 'claimed'";

    FAIL_REMOVAL = "UPDATE instances SET removal = NULL, status = 'ERROR', failure_code = :code,
             failure_message = :message, updated = :at
         WHERE id = :id AND removal IS NOT NULL";

    FAILED_REMOVALS = select!(
        "INDEXED BY instances_counted WHERE restored_from IS NOT NULL AND status = 'ERROR'
             AND removal IS NULL AND updated <= ?1
             AND EXISTS (SELECT 1 FROM runs WHERE runs.instance = instances.id
                         AND runs.kind = 'instance_removal')"
    );

    DELETE_MARKED = "DELETE FROM instances WHERE id = ?1 AND removal IS NOT NULL";
}

fn read(row: &Row<'_>) -> rusqlite::Result<InstanceRecord> {
    InstanceColumns::read(row).map(InstanceRecord::from)
}

impl Records<'_> {
    pub fn instance(self, id: InstanceId) -> Result<Option<InstanceRecord>> {
        query_first(self.0, BY_ID, [id], read)
    }

    /// Instances of a project in order of (name, id), behind a place; without detached ones and those
    /// that are being removed.
    pub fn instances_of(
        self,
        project: &ProjectId,
        after: Option<(&str, InstanceId)>,
        rows: u32,
    ) -> Result<Vec<InstanceRecord>> {
        let (name, id) = after.map_or(("", String::new()), |(name, id)| (name, id.to_string()));
        let params = named_params! { ":project": project, ":name": name, ":id": id, ":rows": rows };
        query_all(self.0, OF_PROJECT, params, read)
    }

    /// The same of every project, in order of (project, name, id).
    pub fn instances_of_all(
        self,
        after: Option<(&ProjectId, &str, InstanceId)>,
        rows: u32,
    ) -> Result<Vec<InstanceRecord>> {
        let (project, name, id) = after
            .map_or(("", "", String::new()), |(of, name, id)| (of.as_str(), name, id.to_string()));
        let params = named_params! { ":project": project, ":name": name, ":id": id, ":rows": rows };
        query_all(self.0, OF_ALL_PROJECTS, params, read)
    }

    /// Every instance that is not being removed, also one that left the configuration; in order of (project, name, id).
    pub fn known_instances(self) -> Result<Vec<Instance>> {
        query_all(self.0, KNOWN, [], |row| Ok(read(row)?.instance))
    }

    /// Ids of the instances that come from the configuration, detached ones too.
    pub fn configured_instances(self) -> Result<Vec<InstanceId>> {
        query_all(self.0, CONFIGURED, [], |row| row.get(0))
    }

    /// How many instances made by restores count against the project's quota.
    pub fn count_restored_of(self, project: &ProjectId) -> Result<i64> {
        query_one(self.0, COUNTED, [project], |row| row.get(0))
    }

    /// How many restores of the project into new instances wait or run.
    pub fn count_restoring(self, project: &ProjectId) -> Result<i64> {
        query_one(self.0, RESTORING, [project], |row| row.get(0))
    }

    /// Every engine and version that an instance has, in order.
    pub fn datastores_of_instances(self) -> Result<Vec<Datastore>> {
        self.each_datastore(NEXT_DATASTORE)
    }

    /// Adds or updates a configured instance. A known version is kept while the configuration has none.
    pub fn put_configured(self, it: &Instance, at: Timestamp) -> Result<()> {
        let params = named_params! {
            ":id": it.id, ":project": it.project, ":name": it.name,
            ":engine": it.datastore.engine, ":version": it.datastore.version,
            ":source": json(&it.source)?, ":check": it.check, ":verify": it.verify, ":at": at
        };
        execute(self.0, PUT_CONFIGURED, params).map(drop)
    }

    /// Adds an instance; one in BUILD waits for its restore. False: the id is taken.
    pub fn insert_instance(self, it: &Instance) -> Result<bool> {
        let restored_from = match it.origin {
            InstanceOrigin::Configured => None,
            InstanceOrigin::Restored(backup) => Some(backup),
        };
        let params = named_params! {
            ":id": it.id, ":project": it.project, ":name": it.name,
            ":engine": it.datastore.engine, ":version": it.datastore.version,
            ":restored_from": restored_from, ":source": json(&it.source)?,
            ":check_level": it.check, ":verify": it.verify, ":status": it.status,
            ":restore": (it.status == InstanceStatus::Build).then_some("asked"),
            ":used_bytes": Bytes(it.used_bytes), ":created": it.created, ":updated": it.updated
        };
        Ok(execute(self.0, INSERT, params)? > 0)
    }

    /// Records the version that the instance's database has, unless it is of another engine.
    pub fn set_version(self, id: InstanceId, seen: &Datastore, at: Timestamp) -> Result<()> {
        let params = named_params! {
            ":id": id, ":engine": seen.engine, ":version": seen.version, ":at": at
        };
        execute(self.0, SET_VERSION, params).map(drop)
    }

    /// The configuration no longer names it.
    pub fn detach(self, id: InstanceId, at: Timestamp) -> Result<()> {
        execute(self.0, DETACH, params![id, at]).map(drop)
    }

    /// Claims the oldest instance that waits for its restore.
    pub fn claim_restore(self) -> Result<Option<InstanceRecord>> {
        self.claim(CLAIM_RESTORE)
    }

    /// Instances whose restore a worker has, oldest first.
    pub fn claimed_restores(self) -> Result<Vec<InstanceRecord>> {
        query_all(self.0, CLAIMED_RESTORES, [], read)
    }

    /// A claimed restore waits again. False: it was not claimed.
    pub fn retry_restore(self, id: InstanceId) -> Result<bool> {
        Ok(execute(self.0, RETRY_RESTORE, [id])? > 0)
    }

    /// BUILD → ACTIVE.
    pub fn set_restored(
        self,
        id: InstanceId,
        source: &Source,
        used_bytes: u64,
        at: Timestamp,
    ) -> Result<bool> {
        let params = named_params! {
            ":id": id, ":source": json(source)?, ":used": Bytes(used_bytes), ":at": at
        };
        Ok(execute(self.0, RESTORED, params)? > 0)
    }

    /// BUILD → ERROR.
    pub fn set_restore_failed(
        self,
        id: InstanceId,
        failure: &Failure,
        at: Timestamp,
    ) -> Result<bool> {
        self.fail_instance(RESTORE_FAILED, id, failure, at)
    }

    fn fail_instance(
        self,
        statement: &str,
        id: InstanceId,
        failure: &Failure,
        at: Timestamp,
    ) -> Result<bool> {
        let params = named_params! {
            ":id": id, ":code": failure.code, ":message": failure.message, ":at": at
        };
        Ok(execute(self.0, statement, params)? > 0)
    }

    pub fn mark_instance_for_removal(self, id: InstanceId, at: Timestamp) -> Result<bool> {
        Ok(execute(self.0, MARK_FOR_REMOVAL, params![id, at])? > 0)
    }

    /// Claims the oldest instance that waits for its removal.
    pub fn claim_instance_removal(self) -> Result<Option<InstanceRecord>> {
        self.claim(CLAIM_REMOVAL)
    }

    fn claim(self, statement: &str) -> Result<Option<InstanceRecord>> {
        let claimed = query_first(self.0, statement, [], |row| row.get(0))?;
        claimed.map_or(Ok(None), |id| self.instance(id))
    }

    pub fn retry_instance_removals(self) -> Result<()> {
        execute(self.0, RETRY_REMOVALS, []).map(drop)
    }

    /// A marked row → ERROR, and no longer marked.
    pub fn set_instance_removal_failed(
        self,
        id: InstanceId,
        failure: &Failure,
        at: Timestamp,
    ) -> Result<bool> {
        self.fail_instance(FAIL_REMOVAL, id, failure, at)
    }

    /// Restored instances whose removal failed, not after `until`.
    pub fn failed_instance_removals(self, until: Timestamp) -> Result<Vec<InstanceRecord>> {
        query_all(self.0, FAILED_REMOVALS, [until], read)
    }

    /// Deletes a marked row. Its runs are kept for a while.
    pub fn delete_marked_instance(self, id: InstanceId, at: Timestamp) -> Result<bool> {
        let deleted = execute(self.0, DELETE_MARKED, [id])? > 0;
        if deleted {
            self.expire_runs_of_instance(id, at)?;
        }
        Ok(deleted)
    }
}
