//! The catalog again, from nothing but the archives.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::archive::{self, Reader};
use crate::catalog::{Notice, Recovered};
use crate::domain::{BackupId, Kind};
use crate::encryption::Signers;
use crate::storage::{Discarded, StoredArchive};

use super::chain::read_archive;
use super::presence::require_archives;
use super::{Context, JobError, OnProgress, Result, facts, instance_file, proof};
use crate::failpoint;

/// What a rebuilt catalog does not have.
pub const NOT_BROUGHT_BACK: &str = "Not brought back: tokens made at run time, quotas, strategies, failed backups and the history of jobs";

/// What a rebuilt catalog has again: what was deleted is known of archives in the trash only.
pub const BROUGHT_BACK: &str = "Backups that were deleted are back if their archives still lay in their places, or in the place that they were fetched from: delete them again";

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RebuildReport {
    /// Archives that were read.
    pub archives: usize,
    /// Backups that the catalog did not have.
    pub imported: usize,
    /// Restored instances that the catalog did not have.
    pub instances: usize,
    /// Archives in the trash that were read: of backups that were deleted, and that can be brought back.
    pub deleted: usize,
    /// By whom archives are signed that this machine did not sign, and how many.
    pub other_signers: BTreeMap<String, usize>,
    /// Archives and records of instances.
    pub unusable: instance_file::Unusable,
    /// How many of those are encrypted archives that no key here reads.
    pub without_key: usize,
}

impl RebuildReport {
    /// What to do so that archives which this machine did not sign stay trusted, as further sentences; none: nothing.
    pub fn advice_on_signers(&self, context: &Context) -> String {
        let (Some(own), false) = (&context.signer, self.other_signers.is_empty()) else {
            return String::new();
        };
        let each = self.other_signers.iter().map(|(signer, count)| format!("{count} by {signer}"));
        let keys = self.other_signers.keys().map(|signer| format!("{signer:?}"));
        format!(
            ". This machine signs its archives by a key of its own, {}; others are signed {}: if that is a machine of \
             yours (its recovery sheet says it), trust it besides with [encryption] signers = [{}]",
            own.public(),
            each.collect::<Vec<_>>().join(", "),
            keys.collect::<Vec<_>>().join(", ")
        )
    }
}

/// An archive to read, in the storage or in the trash.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub(super) stored: StoredArchive,
    pub(super) discarded: Option<Discarded>,
}

impl Candidate {
    /// Opens it without checking which backup it is of.
    pub(super) fn open(&self, context: &Context) -> Result<Arc<Reader>> {
        let bytes = match &self.discarded {
            None => context.storage.open(&self.stored.location)?,
            Some(discarded) => context.local.open_discarded(discarded)?,
        };
        let location = &self.stored.location;
        read_archive(&*context.storage, location, bytes, &context.cancel).map(Arc::new)
    }
}

/// Every archive; those in the trash come last.
pub(super) fn candidates(context: &Context) -> Result<Vec<Candidate>> {
    let stored = context.storage.list()?.into_iter();
    let stored = stored.map(|stored| Candidate { stored, discarded: None });
    let discarded = context.local.discarded()?.into_iter().map(|discarded| Candidate {
        stored: discarded.stored.clone(),
        discarded: Some(discarded),
    });
    Ok(stored.chain(discarded).collect())
}

/// Where the full backups are that are sound.
pub(super) type Roots = BTreeMap<BackupId, Candidate>;

/// Reads every archive in the storage and in the trash, and adds the rows that the catalog lacks. All bytes are decoded
/// and compared with their hashes, because a COMPLETED row says that they are sound. Existing rows stay as they
/// are.
pub fn rebuild(context: &Context, progress: OnProgress<'_>) -> Result<RebuildReport> {
    import(context, candidates(context)?, Roots::new(), progress)
}

/// The same for these archives only. `roots` are full backups that the catalog has.
pub(super) fn import(
    context: &Context,
    mut candidates: Vec<Candidate>,
    mut roots: Roots,
    progress: OnProgress<'_>,
) -> Result<RebuildReport> {
    let total = candidates.iter().map(|it| it.stored.bytes).sum();
    let mut rebuilt = RebuildReport::default();
    // An incremental is checked against its root, so full ones come first.
    candidates.sort_by_key(|it| it.stored.location.kind() == Kind::Incremental);
    let (mut rows, mut done_before) = (Vec::new(), 0);
    for candidate in &candidates {
        let in_trash = candidate.discarded.is_some();
        rebuilt.archives += usize::from(!in_trash);
        match read(context, &roots, candidate, &|done| progress(done_before + done, total)) {
            Ok((row, signer)) => {
                if let Some(signer) = signer {
                    *rebuilt.other_signers.entry(signer).or_default() += 1;
                }
                if row.backup.kind == Kind::Full {
                    roots.entry(row.backup.id).or_insert_with(|| candidate.clone());
                }
                rebuilt.deleted += usize::from(in_trash);
                rows.push(row);
            }
            Err(JobError::Cancelled) => return Err(JobError::Cancelled),
            Err(error) if in_trash => {
                log::info!("{} in the trash is passed over: {error}", candidate.stored.location);
            }
            Err(error) => {
                let location = candidate.stored.location.to_string();
                rebuilt.without_key += usize::from(error.is_about_key());
                rebuilt.unusable.push((location, error.to_string()));
            }
        }
        done_before += candidate.stored.bytes;
        failpoint::at("mid-rebuild");
    }
    // If their disk was taken away meanwhile, what could not be read is not unusable.
    require_archives(context)?;
    // Of one that was copied and then deleted, the archive that is not in the trash comes first: its row stays.
    rows.sort_by_key(|row| (row.backup.created, row.backup.id, row.trashed));
    let (instances, unusable) = instance_file::read_all(context)?;
    rebuilt.unusable.extend(unusable);
    rebuilt.imported = context.catalog.import(rows).wait()?;
    rebuilt.instances = context.catalog.import_instances(instances).wait()?;
    Ok(rebuilt)
}

/// Rebuilds a catalog that has no backup although there are archives: it was lost. All its rows are added at once,
/// so that a rebuild that is cut short begins again. What has been in the trash for long enough is no sign of that: its
/// rows go first.
pub(super) fn rebuild_if_lost(context: &Context, progress: OnProgress<'_>) -> Result<()> {
    let (now, window) = (context.clock.now(), context.settings.trash_window);
    let mut stored = if context.catalog.is_empty()? { candidates(context)? } else { Vec::new() };
    stored.retain(|it| it.discarded.as_ref().is_none_or(|it| it.at.until(now) < window));
    if stored.is_empty() {
        return Ok(());
    }
    let count = stored.len();
    log::warn!(
        "the catalog has no backup, but there are {count} archives: it is rebuilt from them"
    );
    let rebuilt = import(context, stored, Roots::new(), progress)?;
    let signers = rebuilt.advice_on_signers(context);
    let RebuildReport { archives, imported, instances, deleted, unusable, without_key, .. } =
        rebuilt;
    for (what, why) in &unusable {
        log::warn!("not in the catalog: {what}: {why}");
    }
    let keys = if without_key > 0 {
        format!(
            ". No key here reads {without_key} encrypted archives: coffer catalog rebuild --identity FILE, while the \
             server is stopped"
        )
    } else {
        String::new()
    };
    let text = format!(
        "the catalog was lost and is rebuilt: {imported} backups from {archives} archives, and {instances} restored \
         instances; {deleted} deleted backups are in the trash. {BROUGHT_BACK}. {NOT_BROUGHT_BACK}{signers}{keys}"
    );
    log::warn!("{text}");
    context.catalog.set_notice(Notice::CatalogRebuilt, Some(text));
    Ok(())
}

fn read(
    context: &Context,
    roots: &Roots,
    candidate: &Candidate,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<(Recovered, Option<String>)> {
    let Candidate { stored, discarded } = candidate;
    let reader = candidate.open(context)?;
    let manifest = reader.manifest();
    let id = manifest.backup.id;
    if stored.location.backup_id().is_some_and(|named| named != id) {
        let why = format!("it is the archive of backup {id}, under another backup's name");
        return Err(JobError::ArchiveMismatch(why));
    }
    let root = match roots.get(&manifest.root_id) {
        Some(root) if manifest.kind == Kind::Incremental => Some(root.open(context)?),
        _ => None,
    };
    let workers = context.settings.compression_threads;
    let (mut checksum, is_encrypted) = (None, stored.location.is_encrypted());
    // It cannot be restored without its root; its row will say what is missing.
    if manifest.kind == Kind::Full || root.is_some() {
        checksum = Some(archive::verify_file(&reader, root.as_ref(), workers, progress)?);
    }
    // What was verified then is what is encrypted in the file.
    let checksum = match checksum.filter(|_| !is_encrypted) {
        Some(checksum) => checksum,
        None => reader.checksum(workers, progress)?,
    };
    let proven = proof::of_finished(manifest, stored);
    let location = stored.location.clone();
    let facts = facts::of_archive(manifest, location, reader.file_bytes(), checksum, proven);
    let recovered = proof::add_record(&*context.storage, facts::recovered(manifest, facts));
    let signer = Signers::default().require(reader.signature()).ok().flatten();
    let own = context.signer.as_ref().map(|it| it.public());
    let other = signer.filter(|it| Some(*it) != own).map(|it| it.to_string());
    Ok((Recovered { trashed: discarded.as_ref().map(|it| it.at), ..recovered }, other))
}
