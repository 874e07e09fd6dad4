//! The scheduler over a real catalog and a clock that the tests set.

mod commits;
mod drills;
mod due;
mod health;
mod many;
mod retention;
mod years;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use coffer::bell::Bell;
use coffer::catalog::{Catalog, Job, Lane};
use coffer::domain::{
    ArchiveFacts, Backup, BackupId, Clock, Failure, FailureCode, Instance, InstanceId, RunNumbers,
    Timestamp,
};
use coffer::policy::{FullEvery, HealthLimits, Keep, Policy, Span, Timetable};
use coffer::scheduler::Scheduler;
use jiff::tz::TimeZone;
use tempfile::TempDir;

use crate::catalog::fixture::{START, configured, facts, member, settings, shop, sqlite};

#[derive(Debug)]
struct SetClock(AtomicI64);

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }
}

/// A catalog with one instance, `shop`, on the first day of 2026.
struct House {
    catalog: Arc<Catalog>,
    clock: Arc<SetClock>,
    scheduler: Scheduler,
    store_is_whole: Arc<AtomicBool>,
    policy: Policy,
    folder: TempDir,
}

/// Daily at 02:30 UTC, a full backup with each week; everything is kept.
fn daily() -> Policy {
    Policy {
        zone: TimeZone::UTC,
        timetable: Some(crate::policy::daily()),
        keep: None,
        drill: None,
        staging: None,
        health: HealthLimits::default(),
    }
}

/// The same with a full backup each day, and this retention.
fn daily_full(keep: Keep) -> Policy {
    let timetable = daily().timetable.map(|it| Timetable { full_every: FullEvery::Day, ..it });
    Policy { timetable, keep: Some(keep), ..daily() }
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

impl House {
    /// The scheduler has looked once, at midnight.
    fn new(policy: Policy) -> Self {
        let folder = TempDir::new().unwrap();
        let clock = Arc::new(SetClock(AtomicI64::new(START.as_micros())));
        let whole = Arc::new(AtomicBool::new(true));
        let (catalog, scheduler) = open(&folder, &clock, &whole, &policy);
        let mut house = Self { catalog, clock, scheduler, store_is_whole: whole, policy, folder };
        house.tick_at(START);
        house
    }

    /// The process ends, and another one begins.
    fn restart(&mut self) {
        self.catalog.close();
        let (catalog, scheduler) =
            open(&self.folder, &self.clock, &self.store_is_whole, &self.policy);
        (self.catalog, self.scheduler) = (catalog, scheduler);
    }

    fn set(&self, now: Timestamp) {
        self.clock.0.store(now.as_micros(), Ordering::SeqCst);
    }

    /// It is this time, and the scheduler looks until it finds nothing more to do.
    fn tick_at(&mut self, now: Timestamp) {
        self.set(now);
        while self.scheduler.tick() <= now {}
        while self.scheduler.retention().work_one() {}
    }

    /// The backup that waits for a worker, claimed.
    fn claim(&self) -> Option<Backup> {
        match self.catalog.claim(Lane::Work).unwrap() {
            Some(Job::Backup(job)) => Some(job.backup),
            None => None,
            other => panic!("not a backup: {other:?}"),
        }
    }

    fn complete(&self, id: BackupId) {
        self.complete_with(facts(id));
    }

    fn complete_with(&self, facts: ArchiveFacts) {
        let id = facts.location.backup_id().unwrap();
        self.catalog.saving(id, self.clock.now()).wait().unwrap();
        self.catalog.complete(id, facts, "unknown", RunNumbers::default()).wait().unwrap();
    }

    fn fail(&self, id: BackupId, code: FailureCode) {
        self.catalog.fail(id, Failure::new(code, "as the test wants")).wait().unwrap();
    }

    /// At this time a backup is due, and it is made.
    fn made_at(&mut self, now: Timestamp) -> Backup {
        self.tick_at(now);
        let backup = self.claim().unwrap_or_else(|| panic!("nothing is due at {now}"));
        self.complete(backup.id);
        self.tick_at(now);
        backup
    }

    /// A backup on each of these days after the first of the year, at half past two.
    fn made_on_days(&mut self, days: std::ops::Range<u64>) -> Vec<BackupId> {
        days.map(|day| self.made_at(half_past_two(day)).id).collect()
    }

    /// The backups that were not deleted, oldest first.
    fn backups(&self) -> Vec<BackupId> {
        let found = self.catalog.every_backup().unwrap().into_iter();
        found.filter(|it| self.is_shown(it.id)).map(|it| it.id).collect()
    }

    fn is_shown(&self, id: BackupId) -> bool {
        self.catalog.backup(&member("a"), id).is_ok()
    }
}

fn half_past_two(day: u64) -> Timestamp {
    START.plus(Duration::from_secs(day * 24 * 3600 + 9000))
}

fn open(
    folder: &TempDir,
    clock: &Arc<SetClock>,
    store_is_whole: &Arc<AtomicBool>,
    policy: &Policy,
) -> (Arc<Catalog>, Scheduler) {
    let path = folder.path().join("catalog.db");
    let clock: Arc<dyn Clock> = Arc::<SetClock>::clone(clock);
    let catalog =
        Catalog::open(&path, settings(), Arc::clone(&clock), Arc::new(Bell::default())).unwrap();
    let catalog = Arc::new(catalog);
    catalog.set_engines(vec![sqlite()]);
    catalog.sync_instances(vec![instance()]).wait().unwrap();
    catalog.set_policies(HashMap::from([(shop(), policy.clone())]));
    let whole = Arc::clone(store_is_whole);
    let is_whole = Box::new(move || whole.load(Ordering::SeqCst));
    let scheduler = Scheduler::new(Arc::clone(&catalog), clock, is_whole);
    (catalog, scheduler)
}

fn instance() -> Instance {
    configured("a", "shop")
}

fn shop_id() -> InstanceId {
    shop()
}
