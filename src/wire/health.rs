//! Health: whether everything is safe, and what is wrong.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::{
    BackupId, CompletedBackup, DiskRoom, DrillRun, Failure, Instance, InstanceCopies, InstanceId,
    Kind, PlaceCopies, ProjectId, Timestamp, Verdict, VerifyLevel,
};
use crate::policy::{HealthFacts, InstanceHealth, Problem, ProblemKind, SafetyState, Severity};

use super::{DrillStatus, UtcTime};

/// How everything is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HealthView {
    /// The worst of the server and of the instances that the configuration names.
    pub state: SafetyState,
    /// All that is wrong, the worst first.
    pub problems: Vec<ProblemView>,
    /// What a person should know of the server besides, in sentences.
    pub notices: Vec<String>,
    /// The instances, the worst first; also those that left the configuration, as long as they have backups.
    pub instances: Vec<InstanceHealthView>,
    /// The disk of the archives; null if nothing is known of it yet.
    #[schema(required)]
    pub disk: Option<DiskView>,
    /// The places that copies go to.
    pub places: Vec<PlaceView>,
}

/// A place that copies go to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PlaceView {
    /// Its name in the configuration.
    pub name: String,
    /// Copies that wait for their turn.
    pub waiting: u64,
    /// Copies that are being sent or read back.
    pub copying: u64,
    /// Copies whose last attempt failed; they are tried again.
    pub failed: u64,
    /// Copies that are there and proven.
    pub proven: u64,
    /// What those take.
    pub bytes: u64,
    /// Whether the configuration names it.
    #[serde(default = "yes")]
    pub configured: bool,
    /// When a copy was proven there last.
    #[schema(required)]
    pub last_proven_at: Option<UtcTime>,
    /// Since when the place cannot be used; null if it can.
    #[schema(required)]
    pub unusable_since: Option<UtcTime>,
    /// Why it cannot be used.
    #[schema(required)]
    pub unusable_because: Option<String>,
}

/// What an older server does not say.
const fn yes() -> bool {
    true
}

/// The copies of an instance's backups in a place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InstanceCopiesView {
    /// The name of the place.
    pub place: String,
    /// How many backups are there, proven.
    pub proven: u64,
    /// How many are not there yet.
    pub missing: u64,
    /// When the first of those was to be copied.
    #[schema(required)]
    pub missing_since: Option<UtcTime>,
    /// When the newest backup was asked for that is there.
    #[schema(required)]
    pub newest: Option<UtcTime>,
    /// What stopped the last attempt at those that are not there yet; null if nothing did.
    #[serde(default)]
    #[schema(required)]
    pub last_error: Option<String>,
}

impl From<PlaceCopies> for PlaceView {
    fn from(it: PlaceCopies) -> Self {
        let (since, why) = it.trouble.map(|it| (it.since.into(), it.why)).unzip();
        Self {
            name: it.place,
            waiting: it.waiting,
            copying: it.copying,
            failed: it.failed,
            proven: it.proven,
            bytes: it.bytes,
            configured: it.configured,
            last_proven_at: it.last_proven.map(UtcTime::from),
            unusable_since: since,
            unusable_because: why,
        }
    }
}

impl InstanceCopiesView {
    fn new(it: &InstanceCopies, facts: &HealthFacts) -> Self {
        Self {
            place: it.place.clone(),
            proven: it.proven,
            missing: it.missing,
            missing_since: it.missing_since.map(UtcTime::from),
            newest: it.newest.map(UtcTime::from),
            last_error: facts.why_copies_wait(it).map(str::to_owned),
        }
    }

    /// That no copy is there yet and why, if the last attempt at one failed.
    pub fn waits_because(&self) -> Option<String> {
        let why = self.last_error.as_ref().filter(|_| self.proven == 0)?;
        Some(format!("copy to {} waiting: last error: {why}", self.place))
    }
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProblemView {
    /// What.
    pub kind: ProblemKind,
    /// How bad it is.
    pub severity: Severity,
    /// Of which instance; null: of the server as a whole.
    #[schema(required)]
    pub instance_id: Option<InstanceId>,
    /// When it began, as far as is known.
    pub since: UtcTime,
    /// What happened and to what.
    pub message: String,
    /// What to do about it.
    pub advice: String,
}

/// The disk of the archives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DiskView {
    /// Free for backups.
    pub free_bytes: u64,
    /// The size of the filesystem.
    pub total_bytes: u64,
}

/// How one instance is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InstanceHealthView {
    /// The instance.
    pub instance_id: InstanceId,
    /// Its name.
    pub instance_name: String,
    /// Its project.
    pub project_id: ProjectId,
    /// Its engine.
    pub engine: String,
    /// Whether the configuration names it.
    pub configured: bool,
    /// Whether it is safe.
    pub state: SafetyState,
    /// What is wrong with it, the worst first.
    pub problems: Vec<ProblemView>,
    /// Since when a backup waits or runs; null if none does.
    #[schema(required)]
    pub running_since: Option<UtcTime>,
    /// The newest backup that can be restored.
    #[schema(required)]
    pub last_good: Option<GoodBackupView>,
    /// The newest attempt, if that failed.
    #[schema(required)]
    pub last_failure: Option<FailedAttemptView>,
    /// The last drill that ended.
    #[schema(required)]
    pub last_drill: Option<LastDrillView>,
    /// When a drill of a backup that is still there passed last.
    #[schema(required)]
    pub last_passed_drill: Option<UtcTime>,
    /// How long the restore took in the last drill that passed, with its check, also if its backup was deleted since.
    #[schema(required)]
    pub restore_seconds: Option<u64>,
    /// When the next backup begins by the schedule.
    #[schema(required)]
    pub next_run: Option<UtcTime>,
    /// How many backups can be restored.
    pub restore_points: u64,
    /// How many of them lie only in places that cannot be used at the moment.
    #[serde(default)]
    pub out_of_reach: u64,
    /// How many are damaged or missing, of the newest hundred of those.
    pub bad_backups: u64,
    /// What the archives take.
    pub stored_bytes: u64,
    /// What the newest backup holds, in hundredths of what was usual before; null if too few are known.
    #[schema(required)]
    pub size_percent: Option<u64>,
    /// How long it took, in the same way.
    #[schema(required)]
    pub duration_percent: Option<u64>,
    /// Its copies, by the places that they are to be in.
    pub copies: Vec<InstanceCopiesView>,
}

/// A backup that can be restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GoodBackupView {
    /// Its id.
    pub backup_id: BackupId,
    /// When it was asked for.
    pub created: UtcTime,
    /// Full or incremental.
    pub kind: Kind,
    /// What its archive takes.
    pub size_bytes: u64,
    /// What it restores to.
    pub source_bytes: u64,
    /// How long it took to make; null if that is not known.
    #[schema(required)]
    pub took_seconds: Option<u64>,
    /// When it was proven last.
    pub verified_at: UtcTime,
    /// How.
    pub verify_level: VerifyLevel,
}

/// An attempt at a backup that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FailedAttemptView {
    /// Its id.
    pub backup_id: BackupId,
    /// When it was asked for.
    pub created: UtcTime,
    /// Why it failed.
    pub failure: Failure,
}

/// A drill that ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LastDrillView {
    /// The backup that was restored.
    pub backup_id: BackupId,
    /// Whether that was deleted since: then this proves nothing that is still there.
    #[serde(default)]
    pub backup_deleted: bool,
    /// When it ended.
    pub ended: UtcTime,
    /// Its verdict.
    pub status: DrillStatus,
    /// What it found damaged, or what stopped it; null if it passed.
    #[schema(required)]
    pub failure: Option<Failure>,
}

impl From<Problem> for ProblemView {
    fn from(it: Problem) -> Self {
        Self {
            kind: it.kind,
            severity: it.kind.severity(),
            instance_id: it.instance,
            since: it.since.into(),
            message: it.message,
            advice: it.advice,
        }
    }
}

impl From<DiskRoom> for DiskView {
    fn from(it: DiskRoom) -> Self {
        let free_bytes = it.free_bytes.saturating_sub(it.headroom_bytes);
        Self { free_bytes, total_bytes: it.total_bytes }
    }
}

impl From<CompletedBackup> for GoodBackupView {
    fn from(it: CompletedBackup) -> Self {
        Self {
            backup_id: it.id,
            created: it.created.into(),
            kind: it.kind,
            size_bytes: it.stored_bytes,
            source_bytes: it.source_bytes,
            took_seconds: it.took.map(|took| took.as_secs()),
            verified_at: it.verified_at.into(),
            verify_level: it.verify_level,
        }
    }
}

impl From<DrillRun> for LastDrillView {
    fn from(it: DrillRun) -> Self {
        let (status, failure) = match it.verdict {
            Verdict::Passed(()) => (DrillStatus::Passed, None),
            Verdict::Damaged(failure) => (DrillStatus::Damaged, Some(failure)),
            Verdict::Inconclusive(failure) => (DrillStatus::Inconclusive, Some(failure)),
        };
        Self {
            backup_id: it.backup,
            backup_deleted: it.deleted,
            ended: it.ended.into(),
            status,
            failure,
        }
    }
}

impl InstanceHealthView {
    /// Whether its first backup is still to come.
    pub fn is_waiting(&self) -> bool {
        let never = self.state == SafetyState::NotBackedUp;
        never && self.configured && !self.is_missing_backups()
    }

    /// Whether a place holds no copy of it yet because the last attempt failed.
    pub fn is_without_copy(&self) -> bool {
        self.copies.iter().any(|it| it.waits_because().is_some())
    }

    /// Whether nobody backs it up, although the configuration names it: it does not wait for its first backup either.
    pub fn is_missing_backups(&self) -> bool {
        let never = self.state == SafetyState::NotBackedUp && self.running_since.is_none();
        never && self.configured && self.next_run.is_none()
    }

    /// How an instance is, as clients see it.
    pub fn new(instance: Instance, health: InstanceHealth) -> Self {
        let InstanceHealth { state, problems, next_run, trend, facts, .. } = health;
        let time = |at: Option<Timestamp>| at.map(UtcTime::from);
        let (passed, out_of_reach) = (facts.passed_drills.first(), facts.out_of_reach());
        let copies = facts.copies.iter().map(|it| InstanceCopiesView::new(it, &facts)).collect();
        Self {
            instance_id: instance.id,
            instance_name: instance.name,
            project_id: instance.project,
            engine: instance.datastore.engine,
            configured: facts.configured,
            state,
            problems: problems.into_iter().map(ProblemView::from).collect(),
            running_since: time(facts.running),
            last_good: facts.last_good.map(GoodBackupView::from),
            last_passed_drill: time(facts.proven_by_drill),
            restore_seconds: passed.map(|it| it.took.as_secs()),
            last_failure: facts.failed.map(|it| FailedAttemptView {
                backup_id: it.id,
                created: it.asked.into(),
                failure: it.failure,
            }),
            last_drill: facts.last_drill.map(LastDrillView::from),
            next_run: time(next_run),
            restore_points: facts.restore_points,
            out_of_reach,
            bad_backups: u64::try_from(facts.bad.len()).unwrap_or(u64::MAX),
            stored_bytes: facts.stored_bytes,
            size_percent: trend.map(|it| it.size_percent),
            duration_percent: trend.and_then(|it| it.duration_percent),
            copies,
        }
    }
}

impl HealthView {
    /// How everything is, as clients see it.
    pub fn new(
        problems: Vec<Problem>,
        notices: Vec<String>,
        instances: impl IntoIterator<Item = (Instance, InstanceHealth)>,
        room: Option<DiskRoom>,
    ) -> Self {
        let instances: Vec<_> = instances
            .into_iter()
            .map(|(instance, health)| InstanceHealthView::new(instance, health))
            .collect();
        let states = instances
            .iter()
            .filter(|it| it.is_missing_backups() || it.state != SafetyState::NotBackedUp)
            .map(|it| it.state)
            .chain(problems.iter().map(|it| it.kind.severity().into()));
        Self {
            state: states.max().unwrap_or(SafetyState::Safe),
            problems: problems.into_iter().map(ProblemView::from).collect(),
            notices,
            instances,
            disk: room.map(DiskView::from),
            places: Vec::new(),
        }
    }

    /// The same with the places that copies go to.
    #[must_use]
    pub fn with_places(self, places: Vec<PlaceCopies>) -> Self {
        Self { places: places.into_iter().map(PlaceView::from).collect(), ..self }
    }
}
