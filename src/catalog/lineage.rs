//! What a backup is built on, link by link, and whether every link holds.

use super::CatalogError;
use crate::domain::{
    Backup, BackupId, Failure, FailureCode, Instance, Kind, ParentChoice, ProjectId,
};
use crate::store::{BackupRecord, Records};

use super::rules::{Rules, visible_backup};
use super::{Scope, Write};

/// The longest chain that is followed, whatever clients insisted on: bounds time and memory, and ends
/// rows that name each other as parents.
const MOST_LINKS: usize = 1000;

/// The link that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Break {
    pub(super) culprit: BackupId,
    pub(super) why: String,
}

impl Break {
    /// The error for whoever asked for the backup `id`.
    pub(super) fn refuse(self, id: BackupId) -> CatalogError {
        CatalogError::ChainBroken { id, culprit: self.culprit, why: self.why }
    }

    /// The failure of a row that was to be built on it.
    pub(super) fn failure(self) -> Failure {
        let Self { culprit, why } = self;
        let text = format!(
            "backup {culprit}, which this one needs, {why}; make a new full backup, or verify that one again"
        );
        Failure::new(FailureCode::ChainBroken, text)
    }
}

/// Why nothing can be restored from or built on this one, if so.
fn flaw(record: &BackupRecord) -> Option<String> {
    gone(record).or_else(|| record.damage.as_ref().map(|damage| format!("is damaged: {damage}")))
}

/// Why there is nothing to look at, if so.
fn gone(record: &BackupRecord) -> Option<String> {
    if record.removal.is_some() {
        return Some("is being deleted".to_owned());
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
) -> Result<Result<Vec<Backup>, Break>, CatalogError> {
    walk(db, project, id, flaw)
}

/// The same whatever damage was reported: for looking at it once more.
pub(super) fn chain_to_look_at(
    db: Records<'_>,
    project: &ProjectId,
    id: BackupId,
) -> Result<Result<Vec<Backup>, Break>, CatalogError> {
    walk(db, project, id, gone)
}

fn walk(
    db: Records<'_>,
    project: &ProjectId,
    id: BackupId,
    flaw: fn(&BackupRecord) -> Option<String>,
) -> Result<Result<Vec<Backup>, Break>, CatalogError> {
    let mut chain = Vec::new();
    let mut next = Some(id);
    while let Some(id) = next {
        let broken = |why: String| Ok(Err(Break { culprit: id, why }));
        if chain.len() >= MOST_LINKS {
            return broken(format!("is below more than {MOST_LINKS} others"));
        }
        // A parent in another project is unknown here: a registered archive may say what it likes.
        let Some(record) = db.backup(id)?.filter(|it| it.backup.project == *project) else {
            return broken("is not in the catalog".to_owned());
        };
        if let Some(why) = flaw(&record) {
            return broken(why);
        }
        next = record.backup.parent;
        chain.push(record.backup);
    }
    chain.reverse();
    Ok(Ok(chain))
}

impl Rules {
    /// What a new backup of the instance is built on.
    pub(super) fn parent(
        &self,
        db: Records<'_>,
        scope: &Scope<Write>,
        instance: &Instance,
        choice: ParentChoice,
    ) -> Result<Option<BackupId>, CatalogError> {
        match choice {
            ParentChoice::None => Ok(None),
            ParentChoice::Newest => self.newest_parent(db, instance),
            ParentChoice::This(id) => named_parent(db, scope, instance, id).map(Some),
        }
    }

    /// The newest completed backup. None if there is none, if its chain is broken, or if that has become
    /// so long that the next one is to be a full. A disk that lost one archive may lose others: what is
    /// built after that stands on its own, even where an older backup is sound.
    fn newest_parent(
        &self,
        db: Records<'_>,
        instance: &Instance,
    ) -> Result<Option<BackupId>, CatalogError> {
        let Some(record) = db.newest_completed(&instance.project, instance.id)? else {
            return Ok(None);
        };
        let id = record.backup.id;
        let Ok(chain) = chain(db, &instance.project, id)? else { return Ok(None) };
        let incrementals = chain.iter().filter(|it| it.kind == Kind::Incremental).count();
        let most = usize::try_from(self.settings.max_chain).unwrap_or(usize::MAX);
        Ok((incrementals < most.min(MOST_LINKS)).then_some(id))
    }
}

/// The parent that the client named, if it may be one.
fn named_parent(
    db: Records<'_>,
    scope: &Scope<Write>,
    instance: &Instance,
    id: BackupId,
) -> Result<BackupId, CatalogError> {
    let record = visible_backup(db, scope, id)?;
    if record.removal.is_some() {
        return Err(CatalogError::NoSuchBackup { id });
    }
    if record.backup.instance != Some(instance.id) {
        let why = format!("parent_id: backup {id} is not a backup of instance {}.", instance.id);
        return Err(CatalogError::Invalid { why });
    }
    if let Some(why) = flaw(&record) {
        let why = format!("Backup {id} {why}: name a COMPLETED one as parent, or none.");
        return Err(CatalogError::NotNow { why });
    }
    match chain(db, &instance.project, id)? {
        Ok(chain) if chain.len() < MOST_LINKS => Ok(id),
        Ok(_long) => {
            let why = format!("The chain of backup {id} is as long as it may be: name no parent.");
            Err(CatalogError::NotNow { why })
        }
        Err(broken) => Err(broken.refuse(id)),
    }
}
