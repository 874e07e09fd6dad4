//! The rows of backups: one row, adding rows, and what is counted of them.

mod drills;
mod list;
mod points;
mod proofs;
mod removal;
mod steps;

use rusqlite::{Row, named_params};

use super::sql::{columns, execute, insert, query_first, query_one, statements};
use super::types::{Bytes, Json, failure, json};
use super::{Records, Removal, Result, Task};
use crate::domain::{
    ArchiveFacts, Backup, BackupId, ContainerName, Damage, DamageIn, Datastore, Drill, Failure,
    FailureCode, Here, InstanceId, Kind, LeftOut, Location, ProjectId, Status, Timestamp,
    VerifyLevel,
};

pub use list::{Page, RecordedArchive};
pub use points::PointRecord;
pub use removal::RestoreInUse;

/// What a registered archive says of itself.
#[derive(Debug, Clone, Copy)]
pub struct Lineage {
    pub kind: Kind,
    pub parent: Option<BackupId>,
}

#[derive(Debug, Clone, Copy)]
pub struct Finish<'a> {
    /// COMPLETED or RESTORED.
    pub to: Status,
    /// The statuses it may have now.
    pub allowed: &'a [Status],
    /// What the archive turned out to be, if the row did not know.
    pub lineage: Option<Lineage>,
    pub facts: &'a ArchiveFacts,
    /// The version of the database that was read, if it is known.
    pub version: Option<&'a str>,
    /// How long it took to make, if that is known.
    pub took_ms: Option<u64>,
}

/// A backup's row, with what only the catalog's rules need.
#[derive(Debug, Clone, PartialEq)]
pub struct BackupRecord {
    /// The backup. Its failure is the damage that was found later, if there is no other.
    pub backup: Backup,
    pub task: Task,
    /// Whether the client named the parent. A parent that Coffer chose may give way to a full backup.
    pub parent_required: bool,
    /// Where the archive of a registration is said to be, until it is proven: then the backup's facts say it.
    pub location: Option<Location>,
    /// What was found wrong with its archive.
    pub damage: Option<Damage>,
    pub removal: Option<Removal>,
    /// When its archive was put into the trash.
    pub trashed: Option<Timestamp>,
}

impl BackupRecord {
    /// Whether it was deleted, and is shown to nobody. One whose removal failed is shown again.
    pub const fn is_deleted(&self) -> bool {
        matches!(self.removal, Some(Removal::Asked | Removal::Claimed))
    }
}

columns! {
    /// What a backup is made of.
    BackupColumns, backup_columns {
        id: BackupId = "backups.id",
        project: ProjectId = "backups.project",
        instance: Option<InstanceId> = "backups.instance",
        name: String = "backups.name",
        description: Option<String> = "backups.description",
        kind: Kind = "backups.kind",
        parent: Option<BackupId> = "backups.parent",
        status: Status = "backups.status",
        engine: String = "backups.engine",
        version: String = "backups.version",
        container: Option<ContainerName> = "backups.container",
        created: Timestamp = "backups.created",
        updated: Timestamp = "backups.updated",
        location: Option<Location> = "backups.location",
        size: Option<Bytes> = "backups.size",
        source_bytes: Option<Bytes> = "backups.source_bytes",
        checksum: Option<String> = "backups.checksum",
        verified_at: Option<Timestamp> = "backups.verified_at",
        verify_level: Option<VerifyLevel> = "backups.verify_level",
        left_out: Json<Vec<LeftOut>> = "backups.left_out",
        failure_code: Option<FailureCode> = "backups.failure_code",
        failure_message: Option<String> = "backups.failure_message",
        damage_code: Option<FailureCode> = "backups.damage_code",
        damage_message: Option<String> = "backups.damage_message",
        pinned: Option<Timestamp> = "backups.pinned",
        here: Here = "backups.here",
    }
}

columns! {
    part
    /// What only the catalog's rules need.
    RuleColumns, rule_columns {
        task: Task = "backups.task",
        parent_required: bool = "backups.parent_required",
        damage_in: Option<DamageIn> = "backups.damage_in",
        removal: Option<Removal> = "backups.removal",
        trashed: Option<Timestamp> = "backups.trashed",
    }
}

/// Selects whole rows of backups, each with its open drill and the last one that passed or failed.
macro_rules! select {
    ($($where:tt)+) => {
        concat!(
            "SELECT ",
            $crate::store::backups::backup_columns!(), ", ",
            $crate::store::backups::rule_columns!(), ", ",
            $crate::store::backups::drills::drill_columns!(),
            " FROM backups", $crate::store::backups::drills::with_drills!(),
            $($where)+
        )
    };
}
use {backup_columns, rule_columns, select};

impl BackupColumns {
    /// Takes all of an archive's facts, or none: a `CHECK` of the schema holds that.
    fn take_facts(&mut self) -> Option<ArchiveFacts> {
        let (stored_bytes, source_bytes) = (self.size?.0, self.source_bytes?.0);
        let (verified_at, verify_level) = (self.verified_at?, self.verify_level?);
        let checksum = self.checksum.take()?;
        let location = self.location.take()?;
        Some(ArchiveFacts {
            location,
            stored_bytes,
            source_bytes,
            checksum,
            verified_at,
            verify_level,
            left_out: std::mem::take(&mut self.left_out.0),
        })
    }

    fn take_damage(&mut self) -> Option<Failure> {
        failure(self.damage_code, self.damage_message.take())
    }
}

/// Without its drills.
impl From<BackupColumns> for Backup {
    fn from(mut it: BackupColumns) -> Self {
        let facts = it.take_facts();
        let damage = it.take_damage();
        Self {
            id: it.id,
            project: it.project,
            instance: it.instance,
            name: it.name,
            description: it.description,
            kind: it.kind,
            parent: it.parent,
            status: it.status,
            datastore: Datastore { engine: it.engine, version: it.version },
            container: it.container,
            created: it.created,
            updated: it.updated,
            facts,
            failure: failure(it.failure_code, it.failure_message).or(damage),
            progress: if it.status.is_usable() { 1.0 } else { 0.0 },
            drill: Drill::default(),
            pinned: it.pinned,
            copies: Vec::new(),
            here: it.here,
        }
    }
}

/// Reads a row of [`select`].
fn read(row: &Row<'_>) -> rusqlite::Result<BackupRecord> {
    let mut columns = 0..;
    let mut backup = BackupColumns::read_from(row, &mut columns)?;
    let rules = RuleColumns::read_from(row, &mut columns)?;
    let drill = drills::read_from(row, &mut columns)?;
    let id = backup.id;
    // Damage from before its place was recorded is damage of the archive.
    let place = rules.damage_in.unwrap_or(DamageIn::Archive);
    let found = failure(backup.damage_code, backup.damage_message.clone());
    // That of an archive that is proven is one of its facts.
    let location = backup.location.take_if(|_| backup.checksum.is_none());
    Ok(BackupRecord {
        location,
        backup: Backup { drill, ..backup.into() },
        task: rules.task,
        parent_required: rules.parent_required,
        damage: found.map(|failure| Damage { id, place, failure }),
        removal: rules.removal,
        trashed: rules.trashed,
    })
}

statements! {
    PING = "SELECT count(*) FROM backups WHERE id = ''";

    BY_ID = select!("WHERE backups.id = ?1");

    LAST_CREATED = "SELECT created FROM backups
         WHERE (created, id) < (?1, '') ORDER BY created DESC, id DESC LIMIT 1";

    LOCATION_OWNER = "SELECT id FROM backups WHERE location = ?1";

    COUNTED = "SELECT count(*) FROM backups
         WHERE project = ?1 AND status <> 'FAILED' AND coalesce(removal, 'failed') = 'failed'";

    COMPLETED_OF =
        "SELECT count(*) FROM backups WHERE instance = ?1 AND status = 'COMPLETED'";

    NEXT_DATASTORE = "SELECT engine, version FROM backups
         WHERE (engine, version) > (?1, ?2) ORDER BY engine, version LIMIT 1";

    NEWEST_COMPLETED = select!(
        "WHERE backups.instance = :instance AND backups.status = 'COMPLETED'
             AND backups.project = :project AND backups.removal IS NULL
             AND (backups.created, backups.id) < (:until, '')
         ORDER BY backups.created DESC, backups.id DESC LIMIT 1"
    );

    INSERT = insert!(
        "backups" (
            "id", "project", "instance", "name", "description", "task", "kind", "parent",
            "parent_required", "status", "engine", "version", "container", "created", "updated",
            "location", "size", "source_bytes", "checksum", "verified_at", "verify_level", "left_out",
        ) "ON CONFLICT (id) DO NOTHING"
    );

    FINISH = "UPDATE backups SET status = :to, kind = coalesce(:kind, kind),
             parent = CASE WHEN :kind IS NULL THEN parent ELSE :parent END,
             location = :location, size = :size, source_bytes = :source_bytes, checksum = :checksum,
             verified_at = :verified_at, verify_level = :verify_level, updated = :verified_at,
             left_out = :left_out, took_ms = :took_ms,
             version = coalesce(:version, version),
             failure_code = NULL, failure_message = NULL, damage_code = NULL, damage_message = NULL,
             damage_in = NULL
         WHERE id = :id AND removal IS NULL AND instr(:from, '|' || status || '|')";
}

#[cfg(test)]
pub(super) use {
    drills::STATEMENTS as DRILL_STATEMENTS, list::STATEMENTS as LIST_STATEMENTS,
    points::STATEMENTS as POINT_STATEMENTS, proofs::STATEMENTS as PROOF_STATEMENTS,
    removal::STATEMENTS as REMOVAL_STATEMENTS, steps::STATEMENTS as STEP_STATEMENTS,
};

impl Records<'_> {
    /// Reads the table, to see that the database answers.
    pub fn ping(self) -> Result<()> {
        query_one(self.0, PING, [], |_row| Ok(()))
    }

    pub fn backup(self, id: BackupId) -> Result<Option<BackupRecord>> {
        query_first(self.0, BY_ID, [id], read)
    }

    /// When the newest backup was made, of those from before `until`.
    pub fn last_created(self, until: Timestamp) -> Result<Option<Timestamp>> {
        query_first(self.0, LAST_CREATED, [until], |row| row.get(0))
    }

    /// The backup whose archive is at this location.
    pub fn owner_of_location(self, location: &Location) -> Result<Option<BackupId>> {
        query_first(self.0, LOCATION_OWNER, [location], |row| row.get(0))
    }

    /// How many backups count against the project's quota.
    pub fn count_backups_of(self, project: &ProjectId) -> Result<i64> {
        query_one(self.0, COUNTED, [project], |row| row.get(0))
    }

    /// How many completed backups the instance has.
    pub fn count_completed_of(self, instance: InstanceId) -> Result<u64> {
        Ok(query_one(self.0, COMPLETED_OF, [instance], |row| row.get::<_, Bytes>(0))?.0)
    }

    /// The newest completed backup of the instance in the project that is not being deleted, of those from before
    /// `until`.
    pub fn newest_completed(
        self,
        project: &ProjectId,
        instance: InstanceId,
        until: Timestamp,
    ) -> Result<Option<BackupRecord>> {
        let params = named_params! { ":instance": instance, ":project": project, ":until": until };
        query_first(self.0, NEWEST_COMPLETED, params, read)
    }

    /// Every engine and version that there is a backup of, in order.
    pub fn datastores_of_backups(self) -> Result<Vec<Datastore>> {
        self.each_datastore(NEXT_DATASTORE)
    }

    /// Engines and versions, each found by one search of an index after the previous one: `next` gives
    /// the first pair greater than its parameters.
    pub(super) fn each_datastore(self, next: &str) -> Result<Vec<Datastore>> {
        let mut found: Vec<Datastore> = Vec::new();
        loop {
            let (engine, version) =
                found.last().map_or(("", ""), |it| (it.engine.as_str(), it.version.as_str()));
            let datastore = query_first(self.0, next, [engine, version], |row| {
                Ok(Datastore { engine: row.get("engine")?, version: row.get("version")? })
            })?;
            match datastore {
                Some(datastore) => found.push(datastore),
                None => return Ok(found),
            }
        }
    }

    /// Adds a row without failure, damage or removal. False: there is one with this id already.
    pub fn insert_backup(self, record: &BackupRecord) -> Result<bool> {
        let BackupRecord { backup, task, parent_required, location, .. } = record;
        let facts = backup.facts.as_ref();
        let params = named_params! {
            ":id": backup.id, ":project": backup.project, ":instance": backup.instance,
            ":name": backup.name, ":description": backup.description, ":task": task,
            ":kind": backup.kind, ":parent": backup.parent, ":parent_required": parent_required,
            ":status": backup.status, ":engine": backup.datastore.engine,
            ":version": backup.datastore.version, ":container": backup.container,
            ":created": backup.created, ":updated": backup.updated,
            ":location": facts.map(|it| &it.location).or(location.as_ref()),
            ":size": facts.map(|it| Bytes(it.stored_bytes)),
            ":source_bytes": facts.map(|it| Bytes(it.source_bytes)),
            ":checksum": facts.map(|it| it.checksum.as_str()),
            ":verified_at": facts.map(|it| it.verified_at),
            ":verify_level": facts.map(|it| it.verify_level),
            ":left_out": json(&facts.map(|it| it.left_out.as_slice()).unwrap_or_default())?,
        };
        Ok(execute(self.0, INSERT, params)? > 0)
    }
    /// To COMPLETED or RESTORED, with the archive's facts.
    pub fn finish(self, id: BackupId, finish: &Finish<'_>) -> Result<bool> {
        let Finish { to, allowed, lineage, facts, version, took_ms } = *finish;
        let params = named_params! {
            ":id": id, ":to": to, ":from": steps::one_of(allowed.iter().copied()),
            ":kind": lineage.map(|it| it.kind), ":parent": lineage.and_then(|it| it.parent),
            ":location": facts.location, ":size": Bytes(facts.stored_bytes),
            ":source_bytes": Bytes(facts.source_bytes), ":checksum": facts.checksum,
            ":verified_at": facts.verified_at, ":verify_level": facts.verify_level,
            ":left_out": json(&facts.left_out)?, ":version": version,
            ":took_ms": took_ms.map(Bytes),
        };
        Ok(execute(self.0, FINISH, params)? > 0)
    }
}
