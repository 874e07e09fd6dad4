//! A user, and the credentials of a user's programs.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::domain::{ProjectId, Role};

use super::{PasswordHash, UsersError};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// 32 hex digits, like Keystone's.
    pub id: String,
    /// Unique. For people, the log and the events.
    pub name: String,
    pub project_id: ProjectId,
    pub role: Role,
    pub password: PasswordHash,
    #[serde(default)]
    pub credentials: Vec<Credential>,
}

/// An application credential: what a program signs in with instead of the user's password.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credential {
    /// 32 hex digits, like Keystone's.
    pub id: String,
    /// Unique among those of its user.
    pub name: String,
    /// What it allows; never more than its user may.
    pub role: Role,
    pub sha256: SecretHash,
}

/// SHA-256 of a secret of 256 random bits; 64 hex digits in the file.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SecretHash([u8; 32]);

impl SecretHash {
    fn of(secret: &str) -> Self {
        Self(Sha256::digest(secret.as_bytes()).into())
    }

    /// Takes as long whatever the answer is.
    pub(super) fn is_of(self, secret: &str) -> bool {
        self.0.ct_eq(&Self::of(secret).0).into()
    }
}

impl TryFrom<String> for SecretHash {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_reason| "not 64 hex digits")?;
        Ok(Self(bytes))
    }
}

impl From<SecretHash> for String {
    fn from(hash: SecretHash) -> Self {
        hex::encode(hash.0)
    }
}

/// Never shows it.
impl fmt::Debug for SecretHash {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("SecretHash(***)")
    }
}

/// A new secret of 256 random bits.
pub struct NewSecret(String);

impl NewSecret {
    pub(super) fn generate() -> Result<Self, getrandom::Error> {
        let mut bytes = [0_u8; 32];
        getrandom::fill(&mut bytes)?;
        Ok(Self(URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// The secret itself, for whoever is to have it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    pub(super) fn sha256(&self) -> [u8; 32] {
        SecretHash::of(&self.0).0
    }
}

/// Never shows it.
impl fmt::Debug for NewSecret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("NewSecret(***)")
    }
}

impl User {
    pub fn new(
        name: &str,
        project_id: ProjectId,
        role: Role,
        password: PasswordHash,
    ) -> Result<Self, UsersError> {
        let name = checked(name)?;
        Ok(Self { id: new_id()?, name, project_id, role, password, credentials: Vec::new() })
    }

    /// Whether it may work in this project. An administrator may in every one.
    pub(super) fn may_enter(&self, project: &ProjectId) -> bool {
        self.project_id == *project || self.role == Role::Admin
    }
}

impl Credential {
    pub(super) fn new(name: &str, role: Role) -> Result<(Self, NewSecret), UsersError> {
        let secret = NewSecret::generate()?;
        let sha256 = SecretHash(secret.sha256());
        Ok((Self { id: new_id()?, name: checked(name)?, role, sha256 }, secret))
    }
}

/// How much a role allows: more than those with a smaller number.
pub(super) const fn rank(role: Role) -> u8 {
    match role {
        Role::Reader => 0,
        Role::Member => 1,
        Role::Admin => 2,
    }
}

/// A name that can stand in a log, a header and a file.
pub(super) fn checked(name: &str) -> Result<String, UsersError> {
    let printable = !name.chars().any(char::is_control) && !name.contains([':', '/']);
    let fits = (1..=255).contains(&name.chars().count()) && name.chars().any(char::is_alphanumeric);
    if printable && fits {
        return Ok(name.to_owned());
    }
    Err(UsersError::BadName(
        "a name has 1 to 255 characters, with a letter or digit and without colons, slashes and control characters",
    ))
}

fn new_id() -> Result<String, getrandom::Error> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes)?;
    Ok(hex::encode(bytes))
}
