//! Datastores: the engines and versions that backups are of.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Link;

/// An engine with its versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DatastoreView {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Where it is.
    pub links: Vec<Link>,
    /// Its versions.
    pub versions: Vec<DatastoreVersion>,
    /// The id of one of `versions`, where the stock client looks it up.
    #[schema(required)]
    pub default_version: Option<String>,
}

/// A version of an engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DatastoreVersion {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The same.
    pub version: String,
    /// Where it is.
    pub links: Vec<Link>,
    /// The id of its engine; left out below the engine itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub datastore: Option<String>,
}
