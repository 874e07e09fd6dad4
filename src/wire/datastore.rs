//! Datastores: Trove's name for engines, with the versions of databases that there are backups of.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Link;

/// A datastore, which is an engine, with its versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DatastoreView {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its URLs.
    pub links: Vec<Link>,
    /// Its versions.
    pub versions: Vec<DatastoreVersion>,
    /// The id of the default version. The OpenStack client looks it up in `versions`.
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
    /// The same as `name`; Trove sends both.
    pub version: String,
    /// Its URLs.
    pub links: Vec<Link>,
    /// The id of its datastore; left out inside the datastore's own object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub datastore: Option<String>,
}
