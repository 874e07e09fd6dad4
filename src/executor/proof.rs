//! When an archive was proven last and how far, what its last drill found, and whether a person pinned it.
//!
//! The first proof ends a little after the backup, whose end the archive's manifest says: its time is that of the
//! archive's file, where the storage keeps one. Each later proof (`coffer verify`, drills) and each pin replaces a small
//! file beside the archive, from which a rebuilt catalog takes it.

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::archive::Manifest;
use crate::catalog::Recovered;
use crate::domain::{
    ArchiveFacts, Backup, Damage, DamageIn, Failure, RunEnd, RunNumbers, RunResult, Timestamp,
    VerifyLevel,
};
use crate::storage::{Storage, StoredArchive};

/// The version of [`Record`] that is written, and the newest that is read.
const VERSION: u32 = 1;

/// A record is read, changed and replaced by one thread at a time.
static CHANGING: Mutex<()> = Mutex::new(());

#[derive(Debug, Serialize, Deserialize)]
struct Record {
    version: u32,
    /// The archive's, so that the record of another one at the same location means nothing.
    checksum: String,
    verified_at: String,
    verify_level: VerifyLevel,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    drill: Option<DrillRecord>,
    /// What a drill found wrong with the data, until another one passes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    damage: Option<Failure>,
    /// When a person pinned it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pinned: Option<String>,
}

/// The last drill that ended by itself.
#[derive(Debug, Serialize, Deserialize)]
struct DrillRecord {
    ended: String,
    result: String,
    failure: Option<Failure>,
    numbers: RunNumbers,
}

impl DrillRecord {
    fn new(end: &RunEnd) -> Self {
        Self {
            ended: end.at.to_string(),
            result: end.result.as_str().to_owned(),
            failure: end.result.failure().cloned(),
            numbers: end.numbers.clone(),
        }
    }

    fn end(self) -> Option<RunEnd> {
        let result = RunResult::from_parts(&self.result, self.failure)?;
        Some(RunEnd { at: self.ended.parse().ok()?, result, numbers: self.numbers })
    }
}

/// Puts the proof of a backup beside its archive. Levels only rise, as in the catalog.
pub fn record(storage: &dyn Storage, backup: &Backup, at: Timestamp, level: VerifyLevel) {
    update(storage, backup, |record| {
        record.verified_at = at.to_string();
        record.verify_level = level.max(record.verify_level);
    });
}

/// Puts the pin of a backup beside its archive, or takes it from there.
pub fn record_pin(storage: &dyn Storage, backup: &Backup) {
    update(storage, backup, |record| record.pinned = backup.pinned.map(|at| at.to_string()));
}

/// Puts the end of a drill beside the archive. One that passed is a proof, too.
pub(super) fn record_drill(
    storage: &dyn Storage,
    backup: &Backup,
    end: &RunEnd,
    damage: Option<&Damage>,
) {
    update(storage, backup, |record| {
        record.drill = Some(DrillRecord::new(end));
        if end.result == RunResult::Done {
            record.verified_at = end.at.to_string();
            record.verify_level = VerifyLevel::Restored;
            record.damage = None;
        }
        if let Some(damage) = damage.filter(|it| it.id == backup.id && it.place == DamageIn::Data) {
            record.damage = Some(damage.failure.clone());
        }
    });
}

/// Without the record, a rebuilt catalog shows an earlier proof, which is true as well; so an error is only logged.
fn update(storage: &dyn Storage, backup: &Backup, change: impl FnOnce(&mut Record)) {
    let Some(facts) = &backup.facts else { return };
    let _one_at_a_time = CHANGING.lock();
    let mut record = read(storage, facts).unwrap_or_else(|| Record {
        version: VERSION,
        checksum: facts.checksum.clone(),
        verified_at: facts.verified_at.to_string(),
        verify_level: facts.verify_level,
        drill: None,
        damage: None,
        pinned: None,
    });
    record.verify_level = record.verify_level.max(facts.verify_level);
    change(&mut record);
    let json = serde_json::to_vec(&record).expect("a record of texts and numbers is valid JSON");
    match storage.put_proof(&facts.location, &json) {
        Err(error) if !error.is_not_found() => {
            log::warn!("the proof of backup {} is not recorded beside it: {error}", backup.id);
        }
        // An archive that was deleted meanwhile needs no record.
        _ => {}
    }
}

/// When an archive was proven before it was published: a little after the end that the manifest says, and that end where
/// the time of the file is not known. Version 0.1.0 kept the time of later proofs with the file, too.
pub(super) fn of_finished(manifest: &Manifest, stored: &StoredArchive) -> Timestamp {
    stored.proven_hint.map_or(manifest.finished, |hint| hint.max(manifest.finished))
}

/// What was read from an archive, with the last proof and drill that are recorded beside it.
pub(super) fn add_record(storage: &dyn Storage, mut recovered: Recovered) -> Recovered {
    let Some(facts) = &mut recovered.backup.facts else { return recovered };
    let Some(record) = read(storage, facts) else { return recovered };
    if let Ok(at) = record.verified_at.parse() {
        facts.verified_at = at;
        facts.verify_level = record.verify_level;
        recovered.backup.updated = at;
    }
    recovered.backup.pinned = record.pinned.and_then(|at| at.parse().ok());
    recovered.damage = record.damage;
    recovered.drill = record.drill.and_then(DrillRecord::end);
    recovered
}

/// The record beside an archive, if there is one that is this archive's.
fn read(storage: &dyn Storage, facts: &ArchiveFacts) -> Option<Record> {
    let found = storage.proof(&facts.location).map_err(|error| error.to_string());
    let read = found.and_then(|json| json.map(|json| parse(&json)).transpose());
    match read {
        Ok(record) => record.filter(|record| record.checksum == facts.checksum),
        Err(why) => {
            log::warn!("the recorded proof of {} is left out: {why}", facts.location);
            None
        }
    }
}

fn parse(json: &[u8]) -> Result<Record, String> {
    let record: Record = serde_json::from_slice(json).map_err(|error| error.to_string())?;
    if record.version > VERSION {
        return Err(format!("it has version {}; a newer Coffer wrote it", record.version));
    }
    record
        .verified_at
        .parse::<Timestamp>()
        .map_err(|error| format!("its time: {error}"))
        .map(|_at| record)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::domain::{BackupId, Datastore, DrillFacts, FailureCode};
    use crate::storage::Local;

    /// A store with one archive, and the facts of that.
    fn stored() -> (tempfile::TempDir, Local, ArchiveFacts) {
        let folder = tempfile::tempdir().unwrap();
        let storage = Local::open(folder.path()).unwrap();
        let facts = ArchiveFacts {
            location: "p/x.tar.zst".parse().unwrap(),
            stored_bytes: 5,
            source_bytes: 5,
            checksum: "00".repeat(32),
            verified_at: Timestamp::from_micros(1_000_000),
            verify_level: VerifyLevel::Checked,
            left_out: Vec::new(),
        };
        let mut pending = storage.create(BackupId::generate(), 0).unwrap();
        pending.write_all(b"bytes").unwrap();
        pending.sync().unwrap();
        pending.publish(&facts.location, facts.verified_at).unwrap();
        (folder, storage, facts)
    }

    fn backup(facts: &ArchiveFacts) -> Backup {
        let datastore = Datastore { engine: "sqlite".to_owned(), version: "3".to_owned() };
        let (id, project) = (BackupId::generate(), "p".parse().unwrap());
        let created = Timestamp::from_micros(0);
        let new = Backup::new(id, project, "b".to_owned(), datastore, created);
        Backup { facts: Some(facts.clone()), updated: facts.verified_at, ..new }
    }

    fn recovered(backup: &Backup) -> Recovered {
        let (drill, damage, trashed) = (None, None, None);
        Recovered { backup: backup.clone(), instance_name: None, drill, damage, trashed }
    }

    #[test]
    fn the_last_recorded_proof_of_an_archive_reads_back_to_the_microsecond() {
        let (_folder, storage, facts) = stored();
        let backup = backup(&facts);
        assert_eq!(add_record(&storage, recovered(&backup)), recovered(&backup));
        for (micros, level) in
            [(2_000_001, VerifyLevel::Checked), (3_000_002, VerifyLevel::Restored)]
        {
            let at = Timestamp::from_micros(micros);
            record(&storage, &backup, at, level);
            let read = add_record(&storage, recovered(&backup)).backup.facts.unwrap();
            assert_eq!((read.verified_at, read.verify_level), (at, level));
        }
    }

    #[test]
    fn what_drills_found_reads_back_and_only_one_that_passes_clears_damage_of_the_data() {
        let (_folder, storage, facts) = stored();
        let backup = backup(&facts);
        let rot = Failure::new(FailureCode::SourceDamaged, "rot");
        let damage = Damage { id: backup.id, place: DamageIn::Data, failure: rot.clone() };
        let end = |micros, result| RunEnd::new(Timestamp::from_micros(micros), result);
        let damaged = end(2_000_000, RunResult::Damaged(rot.clone()));
        let stopped = end(3_000_000, RunResult::Failed(Failure::new(FailureCode::Tool, "no tool")));
        let mut passed = end(4_000_000, RunResult::Done);
        passed.numbers.drill = Some(DrillFacts { rows: 7, ..DrillFacts::default() });
        passed.numbers.rows_by_table.insert("t".to_owned(), 7);
        let cases = [
            (damaged, Some(&damage), Some(rot.clone()), VerifyLevel::Checked),
            (stopped, None, Some(rot), VerifyLevel::Checked),
            (passed, None, None, VerifyLevel::Restored),
        ];
        for (end, found, left, level) in cases {
            record_drill(&storage, &backup, &end, found);
            record(&storage, &backup, facts.verified_at, VerifyLevel::Bytes);
            let read = add_record(&storage, recovered(&backup));
            assert_eq!((read.drill, read.damage), (Some(end), left));
            assert_eq!(read.backup.facts.unwrap().verify_level, level);
        }
    }

    #[test]
    fn a_record_of_another_archive_a_newer_version_or_garbage_is_left_out() {
        let (_folder, storage, facts) = stored();
        let (known, other) = (backup(&facts), "11".repeat(32));
        let other = backup(&ArchiveFacts { checksum: other, ..facts.clone() });
        record(&storage, &other, Timestamp::from_micros(9), VerifyLevel::Restored);
        assert_eq!(add_record(&storage, recovered(&known)), recovered(&known));
        for bad in ["", "{}", "[1]", "{\"version\": 2}"] {
            storage.put_proof(&facts.location, bad.as_bytes()).unwrap();
            assert_eq!(add_record(&storage, recovered(&known)), recovered(&known), "{bad}");
        }
    }
}
