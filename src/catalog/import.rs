//! Importing rows that were read back from archives, to rebuild a lost catalog.

use super::rules::{LAST_INSTANT, Rules};
use super::{Catalog, Invalid, Reply, Result};
use crate::domain::{
    Backup, BackupId, CheckLevel, Damage, DamageIn, Failure, Instance, InstanceId, InstanceOrigin,
    InstanceStatus, Kind, Location, RunEnd, RunKind, Source, Timestamp, Verify,
};
use crate::store::{BackupRecord, Records, Task};

/// A backup read back from its own archive.
#[derive(Debug, Clone, PartialEq)]
pub struct Recovered {
    /// The row, COMPLETED or RESTORED.
    pub backup: Backup,
    pub instance_name: Option<String>,
    pub drill: Option<RunEnd>,
    /// What a drill found wrong with its data.
    pub damage: Option<Failure>,
    /// It was deleted: since then its archive is in the trash.
    pub trashed: Option<Timestamp>,
}

/// What the catalog knows of an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordOf {
    Nothing,
    Backup,
    /// A backup that was deleted, so that its archive should be in the trash.
    Deleted,
}

impl Catalog {
    /// Adds rows that were read back from archives, except those whose id or archive the catalog has
    /// already. Returns how many were new, without those in the trash. Unknown instances are added as detached.
    pub fn import(&self, rows: Vec<Recovered>) -> Reply<usize> {
        self.write(move |db, rules| {
            let mut new = 0;
            for row in rows {
                let is_shown = row.trashed.is_none();
                new += usize::from(rules.import_one(db, row)? && is_shown);
            }
            Ok(new)
        })
    }

    /// The archives of these were found in the trash, where they have been since then: they were deleted, although
    /// their rows, from a copy of the catalog, do not say so. Returns how many that is news of.
    pub fn found_in_trash(&self, found: Vec<(BackupId, Timestamp)>) -> Reply<usize> {
        self.write(move |db, _rules| {
            let mut news = 0;
            for (id, since) in found {
                news += usize::from(db.found_in_trash(id, since)?);
            }
            Ok(news)
        })
    }

    /// What the catalog knows of the archive at this location, which may be named after a backup.
    pub fn record_of(&self, location: &Location) -> Result<RecordOf> {
        self.store.read(|db| {
            let by_name = location.backup_id().map(|id| db.backup(id)).transpose()?.flatten();
            let found = match (by_name, db.owner_of_location(location)?) {
                (None, Some(owner)) => db.backup(owner)?,
                (found, _) => found,
            };
            Ok(match found {
                None => RecordOf::Nothing,
                Some(record) if record.trashed.is_some() => RecordOf::Deleted,
                Some(_) => RecordOf::Backup,
            })
        })
    }

    /// Adds restored instances whose ids the catalog does not have. Returns how many were new.
    pub fn import_instances(&self, instances: Vec<Instance>) -> Reply<usize> {
        self.write(move |db, _rules| {
            let mut new = 0;
            for instance in instances {
                new += usize::from(db.insert_instance(&instance)?);
            }
            Ok(new)
        })
    }

    /// Whether the catalog has an instance of this id.
    pub fn has_instance(&self, id: InstanceId) -> Result<bool> {
        self.store.read(|db| Ok(db.instance(id)?.is_some()))
    }
}

impl Rules {
    fn import_one(&self, db: Records<'_>, row: Recovered) -> Result<bool> {
        let Recovered { backup, instance_name, drill, damage, trashed } = row;
        let location = require_finished(&backup)?;
        if trashed.is_none() && db.backup(backup.id)?.is_some_and(|it| it.trashed.is_some()) {
            // A person fetched its archive back.
            return Ok(db.bring_back(backup.id, self.now())?);
        }
        if db.backup(backup.id)?.is_some() || db.owner_of_location(&location)?.is_some() {
            return Ok(false);
        }
        let backup = Backup {
            created: clamp_to_calendar(backup.created),
            updated: clamp_to_calendar(backup.updated),
            ..backup
        };
        if let Some(id) = backup.instance {
            self.ensure_instance(db, id, &backup, instance_name)?;
        }
        let (id, pinned) = (backup.id, backup.pinned);
        let updated = pinned.map_or(backup.updated, |at| at.max(backup.updated));
        let task = if backup.instance.is_some() { Task::Backup } else { Task::Registration };
        let record = BackupRecord {
            backup,
            task,
            parent_required: false,
            location: Some(location),
            damage: None,
            removal: None,
            trashed: None,
        };
        if !db.insert_backup(&record)? {
            return Ok(false);
        }
        if pinned.is_some() {
            db.set_pinned(id, pinned, updated)?;
        }
        if let Some(end) = drill {
            db.end_or_add_run(RunKind::Drill, id, &end)?;
        }
        if let Some(failure) = damage {
            let damage = Damage { id, place: DamageIn::Data, failure };
            db.set_damaged(&damage, self.now())?;
        }
        if let Some(since) = trashed {
            db.found_in_trash(id, since)?;
        }
        Ok(true)
    }

    fn ensure_instance(
        &self,
        db: Records<'_>,
        id: InstanceId,
        backup: &Backup,
        name: Option<String>,
    ) -> Result<()> {
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

/// The location of a finished backup's archive; its kind and parent must agree.
fn require_finished(backup: &Backup) -> Result<Location> {
    let consistent = (backup.kind == Kind::Full) == backup.parent.is_none();
    match &backup.facts {
        Some(facts) if consistent && backup.status.is_usable() => Ok(facts.location.clone()),
        _ => Err(Invalid::Unfinished(backup.id).into()),
    }
}

/// An archive may hold any time. One that no format can write would stop every later backup.
fn clamp_to_calendar(time: Timestamp) -> Timestamp {
    Timestamp::from_micros(time.as_micros().clamp(0, LAST_INSTANT))
}
