//! What is known of an instance, as far as its health depends on it.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::{
    BadBackup, CompletedBackup, DrillRun, FailedAttempt, Holding, InstanceCopies, InstanceId,
    LeftOut, PassedDrill, PlaceTrouble, Timestamp, Verify,
};
use crate::policy::Problem;

/// What is known of an instance now.
#[derive(Debug, Clone, PartialEq)]
pub struct HealthFacts {
    pub instance: InstanceId,
    /// Its name, for sentences.
    pub name: String,
    /// Whether the configuration names it. Of one that it does not name any more, only damage matters.
    pub configured: bool,
    /// When it was seen first.
    pub first_seen: Timestamp,
    /// Whether each backup is to be drilled.
    pub verify: Verify,
    /// How far apart its drills should be, if there are any by a schedule.
    pub drill_interval: Option<Duration>,
    /// Since when its schedule is followed.
    pub scheduled_since: Option<Timestamp>,
    /// Every run of the schedule until then was begun.
    pub begun_until: Option<Timestamp>,
    /// Why a backup cannot even begin, since when that is known.
    pub cannot_start: Option<(Timestamp, String)>,
    /// When the backup was asked for that waits or runs now.
    pub running: Option<Timestamp>,
    /// The newest attempt that ended, if it failed.
    pub failed: Option<FailedAttempt>,
    /// The newest COMPLETED backups, the newest first, whatever was found out about them since. Shared: of each instance
    /// these are most of what is kept, and every judgement has the facts.
    pub completed: Arc<[CompletedBackup]>,
    /// The newest that can be restored, as far as is known.
    pub last_good: Option<CompletedBackup>,
    /// What is wrong with the restore into staging.
    pub staging: Option<Problem>,
    /// Its copies, by the places that they are to be in.
    pub copies: Vec<InstanceCopies>,
    /// The places that cannot be used at the moment.
    pub troubles: Vec<PlaceTrouble>,
    /// In which places its backups lie, without those that lie in the data directory alone.
    pub holdings: Vec<Holding>,
    /// What the two newest of them leave out, the newest first.
    pub left_out: (Vec<LeftOut>, Vec<LeftOut>),
    /// Backups that are damaged or missing, the newest first; the first hundred.
    pub bad: Vec<BadBackup>,
    /// Those that can be restored, as far as is known, and what all archives take.
    pub restore_points: u64,
    pub stored_bytes: u64,
    /// The last drill that ended by itself.
    pub last_drill: Option<DrillRun>,
    /// The last two that passed, the newest first; their backups may have been deleted since.
    pub passed_drills: Vec<PassedDrill>,
    /// When a drill of a backup that is still there passed last.
    pub proven_by_drill: Option<Timestamp>,
}

impl HealthFacts {
    /// How many backups lie only in places that cannot be used.
    pub fn out_of_reach(&self) -> u64 {
        let counts = self.lying_out_of_reach().map(|it| it.backups);
        counts.fold(0, u64::saturating_add)
    }

    pub(super) fn lying_out_of_reach(&self) -> impl Iterator<Item = &Holding> {
        let unusable = |name: &String| self.troubles.iter().any(|it| it.place == *name);
        self.holdings.iter().filter(move |it| !it.here && it.places.iter().all(unusable))
    }

    /// When the newest attempt at a backup was asked for, of those that ended.
    pub fn attempted_last(&self) -> Option<Timestamp> {
        let completed = self.completed.first().map(|it| it.created);
        completed.max(self.failed.as_ref().map(|it| it.asked))
    }
}
