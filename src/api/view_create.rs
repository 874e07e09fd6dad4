//! The body of `POST backups`: Trove's words in, the domain's out.

use std::str::FromStr as _;

use serde_json::Value;

use crate::catalog::Shelf;
use crate::domain::{
    BackupId, ContainerName, InstanceId, Location, NewBackup, ParentChoice, Registration,
};

use super::error::ApiError;
use super::extract::{Checker, Object, Presence};

/// What a client asked for.
#[derive(Debug)]
pub(super) enum Wanted {
    /// A new backup of an instance.
    Backup(NewBackup),
    /// The registration of an archive.
    Registration(Registration),
}

/// Reads a body. Fields that are not known are ignored, as Trove does.
pub(super) fn wanted(body: &Value, shelf: &dyn Shelf) -> Result<Wanted, ApiError> {
    let mut check = Checker::default();
    let backup = Checker::root(body, "backup")?;
    let name = check.words(&backup, "name", Presence::Required);
    let description = check.words(&backup, "description", Presence::Nullable);
    let instance = check.uuid(&backup, "instance", Presence::Optional);
    let incremental = check.integer(&backup, "incremental", (0, 1));
    let parent = check.uuid(&backup, "parent_id", Presence::Optional);
    let folder = container(&mut check, &backup, "swift_container", Presence::Optional);
    let driver = check.text(&backup, "storage_driver", Presence::Nullable);
    let import = check.object(&backup, "restore_from", Presence::Optional);
    let import = import.map(|import| Import::read(&mut check, &import));
    check.finish()?;
    if driver.is_some_and(|driver| driver != shelf.driver()) {
        return Err(ApiError::BadRequest(format!(
            "backup['storage_driver']: this server stores archives with '{}' only.",
            shelf.driver()
        )));
    }
    // The checks above have complained if these are not there.
    let name = name.unwrap_or_default().to_owned();
    let description = description.map(str::to_owned);
    if let Some(import) = import {
        let location = import.location(shelf)?;
        let version_id = import.version_id;
        return Ok(Wanted::Registration(Registration { name, description, location, version_id }));
    }
    let instance = instance
        .map(InstanceId::from_uuid)
        .ok_or_else(|| ApiError::BadRequest("instance is missing.".to_owned()))?;
    let parent = match parent {
        Some(id) => ParentChoice::This(BackupId::from_uuid(id)),
        None if incremental == Some(1) => ParentChoice::Newest,
        None => ParentChoice::None,
    };
    Ok(Wanted::Backup(NewBackup { name, description, instance, parent, container: folder }))
}

/// The name of a subfolder, if the field holds one.
pub(super) fn container(
    check: &mut Checker,
    object: &Object<'_>,
    field: &str,
    presence: Presence,
) -> Option<ContainerName> {
    let text = check.text(object, field, presence)?;
    let name = ContainerName::from_str(text).ok();
    if name.is_none() && !text.is_empty() {
        check.complain(
            object,
            field,
            "is not allowed: it names a folder, of 1 to 64 of A-Z a-z 0-9 _ - .",
        );
    }
    name
}

/// `restore_from`.
struct Import {
    url: String,
    version_id: String,
}

impl Import {
    fn read(check: &mut Checker, import: &Object<'_>) -> Self {
        let url = check.text(import, "remote_location", Presence::Required);
        let datastore = check.uuid(import, "local_datastore_version_id", Presence::Required);
        check.amount(import, "size", Presence::Required);
        Self {
            url: url.unwrap_or_default().to_owned(),
            version_id: datastore.unwrap_or_default().to_string(),
        }
    }

    fn location(&self, archives: &dyn Shelf) -> Result<Location, ApiError> {
        archives.locate(&self.url).ok_or_else(|| {
            let shown: String = self.url.chars().take(300).collect();
            ApiError::BadRequest(format!(
                "Failed to restore backup from {shown}: \
                 backup['restore_from']['remote_location'] has to name a file below this server's \
                 archive store."
            ))
        })
    }
}
