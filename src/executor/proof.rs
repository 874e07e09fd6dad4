//! When an archive was proven last, and how far.
//!
//! The first proof's time is the end of the backup, which the archive's manifest says. Each later proof
//! (`coffer verify`, drills) replaces a small proof beside the archive, from which a rebuilt catalog takes it.

use serde::{Deserialize, Serialize};

use crate::archive::Manifest;
use crate::domain::{ArchiveFacts, Backup, Timestamp, VerifyLevel};
use crate::storage::{Storage, StorageError, StoredArchive};

/// The version of [`Record`] that is written, and the newest that is read.
const VERSION: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
struct Record {
    version: u32,
    /// The archive's, so that the record of another one at the same location means nothing.
    checksum: String,
    verified_at: String,
    verify_level: VerifyLevel,
}

/// Puts the proof of a backup beside its archive. Levels only rise, as in the catalog. Without the record, a
/// rebuilt catalog shows an earlier proof, which is true as well; so an error is only logged.
pub fn record(storage: &dyn Storage, backup: &Backup, at: Timestamp, level: VerifyLevel) {
    let Some(facts) = &backup.facts else { return };
    match write(storage, facts, at, level.max(facts.verify_level)) {
        Err(error) if !error.is_not_found() => {
            log::warn!("the proof of backup {} is not recorded beside it: {error}", backup.id);
        }
        // An archive that was deleted meanwhile needs no record.
        _ => {}
    }
}

fn write(
    storage: &dyn Storage,
    facts: &ArchiveFacts,
    at: Timestamp,
    level: VerifyLevel,
) -> Result<(), StorageError> {
    let record = Record {
        version: VERSION,
        checksum: facts.checksum.clone(),
        verified_at: at.to_string(),
        verify_level: level,
    };
    let json = serde_json::to_vec(&record).expect("a record of texts and numbers is valid JSON");
    storage.put_proof(&facts.location, &json)
}

/// When an archive was proven before it was published. Version 0.1.0 did that a little after the end that the
/// manifest says, and kept the time, also that of later proofs, with the file.
pub(super) fn of_finished(manifest: &Manifest, stored: &StoredArchive) -> Timestamp {
    stored.proven_hint.map_or(manifest.finished, |hint| hint.max(manifest.finished))
}

/// The facts of an archive, with its last recorded proof.
pub(super) fn with_record(storage: &dyn Storage, facts: ArchiveFacts) -> ArchiveFacts {
    let found = storage.proof(&facts.location).map_err(|error| error.to_string());
    let read = found.and_then(|json| match json {
        Some(json) => parse(&json, &facts.checksum),
        None => Ok(None),
    });
    match read {
        Ok(Some((verified_at, verify_level))) => {
            ArchiveFacts { verified_at, verify_level, ..facts }
        }
        Ok(None) => facts,
        Err(why) => {
            log::warn!("the recorded proof of {} is left out: {why}", facts.location);
            facts
        }
    }
}

fn parse(json: &[u8], checksum: &str) -> Result<Option<(Timestamp, VerifyLevel)>, String> {
    let record: Record = serde_json::from_slice(json).map_err(|error| error.to_string())?;
    if record.version > VERSION {
        return Err(format!("it has version {}; a newer Coffer wrote it", record.version));
    }
    if record.checksum != checksum {
        return Ok(None);
    }
    let at = record.verified_at.parse().map_err(|error| format!("its time: {error}"))?;
    Ok(Some((at, record.verify_level)))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::domain::BackupId;
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

    #[test]
    fn the_last_recorded_proof_of_an_archive_reads_back_to_the_microsecond() {
        let (_folder, storage, facts) = stored();
        assert_eq!(with_record(&storage, facts.clone()), facts);
        for (micros, level) in
            [(2_000_001, VerifyLevel::Checked), (3_000_002, VerifyLevel::Restored)]
        {
            let at = Timestamp::from_micros(micros);
            write(&storage, &facts, at, level).unwrap();
            let read = with_record(&storage, facts.clone());
            assert_eq!((read.verified_at, read.verify_level), (at, level));
        }
    }

    #[test]
    fn a_record_of_another_archive_a_newer_version_or_garbage_is_left_out() {
        let (_folder, storage, facts) = stored();
        let other = ArchiveFacts { checksum: "11".repeat(32), ..facts.clone() };
        write(&storage, &other, Timestamp::from_micros(9), VerifyLevel::Restored).unwrap();
        assert_eq!(with_record(&storage, facts.clone()), facts);
        for bad in ["", "{}", "[1]", "{\"version\": 2}"] {
            storage.put_proof(&facts.location, bad.as_bytes()).unwrap();
            assert_eq!(with_record(&storage, facts.clone()), facts, "{bad}");
        }
    }
}
