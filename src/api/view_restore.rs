//! The body of `POST instances`, which restores a backup: Trove's words in, the domain's out.

use serde_json::Value;

use crate::catalog::NewInstance;
use crate::domain::BackupId;

use super::error::ApiError;
use super::extract::{Checker, Object, Presence};

/// Reads a body. Of Trove's many fields only those are looked at that mean something here.
pub(super) fn wanted(body: &Value) -> Result<NewInstance, ApiError> {
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
    Ok(NewInstance {
        name: name.unwrap_or_default().to_owned(),
        backup: BackupId::from_uuid(backup.unwrap_or_default()),
        engine: engine.map(str::to_owned),
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
