//! Who asks.

use serde::{Deserialize, Serialize};

use super::ProjectId;

/// What a token may do.
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

/// Somebody who showed a valid token (or anybody, with `auth.mode = "none"`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The token's name, for the log.
    pub name: String,
    /// The token's project; `None` when authentication is off: then it is the path's.
    pub project: Option<ProjectId>,
    /// What it may do.
    pub roles: Vec<Role>,
}

impl Caller {
    /// May act in every project and set quotas.
    pub fn is_admin(&self) -> bool {
        self.roles.contains(&Role::Admin)
    }

    /// May create, delete and restore.
    pub fn may_write(&self) -> bool {
        self.is_admin() || self.roles.contains(&Role::Member)
    }
}
