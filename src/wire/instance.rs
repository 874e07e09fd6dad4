//! Instances and flavors: how they are shown, and how a restore is asked for.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::{BackupId, FailureCode, InstanceId, InstanceStatus, ProjectId};

use super::{Link, UtcTime, request};

/// An instance. The stock client wants flavor, datastore and volume of every row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct InstanceView {
    /// Its id.
    pub id: InstanceId,
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub status: InstanceStatus,
    /// `HEALTHY` or `FAILED`.
    pub operating_status: String,
    /// Its URLs.
    pub links: Vec<Link>,
    /// The only flavor.
    pub flavor: FlavorRef,
    /// Its engine and version.
    pub datastore: InstanceDatastore,
    /// Always the name that Trove gives to a region without one.
    pub region: String,
    /// Where its server is reached; left out for files, sockets, host names, and restored data, which no server runs on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<InstanceAddress>,
    /// Always empty.
    pub access: BTreeMap<String, String>,
    /// How large it is.
    pub volume: VolumeView,
    /// When it was first seen or asked for.
    pub created: UtcTime,
    /// When it changed last.
    pub updated: UtcTime,
    /// The same.
    pub service_status_updated: UtcTime,
    /// Why its restore failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub fault: Option<InstanceFault>,
    /// The project that owns it; only where the instances of several projects are listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub tenant_id: Option<ProjectId>,
    /// The backup it was made from; null for one of the configuration.
    #[schema(required)]
    pub restored_from: Option<BackupId>,
    /// Where the restored data lies; null for one of the configuration.
    #[schema(required)]
    pub restored_to: Option<String>,
}

/// The flavor of an instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FlavorRef {
    /// Its id.
    pub id: String,
    /// Its URLs.
    pub links: Vec<Link>,
}

/// The engine and version of an instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InstanceDatastore {
    /// The engine.
    #[serde(rename = "type")]
    pub engine: String,
    /// The version.
    pub version: String,
    /// The same.
    pub version_number: String,
}

/// An IP address of an instance's server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InstanceAddress {
    /// The address.
    #[schema(value_type = String)]
    pub address: IpAddr,
    /// `private` or `public`.
    #[serde(rename = "type")]
    pub kind: String,
}

impl From<IpAddr> for InstanceAddress {
    fn from(address: IpAddr) -> Self {
        let is_private = match address {
            IpAddr::V4(it) => it.is_private() || it.is_loopback() || it.is_link_local(),
            IpAddr::V6(it) => {
                it.is_unique_local() || it.is_loopback() || it.is_unicast_link_local()
            }
        };
        Self { address, kind: if is_private { "private" } else { "public" }.to_owned() }
    }
}

/// How large an instance is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct VolumeView {
    /// The whole gigabytes that a volume for it would need, at least one.
    pub size: u64,
    /// Gigabytes in use.
    pub used: f64,
}

/// Why a restore failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InstanceFault {
    /// When.
    pub created: UtcTime,
    /// The kind of failure.
    pub details: FailureCode,
    /// A sentence for people.
    pub message: String,
}

/// A page of instances.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct InstanceList {
    /// The instances.
    pub instances: Vec<InstanceView>,
    /// The next page; left out on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub links: Option<Vec<Link>>,
}

/// An instance to make from a backup. Of Trove's many fields these are the ones that matter here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CreateInstance {
    /// Its name: one line with at least one letter or digit of any script.
    #[schema(format = "name", min_length = 1, max_length = 255)]
    pub name: String,
    /// The only flavor, as a number, a text or a URL.
    #[serde(rename = "flavorRef", default, skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = flavor_ref)]
    pub flavor_ref: Option<serde_json::Value>,
    /// Its size, which has no effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume: Option<VolumeSize>,
    /// The engine and version it must have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub datastore: Option<DatastoreWish>,
    /// The backup to restore.
    #[serde(rename = "restorePoint")]
    pub restore_point: RestorePoint,
}

/// The size of an instance to make.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct VolumeSize {
    /// Gigabytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0)]
    pub size: Option<f64>,
}

/// The engine and version that an instance to make must have.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DatastoreWish {
    /// Name or id of the engine.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1)]
    pub engine: Option<String>,
    /// Name or id of the version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1)]
    pub version: Option<String>,
}

/// What to restore.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RestorePoint {
    /// The id of the backup.
    #[serde(rename = "backupRef", deserialize_with = "request::id")]
    pub backup_ref: BackupId,
}

/// An action on an instance.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InstanceActionBody {
    /// The only action.
    pub reset_status: ResetStatus,
}

/// An action as it is read, so that others of Trove are known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InstanceAction {
    /// The only action.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub reset_status: Option<ResetStatus>,
    /// Any other.
    #[serde(flatten)]
    #[schema(ignore)]
    pub others: BTreeMap<String, serde_json::Value>,
}

/// It takes nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ResetStatus {}

/// A flavor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Flavor {
    /// Always 0: a machine has the size it has.
    pub disk: u64,
    /// Always 0.
    pub ephemeral: u64,
    /// Its id.
    pub id: u64,
    /// Its URLs.
    pub links: Vec<Link>,
    /// Its name.
    pub name: String,
    /// Always 0.
    pub ram: u64,
    /// Its id as text.
    pub str_id: String,
    /// Always 0.
    pub vcpus: u64,
}

/// Clients name the flavor by a number or a text.
fn flavor_ref() -> utoipa::openapi::Object {
    use utoipa::openapi::schema::{ObjectBuilder, SchemaFormat, SchemaType, Type};
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::Integer, Type::String]))
        .format(Some(SchemaFormat::Custom("flavor".to_owned())))
        .build()
}
