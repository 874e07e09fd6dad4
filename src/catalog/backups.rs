//! Backups: reading them, and accepting new ones.

use std::slice;

use crate::domain::{
    Action, Backup, BackupId, Datastore, Event, InstanceId, Kind, Limit, Location, NewBackup,
    ParentChoice, Position, ProjectId, QuotaResource, Registration, RunKind, Status, Timestamp,
};
use crate::store::{self, BackupRecord, RecordedArchive, Records, RunOf, Task};

use super::copies::read_copies;
use super::rules::{Rules, visible_backup, visible_instance};
use super::{Catalog, CatalogError, Forbidden, Invalid, NotNow, Read, Reply, Result, Scope, Write};

/// Which backups, and which page of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupFilter {
    pub all_projects: bool,
    /// Of another project (admin only).
    pub project: Option<ProjectId>,
    /// Of this instance. A text that is not an id matches nothing.
    pub instance: Option<String>,
    /// Of this engine, by name or datastore id; an unknown one is an error.
    pub engine: Option<String>,
    pub status: Option<Status>,
    /// Rows a page.
    pub limit: Limit,
    /// Only rows after this position.
    pub after: Option<Position>,
}

/// One page of backups, newest first.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct BackupPage {
    pub rows: Vec<Backup>,
    /// The position after which the next page starts; `None` on the last one.
    pub next: Option<Position>,
}

impl Catalog {
    /// One page of backups, without those that were deleted.
    pub fn backups(&self, scope: &Scope<Read>, filter: &BackupFilter) -> Result<BackupPage> {
        let project = listed_project(scope, filter)?;
        let instance = match filter.instance.as_deref().map(str::parse::<InstanceId>) {
            None => None,
            Some(Ok(id)) => Some(id),
            Some(Err(_not_an_id)) => return Ok(BackupPage::default()),
        };
        let (status, after, rows) = (filter.status, filter.after, filter.limit.rows());
        let mut backups = self.store.read(|db| {
            let engine = filter
                .engine
                .as_deref()
                .map(|asked| self.rules.engine_named(db, asked))
                .transpose()?;
            let engine = engine.as_deref();
            let page = store::Page { project, instance, engine, status, after, rows };
            let mut found = db.backups_page(&page)?;
            read_copies(db, &mut found)?;
            Ok::<_, CatalogError>(found)
        })?;
        // The store adds one row more, if there is one: then this is not the last page.
        let rows = usize::try_from(rows).unwrap_or(usize::MAX);
        let more = backups.len() > rows;
        backups.truncate(rows);
        for backup in &mut backups {
            self.progress.read_into(backup);
        }
        let last = backups.last().map(|it| Position { created: it.created, id: it.id });
        Ok(BackupPage { rows: backups, next: last.filter(|_last| more) })
    }

    /// One backup. That of another project, or one that was deleted, is reported as not found, except to an administrator.
    pub fn backup(&self, scope: &Scope<Read>, id: BackupId) -> Result<Backup> {
        let mut backup = self.store.read(|db| visible_backup(db, scope, id))?.backup;
        self.read_copies(slice::from_mut(&mut backup))?;
        self.progress.read_into(&mut backup);
        Ok(backup)
    }

    /// A backup by id, unless its archive is in the trash; without a check of access: for jobs and commands,
    /// not for requests.
    pub fn find(&self, id: BackupId) -> Result<Backup> {
        let found = self.store.read(|db| db.backup(id))?.filter(|it| it.trashed.is_none());
        let mut backup = found.ok_or(CatalogError::NoSuchBackup { id })?.backup;
        self.read_copies(slice::from_mut(&mut backup))?;
        self.progress.read_into(&mut backup);
        Ok(backup)
    }

    /// Every backup of every project, oldest first, without a check of access.
    pub fn every_backup(&self) -> Result<Vec<Backup>> {
        let found = self.store.read(|db| Ok::<_, CatalogError>(db.every_backup()?))?;
        let mut backups: Vec<_> = found.into_iter().map(|it| it.backup).collect();
        for backup in &mut backups {
            self.progress.read_into(backup);
        }
        Ok(backups)
    }

    /// When the newest backup was made, also one in the trash.
    pub fn newest_backup(&self) -> Result<Option<Timestamp>> {
        self.store.read(|db| Ok(db.newest_backup()?))
    }

    /// Shows the archive of every backup but those in the trash, oldest first, without a check of access. This takes no
    /// memory that grows with them.
    pub fn each_archive(&self, show: impl FnMut(RecordedArchive)) -> Result<()> {
        self.store.read(|db| Ok(db.each_archive(show)?))
    }

    /// Whether a backup that was made after this has its archive there.
    pub fn is_expected(&self, location: &Location, after: Timestamp) -> Result<bool> {
        self.store.read(|db| Ok(db.is_expected(location, after)?))
    }

    /// Accepts a new backup, and wakes the executor. It belongs to the project of its instance.
    pub fn create_backup(&self, scope: &Scope<Write>, new: NewBackup) -> Reply<Backup> {
        let scope = scope.clone();
        self.accept(move |db, rules| rules.accept_backup(db, &scope, new))
    }

    /// Accepts the registration of an archive that is in the storage already; a worker proves it.
    /// Only administrators register an archive outside their project's folder.
    pub fn register_backup(&self, scope: &Scope<Write>, new: Registration) -> Reply<Backup> {
        let scope = scope.clone();
        self.accept(move |db, rules| rules.accept_registration(db, &scope, new))
    }
}

/// The project whose backups are listed; `None`: all.
fn listed_project<'a>(
    scope: &'a Scope<Read>,
    filter: &'a BackupFilter,
) -> Result<Option<&'a ProjectId>> {
    if (filter.all_projects || filter.project.is_some()) && !scope.caller().is_admin() {
        return Err(Forbidden::AllProjects.into());
    }
    Ok(match &filter.project {
        Some(project) => Some(project),
        None if filter.all_projects => None,
        None => Some(scope.project()),
    })
}

impl Rules {
    pub(super) fn accept_backup(
        &self,
        db: Records<'_>,
        scope: &Scope<Write>,
        new: NewBackup,
    ) -> Result<Backup> {
        let instance = visible_instance(db, scope, new.instance)?;
        self.ensure_idle(&instance)?;
        let parent = self.parent(db, scope, &instance, new.parent)?;
        self.ensure_quota(db, &instance.project, QuotaResource::Backups)?;
        let created = self.creation_time(db)?;
        let container = super::projects::container_for(db, &instance, new.container)?;
        let (project, datastore) = (instance.project, instance.datastore);
        let event = Event::done(created, &scope.actor(), Action::BackupCreate);
        let event = event.with_detail(format!("of instance {}", instance.name));
        let backup = Backup {
            instance: Some(instance.id),
            description: new.description,
            kind: if parent.is_some() { Kind::Incremental } else { Kind::Full },
            parent,
            container,
            ..Backup::new(BackupId::generate(), project, new.name, datastore, created)
        };
        insert_new(
            db,
            BackupRecord {
                backup,
                task: Task::Backup,
                parent_required: matches!(new.parent, ParentChoice::This(_)),
                location: None,
                damage: None,
                removal: None,
                trashed: None,
            },
            event,
        )
    }

    fn accept_registration(
        &self,
        db: Records<'_>,
        scope: &Scope<Write>,
        new: Registration,
    ) -> Result<Backup> {
        let datastore = self.datastore_of(db, &new.version_id)?;
        ensure_own_folder(scope, &new.location)?;
        ensure_not_taken(db, &new.location)?;
        self.ensure_quota(db, scope.project(), QuotaResource::Backups)?;
        let created = self.creation_time(db)?;
        let (id, project) = (BackupId::generate(), scope.project().clone());
        let backup = Backup {
            description: new.description,
            ..Backup::new(id, project, new.name, datastore, created)
        };
        insert_new(
            db,
            BackupRecord {
                backup,
                task: Task::Registration,
                parent_required: false,
                location: Some(new.location),
                damage: None,
                removal: None,
                trashed: None,
            },
            Event::done(created, &scope.actor(), Action::BackupRegister),
        )
    }

    fn datastore_of(&self, db: Records<'_>, version: &str) -> Result<Datastore> {
        let known = self.datastores(db)?;
        known
            .into_iter()
            .find(|it| it.version_id() == version)
            .ok_or_else(|| Invalid::DatastoreVersion(version.chars().take(80).collect()).into())
    }
}

/// Adds a row that waits for a worker, opens its run, and records this event of it.
fn insert_new(db: Records<'_>, record: BackupRecord, event: Event) -> Result<Backup> {
    let backup = &record.backup;
    if !db.insert_backup(&record)? {
        return Err(NotNow::IdTaken(backup.id).into());
    }
    let run = RunOf::backup(run_kind(record.task), backup.id).with_instance(backup.instance);
    db.open_run(run, &backup.project, backup.created)?;
    db.add_event(&event.in_project(&backup.project).of(backup.id))?;
    Ok(record.backup)
}

/// The kind of run that does this task.
pub(super) const fn run_kind(task: Task) -> RunKind {
    match task {
        Task::Backup => RunKind::Backup,
        Task::Registration => RunKind::Registration,
    }
}

/// Whoever could register any location could read another project's archive, so only an administrator may
/// name one outside the project's folder.
fn ensure_own_folder(scope: &Scope<Write>, location: &Location) -> Result<()> {
    if scope.caller().is_admin() || location.is_in(scope.project()) {
        return Ok(());
    }
    Err(Invalid::ForeignArchive(scope.project().clone()).into())
}

/// Fails if a backup has this archive, or may be about to publish it: an archive is named after its backup.
fn ensure_not_taken(db: Records<'_>, location: &Location) -> Result<()> {
    let owner = match (db.owner_of_location(location)?, location.backup_id()) {
        (Some(owner), _) => Some(owner),
        (None, Some(id)) => db.backup(id)?.map(|_row| id),
        (None, None) => None,
    };
    match owner {
        None => Ok(()),
        Some(owner) => Err(Invalid::ArchiveTaken(owner).into()),
    }
}
