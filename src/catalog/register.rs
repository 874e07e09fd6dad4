//! Accepting the registration of an archive that lies in the store already.

use super::create::insert_new;
use super::datastores::datastores;
use super::rules::Rules;
use super::{Catalog, CatalogError, QuotaResource, Reply, Scope, Write};
use crate::domain::{Backup, BackupId, Datastore, Drill, Kind, Location, Registration, Status};
use crate::store::{Records, Task};

impl Catalog {
    /// Accepts the registration of an archive that lies in the store already; a worker proves it.
    /// Only administrators register what lies outside their project's own folder.
    pub fn register_backup(&self, scope: &Scope<Write>, new: Registration) -> Reply<Backup> {
        let scope = scope.clone();
        self.write_and_ring(move |db, rules| rules.accept_registration(db, &scope, new))
    }
}

impl Rules {
    fn accept_registration(
        &self,
        db: Records<'_>,
        scope: &Scope<Write>,
        new: Registration,
    ) -> Result<Backup, CatalogError> {
        let datastore = self.datastore_of(db, &new.version_id)?;
        may_read(scope, &new.location)?;
        must_be_nobodys(db, &new.location)?;
        self.must_have_room(db, scope.project(), QuotaResource::Backups)?;
        let created = self.next_created(db)?;
        let backup = Backup {
            id: BackupId::generate(),
            project: scope.project().clone(),
            instance: None,
            name: new.name,
            description: new.description,
            kind: Kind::Full,
            parent: None,
            status: Status::New,
            datastore,
            container: None,
            created,
            updated: created,
            facts: None,
            failure: None,
            progress: 0.0,
            drill: Drill::default(),
        };
        insert_new(db, backup, Task::Registration, false, Some(new.location))
    }

    fn datastore_of(&self, db: Records<'_>, version: &str) -> Result<Datastore, CatalogError> {
        let known = datastores(db, self)?;
        known.into_iter().find(|it| it.version_id() == version).ok_or_else(|| {
            let shown: String = version.chars().take(80).collect();
            CatalogError::Invalid { why: format!("Datastore version '{shown}' cannot be found.") }
        })
    }
}

/// Archives lie below their project's folder: a location is a way into another project's data.
fn may_read(scope: &Scope<Write>, location: &Location) -> Result<(), CatalogError> {
    if scope.caller().is_admin() || location.is_in(scope.project()) {
        return Ok(());
    }
    let why = format!(
        "restore_from: the archive does not lie below the folder of project {}.",
        scope.project()
    );
    Err(CatalogError::Invalid { why })
}

/// No row has this archive, and none is about to publish it: an archive's file is named after its row.
fn must_be_nobodys(db: Records<'_>, location: &Location) -> Result<(), CatalogError> {
    let owner = match db.owner_of(location)? {
        Some(owner) => Some(owner),
        None => match location.backup_id() {
            Some(id) => db.backup(id)?.map(|_row| id),
            None => None,
        },
    };
    match owner {
        None => Ok(()),
        Some(id) => {
            let why = format!("restore_from: the archive belongs to backup {id} already.");
            Err(CatalogError::Invalid { why })
        }
    }
}
