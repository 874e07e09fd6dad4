//! Projects, in Keystone's form.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::ProjectId;

/// A project. The keys are those of Keystone's API, version 3.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProjectView {
    /// Its id.
    pub id: ProjectId,
    /// The same.
    pub name: ProjectId,
    /// Always empty.
    pub description: String,
    /// Always true.
    pub enabled: bool,
    /// Always false.
    pub is_domain: bool,
    /// Always `default`.
    pub domain_id: String,
    /// Always `default`.
    pub parent_id: String,
    /// `self`: where it is.
    pub links: BTreeMap<String, String>,
}

impl ProjectView {
    /// A project, and where it is.
    pub fn new(project: &ProjectId, url: String) -> Self {
        Self {
            id: project.clone(),
            name: project.clone(),
            description: String::new(),
            enabled: true,
            is_domain: false,
            domain_id: "default".to_owned(),
            parent_id: "default".to_owned(),
            links: BTreeMap::from([("self".to_owned(), url)]),
        }
    }
}
