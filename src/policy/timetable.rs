//! When the backups of one instance begin: by its schedule, after a time in which none could be made, and again
//! after a failure.

use std::time::Duration;

use jiff::tz::TimeZone;

use crate::domain::{FailureCode, InstanceId, Timestamp};

use super::{FullEvery, Schedule, Span, Window};

/// How far the clock may go back before what was done in the time that it shows again is done again.
const SMALL_STEP_BACK: Duration = Duration::from_secs(3600);

/// How long after a run is due its backup may be missing: time for it to be made, also at a second attempt.
const GRACE: Duration = Duration::from_secs(2 * 3600);

/// How far back the latest run that is due is looked for, step by step.
const LOOK_BACK: [Duration; 4] = [
    Duration::from_secs(3600),
    Duration::from_secs(24 * 3600),
    Duration::from_secs(32 * 24 * 3600),
    Duration::from_secs(9 * 366 * 24 * 3600),
];

/// The first wait after a failure; each further one is three times as long.
const FIRST_RETRY: Duration = Duration::from_secs(5 * 60);
const LONGEST_RETRY: Duration = Duration::from_secs(6 * 3600);

/// When the backups of an instance are made, and which of them are full.
#[derive(Debug, Clone, PartialEq)]
pub struct Timetable {
    pub schedule: Schedule,
    pub zone: TimeZone,
    /// The time within which the instances begin, each at a moment of its own.
    pub jitter: Span,
    /// The hours in which backups may begin.
    pub window: Option<Window>,
    pub full_every: FullEvery,
    /// How often a run is attempted again after failures that may pass.
    pub retries: u32,
}

/// What is to be done for an instance by its schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Nothing before this instant.
    Wait(Timestamp),
    /// A backup now, for the run of this instant and for all that were missed before it.
    Due(Timestamp),
    /// The clock was put far back: what was done by its old time says nothing, and the schedule begins again now.
    Reset,
    /// Nothing ever.
    Never,
}

/// What follows a backup of the schedule that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    At(Timestamp),
    /// Another attempt would fail in the same way, or there were enough.
    No,
}

impl Timetable {
    /// When the next run after this one begins, if nothing holds it up.
    pub fn next_start(&self, instance: InstanceId, after: Timestamp) -> Option<Timestamp> {
        let next = self.schedule.next_after(&self.zone, after)?;
        Some(self.start_of(instance, next))
    }

    /// Since when a backup is overdue, if one is: the first run after the last good backup, or after the schedule was
    /// seen first, whose backup should have been made by now.
    pub fn overdue_since(
        &self,
        instance: InstanceId,
        last_good: Timestamp,
        now: Timestamp,
    ) -> Option<Timestamp> {
        self.overdue_by(instance, last_good, GRACE, now)
    }

    /// The same of any attempt, and with this time for it to be made.
    pub fn overdue_by(
        &self,
        instance: InstanceId,
        last: Timestamp,
        grace: Duration,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let due = self.schedule.next_after(&self.zone, last)?;
        (self.start_of(instance, due).plus(grace) < now).then_some(due)
    }

    /// What is to be done now. Every run until `handled` is done with.
    ///
    /// However many runs were missed, one backup makes up for them.
    pub fn turn(&self, instance: InstanceId, handled: Timestamp, now: Timestamp) -> Turn {
        if handled > now.plus(SMALL_STEP_BACK) {
            return Turn::Reset;
        }
        let Some(first) = self.schedule.next_after(&self.zone, handled) else {
            return Turn::Never;
        };
        let start = self.start_of(instance, first);
        if start > now {
            return Turn::Wait(start);
        }
        let opens = self.opens(now);
        if opens > now {
            return Turn::Wait(opens);
        }
        Turn::Due(self.latest_started(instance, first, now))
    }

    /// What follows when the backup of a run failed for the `attempt`th time.
    pub fn after_failure(&self, code: FailureCode, attempt: u32, failed: Timestamp) -> Retry {
        if !may_pass(code) || attempt > self.retries {
            return Retry::No;
        }
        let factor = 3_u32.saturating_pow(attempt.saturating_sub(1));
        let wait = FIRST_RETRY.saturating_mul(factor).min(LONGEST_RETRY);
        Retry::At(self.opens(failed.plus(wait)))
    }

    fn opens(&self, at: Timestamp) -> Timestamp {
        self.window.map_or(at, |window| window.opens(&self.zone, at))
    }

    /// When this run begins: instances that have the same schedule do not begin at once.
    pub(super) fn start_of(&self, instance: InstanceId, run: Timestamp) -> Timestamp {
        let seconds = self.jitter.duration().as_secs();
        let (high, low) = instance.as_uuid().as_u64_pair();
        let own = (high ^ low).checked_rem(seconds).unwrap_or(0);
        self.opens(run.plus(Duration::from_secs(own)))
    }

    /// The latest run that has begun by now; `first` has.
    fn latest_started(&self, instance: InstanceId, first: Timestamp, now: Timestamp) -> Timestamp {
        let has_begun = |run: &Timestamp| self.start_of(instance, *run) <= now;
        let after = |run| self.schedule.next_after(&self.zone, run).filter(has_begun);
        let mut starts = LOOK_BACK.iter().map(|back| now.minus(*back)).filter(|from| *from > first);
        let mut latest = starts.find_map(after).unwrap_or(first);
        while let Some(next) = after(latest) {
            latest = next;
        }
        latest
    }
}

/// Whether what made a backup fail may be over by itself: another attempt is worth it.
const fn may_pass(code: FailureCode) -> bool {
    match code {
        FailureCode::Interrupted
        | FailureCode::SourceMissing
        | FailureCode::SourceLocked
        | FailureCode::SourceChanged
        | FailureCode::Tool
        | FailureCode::DiskFull
        | FailureCode::Storage
        | FailureCode::ArchiveDamaged
        | FailureCode::ArchiveMissing
        | FailureCode::ChainBroken
        | FailureCode::Internal => true,
        FailureCode::SourceDenied
        | FailureCode::SourceInvalid
        | FailureCode::SourceDamaged
        | FailureCode::ArchiveMismatch
        | FailureCode::TargetOccupied
        | FailureCode::TargetDenied => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60 * 1_000_000;

    fn timetable(schedule: &str) -> Timetable {
        Timetable {
            schedule: schedule.parse().unwrap(),
            zone: TimeZone::get("Europe/Berlin").unwrap(),
            jitter: Span::default(),
            window: None,
            full_every: FullEvery::Week,
            retries: 3,
        }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn instance() -> InstanceId {
        "0d5a4f6e-7b1c-4c55-9d6e-1f2a3b4c5d6e".parse().unwrap()
    }

    #[test]
    fn however_many_runs_were_missed_one_backup_makes_up_for_them() {
        for (schedule, latest) in [
            ("*/5 * * * *", "2026-11-20T11:55:00Z"),
            ("hourly", "2026-11-20T11:00:00Z"),
            ("daily 02:30", "2026-11-20T01:30:00Z"),
            ("monthly 1 04:00", "2026-11-01T03:00:00Z"),
        ] {
            let table = timetable(schedule);
            let (handled, now) = (at("2024-02-03T00:00:00Z"), at("2026-11-20T11:56:00Z"));
            assert_eq!(table.turn(instance(), handled, now), Turn::Due(at(latest)), "{schedule}");
            let then = table.turn(instance(), at(latest), now);
            assert!(matches!(then, Turn::Wait(next) if next > now), "{schedule}: {then:?}");
        }
    }

    #[test]
    fn a_clock_that_was_put_back_does_not_end_the_schedule() {
        let table = timetable("daily 02:30");
        let now = at("2026-11-20T12:00:00Z");
        assert_eq!(table.turn(instance(), at("2036-01-01T00:00:00Z"), now), Turn::Reset);
        let next = Turn::Wait(at("2026-11-21T01:30:00Z"));
        // A small step back does not repeat what was done.
        let now = at("2026-11-20T01:00:00Z");
        assert_eq!(table.turn(instance(), at("2026-11-20T01:30:00Z"), now), next);
    }

    #[test]
    fn instances_begin_at_moments_of_their_own_within_the_jitter() {
        let table = Timetable { jitter: "15 min".parse().unwrap(), ..timetable("daily 02:30") };
        let due = at("2026-11-21T01:30:00Z");
        let starts: std::collections::BTreeSet<i64> = (0..100)
            .map(|_| {
                let id = InstanceId::generate();
                let start = table.next_start(id, at("2026-11-20T12:00:00Z")).unwrap();
                assert_eq!(table.turn(id, at("2026-11-20T12:00:00Z"), start), Turn::Due(due));
                start.as_micros() - due.as_micros()
            })
            .collect();
        assert!(starts.iter().all(|it| (0..15 * MINUTE).contains(it)) && starts.len() > 50);
    }

    #[test]
    fn outside_of_the_window_nothing_begins() {
        let window = Some("01:00-05:00".parse().unwrap());
        let table = Timetable { window, ..timetable("daily 02:30") };
        let handled = at("2026-11-19T12:00:00Z");
        let missed = table.turn(instance(), handled, at("2026-11-20T12:00:00Z"));
        assert_eq!(missed, Turn::Wait(at("2026-11-21T00:00:00Z")), "it waits for the next night");
        let due = at("2026-11-20T01:30:00Z");
        assert_eq!(table.turn(instance(), handled, at("2026-11-21T00:00:00Z")), Turn::Due(due));
        let retry = table.after_failure(FailureCode::SourceLocked, 1, at("2026-11-20T03:58:00Z"));
        assert_eq!(retry, Retry::At(at("2026-11-21T00:00:00Z")));
    }

    #[test]
    fn a_run_without_a_backup_is_overdue_after_two_hours() {
        let table = timetable("daily 02:30");
        let overdue = |now| table.overdue_since(instance(), at("2026-11-20T01:30:01Z"), at(now));
        assert_eq!(overdue("2026-11-21T01:29:00Z"), None);
        assert_eq!(overdue("2026-11-21T03:30:00Z"), None, "it may still be made");
        let due = Some(at("2026-11-21T01:30:00Z"));
        assert_eq!(overdue("2026-11-21T03:30:01Z"), due);
        assert_eq!(overdue("2026-12-24T00:00:00Z"), due, "since the first that is missing");
    }

    #[test]
    fn a_failure_that_may_pass_is_tried_again_later_and_later_but_not_for_ever() {
        let table = timetable("daily 02:30");
        let failed = at("2026-11-20T01:31:00Z");
        let waits = |code| {
            (1..=4)
                .map(|attempt| match table.after_failure(code, attempt, failed) {
                    Retry::At(at) => Some((at.as_micros() - failed.as_micros()) / MINUTE),
                    Retry::No => None,
                })
                .collect::<Vec<_>>()
        };
        assert_eq!(waits(FailureCode::SourceLocked), [Some(5), Some(15), Some(45), None]);
        assert_eq!(waits(FailureCode::SourceDenied), [None; 4]);
    }
}
