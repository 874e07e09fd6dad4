//! Registering an archive that already lies in the store (`restore_from`): prove it, then say what it is.

use std::sync::Arc;

use crate::archive::{self, ArchiveError, Chain, Reader};
use crate::catalog::RegistrationJob;
use crate::domain::{ArchiveFacts, Backup, BackupId, Kind};
use crate::executor::chain::{blame, open_readers};
use crate::executor::{Context, JobError, facts};

/// What a registered archive turned out to be.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) kind: Kind,
    pub(super) parent: Option<BackupId>,
    pub(super) facts: ArchiveFacts,
}

/// Proves the archive of a claimed registration, with all that it is built on.
pub(super) fn run(context: &Context, job: &RegistrationJob) -> Result<Found, JobError> {
    let location = &job.location;
    let stored = context.storage.open(location)?;
    let stored_bytes = stored.len();
    let reader = Arc::new(Reader::open(stored, &context.cancel)?.reported_as(job.backup.id));
    let manifest = reader.manifest();
    if manifest.datastore.engine != job.backup.datastore.engine {
        let (is, said) = (&manifest.datastore.engine, &job.backup.datastore.engine);
        let why = format!("the archive {location} is of datastore {is}, not {said}");
        return Err(JobError::Unsuitable { why });
    }
    // Damage of this very archive is not a broken chain.
    let own = |error: ArchiveError| {
        if error.backup_at_fault() == Some(reader.reported_id()) {
            error.into()
        } else {
            blame(error)
        }
    };
    let parent = manifest.backup.parent_id;
    let mut readers = match parent {
        Some(parent) => {
            open_readers(&*context.storage, &chain_of(context, job, parent)?, &context.cancel)?
        }
        None => Vec::new(),
    };
    readers.push(Arc::clone(&reader));
    let chain = Chain::open(readers).map_err(own)?;
    let workers = context.settings.compression_threads;
    chain.verify(workers, &|_done| ()).map_err(own)?;
    let checksum = archive::verify_file(&reader, chain.archives().next(), workers, &|_done| ())
        .map_err(own)?;
    let facts = ArchiveFacts {
        location: location.clone(),
        stored_bytes,
        source_bytes: manifest.totals.content_bytes,
        checksum,
        verified_at: context.clock.now(),
        verify_level: facts::level_of(manifest),
    };
    let kind = if parent.is_some() { Kind::Incremental } else { Kind::Full };
    Ok(Found { kind, parent, facts })
}

/// What the archive is built on, as far as it belongs to the same project: it may say what it likes.
fn chain_of(
    context: &Context,
    job: &RegistrationJob,
    parent: BackupId,
) -> Result<Vec<Backup>, JobError> {
    let unknown = || {
        JobError::ChainBroken {
        culprit: parent,
        why: "this archive is built on it, and the catalog does not have it: bring its archives into \
              the store and run `coffer catalog rebuild`"
            .to_owned(),
        lasting: false,
    }
    };
    match context.catalog.chain(parent) {
        Err(error) if error.is_not_found() => Err(unknown()),
        Ok(chain) if chain.iter().any(|it| it.project != job.backup.project) => Err(unknown()),
        other => Ok(other?),
    }
}
