//! Who makes a request, and what they may do.

use std::fmt::Debug;
use std::sync::Arc;

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

impl Role {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Member => "member",
            Self::Reader => "reader",
        }
    }
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

/// Tokens that are given out while the server runs.
pub trait IssuedTokenSource: Send + Sync + Debug {
    /// Who sends the token whose secret has this SHA-256, if it is one that has not ended.
    fn caller_of(&self, sha256: &[u8; 32]) -> Option<Arc<Caller>>;
}
