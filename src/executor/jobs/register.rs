//! Registering an archive that is already in the storage (`restore_from`): proves it, and says what it is.

use std::sync::Arc;

use crate::archive::{self, ArchiveError, Chain};
use crate::catalog::RegistrationJob;
use crate::domain::{ArchiveFacts, Backup, BackupId, Kind};
use crate::executor::chain::{job_error, open_at, open_readers};
use crate::executor::{BadLink, Context, JobError, Result, facts};

#[derive(Debug)]
pub(super) struct Found {
    pub(super) kind: Kind,
    pub(super) parent: Option<BackupId>,
    pub(super) facts: ArchiveFacts,
}

/// Proves the archive of a claimed registration, with everything that it is built on.
pub(super) fn run(context: &Context, job: &RegistrationJob) -> Result<Found> {
    let location = &job.location;
    let reader = open_at(&*context.storage, location, &context.cancel)?;
    let reader = Arc::new(reader.reported_as(job.backup.id));
    let manifest = reader.manifest();
    if manifest.datastore.engine != job.backup.datastore.engine {
        let (is, said) = (&manifest.datastore.engine, &job.backup.datastore.engine);
        let why = format!(
            "the archive {location} is of datastore {is}, not {said}; register it with a version of {is}"
        );
        return Err(JobError::ArchiveMismatch(why));
    }
    // Damage of this archive itself is not a broken chain.
    let own = |error: ArchiveError| {
        if error.bad_backup() == Some(reader.reported_id()) {
            error.into()
        } else {
            job_error(error)
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
    let root = chain.archives().next();
    let mut checksum = archive::verify_file(&reader, root, workers, &|_done| ()).map_err(own)?;
    if location.is_encrypted() {
        checksum = reader.checksum(workers, &|_done| ()).map_err(own)?;
    }
    let (bytes, proven) = (reader.file_bytes(), context.clock.now());
    let facts = facts::of_archive(manifest, location.clone(), bytes, checksum, proven);
    let kind = if parent.is_some() { Kind::Incremental } else { Kind::Full };
    Ok(Found { kind, parent, facts })
}

/// The chain that the archive says it is built on; it must belong to the same project.
fn chain_of(context: &Context, job: &RegistrationJob, parent: BackupId) -> Result<Vec<Backup>> {
    let unknown = || {
        let why =
            "this archive is built on it, and the catalog does not have it: bring its archives \
                   into the storage and run `coffer catalog rebuild`"
                .to_owned();
        JobError::ChainBroken { bad_backup: parent, why, link: BadLink::OutOfReach }
    };
    match context.catalog.chain(parent) {
        Err(error) if error.is_not_found() => Err(unknown()),
        Ok(chain) if chain.iter().any(|it| it.project != job.backup.project) => Err(unknown()),
        other => Ok(other?),
    }
}
