//! What goes over HTTP: the bodies of requests and answers, as types with their JSON schemas.
//!
//! The API writes the answers and reads the requests; the client does the reverse; `/openapi.json`
//! describes both from the same types. The keys are Trove's, followed by Coffer's own.

mod alert;
mod backup;
mod backup_view;
mod consolidation;
mod copy;
mod datastore;
mod document;
mod envelope;
mod error;
mod event;
mod fleet;
mod health;
mod identity;
mod instance;
mod project;
mod quota;
mod request;
mod retention;
mod schedule;
mod strategy;
mod verification;

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use utoipa::ToSchema;

use crate::domain::Timestamp;

pub use alert::{AlertList, AlertView, ChannelTest, DeliveryView, TestAlerts};
pub use backup::{
    BackupList, BackupView, CreateBackup, DatastoreRef, DrillStatus, DrillView, RestoreFrom,
};
pub use backup_view::{ArchiveUrls, gigabytes};
pub use consolidation::{ConsolidationStatus, ConsolidationView};
pub use copy::CopyView;
pub use datastore::{DatastoreVersion, DatastoreView};
pub use document::{ApiVersion, Health, HealthStatus};
pub use error::{ErrorBody, ErrorDetail};
pub use event::{EventList, EventView};
pub use fleet::{FleetBackupList, FleetBackupView, FleetInstanceView, FleetList};
pub use health::{
    DiskView, FailedAttemptView, GoodBackupView, HealthView, InstanceCopiesView,
    InstanceHealthView, LastDrillView, PlaceView, ProblemView,
};
pub use identity::{
    CredentialProof, CredentialView, DomainRef, DomainView, EndpointView, IdentityError,
    IdentityErrorBody, IdentityProjects, IdentityProof, IdentityVersion, IdentityVersionAnswer,
    IdentityVersionList, IdentityVersionValues, MediaType, PasswordProof, RoleView, ScopeView,
    SelfLink, ServiceCatalog, ServiceView, SignIn, SignInBody, TokenAnswer, TokenProof, TokenView,
    UserRef, UserView,
};
pub use instance::{
    CreateInstance, DatastoreWish, Flavor, FlavorRef, InstanceAction, InstanceActionBody,
    InstanceAddress, InstanceDatastore, InstanceFault, InstanceList, InstanceView, ResetStatus,
    RestorePoint, VolumeSize, VolumeView,
};
pub use project::ProjectView;
pub use quota::{AbsoluteLimits, LimitRow, QuotaLimits, QuotaUsage, RateLimit};
pub use retention::{ChainView, Expiry, RetentionView};
pub use schedule::{ScheduleView, WantedKeep, WantedSchedule};
pub use strategy::{CreateStrategy, StrategyView};
pub use verification::{VerificationStatus, VerificationView};

pub use envelope::{
    ApiVersionAnswer, ApiVersionList, BackupAnswer, ConsolidationAnswer, CreateBackupBody,
    CreateInstanceBody, CreateStrategyBody, DatastoreAnswer, DatastoreList, FlavorAnswer,
    FlavorList, HealthAnswer, InstanceAnswer, LimitList, ProjectAnswer, ProjectList,
    QuotaLimitsBody, QuotaList, RetentionAnswer, ScheduleAnswer, ScheduleBody, ScheduleList,
    StrategyAnswer, StrategyList, TestAlertsBody, TestList, VerificationAnswer, VersionAnswer,
    VersionList,
};

/// One entry of `links`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Link {
    /// The URL.
    pub href: String,
    /// What it leads to: `self`, `bookmark` or `next`.
    pub rel: String,
}

/// A time in UTC, in whole seconds and without a zone: `2026-11-23T19:00:00`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ToSchema)]
#[schema(value_type = String, pattern = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$")]
pub struct UtcTime(Timestamp);

impl UtcTime {
    /// The instant, to the second.
    pub const fn at(self) -> Timestamp {
        self.0
    }
}

impl From<Timestamp> for UtcTime {
    fn from(time: Timestamp) -> Self {
        Self(time.to_second())
    }
}

impl fmt::Display for UtcTime {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(str::from_utf8(&self.0.to_wire_bytes()).map_err(|_not_ascii| fmt::Error)?)
    }
}

impl Serialize for UtcTime {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(str::from_utf8(&self.0.to_wire_bytes()).map_err(ser::Error::custom)?)
    }
}

impl<'de> Deserialize<'de> for UtcTime {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map(Self).map_err(de::Error::custom)
    }
}
