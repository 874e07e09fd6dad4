//! What retention and schedules need of the backups of an instance, without the rest of their rows.

use rusqlite::{named_params, params};

use crate::domain::{BackupId, FailureCode, Here, InstanceId, Kind, ProjectId, Status, Timestamp};
use crate::store::sql::{columns, execute, query_all, query_first, query_one, statements};
use crate::store::types::Bytes;
use crate::store::{Records, Removal, Result};

/// A backup that was not deleted, in short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PointRecord {
    pub id: BackupId,
    pub parent: Option<BackupId>,
    pub created: Timestamp,
    pub kind: Kind,
    pub status: Status,
    pub damage: Option<FailureCode>,
    /// A removal that failed: what is left of it is not known.
    pub removal: Option<Removal>,
    pub pinned: bool,
    /// Whether its archive lies in the data directory only until it is removed there, or no longer.
    pub away: bool,
    pub stored_bytes: u64,
    pub source_bytes: u64,
}

columns! {
    PointColumns, point_columns {
        id: BackupId = "id",
        parent: Option<BackupId> = "parent",
        created: Timestamp = "created",
        kind: Kind = "kind",
        status: Status = "status",
        damage: Option<FailureCode> = "damage_code",
        removal: Option<Removal> = "removal",
        pinned: bool = "pinned IS NOT NULL",
        away: bool = "here <> 'yes'",
        stored_bytes: Bytes = "coalesce(size, 0)",
        source_bytes: Bytes = "coalesce(source_bytes, 0)",
    }
}

statements! {
    /// Oldest first: parents before their children.
    OF_INSTANCE = concat!(
        "SELECT ", point_columns!(), " FROM backups
         WHERE instance = :instance AND (created, id) > (-1, '') AND project = :project
             AND coalesce(removal, 'failed') = 'failed'
         ORDER BY created, id"
    );

    /// The backups that restores read now.
    RESTORING = "SELECT restored_from FROM instances WHERE status = 'BUILD' AND restored_from IS NOT NULL";

    FULL_OF_MOMENT = "SELECT id FROM backups
         WHERE instance = ?1 AND status = 'COMPLETED' AND created = ?2 AND kind = 'full' AND removal IS NULL
             AND damage_code IS NULL
         LIMIT 1";

    COMPLETED_SINCE = "SELECT count(*) FROM backups
         WHERE instance = ?1 AND status = 'COMPLETED' AND created >= ?2 AND removal IS NULL";

    FIRST_COMPLETED = "SELECT created FROM backups
         WHERE instance = ?1 AND status = 'COMPLETED' AND removal IS NULL ORDER BY created, id LIMIT 1";

    LEAVE = "UPDATE backups SET here = 'leaving' WHERE id = ?1 AND here = 'yes'
         AND checksum IS NOT NULL";

    /// Children before what they are built on.
    NEXT_LEAVING = "SELECT id FROM backups INDEXED BY backups_leaving
         WHERE here = 'leaving' AND (created, id) > (-1, '') AND removal IS NULL
         ORDER BY created DESC, id DESC LIMIT 1";

    LEFT = "UPDATE backups SET here = ?2 WHERE id = ?1 AND here = 'leaving'";

    PIN = "UPDATE backups SET pinned = ?2, updated = ?3 WHERE id = ?1";
}

impl Records<'_> {
    /// The backups of an instance that were not deleted, oldest first.
    pub fn points_of(self, project: &ProjectId, instance: InstanceId) -> Result<Vec<PointRecord>> {
        let params = named_params! { ":instance": instance, ":project": project };
        let found = query_all(self.0, OF_INSTANCE, params, PointColumns::read)?;
        Ok(found
            .into_iter()
            .map(|it| PointRecord {
                id: it.id,
                parent: it.parent,
                created: it.created,
                kind: it.kind,
                status: it.status,
                damage: it.damage,
                removal: it.removal,
                pinned: it.pinned,
                away: it.away,
                stored_bytes: it.stored_bytes.0,
                source_bytes: it.source_bytes.0,
            })
            .collect())
    }

    /// The backups that restores read now.
    pub fn restoring_backups(self) -> Result<Vec<BackupId>> {
        query_all(self.0, RESTORING, [], |row| row.get(0))
    }

    /// The sound full backup of an instance that shows this moment.
    pub fn full_of_moment(
        self,
        instance: InstanceId,
        created: Timestamp,
    ) -> Result<Option<BackupId>> {
        query_first(self.0, FULL_OF_MOMENT, params![instance, created], |row| row.get(0))
    }

    /// How many backups of an instance were completed that were asked for since.
    pub fn count_completed_since(self, instance: InstanceId, since: Timestamp) -> Result<u64> {
        let params = params![instance, since];
        Ok(query_one(self.0, COMPLETED_SINCE, params, |row| row.get::<_, Bytes>(0))?.0)
    }

    /// When the oldest completed backup of an instance was asked for.
    pub fn first_completed(self, instance: InstanceId) -> Result<Option<Timestamp>> {
        query_first(self.0, FIRST_COMPLETED, [instance], |row| row.get(0))
    }

    /// The archive of a backup is to go from the data directory. False: it is to already, or has none.
    pub fn set_leaving(self, id: BackupId) -> Result<bool> {
        Ok(execute(self.0, LEAVE, [id])? > 0)
    }

    /// A backup whose archive is to go from the data directory now.
    pub fn next_leaving(self) -> Result<Option<BackupId>> {
        query_first(self.0, NEXT_LEAVING, [], |row| row.get(0))
    }

    /// The archive of a backup that was to go from the data directory went, or stays.
    pub fn set_here(self, id: BackupId, here: Here) -> Result<()> {
        execute(self.0, LEFT, params![id, here]).map(drop)
    }

    /// Pins a backup, or no longer.
    pub fn set_pinned(
        self,
        id: BackupId,
        pinned: Option<Timestamp>,
        at: Timestamp,
    ) -> Result<bool> {
        Ok(execute(self.0, PIN, params![id, pinned, at])? > 0)
    }
}
