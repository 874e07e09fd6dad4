//! The rows of tokens that the server made itself; those of the configuration are not stored.

use rusqlite::{Row, params};

use super::sql::{execute, query_all, statements};
use super::types::{Json, json};
use super::{Records, Result};
use crate::domain::{Caller, Role, Timestamp};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRecord {
    pub caller: Caller,
    pub sha256: [u8; 32],
}

statements! {
    EVERY = "SELECT name, project, roles, sha256 FROM tokens WHERE name > ''";

    PUT = "INSERT INTO tokens (name, project, roles, sha256, created)
         VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (name) DO UPDATE SET project = excluded.project, roles = excluded.roles,
             sha256 = excluded.sha256, created = excluded.created";
}

fn read(row: &Row<'_>) -> rusqlite::Result<TokenRecord> {
    let Json(roles): Json<Vec<Role>> = row.get("roles")?;
    let caller = Caller { name: row.get("name")?, project: row.get("project")?, roles };
    Ok(TokenRecord { caller, sha256: row.get("sha256")? })
}

impl Records<'_> {
    /// Every stored token, in order of name.
    pub fn tokens(self) -> Result<Vec<TokenRecord>> {
        query_all(self.0, EVERY, [], read)
    }

    /// Stores a token; one of the same name is replaced, so that its old secret no longer works.
    pub fn put_token(self, token: &TokenRecord, at: Timestamp) -> Result<()> {
        let Caller { name, project, roles } = &token.caller;
        execute(self.0, PUT, params![name, project, json(roles)?, token.sha256, at]).map(drop)
    }
}
