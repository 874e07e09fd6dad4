//! Backups: how one is shown, and how one is asked for.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::domain::{
    BackupId, ContainerName, Failure, InstanceId, Kind, LeftOut, NextDrill, ProjectId, RowsByTable,
    Status, VerifyLevel,
};

use super::{CopyView, Link, UtcTime, request};

/// A backup. Every key is always there: the OpenStack client asks again, or crashes, over a missing one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BackupView {
    /// Its id.
    pub id: BackupId,
    /// Its name.
    pub name: String,
    /// Its description.
    #[schema(required)]
    pub description: Option<String>,
    /// What it is a backup of; null for a registered archive.
    #[schema(required)]
    pub instance_id: Option<InstanceId>,
    /// The backup it is built on; null for a full one.
    #[schema(required)]
    pub parent_id: Option<BackupId>,
    /// The project that owns it.
    pub project_id: ProjectId,
    /// The URL of its archive.
    #[serde(rename = "locationRef")]
    #[schema(required)]
    pub location_ref: Option<String>,
    /// The archive's size in units of 2^30 bytes, not rounded.
    #[schema(required)]
    pub size: Option<f64>,
    /// Where it stands.
    pub status: Status,
    /// When it was asked for.
    pub created: UtcTime,
    /// When it changed last.
    pub updated: UtcTime,
    /// The kind of storage it is in.
    #[schema(value_type = String)]
    pub storage_driver: Cow<'static, str>,
    /// The engine and version of the database.
    pub datastore: DatastoreRef,
    /// The archive's size in bytes.
    #[schema(required)]
    pub size_bytes: Option<u64>,
    /// What it restores to, in bytes.
    #[schema(required)]
    pub source_bytes: Option<u64>,
    /// `blake3:` and the hash of the archive file in hex, as it lies there: of an encrypted one, that of the encrypted bytes.
    #[schema(required)]
    pub checksum: Option<String>,
    /// Full or incremental.
    pub kind: Kind,
    /// How much of the source has been read.
    #[schema(minimum = 0, maximum = 1)]
    pub progress: f64,
    /// Why it failed.
    #[schema(required)]
    pub failure: Option<Failure>,
    /// When it was proven last.
    #[schema(required)]
    pub verified_at: Option<UtcTime>,
    /// How far it was proven. `bytes`: every byte of the file was read back from the disk, decoded and compared with what was
    /// read from the source; an encrypted one is decrypted for that by the key of this one file, which is in memory until the
    /// backup is complete. A later verification without a secret key compares its bytes with their checksum.
    #[schema(required)]
    pub verify_level: Option<VerifyLevel>,
    /// The last drill that ended; null if none did.
    #[schema(required)]
    pub drill: Option<DrillView>,
    /// A drill that has not ended; null if none waits or runs.
    #[schema(required)]
    pub next_drill: Option<NextDrill>,
    /// When a person asked to keep it, whatever the retention says; null if nobody did.
    #[schema(required)]
    pub pinned_at: Option<UtcTime>,
    /// Its copies in further places.
    #[serde(default)]
    #[schema(required)]
    pub copies: Vec<CopyView>,
    /// What the source holds and this backup does not, or not for sure. A long list is cut; the manifest in
    /// the archive has all of it.
    pub left_out: Vec<LeftOut>,
}

/// The engine and version of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DatastoreRef {
    /// The engine.
    #[serde(rename = "type")]
    pub engine: String,
    /// The version of the database.
    pub version: String,
    /// The id of engine and version.
    pub version_id: String,
}

/// What a drill ended with: a restore made only to prove a backup.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DrillView {
    /// Its verdict.
    pub status: DrillStatus,
    /// When it ended.
    pub at: UtcTime,
    /// How long it took.
    pub seconds: f64,
    /// How many tables were read.
    #[schema(required)]
    pub tables: Option<u64>,
    /// How many rows they have; of data without tables, how many keys or members.
    #[schema(required)]
    pub rows: Option<u64>,
    /// The checks that passed.
    #[schema(required)]
    pub check: Option<String>,
    /// The version of the server or library that read what was restored.
    #[schema(required)]
    pub version: Option<String>,
    /// What is damaged, or what stopped it.
    #[schema(required)]
    pub failure: Option<Failure>,
    /// The rows of each table; only where a single backup is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub rows_by_table: Option<RowsByTable>,
}

/// The verdict of a drill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum DrillStatus {
    /// The backup was restored and used.
    Passed,
    /// The data was shown to be wrong.
    Damaged,
    /// Something else stopped it, which says nothing of the backup.
    Inconclusive,
}

/// A page of backups, newest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BackupList {
    /// The backups.
    pub backups: Vec<BackupView>,
    /// The next page. Left out on the last one: the OpenStack client crashes over null.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub links: Option<Vec<Link>>,
}

/// A backup to make, or an archive to register.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CreateBackup {
    /// Its name: one line with at least one letter or digit of any script.
    #[schema(format = "name", min_length = 1, max_length = 255)]
    pub name: String,
    /// Its description, of the same form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(format = "name", min_length = 1, max_length = 255)]
    pub description: Option<String>,
    /// What to back up; required unless `restore_from` is given.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "request::optional_id"
    )]
    #[schema(nullable = false)]
    pub instance: Option<InstanceId>,
    /// 1: build on the newest completed backup, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Option<i64>, minimum = 0, maximum = 1)]
    pub incremental: Option<u8>,
    /// Build on this backup.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "request::optional_id"
    )]
    #[schema(nullable = false)]
    pub parent_id: Option<BackupId>,
    /// The subfolder of the project's archives to put it in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub swift_container: Option<ContainerName>,
    /// The kind of storage to put it in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1)]
    pub storage_driver: Option<String>,
    /// Register this archive instead of making one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub restore_from: Option<RestoreFrom>,
}

/// An archive that is already in the storage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RestoreFrom {
    /// Its URL.
    #[schema(min_length = 1)]
    pub remote_location: String,
    /// The engine and version it is of.
    #[serde(deserialize_with = "request::id")]
    pub local_datastore_version_id: Uuid,
    /// Its size in GB.
    #[schema(minimum = 0)]
    pub size: f64,
}
