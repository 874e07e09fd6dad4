//! Backup strategies as they go over the wire, in and out.

use serde_json::{Value, json};

use crate::catalog::NewStrategy;
use crate::domain::{ContainerName, InstanceId, Strategy};

use super::error::ApiError;
use super::extract::{Checker, Presence};
use super::view_create;

/// Reads the body of `POST backup_strategies`.
pub(super) fn wanted(body: &Value) -> Result<NewStrategy, ApiError> {
    let mut check = Checker::default();
    let strategy = check.root(body, "backup_strategy")?;
    let instance = check.uuid(&strategy, "instance_id", Presence::Optional);
    let container =
        view_create::container(&mut check, &strategy, "swift_container", Presence::Required);
    check.nothing_but(&strategy, &["instance_id", "swift_container"]);
    check.finish()?;
    let container: ContainerName = container
        .ok_or_else(|| ApiError::Fault("a checked strategy has no container".to_owned()))?;
    Ok(NewStrategy { instance: instance.map(InstanceId::from_uuid), container })
}

/// A strategy on the wire. The stock client wants a text for the instance, empty for the project.
pub(super) fn strategy(row: &Strategy, backend: &str) -> Value {
    json!({
        "project_id": row.project,
        "instance_id": row.instance.map(|id| id.to_string()).unwrap_or_default(),
        "backend": backend,
        "swift_container": row.container,
    })
}
