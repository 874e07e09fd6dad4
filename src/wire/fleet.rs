//! Fleets: what other devices have in a place that this server reads.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::{BackupId, FleetBackup, FleetInstance, InstanceId, Kind, ProjectId, Timestamp};

use super::{Link, UtcTime};

/// An instance of a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FleetInstanceView {
    /// Its number on this server. Its other ids may be the same as those of another device.
    pub id: u32,
    /// The place, as the configuration calls it.
    pub place: String,
    /// The device: its folder there.
    pub device: String,
    /// Its project on the device.
    pub project_id: ProjectId,
    /// Its id on the device.
    pub instance_id: InstanceId,
    /// Its name on the device; null if no manifest could be read.
    #[schema(required)]
    pub name: Option<String>,
    /// Why no manifest could be read.
    #[schema(required)]
    pub unread: Option<String>,
    /// How many backups of it lie there.
    pub backups: u32,
    /// What they take.
    pub stored_bytes: u64,
    /// When the newest one was begun.
    #[schema(required)]
    pub newest: Option<UtcTime>,
    /// By when there should be another one; null if none is expected any more.
    #[schema(required)]
    pub expected: Option<UtcTime>,
    /// Whether there should have been one by now.
    pub silent: bool,
}

impl FleetInstanceView {
    /// An instance as it is now.
    pub fn new(it: FleetInstance, now: Timestamp) -> Self {
        Self {
            silent: it.is_silent(now),
            id: it.number,
            place: it.place,
            device: it.device,
            project_id: it.project,
            instance_id: it.instance,
            name: it.name,
            unread: it.unread,
            backups: it.backups,
            stored_bytes: it.stored_bytes,
            newest: it.newest_at.map(UtcTime::from),
            expected: it.expected.map(UtcTime::from),
        }
    }
}

/// A page of the instances of all devices, in the order in which they were found first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FleetList {
    /// The page.
    pub fleet: Vec<FleetInstanceView>,
    /// The next page, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub links: Option<Vec<Link>>,
}

/// A backup of a device, as the name of its archive says; nothing of it was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FleetBackupView {
    /// Its id.
    pub id: BackupId,
    /// Whether it is full or incremental.
    pub kind: Kind,
    /// Whether its archive is encrypted.
    pub encrypted: bool,
    /// What its archive takes.
    pub size_bytes: u64,
    /// When it was begun.
    #[schema(required)]
    pub created: Option<UtcTime>,
}

impl From<FleetBackup> for FleetBackupView {
    fn from(it: FleetBackup) -> Self {
        Self {
            id: it.id,
            kind: it.kind,
            encrypted: it.encrypted,
            size_bytes: it.bytes,
            created: it.id.made().map(UtcTime::from),
        }
    }
}

/// A page of the backups of an instance of a device, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FleetBackupList {
    /// Whose they are.
    pub instance: FleetInstanceView,
    /// The page.
    pub backups: Vec<FleetBackupView>,
    /// The next page, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub links: Option<Vec<Link>>,
}
