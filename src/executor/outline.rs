//! What is kept beside an encrypted archive: its outline, which has no content. With it, a machine that cannot read the
//! archive builds incrementals on it, and knows after a crash what was published.

use std::io;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::archive::{self, ArchiveError, Manifest, Reader};
use crate::domain::{Backup, BackupId, Location, with_causes};
use crate::storage::{EncryptedFile, Pending};

use super::chain::open_stored;
use super::{BadLink, Context, JobError, Result};

/// What the outline says of the file of its archive.
#[derive(Debug, Serialize, Deserialize)]
struct Note {
    bytes: u64,
    checksum: String,
    /// The public keys that it is encrypted to.
    recipients: Vec<String>,
}

/// Keeps the outline of an archive that is about to be published there. Without it the next backup is a full one, so that
/// an error is no reason to fail.
pub(super) fn keep(
    context: &Context,
    location: &Location,
    pending: &dyn Pending,
    file: &EncryptedFile,
) {
    if let Err(error) = write(context, location, pending, file) {
        log::warn!(
            "the next backup will be a full one: the index of {location} is not kept: {}",
            with_causes(&error)
        );
    }
}

fn write(
    context: &Context,
    location: &Location,
    pending: &dyn Pending,
    file: &EncryptedFile,
) -> Result<()> {
    let note = Note {
        bytes: file.bytes,
        checksum: file.checksum.clone(),
        recipients: recipients(context),
    };
    let note = serde_json::to_vec(&note).map_err(|error| JobError::Io {
        action: "writing",
        what: "the note of an index".to_owned(),
        source: error.into(),
    })?;
    let reader = Reader::open(pending.reopen()?, &context.cancel)?;
    let mut put = |out: &mut dyn io::Write| {
        reader.write_outline(&note, out).map_err(|error| match error {
            ArchiveError::Io(error) => error,
            other => io::Error::other(other),
        })
    };
    Ok(context.storage.put_index(location, &mut put)?)
}

/// The archive is not there: neither shall its outline be.
pub(super) fn forget(context: &Context, location: &Location) {
    if let Err(error) = context.storage.remove_index(location) {
        log::warn!("the index of {location} is left over: {error}");
    }
}

/// The public keys, in one order.
fn recipients(context: &Context) -> Vec<String> {
    let mut recipients = context.storage.recipients().to_vec();
    recipients.sort();
    recipients
}

/// The outlines of the root and of the last backup of a chain whose archives are encrypted, to build another one on it.
/// `Err` within: why a new chain has to begin.
pub(super) fn of_chain(
    context: &Context,
    chain: &[Backup],
) -> Result<Result<Vec<Arc<Reader>>, String>> {
    if context.storage.recipients().is_empty() {
        return Ok(Err("archives are not encrypted any more".to_owned()));
    }
    for backup in chain {
        require_whole(context, backup)?;
    }
    let mut readers = Vec::new();
    let last = chain.last().filter(|_| chain.len() > 1);
    for backup in chain.first().into_iter().chain(last) {
        match of_backup(context, backup)? {
            Ok(reader) => readers.push(Arc::new(reader)),
            Err(why) => return Ok(Err(why)),
        }
    }
    Ok(Ok(readers))
}

/// Fails unless the file of the backup's archive is there and as long as it was.
fn require_whole(context: &Context, backup: &Backup) -> Result<()> {
    let file = open_stored(&*context.storage, backup)?;
    let made = backup.facts.as_ref().map_or(0, |it| it.stored_bytes);
    if file.len() == made {
        return Ok(());
    }
    let why = format!("its archive has {} bytes and had {made} when it was made", file.len());
    Err(JobError::ChainBroken { bad_backup: backup.id, why, link: BadLink::Damaged })
}

fn of_backup(context: &Context, backup: &Backup) -> Result<Result<Reader, String>> {
    let id = backup.id;
    let Some(facts) = backup.facts.as_ref().filter(|it| it.location.is_encrypted()) else {
        return Ok(Err(format!("backup {id}, which it would be built on, is not encrypted")));
    };
    let (reader, note) = match open(context, &facts.location) {
        Ok(Some(found)) => found,
        Ok(None) => return Ok(Err(format!("the index of backup {id} is not here"))),
        Err(JobError::Cancelled) => return Err(JobError::Cancelled),
        Err(error) => return Ok(Err(format!("the index of backup {id}: {error}"))),
    };
    if reader.manifest().backup.id != id || note.checksum != facts.checksum {
        return Ok(Err(format!("the index of backup {id} is that of another archive")));
    }
    if note.recipients != recipients(context) {
        return Ok(Err("the keys in encryption.recipients are others".to_owned()));
    }
    Ok(Ok(reader))
}

fn open(context: &Context, location: &Location) -> Result<Option<(Reader, Note)>> {
    let Some(file) = context.storage.index(location)? else { return Ok(None) };
    let (reader, note) = Reader::open_outline(file, &context.cancel)?;
    let note = serde_json::from_slice(&note).map_err(|error| JobError::Io {
        action: "reading",
        what: format!("the note in the index of {location}"),
        source: error.into(),
    })?;
    Ok(Some((reader, note)))
}

/// What a published archive of this backup is, by its outline, if its file is byte for byte what was proven; and the length
/// and checksum of the file.
pub(super) fn of_published(
    context: &Context,
    backup: BackupId,
    location: &Location,
) -> Result<Option<(Manifest, u64, String)>> {
    let Some((reader, note)) = open(context, location)? else { return Ok(None) };
    let file = context.storage.open(location)?;
    let workers = context.settings.compression_threads;
    let checksum = archive::file_checksum(&file, &context.cancel, workers, &|_done| ())?;
    let is_same = checksum == note.checksum && reader.manifest().backup.id == backup;
    Ok(is_same.then(|| (reader.manifest().clone(), note.bytes, checksum)))
}
