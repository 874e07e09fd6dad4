//! From backups to opened archives: storage and archive meet here for reading.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::archive::{ArchiveError, Chain, Reader};
use crate::domain::{Backup, BackupId, Cancel, Here, Location, ReadAt, Status};
use crate::encryption::{self, EncryptionError, Keys};
use crate::storage::{OpenFile, Storage, StorageError};

use super::{BadLink, JobError, Result};

/// The location of a backup's archive. An error if it has none, which a usable backup always has.
pub(super) fn location_of(backup: &Backup) -> Result<&Location> {
    backup.facts.as_ref().map(|facts| &facts.location).ok_or_else(|| JobError::ChainBroken {
        bad_backup: backup.id,
        why: format!("it is {} and has no archive", backup.status),
        link: BadLink::OutOfReach,
    })
}

/// Opens the archive at a location without checking which backup it is of.
pub(super) fn open_at(
    storage: &dyn Storage,
    location: &Location,
    cancel: &Cancel,
) -> Result<Reader> {
    read_archive(storage, location, storage.open(location)?, cancel)
}

/// Reads the archive in a file of this storage, which is encrypted if the location says so.
pub(super) fn read_archive(
    storage: &dyn Storage,
    location: &Location,
    file: Arc<dyn ReadAt>,
    cancel: &Cancel,
) -> Result<Reader> {
    if !location.is_encrypted() {
        return Ok(Reader::open(file, cancel)?);
    }
    let content = storage.decrypt(location, Arc::clone(&file))?;
    Ok(Reader::open(content, cancel)?.encrypted_in(file, cancel))
}

/// Opens the file of a backup's archive. The error says which backup cannot be used, and why.
pub(super) fn open_stored(storage: &dyn Storage, backup: &Backup) -> Result<Arc<dyn ReadAt>> {
    let broken = |why: String, link| JobError::ChainBroken { bad_backup: backup.id, why, link };
    let location = location_of(backup)?;
    let stored = match backup.here {
        Here::Yes => storage.open(location),
        Here::Leaving | Here::No => storage.open_copy(location),
    };
    stored.map_err(|error| match BadLink::of_storage(&error) {
        BadLink::Missing => {
            let why = "once the file is there again, the backup is as before";
            broken(format!("its archive is missing: {error}; {why}"), BadLink::Missing)
        }
        link => broken(format!("its archive cannot be opened: {error}"), link),
    })
}

/// Opens a backup's archive and checks that it is this backup's. The error says which backup cannot be used, and
/// why; that no key here reads it says nothing of the backup.
pub(super) fn open_one(
    storage: &dyn Storage,
    backup: &Backup,
    cancel: &Cancel,
) -> Result<Arc<Reader>> {
    let broken = |why: String, link| JobError::ChainBroken { bad_backup: backup.id, why, link };
    let location = location_of(backup)?;
    let stored = open_stored(storage, backup)?;
    let (made, length) = (backup.facts.as_ref().map(|facts| facts.stored_bytes), stored.len());
    let other_length = |made: u64| {
        let (differs, bytes) = match length.checked_sub(made) {
            Some(more) => ("longer", more),
            None => ("shorter", made - length),
        };
        format!("its archive {location} is {bytes} bytes {differs} than when it was made")
    };
    if let Some(made) = made.filter(|made| length < *made) {
        return Err(broken(other_length(made), BadLink::Damaged));
    }
    let reader = read_archive(storage, location, stored, cancel);
    let reader = reader.map_err(|error| match (error, made) {
        (error, Some(made)) if error.is_damage() && made < length => {
            broken(format!("{}: {error}", other_length(made)), BadLink::Damaged)
        }
        (JobError::Archive(error), _) => {
            broken(format!("its archive {location}: {error}"), BadLink::of(&error))
        }
        (error, _) if error.is_damage() => {
            broken(format!("its archive: {error}"), BadLink::Damaged)
        }
        (error, _) => error,
    })?;
    // What was appended is not part of it.
    if let Some(made) = made.filter(|made| reader.file_bytes() != *made) {
        return Err(broken(other_length(made), BadLink::Damaged));
    }
    // The manifest of a registered archive has the id that the backup was first made with; its row has another.
    if backup.status != Status::Restored && reader.manifest().backup.id != backup.id {
        let other = reader.manifest().backup.id;
        let why = format!("the archive at {location} is that of backup {other}");
        return Err(broken(why, BadLink::Damaged));
    }
    Ok(Arc::new(reader.reported_as(backup.id)))
}

/// Opens the archives of a chain, root first.
pub(super) fn open_readers(
    storage: &dyn Storage,
    backups: &[Backup],
    cancel: &Cancel,
) -> Result<Vec<Arc<Reader>>> {
    backups.iter().map(|backup| open_one(storage, backup, cancel)).collect()
}

/// Opens the archives of a chain, root first, to restore or verify its last backup.
pub fn open(storage: &dyn Storage, backups: &[Backup], cancel: &Cancel) -> Result<Chain> {
    let readers = open_readers(storage, backups, cancel)?;
    Chain::open(readers).map_err(job_error)
}

/// The same for a job of the server, which logs what is odd.
pub(super) fn open_for_job(
    storage: &dyn Storage,
    backups: &[Backup],
    cancel: &Cancel,
) -> Result<Chain> {
    let chain = open(storage, backups, cancel)?;
    appended(&chain).for_each(|odd| log::warn!("{odd}"));
    Ok(chain)
}

/// A sentence for each archive that has something behind it in its file.
pub fn appended(chain: &Chain) -> impl Iterator<Item = String> {
    let readers = chain.archives().filter(|it| it.appended_bytes() > 0);
    readers.map(|it| {
        let (id, more, whole) = (it.reported_id(), it.appended_bytes(), it.stored_bytes());
        format!(
            "{more} bytes were appended to the file of backup {id}; the archive in front of them is used, and they \
             are not: copy the file again, or remove them with truncate -s {whole} FILE"
        )
    })
}

/// The error of a job whose chain has this error; it names the bad backup if that is known.
pub(super) fn job_error(error: ArchiveError) -> JobError {
    match error.bad_backup() {
        Some(bad_backup) => {
            let (why, link) = (error.without_backup(), BadLink::of(&error));
            JobError::ChainBroken { bad_backup, why, link }
        }
        None => error.into(),
    }
}

/// Opens archive files by path, which must be those of one chain, in any order.
/// Those that are encrypted are read with these keys.
pub fn open_files(paths: &[PathBuf], keys: &Keys, cancel: &Cancel) -> Result<Chain> {
    // A pattern of the shell also matches the records of proofs that lie beside archives.
    let is_proof = |path: &PathBuf| path.extension().is_some_and(|it| it == "proof");
    let all_are = paths.iter().all(is_proof);
    let archives = paths.iter().filter(|path| all_are || !is_proof(path));
    let readers = archives.map(|path| open_file(path, keys, cancel));
    let mut readers = readers.collect::<Result<Vec<_>, _>>()?;
    readers.sort_by_key(|reader| reader.manifest().chain.len());
    let ids: Vec<BackupId> = readers.iter().map(|reader| reader.manifest().backup.id).collect();
    let needed = readers.last().map(|reader| reader.manifest().chain.clone()).unwrap_or_default();
    if let Some(missing) = needed.iter().find(|id| !ids.contains(id)) {
        return Err(JobError::ChainBroken {
            bad_backup: *missing,
            why: "its archive is needed too: name it with another --archive".to_owned(),
            link: BadLink::OutOfReach,
        });
    }
    Chain::open(readers).map_err(job_error)
}

/// The error of an encrypted archive that cannot be read.
pub(super) fn encrypted(what: String, source: EncryptionError) -> JobError {
    match source {
        EncryptionError::Io(source) => JobError::Io { action: "reading", what, source },
        source => StorageError::Encryption { what, source }.into(),
    }
}

fn open_file(path: &Path, keys: &Keys, cancel: &Cancel) -> Result<Arc<Reader>> {
    let what = path.display().to_string();
    let failed = |source| JobError::Io { action: "opening", what: what.clone(), source };
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(JobError::NoSuchFile(what));
        }
        opened => opened.and_then(OpenFile::new).map_err(failed)?,
    };
    let content = encryption::open(Arc::new(file), &keys.identities);
    let content = content.map_err(|error| encrypted(what.clone(), error))?;
    match Reader::open(content, cancel) {
        Ok(reader) => {
            let signer = keys.signers.require(reader.signature());
            signer.map_err(|error| encrypted(what, error))?;
            Ok(Arc::new(reader))
        }
        Err(error) if error.is_damage() => Err(JobError::BadFile { path: what, source: error }),
        Err(error) => Err(error.into()),
    }
}
