//! Archives by their last proof.

use rusqlite::params;

use crate::domain::{BackupId, InstanceId, Timestamp};
use crate::store::sql::{query_first, statements};
use crate::store::{Records, Result};

statements! {
    NEXT_INSTANCE = "SELECT instance FROM backups
         WHERE instance > ?1 AND verified_at IS NOT NULL AND removal IS NULL ORDER BY instance LIMIT 1";

    /// Damaged ones are known, and what could not be read lately would only be in the way of the others.
    OLDEST_PROOF = "SELECT id, verified_at FROM backups
         WHERE instance IS ?1 AND verified_at IS NOT NULL AND removal IS NULL AND damage_code IS NULL
             AND here = 'yes'
             AND NOT EXISTS (SELECT 1 FROM runs
                             WHERE runs.backup = backups.id AND runs.kind = 'verify' AND runs.ended > ?2)
         ORDER BY verified_at, id LIMIT 1";

    WORKING = "SELECT 1 FROM runs
         WHERE ended IS NULL AND kind IN ('backup', 'registration', 'restore', 'drill', 'staging', 'verify') LIMIT 1";
}

impl Records<'_> {
    /// The first instance behind this one that has archives; ids are in the order of their texts.
    pub fn instance_with_archives(self, after: &str) -> Result<Option<InstanceId>> {
        query_first(self.0, NEXT_INSTANCE, [after], |row| row.get(0))
    }

    /// The archive of an instance, or of those that were registered, whose proof is oldest. Those that somebody tried to
    /// prove after `tried` do not count.
    pub fn oldest_proof(
        self,
        instance: Option<InstanceId>,
        tried: Timestamp,
    ) -> Result<Option<(BackupId, Timestamp)>> {
        query_first(self.0, OLDEST_PROOF, params![instance, tried], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
    }

    /// Whether any work waits or is under way that reads or writes archives.
    pub fn is_working(self) -> Result<bool> {
        Ok(query_first(self.0, WORKING, [], |_row| Ok(()))?.is_some())
    }
}
