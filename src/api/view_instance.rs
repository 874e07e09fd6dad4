//! Instances as they go over the wire.

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::domain::{Instance, InstanceOrigin};

use super::link::{self, Link};
use super::view::gigabytes;

/// The region that Trove names when nobody named one.
const REGION: &str = "RegionOne";

/// An instance. The stock client wants flavor, datastore and volume of every row.
#[derive(Debug, Serialize)]
pub(super) struct InstanceView {
    id: String,
    name: String,
    status: &'static str,
    operating_status: &'static str,
    links: [Link; 2],
    flavor: Value,
    datastore: Value,
    region: &'static str,
    access: Map<String, Value>,
    volume: VolumeView,
    created: String,
    updated: String,
    service_status_updated: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<Value>,
    /// Whose it is: only where several projects' are listed.
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant_id: Option<String>,
    /// The backup it was made from; null for one of the configuration.
    restored_from: Option<String>,
    /// Where the restored data lies; null for one of the configuration, whose owner knows.
    restored_to: Option<String>,
}

#[derive(Debug, Serialize)]
struct VolumeView {
    /// Whole gigabytes, at least one: what a volume for it would need.
    size: u64,
    used: f64,
}

/// An instance on the wire. `base` is scheme and host, `project` the path's.
pub(super) fn instance(base: &str, project: &str, row: &Instance) -> InstanceView {
    let id = row.id.to_string();
    let (restored_from, restored_to) = match row.origin {
        InstanceOrigin::Configured => (None, None),
        InstanceOrigin::Restored(backup) => {
            (Some(backup.to_string()), row.source.text("path").map(str::to_owned))
        }
    };
    InstanceView {
        links: link::of_thing(base, project, &format!("instances/{id}")),
        id,
        name: row.name.clone(),
        status: row.status.as_str(),
        operating_status: if row.failure.is_some() { "FAILED" } else { "HEALTHY" },
        flavor: json!({ "id": "1", "links": link::of_thing(base, project, "flavors/1") }),
        datastore: json!({
            "type": row.datastore.engine,
            "version": row.datastore.version,
            "version_number": row.datastore.version,
        }),
        region: REGION,
        access: Map::new(),
        volume: VolumeView {
            size: row.used_bytes.div_ceil(1 << 30).max(1),
            used: gigabytes(row.used_bytes),
        },
        created: row.created.to_wire(),
        updated: row.updated.to_wire(),
        service_status_updated: row.updated.to_wire(),
        fault: row.failure.as_ref().map(|failure| {
            json!({
                "message": failure.message,
                "created": row.updated.to_wire(),
                "details": failure.code,
            })
        }),
        tenant_id: None,
        restored_from,
        restored_to,
    }
}

/// The same where several projects' are listed.
pub(super) fn instance_with_owner(base: &str, row: &Instance) -> InstanceView {
    let owner = row.project.to_string();
    InstanceView { tenant_id: Some(owner.clone()), ..instance(base, &owner, row) }
}

/// The only flavor: a machine has the size it has.
pub(super) fn flavor(base: &str, project: &str) -> Value {
    json!({
        "id": 1,
        "str_id": "1",
        "name": "local",
        "ram": 0,
        "vcpus": 0,
        "disk": 0,
        "ephemeral": 0,
        "links": link::of_thing(base, project, "flavors/1"),
    })
}
