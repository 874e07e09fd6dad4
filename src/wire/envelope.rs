//! Bodies that are an object with a single key, which names its content.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    ApiVersion, BackupView, ChannelTest, ConsolidationView, CreateBackup, CreateInstance,
    CreateStrategy, DatastoreVersion, DatastoreView, Flavor, HealthView, InstanceView, LimitRow,
    ProjectView, QuotaLimits, QuotaUsage, RetentionView, ScheduleView, StrategyView, TestAlerts,
    VerificationView, WantedSchedule,
};

macro_rules! envelopes {
    ($($(#[$doc:meta])+ $name:ident { $key:ident: $content:ty })+) => {$(
        $(#[$doc])+
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
        pub struct $name {
            /// The content.
            pub $key: $content,
        }
    )+};
}

envelopes! {
    /// A single backup.
    BackupAnswer { backup: BackupView }
    /// The body that asks for a backup.
    CreateBackupBody { backup: CreateBackup }
    /// A single datastore.
    DatastoreAnswer { datastore: DatastoreView }
    /// All datastores.
    DatastoreList { datastores: Vec<DatastoreView> }
    /// A single version of a datastore.
    VersionAnswer { version: DatastoreVersion }
    /// The versions of a datastore.
    VersionList { versions: Vec<DatastoreVersion> }
    /// A single version of the API.
    ApiVersionAnswer { version: ApiVersion }
    /// All versions of the API.
    ApiVersionList { versions: Vec<ApiVersion> }
    /// A single instance.
    InstanceAnswer { instance: InstanceView }
    /// The body that asks for a restore.
    CreateInstanceBody { instance: CreateInstance }
    /// A single flavor.
    FlavorAnswer { flavor: Flavor }
    /// All flavors.
    FlavorList { flavors: Vec<Flavor> }
    /// A single project.
    ProjectAnswer { project: ProjectView }
    /// Projects.
    ProjectList { projects: Vec<ProjectView> }
    /// The quotas of a project, with their use.
    QuotaList { quotas: Vec<QuotaUsage> }
    /// The body that sets quotas, and the answer to it.
    QuotaLimitsBody { quotas: QuotaLimits }
    /// Trove's `limits`: the quotas of a project, and a row for each HTTP method.
    LimitList { limits: Vec<LimitRow> }
    /// A single strategy.
    StrategyAnswer { backup_strategy: StrategyView }
    /// The strategies of a project.
    StrategyList { backup_strategies: Vec<StrategyView> }
    /// The body that sets when an instance is backed up, and the answer to it.
    ScheduleBody { backup_schedule: WantedSchedule }
    /// A single schedule.
    ScheduleAnswer { backup_schedule: ScheduleView }
    /// The schedules of a project.
    ScheduleList { backup_schedules: Vec<ScheduleView> }
    /// How everything is.
    HealthAnswer { health: HealthView }
    /// What retention would do with the backups of an instance.
    RetentionAnswer { retention: RetentionView }
    /// The body that asks for test messages.
    TestAlertsBody { test: TestAlerts }
    /// What came back from the channels.
    TestList { tests: Vec<ChannelTest> }
    /// The last verification of a backup.
    VerificationAnswer { verification: VerificationView }
    /// How far the consolidation of a backup is.
    ConsolidationAnswer { consolidation: ConsolidationView }
    /// The body that sets a strategy.
    CreateStrategyBody { backup_strategy: CreateStrategy }
}
