//! What is to be backed up.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::domain::{CheckLevel, InstanceId, ProjectId, Source, Verify};

use super::word;

/// One database or directory of the file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstanceConfig {
    /// Its id, if the operator wants a certain one.
    #[serde(default)]
    pub id: Option<InstanceId>,
    /// Its name, unique in the project.
    pub name: String,
    /// Whose it is.
    pub project_id: ProjectId,
    /// Which engine reads it. Whether there is such an engine is not looked at here.
    pub engine: String,
    /// Where the data is. Paths are absolute.
    pub source: Source,
    /// How thoroughly the engine checks what it reads.
    #[serde(default, deserialize_with = "word::one")]
    pub check: CheckLevel,
    /// How far each new backup is proven before anybody asks.
    #[serde(default, deserialize_with = "word::one")]
    pub verify: Verify,
}

impl InstanceConfig {
    /// Its id: the one given, else the one that project and name make.
    pub fn instance_id(&self) -> InstanceId {
        self.id.unwrap_or_else(|| InstanceId::derived(&self.project_id, &self.name))
    }

    /// Coffer's own catalog: something real to back up where nothing else is configured.
    pub(super) fn own_catalog(file: &Path) -> Self {
        Self {
            id: None,
            name: "coffer-catalog".to_owned(),
            project_id: "default".parse().expect("a word is a project id"),
            engine: "sqlite".to_owned(),
            source: Source::from_path(&file.to_string_lossy()),
            check: CheckLevel::Quick,
            verify: Verify::Archive,
        }
    }
}
