//! What to back up.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::domain::{CheckLevel, InstanceId, ProjectId, Source, Verify};

use super::{HealthConfig, KeepConfig, StagingConfig, word};

/// A database or directory to back up: an entry of `[[instances]]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstanceConfig {
    /// Its id; without one it is derived from project and name.
    #[serde(default)]
    pub id: Option<InstanceId>,
    /// Its name, unique in the project.
    pub name: String,
    pub project_id: ProjectId,
    /// The engine that reads it. Whether it exists is not checked here.
    pub engine: String,
    /// Where the data is. Its keys are checked by the engine.
    pub source: Source,
    #[serde(default, deserialize_with = "word::one")]
    pub check: CheckLevel,
    #[serde(default, deserialize_with = "word::one")]
    pub verify: Verify,
    /// When it is backed up, and what is kept: what it does not say, `[defaults]` says.
    #[serde(default)]
    pub schedule: Option<String>,
    #[serde(default)]
    pub timezone: Option<String>,
    #[serde(default)]
    pub jitter: Option<String>,
    #[serde(default)]
    pub window: Option<String>,
    #[serde(default)]
    pub full_every: Option<String>,
    #[serde(default)]
    pub retries: Option<u32>,
    #[serde(default)]
    pub consolidate: Option<bool>,
    #[serde(default)]
    pub keep: Option<KeepConfig>,
    #[serde(default)]
    pub drill: Option<String>,
    /// Where its last backup is restored to by itself.
    #[serde(default)]
    pub staging: Option<StagingConfig>,
    #[serde(default)]
    pub alerts: Option<Vec<String>>,
    #[serde(default)]
    pub reminder: Option<String>,
    #[serde(default)]
    pub copies: Option<Vec<String>>,
    #[serde(default)]
    pub health: Option<HealthConfig>,
}

impl InstanceConfig {
    pub fn instance_id(&self) -> InstanceId {
        self.id.unwrap_or_else(|| InstanceId::derived(&self.project_id, &self.name))
    }

    /// Coffer's own catalog, so that a fresh installation has something to back up.
    pub(super) fn own_catalog(file: &Path) -> Self {
        Self {
            id: None,
            name: "coffer-catalog".to_owned(),
            project_id: "default".parse().expect("this is a valid project id"),
            engine: "sqlite".to_owned(),
            source: Source::from_path(&file.to_string_lossy()),
            check: CheckLevel::Quick,
            verify: Verify::Archive,
            schedule: None,
            timezone: None,
            jitter: None,
            window: None,
            full_every: None,
            retries: None,
            consolidate: None,
            keep: None,
            drill: None,
            staging: None,
            alerts: None,
            reminder: None,
            copies: None,
            health: None,
        }
    }
}
