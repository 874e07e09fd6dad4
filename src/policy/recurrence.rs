//! When something is due whose only memory are its earlier runs: drills, and restores into staging.

use std::time::Duration;

use crate::domain::{FailureCode, InstanceId, PastOutcome, PastRun, Timestamp};

use super::{Retry, Timetable, Turn};

/// How far ahead of the clock an earlier run may have ended: one that ended later was made when the clock was wrong.
const AHEAD: Duration = Duration::from_secs(3600);

/// What is known of the earlier runs of one instance.
#[derive(Debug, Clone, Copy)]
pub struct RunHistory<'a> {
    /// Nothing was due before.
    pub since: Timestamp,
    /// Newest first.
    pub runs: &'a [PastRun],
}

impl RunHistory<'_> {
    /// When it was last done.
    pub fn concluded(&self, now: Timestamp) -> Option<Timestamp> {
        let concluded = |it: &&PastRun| it.outcome == PastOutcome::Concluded;
        self.before(now).find(concluded).map(|it| it.ended)
    }

    fn before(&self, now: Timestamp) -> impl Iterator<Item = &PastRun> {
        self.runs.iter().filter(move |it| it.ended <= now.plus(AHEAD))
    }

    /// How often it failed since then, and how and when last.
    fn failed(&self, since: Timestamp, now: Timestamp) -> Option<(u32, FailureCode, Timestamp)> {
        let attempts = self.before(now).take_while(|it| it.ended >= since);
        let attempts = attempts.take_while(|it| it.outcome != PastOutcome::Concluded);
        let mut failed = attempts.filter_map(|it| match it.outcome {
            PastOutcome::Failed(code) => Some((code, it.ended)),
            PastOutcome::Concluded | PastOutcome::Dropped => None,
        });
        let (code, last) = failed.next()?;
        let count = u32::try_from(failed.count()).unwrap_or(u32::MAX).saturating_add(1);
        Some((count, code, last))
    }
}

impl Timetable {
    /// What is to be done now. However many times were missed, one run makes up for them; one that failed is attempted
    /// again as a backup is.
    pub fn turn_after(
        &self,
        instance: InstanceId,
        history: &RunHistory<'_>,
        now: Timestamp,
    ) -> Turn {
        let handled = history.concluded(now).unwrap_or(history.since).min(now);
        let due = match self.turn(instance, handled, now) {
            Turn::Due(due) => due,
            other => return other,
        };
        let Some((attempts, code, last)) = history.failed(self.start_of(instance, due), now) else {
            return Turn::Due(due);
        };
        let next = self.next_start(instance, due);
        match (self.after_failure(code, attempts, last), next) {
            (Retry::At(at), _) if at <= now => Turn::Due(due),
            (Retry::At(at), next) => Turn::Wait(next.map_or(at, |next| next.min(at))),
            (Retry::No, Some(next)) => Turn::Wait(next),
            (Retry::No, None) => Turn::Never,
        }
    }
}
