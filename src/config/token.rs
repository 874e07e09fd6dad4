//! Tokens of the configuration, which holds only the hashes of their secrets.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::domain::{Caller, ProjectId, Role};

use super::word;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenConfig {
    /// Its name, for the log and as the user name of HTTP Basic. Unique.
    pub name: String,
    pub project_id: ProjectId,
    #[serde(deserialize_with = "word::many")]
    pub roles: Vec<Role>,
    pub sha256: TokenDigest,
}

impl TokenConfig {
    /// Who sends this token, and the hash of its secret.
    pub fn caller_and_hash(&self) -> (Caller, [u8; 32]) {
        let caller = Caller {
            name: self.name.clone(),
            project: Some(self.project_id.clone()),
            roles: self.roles.clone(),
        };
        (caller, self.sha256.0)
    }
}

/// SHA-256 of a token's secret; 64 hex digits in the file.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TokenDigest(pub [u8; 32]);

impl TryFrom<String> for TokenDigest {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(&text, &mut bytes).map_err(|_reason| {
            "not 64 hex digits; `coffer token new` prints the line to put there".to_owned()
        })?;
        Ok(Self(bytes))
    }
}

impl From<TokenDigest> for String {
    fn from(digest: TokenDigest) -> Self {
        hex::encode(digest.0)
    }
}

impl fmt::Debug for TokenDigest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&hex::encode(self.0))
    }
}
