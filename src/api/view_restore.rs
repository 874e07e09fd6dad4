//! The body of `POST instances`, which restores a backup: Trove's words in, the domain's out.

use serde_json::Value;

use crate::catalog::NewInstance;
use crate::domain::{Backup, BackupId, Datastore};

use super::error::ApiError;
use super::extract::{Checker, Object, Presence};

/// What a client asked for.
#[derive(Debug)]
pub(super) struct Wanted {
    /// For the catalog.
    pub(super) new: NewInstance,
    /// Name or id of the engine version it named.
    version: Option<String>,
}

/// Reads a body. Of Trove's many fields only those are looked at that mean something here.
pub(super) fn wanted(body: &Value) -> Result<Wanted, ApiError> {
    let mut check = Checker::default();
    let instance = Checker::root(body, "instance")?;
    let name = check.words(&instance, "name", Presence::Required);
    flavor(&mut check, &instance);
    if let Some(volume) = check.object(&instance, "volume", Presence::Nullable) {
        check.amount(&volume, "size", Presence::Nullable);
    }
    let datastore = check.object(&instance, "datastore", Presence::Nullable);
    let engine = datastore.as_ref().and_then(|it| check.text(it, "type", Presence::Nullable));
    let version = datastore.as_ref().and_then(|it| check.text(it, "version", Presence::Nullable));
    let point = check.object(&instance, "restorePoint", Presence::Required);
    let backup = point.and_then(|point| check.uuid(&point, "backupRef", Presence::Required));
    check.finish()?;
    Ok(Wanted {
        new: NewInstance {
            name: name.unwrap_or_default().to_owned(),
            backup: BackupId::from_uuid(backup.unwrap_or_default()),
            engine: engine.map(str::to_owned),
        },
        version: version.map(str::to_owned),
    })
}

/// The one flavor, as the number or the text that clients make of it.
fn flavor(check: &mut Checker, instance: &Object<'_>) {
    match check.value(instance, "flavorRef", Presence::Optional) {
        None => {}
        Some(Value::Number(number)) if number.as_u64() == Some(1) => {}
        Some(Value::String(text)) if text == "1" || text.ends_with("/flavors/1") => {}
        Some(Value::Number(_) | Value::String(_)) => {
            check.complain(instance, "flavorRef", "is no flavor of this server: there is only 1");
        }
        Some(_) => check.complain(instance, "flavorRef", "is not of type 'integer', 'string'"),
    }
}

impl Wanted {
    /// Holds what was named against the backup, and gives what the catalog is to do.
    pub(super) fn fitting(self, backup: &Backup) -> Result<NewInstance, ApiError> {
        let Self { mut new, version } = self;
        let datastore = &backup.datastore;
        if let Some(wanted) = &mut new.engine {
            if *wanted == Datastore::datastore_id(&datastore.engine) {
                wanted.clone_from(&datastore.engine);
            }
            if *wanted != datastore.engine {
                return Err(mismatch("type", wanted, &datastore.engine, backup));
            }
        }
        match version {
            Some(wanted) if wanted != datastore.version && wanted != datastore.version_id() => {
                Err(mismatch("version", &wanted, &datastore.version, backup))
            }
            _ => Ok(new),
        }
    }
}

fn mismatch(field: &str, wanted: &str, is: &str, backup: &Backup) -> ApiError {
    let shown: String = wanted.chars().take(80).collect();
    ApiError::BadRequest(format!(
        "instance['datastore']['{field}'] '{shown}' is not that of backup {}, which is '{is}'.",
        backup.id
    ))
}
