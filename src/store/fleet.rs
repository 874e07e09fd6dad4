//! The rows of fleets: their readings, the instances of devices and their backups.

use std::num::NonZeroU32;

use rusqlite::{Row, named_params, params};

use super::sql::{columns, execute, insert, query_all, query_first, query_one, statements};
use super::types::Bytes;
use super::{Records, Result};
use crate::domain::{
    BackupId, FleetArchive, FleetBackup, FleetInstance, FleetReading, InstanceId, Kind, ProjectId,
    Timestamp,
};

columns! {
    InstanceColumns, instance_columns {
        number: u32 = "number",
        place: String = "place",
        device: String = "device",
        folder: String = "folder",
        project: ProjectId = "project",
        instance: InstanceId = "instance",
        name: Option<String> = "name",
        unread: Option<String> = "unread",
        backups: u32 = "backups",
        stored_bytes: Bytes = "stored_bytes",
        newest: Option<String> = "newest",
        newest_at: Option<Timestamp> = "newest_at",
        expected: Option<Timestamp> = "expected",
    }
}

columns! {
    BackupColumns, backup_columns {
        id: BackupId = "id",
        kind: Kind = "kind",
        encrypted: bool = "encrypted",
        bytes: Bytes = "bytes",
    }
}

columns! {
    ReadingColumns, reading_columns {
        place: String = "place",
        reading: u32 = "reading",
        read: Option<Timestamp> = "read",
        read_whole: Option<Timestamp> = "read_whole",
        failing: Option<Timestamp> = "failing",
        why: Option<String> = "why",
        left_out: u32 = "left_out",
    }
}

statements! {
    READINGS = concat!("SELECT ", reading_columns!(), " FROM fleets");

    READING = concat!("SELECT ", reading_columns!(), " FROM fleets WHERE place = ?1");

    BEGIN = "INSERT INTO fleets (place, reading) VALUES (?1, 1)
         ON CONFLICT (place) DO UPDATE SET reading = reading + 1 RETURNING reading";

    END = "UPDATE fleets SET read = :now, failing = NULL, why = NULL,
             read_whole = CASE WHEN :whole THEN :now ELSE read_whole END,
             left_out = CASE WHEN :whole THEN :left_out ELSE left_out END
         WHERE place = :place";

    FAIL = "INSERT INTO fleets (place, failing, why) VALUES (:place, :now, :why)
         ON CONFLICT (place) DO UPDATE SET failing = coalesce(failing, excluded.failing), why = excluded.why";

    FORGET = "DELETE FROM fleets WHERE place = ?1";

    INSTANCE = concat!(
        "SELECT ", instance_columns!(), " FROM fleet_instances
         WHERE place = ?1 AND device = ?2 AND folder = ?3"
    );

    BY_NUMBER = concat!("SELECT ", instance_columns!(), " FROM fleet_instances WHERE number = ?1");

    COUNT_OF_DEVICE = "SELECT count(*) FROM fleet_instances WHERE place = ?1 AND device = ?2";

    ADD_INSTANCE = insert!(
        "fleet_instances" ("place", "device", "folder", "project", "instance")
    );

    INSTANCES = concat!(
        "SELECT ", instance_columns!(), " FROM fleet_instances WHERE number > ?1 ORDER BY number LIMIT ?2"
    );

    SILENT = concat!(
        "SELECT ", instance_columns!(), " FROM fleet_instances
         WHERE expected < ?1 ORDER BY expected, number LIMIT ?2"
    );

    WORST = concat!(
        "SELECT ", instance_columns!(), " FROM fleet_instances
         WHERE expected IS NOT NULL AND (expected, number) > (?1, ?2) ORDER BY expected, number LIMIT ?3"
    );

    UNEXPECTED = concat!(
        "SELECT ", instance_columns!(), " FROM fleet_instances
         WHERE expected IS NULL AND number > ?1 ORDER BY number LIMIT ?2"
    );

    COUNT_SILENT = "SELECT count(*), min(expected) FROM fleet_instances WHERE expected < ?1";

    NAME = "UPDATE fleet_instances SET name = ?2, unread = ?3 WHERE number = ?1";

    SUM_UP = "UPDATE fleet_instances SET backups = :backups, stored_bytes = :stored_bytes, newest = :newest,
             newest_at = :newest_at, expected = :expected
         WHERE number = :number";

    FORGET_INSTANCE = "DELETE FROM fleet_instances WHERE number = ?1";

    FOUND_AGAIN = "UPDATE fleet_backups SET encrypted = :encrypted, bytes = :bytes, reading = :reading
         WHERE instance = :instance AND id = :id";

    ADD_BACKUP = insert!(
        "fleet_backups" ("instance", "id", "kind", "encrypted", "bytes", "reading")
    );

    TOTALS = "SELECT count(*), coalesce(sum(bytes), 0) FROM fleet_backups WHERE instance = ?1";

    BACKUPS = concat!(
        "SELECT ", backup_columns!(), " FROM fleet_backups
         WHERE instance = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3"
    );

    FORGET_GONE = "DELETE FROM fleet_backups WHERE instance = ?1 AND reading <> ?2";

    FORGET_BACKUPS = "DELETE FROM fleet_backups WHERE instance = ?1";
}

fn instance(row: &Row<'_>) -> rusqlite::Result<FleetInstance> {
    let it = InstanceColumns::read(row)?;
    Ok(FleetInstance {
        number: it.number,
        place: it.place,
        device: it.device,
        folder: it.folder,
        project: it.project,
        instance: it.instance,
        name: it.name,
        unread: it.unread,
        backups: it.backups,
        stored_bytes: it.stored_bytes.0,
        newest: it.newest,
        newest_at: it.newest_at,
        expected: it.expected,
    })
}

fn backup(row: &Row<'_>) -> rusqlite::Result<FleetBackup> {
    let it = BackupColumns::read(row)?;
    Ok(FleetBackup { id: it.id, kind: it.kind, encrypted: it.encrypted, bytes: it.bytes.0 })
}

fn reading(row: &Row<'_>) -> rusqlite::Result<FleetReading> {
    let it = ReadingColumns::read(row)?;
    Ok(FleetReading {
        place: it.place,
        number: it.reading,
        read: it.read,
        read_whole: it.read_whole,
        failing: it.failing.zip(it.why),
        left_out: it.left_out,
    })
}

impl Records<'_> {
    pub fn fleet_readings(self) -> Result<Vec<FleetReading>> {
        query_all(self.0, READINGS, [], reading)
    }

    pub fn fleet_reading(self, place: &str) -> Result<Option<FleetReading>> {
        query_first(self.0, READING, [place], reading)
    }

    /// A reading of all of a fleet begins. Returns its number.
    pub fn begin_fleet_reading(self, place: &str) -> Result<u32> {
        query_one(self.0, BEGIN, [place], |row| row.get("reading"))
    }

    /// A reading has ended well; if it was one of all, so many archives were left out.
    pub fn end_fleet_reading(
        self,
        place: &str,
        now: Timestamp,
        (whole, left_out): (bool, u32),
    ) -> Result<()> {
        let params = named_params! {
            ":place": place, ":now": now, ":whole": whole, ":left_out": left_out
        };
        execute(self.0, END, params).map(drop)
    }

    pub fn fail_fleet_reading(self, place: &str, now: Timestamp, why: &str) -> Result<()> {
        let params = named_params! { ":place": place, ":now": now, ":why": why };
        execute(self.0, FAIL, params).map(drop)
    }

    pub fn forget_fleet(self, place: &str) -> Result<()> {
        execute(self.0, FORGET, [place]).map(drop)
    }

    /// The instance that an archive is of, which is added unless the device has `most` already.
    pub fn fleet_instance_of(
        self,
        place: &str,
        archive: &FleetArchive,
        most: u32,
    ) -> Result<Option<FleetInstance>> {
        let (device, folder) = (&archive.device, archive.folder());
        let find = || query_first(self.0, INSTANCE, params![place, device, folder], instance);
        if let Some(found) = find()? {
            return Ok(Some(found));
        }
        let count =
            query_one(self.0, COUNT_OF_DEVICE, [place, device], |row| row.get::<_, u32>(0))?;
        if count >= most {
            return Ok(None);
        }
        let params = named_params! {
            ":place": place, ":device": device, ":folder": folder,
            ":project": archive.project, ":instance": archive.instance
        };
        execute(self.0, ADD_INSTANCE, params)?;
        find()
    }

    pub fn fleet_instance(self, number: u32) -> Result<Option<FleetInstance>> {
        query_first(self.0, BY_NUMBER, [number], instance)
    }

    /// The instances of all fleets behind this number.
    pub fn fleet_instances(self, after: u32, rows: u32) -> Result<Vec<FleetInstance>> {
        query_all(self.0, INSTANCES, [after, rows], instance)
    }

    /// Those of which there should have been a backup by now, the longest first.
    pub fn silent_in_fleets(self, now: Timestamp, rows: u32) -> Result<Vec<FleetInstance>> {
        query_all(self.0, SILENT, params![now, rows], instance)
    }

    /// All instances behind this one, those first of which there should have been a backup for longest, and those last of
    /// which none is expected any more.
    pub fn worst_in_fleets(
        self,
        (expected, number): (Option<Timestamp>, u32),
        rows: u32,
    ) -> Result<Vec<FleetInstance>> {
        let mut found = match expected {
            Some(at) => query_all(self.0, WORST, params![at, number, rows], instance)?,
            None => Vec::new(),
        };
        let left = rows.saturating_sub(u32::try_from(found.len()).unwrap_or(u32::MAX));
        let from = if expected.is_some() { 0 } else { number };
        found.extend(query_all(self.0, UNEXPECTED, [from, left], instance)?);
        Ok(found)
    }

    /// How many those are, and since when.
    pub fn count_silent(self, now: Timestamp) -> Result<Option<(NonZeroU32, Timestamp)>> {
        let found = query_one(self.0, COUNT_SILENT, [now], |row| {
            Ok((row.get::<_, u32>(0)?, row.get::<_, Option<Timestamp>>(1)?))
        })?;
        Ok(NonZeroU32::new(found.0).zip(found.1))
    }

    /// What a manifest calls an instance, or why none could be read.
    pub fn name_fleet_instance(
        self,
        number: u32,
        name: &std::result::Result<String, String>,
    ) -> Result<()> {
        let (name, unread) = (name.as_ref().ok(), name.as_ref().err());
        execute(self.0, NAME, params![number, name, unread]).map(drop)
    }

    /// Writes what is summed up of an instance.
    pub fn sum_up_fleet_instance(self, it: &FleetInstance) -> Result<()> {
        let params = named_params! {
            ":number": it.number, ":backups": it.backups, ":stored_bytes": Bytes(it.stored_bytes),
            ":newest": it.newest, ":newest_at": it.newest_at, ":expected": it.expected
        };
        execute(self.0, SUM_UP, params).map(drop)
    }

    pub fn forget_fleet_instance(self, number: u32) -> Result<()> {
        execute(self.0, FORGET_BACKUPS, [number])?;
        execute(self.0, FORGET_INSTANCE, [number]).map(drop)
    }

    /// A reading found a backup that is known.
    pub fn fleet_backup_found(self, number: u32, it: &FleetArchive, reading: u32) -> Result<bool> {
        let params = named_params! {
            ":instance": number, ":id": it.backup, ":encrypted": it.location.is_encrypted(),
            ":bytes": Bytes(it.bytes), ":reading": reading
        };
        Ok(execute(self.0, FOUND_AGAIN, params)? > 0)
    }

    pub fn add_fleet_backup(self, number: u32, it: &FleetArchive, reading: u32) -> Result<()> {
        let params = named_params! {
            ":instance": number, ":id": it.backup, ":kind": it.location.kind(),
            ":encrypted": it.location.is_encrypted(), ":bytes": Bytes(it.bytes), ":reading": reading
        };
        execute(self.0, ADD_BACKUP, params).map(drop)
    }

    /// How many backups an instance has, and what they take.
    pub fn fleet_totals(self, number: u32) -> Result<(u32, u64)> {
        query_one(self.0, TOTALS, [number], |row| Ok((row.get(0)?, row.get::<_, Bytes>(1)?.0)))
    }

    /// The backups of an instance with ids before this one, the newest first.
    pub fn fleet_backups(
        self,
        number: u32,
        before: BackupId,
        rows: u32,
    ) -> Result<Vec<FleetBackup>> {
        query_all(self.0, BACKUPS, params![number, before, rows], backup)
    }

    /// Forgets the backups of an instance that this reading did not find. Returns how many.
    pub fn forget_gone_of_fleet(self, number: u32, reading: u32) -> Result<usize> {
        execute(self.0, FORGET_GONE, [number, reading])
    }
}
