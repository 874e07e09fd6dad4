//! Rows that were read back from archives: how a lost catalog is made again.

use super::rules::{LAST_INSTANT, Rules};
use super::{Catalog, CatalogError, Recovered, Reply};
use crate::domain::{
    Backup, CheckLevel, Instance, InstanceId, InstanceOrigin, InstanceStatus, Kind, Location,
    Source, Timestamp, Verify,
};
use crate::store::{BackupRecord, Records, Task};

impl Catalog {
    /// Writes rows recovered from archives; one whose id or archive is there already is left alone. Says
    /// how many were new. Instances that nobody knows appear as detached.
    pub fn import(&self, rows: Vec<Recovered>) -> Reply<usize> {
        self.write(move |db, rules| {
            let mut new = 0;
            for row in rows {
                new += usize::from(rules.import_one(db, row)?);
            }
            Ok(new)
        })
    }
}

impl Rules {
    fn import_one(&self, db: Records<'_>, row: Recovered) -> Result<bool, CatalogError> {
        let Recovered { backup, instance_name } = row;
        let location = must_be_whole(&backup)?;
        if db.backup(backup.id)?.is_some() || db.owner_of(&location)?.is_some() {
            return Ok(false);
        }
        let backup = Backup {
            created: within_the_calendar(backup.created),
            updated: within_the_calendar(backup.updated),
            ..backup
        };
        if let Some(id) = backup.instance {
            self.know_the_instance(db, id, &backup, instance_name)?;
        }
        let task = if backup.instance.is_some() { Task::Backup } else { Task::Registration };
        let record = BackupRecord {
            backup,
            task,
            parent_required: false,
            location: Some(location),
            damage: None,
            removal: None,
        };
        Ok(db.insert_backup(&record)?)
    }

    fn know_the_instance(
        &self,
        db: Records<'_>,
        id: InstanceId,
        backup: &Backup,
        name: Option<String>,
    ) -> Result<(), CatalogError> {
        if db.instance(id)?.is_some() {
            return Ok(());
        }
        let now = self.now();
        db.insert_instance(&Instance {
            id,
            project: backup.project.clone(),
            name: name.unwrap_or_else(|| id.to_string()),
            datastore: backup.datastore.clone(),
            origin: InstanceOrigin::Configured,
            source: Source::default(),
            check: CheckLevel::default(),
            verify: Verify::default(),
            status: InstanceStatus::Detached,
            used_bytes: 0,
            failure: None,
            created: now,
            updated: now,
        })?;
        Ok(())
    }
}

/// A finished backup with an archive, whose kind and parent agree. Says where the archive lies.
fn must_be_whole(backup: &Backup) -> Result<Location, CatalogError> {
    let consistent = (backup.kind == Kind::Full) == backup.parent.is_none();
    match &backup.facts {
        Some(facts) if consistent && backup.status.is_usable() => Ok(facts.location.clone()),
        _ => {
            let why = format!(
                "The record of backup {} is not that of a finished backup: it is left out.",
                backup.id
            );
            Err(CatalogError::Invalid { why })
        }
    }
}

/// An archive may say what it likes; a time that no format can write would stop every later backup.
fn within_the_calendar(time: Timestamp) -> Timestamp {
    Timestamp::from_micros(time.as_micros().clamp(0, LAST_INSTANT))
}
