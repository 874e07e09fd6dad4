//! Backup strategies: which subfolder the backups of an instance or a project go to.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::{ContainerName, InstanceId, ProjectId};

use super::request;

/// A strategy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StrategyView {
    /// The kind of storage.
    pub backend: String,
    /// The instance; empty for the whole project, because the OpenStack client wants a text.
    pub instance_id: String,
    /// The project.
    pub project_id: ProjectId,
    /// The subfolder.
    pub swift_container: ContainerName,
}

/// A strategy to create or replace.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateStrategy {
    /// The instance; the whole project if left out.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "request::optional_id"
    )]
    #[schema(nullable = false)]
    pub instance_id: Option<InstanceId>,
    /// The subfolder.
    pub swift_container: ContainerName,
}
