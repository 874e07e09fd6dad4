//! Chains: what a backup is built on, link by link, and whether every link can be used.

use crate::domain::{
    Backup, BackupId, Damage, Failure, FailureCode, Instance, Kind, ParentChoice, ProjectId,
    Status, Timestamp,
};
use crate::store::{BackupRecord, Records};

use super::rules::{Rules, visible_backup};
use super::{Catalog, CatalogError, Invalid, NotNow, Result, Scope, Write};

/// The longest chain that is followed, whatever parents clients named: bounds time and memory, also where
/// rows name each other as parents.
const LONGEST_CHAIN: usize = 1000;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Break {
    pub(super) bad_backup: BackupId,
    pub(super) why: String,
    /// Whether its bytes are wrong, as opposed to not there.
    pub(super) damaged: bool,
}

impl Break {
    /// The error for a request for the backup `id`.
    pub(super) fn refuse(self, id: BackupId) -> CatalogError {
        let Self { bad_backup, why, damaged } = self;
        CatalogError::ChainBroken { id, bad_backup, why, damaged }
    }

    /// The failure of a row that was to be built on it.
    pub(super) fn failure(self) -> Failure {
        let Self { bad_backup, why, .. } = self;
        let text = format!(
            "backup {bad_backup}, which this one needs, {why}; make a new full backup, or verify that one again"
        );
        Failure::new(FailureCode::ChainBroken, text)
    }
}

/// Why nothing can be restored from this one or built on it, if so.
fn unusable(record: &BackupRecord) -> Option<String> {
    missing(record).or_else(|| {
        record.damage.as_ref().map(|Damage { failure, .. }| {
            let what = if failure.code.is_damage() { "damaged" } else { "without its archive" };
            format!("is {what}: {failure}")
        })
    })
}

/// Why there is nothing to read, if so.
fn missing(record: &BackupRecord) -> Option<String> {
    if record.removal.is_some() {
        return Some("was deleted".to_owned());
    }
    if !record.backup.status.is_usable() {
        return Some(format!("is {}", record.backup.status));
    }
    None
}

/// The chain of `id`, root first, itself last: its parents inside one project, or the link that breaks it.
pub(super) fn chain(
    db: Records<'_>,
    project: &ProjectId,
    id: BackupId,
) -> Result<Result<Vec<Backup>, Break>> {
    walk(db, project, id, unusable)
}

/// The same whatever damage was reported: to check it once more, or to restore it.
pub(super) fn chain_to_check(
    db: Records<'_>,
    project: &ProjectId,
    id: BackupId,
) -> Result<Result<Vec<Backup>, Break>> {
    walk(db, project, id, missing)
}

/// The newest backup of an instance that can be restored, as far as is known, and when it was asked for.
pub(super) fn newest_good(
    db: Records<'_>,
    instance: &Instance,
    until: Timestamp,
) -> Result<Option<(BackupId, Timestamp)>> {
    let Some(newest) = db.newest_completed(&instance.project, instance.id, until)? else {
        return Ok(None);
    };
    let newest = newest.backup;
    if chain(db, &instance.project, newest.id)?.is_ok() {
        return Ok(Some((newest.id, newest.created)));
    }
    for point in db.points_of(&instance.project, instance.id)?.into_iter().rev() {
        if point.status == Status::Completed && chain(db, &instance.project, point.id)?.is_ok() {
            return Ok(Some((point.id, point.created)));
        }
    }
    Ok(None)
}

fn walk(
    db: Records<'_>,
    project: &ProjectId,
    id: BackupId,
    problem: fn(&BackupRecord) -> Option<String>,
) -> Result<Result<Vec<Backup>, Break>> {
    let mut chain = Vec::new();
    let mut next = Some(id);
    while let Some(id) = next {
        let broken = |why| Ok(Err(Break { bad_backup: id, why, damaged: false }));
        if chain.len() >= LONGEST_CHAIN {
            return broken(format!("is below more than {LONGEST_CHAIN} others"));
        }
        // A registered archive may name any parent; one in another project does not count.
        let Some(record) = db.backup(id)?.filter(|it| it.backup.project == *project) else {
            return broken("is not in the catalog".to_owned());
        };
        if let Some(why) = problem(&record) {
            let damaged = record.damage.is_some_and(|it| it.failure.code.is_damage());
            return Ok(Err(Break { bad_backup: id, why, damaged }));
        }
        next = record.backup.parent;
        chain.push(record.backup);
    }
    chain.reverse();
    Ok(Ok(chain))
}

impl Catalog {
    /// The backups that restoring this one needs, root first, itself last. A link that is missing or not
    /// usable is an error that names it.
    pub fn chain(&self, id: BackupId) -> Result<Vec<Backup>> {
        self.store.read(|db| {
            let record = db.backup(id)?.ok_or(CatalogError::NoSuchBackup { id })?;
            chain(db, &record.backup.project, id)?.map_err(|broken| broken.refuse(id))
        })
    }
}

impl Catalog {
    /// The same whatever damage was reported, and those reports: nothing stands between a person and the only
    /// copy of their data.
    pub fn chain_to_restore(&self, id: BackupId) -> Result<(Vec<Backup>, Vec<Damage>)> {
        self.store.read(|db| {
            let record = db.backup(id)?.ok_or(CatalogError::NoSuchBackup { id })?;
            let chain = chain_to_check(db, &record.backup.project, id)?;
            let chain = chain.map_err(|broken| broken.refuse(id))?;
            let mut reported = Vec::new();
            for link in &chain {
                reported.extend(db.backup(link.id)?.and_then(|it| it.damage));
            }
            Ok((chain, reported))
        })
    }
}

impl Rules {
    /// What a new backup of the instance is built on.
    pub(super) fn parent(
        &self,
        db: Records<'_>,
        scope: &Scope<Write>,
        instance: &Instance,
        choice: ParentChoice,
    ) -> Result<Option<BackupId>> {
        match choice {
            ParentChoice::None => Ok(None),
            ParentChoice::Newest => self.newest_parent(db, instance),
            ParentChoice::This(id) => named_parent(db, scope, instance, id).map(Some),
        }
    }

    /// The newest completed backup. `None` if there is none, if its chain is broken, or if that is so long
    /// that the next backup is to be a full one. A disk that lost one archive may lose others, so after a
    /// broken chain comes a full backup, even where an older one is sound.
    fn newest_parent(&self, db: Records<'_>, instance: &Instance) -> Result<Option<BackupId>> {
        let until = self.latest_plausible();
        let Some(record) = db.newest_completed(&instance.project, instance.id, until)? else {
            return Ok(None);
        };
        let id = record.backup.id;
        let Ok(chain) = chain(db, &instance.project, id)? else { return Ok(None) };
        let incrementals = chain.iter().filter(|it| it.kind == Kind::Incremental).count();
        let most = usize::try_from(self.settings.max_chain).unwrap_or(usize::MAX);
        Ok((incrementals < most.min(LONGEST_CHAIN)).then_some(id))
    }
}

/// The parent that the client named, if it may be one.
fn named_parent(
    db: Records<'_>,
    scope: &Scope<Write>,
    instance: &Instance,
    id: BackupId,
) -> Result<BackupId> {
    let record = visible_backup(db, scope, id)?;
    if record.removal.is_some() {
        return Err(CatalogError::NoSuchBackup { id });
    }
    if record.backup.instance != Some(instance.id) {
        return Err(Invalid::ParentOfOther { parent: id, instance: instance.id }.into());
    }
    if let Some(why) = unusable(&record) {
        return Err(NotNow::ParentUnusable { id, why }.into());
    }
    match chain(db, &instance.project, id)? {
        Ok(chain) if chain.len() < LONGEST_CHAIN => Ok(id),
        Ok(_long) => Err(NotNow::ChainTooLong(id).into()),
        Err(broken) => Err(broken.refuse(id)),
    }
}
