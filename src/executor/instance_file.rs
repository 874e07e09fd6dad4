//! What a rebuilt catalog must know of restored instances.

use serde::{Deserialize, Serialize};

use crate::domain::{
    BackupId, CheckLevel, Datastore, Instance, InstanceId, InstanceOrigin, InstanceStatus,
    ProjectId, Timestamp, Verify,
};
use crate::engine;

use super::{Context, Result};

/// What cannot be used, by its location or id, with the reason.
pub(super) type Unusable = Vec<(String, String)>;

#[derive(Debug, Serialize, Deserialize)]
struct Record {
    project: ProjectId,
    name: String,
    engine: String,
    version: String,
    restored_from: BackupId,
    used_bytes: u64,
    created: String,
}

/// Writes it for an instance that was just restored.
pub(super) fn write(context: &Context, instance: &Instance, used: u64) -> Result<()> {
    let InstanceOrigin::Restored(restored_from) = instance.origin else { return Ok(()) };
    let record = Record {
        project: instance.project.clone(),
        name: instance.name.clone(),
        engine: instance.datastore.engine.clone(),
        version: instance.datastore.version.clone(),
        restored_from,
        used_bytes: used,
        created: instance.created.to_string(),
    };
    let json = serde_json::to_vec(&record).expect("a record of texts and numbers is valid JSON");
    Ok(context.local.put_instance_file(instance.id, &json)?)
}

/// The restored instances that the catalog does not have, and the files that cannot be used, with the reason.
pub(super) fn read_all(context: &Context) -> Result<(Vec<Instance>, Unusable)> {
    let (mut instances, mut unusable) = (Vec::new(), Vec::new());
    for (id, json) in context.local.instance_files()? {
        if context.catalog.has_instance(id)? {
            continue;
        }
        match read(context, id, &json) {
            Ok(instance) => instances.push(instance),
            Err(why) => unusable.push((format!("instance {id}"), why)),
        }
    }
    Ok((instances, unusable))
}

fn read(context: &Context, id: InstanceId, json: &[u8]) -> Result<Instance, String> {
    let record: Record = serde_json::from_slice(json).map_err(|error| error.to_string())?;
    let local = &context.local;
    if !local.has_restored(&record.project, id).map_err(|error| error.to_string())? {
        return Err("what was restored is gone".to_owned());
    }
    let folder = local.restored_folder(&record.project, id).map_err(|error| error.to_string())?;
    let found = engine::find(&record.engine);
    let engine = found.ok_or_else(|| format!("there is no engine {:?}", record.engine))?;
    let source = engine.source_of(&folder.join(engine.target_name(&record.name)));
    let created: Timestamp = record.created.parse().map_err(|error| format!("{error}"))?;
    Ok(Instance {
        id,
        project: record.project,
        name: record.name,
        datastore: Datastore { engine: record.engine, version: record.version },
        origin: InstanceOrigin::Restored(record.restored_from),
        source,
        check: CheckLevel::default(),
        verify: Verify::default(),
        status: InstanceStatus::Active,
        used_bytes: record.used_bytes,
        failure: None,
        created,
        updated: created,
    })
}
