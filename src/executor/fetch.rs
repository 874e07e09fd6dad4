//! Bringing archives back from a place into the data directory, each verified before it is one of the archives.

use std::io::Write as _;
use std::sync::Arc;

use crate::archive::{self, Reader};
use crate::domain::num::{saturating_usize, to_u64};
use crate::domain::{BackupId, Cancel, Kind, Location};
use crate::encryption::Signers;
use crate::storage::{Place, StorageError, StoredArchive};

use super::chain::open_at;
use super::{Context, Inventory, JobError, OnProgress, Result};

/// How much is fetched at once.
const PIECE: u64 = 4 << 20;

/// What was brought back.
#[derive(Debug, Default)]
pub struct Fetched {
    pub archives: usize,
    /// What was not, by its location, with the reason.
    pub unusable: Vec<(String, String)>,
    /// Whether bytes of one of those are not those that were written.
    pub is_damage: bool,
}

/// Brings back every archive of a place that the data directory lacks. What is there already stays as it is.
pub fn fetch(
    context: &Context,
    place: Arc<dyn Place>,
    signers: &Signers,
    progress: OnProgress<'_>,
) -> Result<Fetched> {
    let inventory = Inventory::read(place, signers.clone())?;
    let mut wanted: Vec<(BackupId, &StoredArchive)> = Vec::new();
    for (id, stored) in inventory.archives() {
        if find(context, &stored.location)?.is_none() {
            wanted.push((id, stored));
        }
    }
    // An incremental is verified against its root.
    wanted.sort_by_key(|(id, stored)| (stored.location.kind() == Kind::Incremental, *id));
    let total = wanted.iter().map(|(_, stored)| stored.bytes).sum();
    let (mut fetched, mut before) = (Fetched::default(), 0);
    for (id, stored) in wanted {
        let done = |bytes: u64| progress(before + bytes, total);
        match fetch_one(context, &inventory, (id, stored), &done) {
            Ok(()) => fetched.archives += 1,
            Err(error) if is_about_this_one(&error) => {
                fetched.is_damage |=
                    error.is_damage() || matches!(error, JobError::ArchiveMismatch(_));
                let file = inventory.file_of(stored).to_string();
                fetched.unusable.push((file, error.to_string()));
            }
            Err(error) => return Err(error),
        }
        before += stored.bytes;
    }
    Ok(fetched)
}

/// Whether the next archive may fare better.
fn is_about_this_one(error: &JobError) -> bool {
    match error {
        JobError::Archive(error) => error.is_damage() || error.bad_backup().is_some(),
        JobError::ArchiveMismatch(_) | JobError::Storage(StorageError::Encryption { .. }) => true,
        error => error.is_not_found(),
    }
}

fn fetch_one(
    context: &Context,
    inventory: &Inventory,
    (id, stored): (BackupId, &StoredArchive),
    done: &dyn Fn(u64),
) -> Result<()> {
    let source = inventory.place().open(&stored.location)?;
    let mut pending = context.storage.create(id, 0)?;
    pending.allocate(source.len())?;
    let what = || inventory.file_of(stored).to_string();
    let failed = |action, source| StorageError::Io { action, what: what(), source };
    let mut buffer = vec![0; saturating_usize(source.len().min(PIECE))];
    let mut at = 0;
    while at < source.len() {
        if context.cancel.is_cancelled() {
            return Err(JobError::Cancelled);
        }
        let length = saturating_usize((source.len() - at).min(PIECE));
        let piece = buffer.get_mut(..length).unwrap_or_default();
        source.read_exact_at(piece, at).map_err(|error| failed("fetching", error))?;
        pending.write_all(piece).map_err(|error| failed("writing", error))?;
        at = at.saturating_add(to_u64(length));
        done(at);
    }
    pending.sync()?;
    let reader = Arc::new(Reader::open(pending.reopen()?, &Cancel::default())?);
    let signer = inventory.signers().require(reader.signature());
    signer.map_err(|source| StorageError::Encryption { what: what(), source })?;
    let manifest = reader.manifest();
    if manifest.backup.id != id {
        let why = format!(
            "it is the archive of backup {}, under another backup's name",
            manifest.backup.id
        );
        return Err(JobError::ArchiveMismatch(why));
    }
    let root = match manifest.kind {
        Kind::Full => None,
        Kind::Incremental => Some(Arc::new(root_of(context, stored, manifest.root_id)?)),
    };
    let workers = context.settings.compression_threads;
    archive::verify_file(&reader, root.as_ref(), workers, &|_bytes| ())?;
    let finished = manifest.finished;
    let location = &stored.location;
    match pending.encrypted() {
        Some(_) => pending.publish(&location.encrypted(), finished)?,
        None => pending.publish(location, finished)?,
    }
    Ok(())
}

/// The archive that is here, encrypted or not.
fn find(context: &Context, location: &Location) -> Result<Option<StoredArchive>> {
    match context.storage.stat(location)? {
        None => Ok(context.storage.stat(&location.encrypted())?),
        found => Ok(found),
    }
}

/// The full backup that an incremental in the same folder is built on.
fn root_of(context: &Context, stored: &StoredArchive, root: BackupId) -> Result<Reader> {
    let folder = stored.location.as_str().rsplit_once('/').map_or("", |(folder, _name)| folder);
    let name = Location::file_name(root, Kind::Full);
    let location = format!("{folder}/{name}").parse().map_err(StorageError::from)?;
    let location = find(context, &location)?.map_or(location, |it| it.location);
    open_at(&*context.storage, &location, &context.cancel)
}
