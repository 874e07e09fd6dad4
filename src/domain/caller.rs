//! Who makes a request, and what they may do.

use serde::{Deserialize, Serialize};

use super::ProjectId;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Everything, in every project.
    Admin,
    /// Read and write in its own project.
    Member,
    /// Read in its own project.
    Reader,
}

/// The bearer of a valid token; with `auth.mode = "none"`, anyone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The token's name, for the log.
    pub name: String,
    /// The token's project; `None` when authentication is off, where the path names the project.
    pub project: Option<ProjectId>,
    pub roles: Vec<Role>,
}

impl Caller {
    /// Whether the caller may act in every project and set quotas.
    pub fn is_admin(&self) -> bool {
        self.roles.contains(&Role::Admin)
    }

    /// Whether the caller may create, delete and restore.
    pub fn may_write(&self) -> bool {
        self.is_admin() || self.roles.contains(&Role::Member)
    }
}
