//! What the server says of itself.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Link;

/// A version of the API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ApiVersion {
    /// Its id.
    pub id: String,
    /// Its URLs.
    pub links: Vec<Link>,
    /// `CURRENT`; of the identity API `stable`.
    pub status: String,
    /// When it was made.
    pub updated: String,
}

/// That the server can answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Health {
    /// `ok`, or `stopped` while it begins nothing, for a reason that `notices` says; a server that cannot answer says 503.
    pub status: HealthStatus,
    /// The version of the server.
    pub version: String,
    /// What a person should look after, in sentences: archives that are not there, a catalog that was rebuilt.
    #[serde(default)]
    pub notices: Vec<String>,
}

/// How the server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum HealthStatus {
    /// It works.
    Ok,
    /// It answers, and begins no backup, restore or removal until what `notices` says is over.
    Stopped,
}
