//! A tick waits for no commit. Here none is made while another connection has begun to write.

use coffer::catalog::Recurring;
use coffer::domain::{RunEnd, RunResult};
use coffer::policy::{StagingPlan, StagingTarget, Tier};
use rusqlite::Connection;

use super::many::insert_backups;
use super::retention::keep;
use super::*;

/// Until it is dropped no write of the catalog is committed; it waits for five seconds at most.
struct Held(Connection);

impl Held {
    fn by(house: &House) -> Self {
        let db = Connection::open(house.folder.path().join("catalog.db")).unwrap();
        db.execute_batch("BEGIN IMMEDIATE").unwrap();
        Self(db)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.execute_batch("ROLLBACK").unwrap();
    }
}

#[test]
fn a_tick_ends_before_what_it_began_is_committed_and_begins_nothing_else_until_then() {
    let mut house = House::new(daily());
    let held = Held::by(&house);
    house.set(half_past_two(0));
    for _tick in 0..3 {
        assert_eq!(house.scheduler.tick(), half_past_two(0), "its answer is to come");
    }
    assert_eq!(house.catalog.every_backup().unwrap(), []);
    drop(held);
    house.tick_at(half_past_two(0));
    assert_eq!(house.catalog.every_backup().unwrap().len(), 1);
    assert!(house.scheduler.tick() > half_past_two(0));
}

#[test]
fn a_scheduler_that_ends_before_the_commit_is_followed_by_one_that_begins_nothing_twice() {
    let mut house = House::new(daily());
    let held = Held::by(&house);
    house.set(half_past_two(0));
    house.scheduler.tick();
    let clock: Arc<dyn Clock> = Arc::<SetClock>::clone(&house.clock);
    house.scheduler = Scheduler::new(Arc::clone(&house.catalog), clock, Box::new(|| true));
    house.scheduler.tick();
    drop(held);
    house.tick_at(half_past_two(0));
    assert_eq!(house.catalog.every_backup().unwrap().len(), 1);
}

#[test]
fn policies_that_are_replaced_before_an_answer_is_taken_apply_to_what_it_is_of() {
    let mut house = House::new(daily());
    let other = configured("a", "other");
    let id = other.id;
    house.catalog.sync_instances(vec![other]).wait().unwrap();
    house.catalog.set_policies(HashMap::from([(id, daily())]));
    assert_eq!(house.scheduler.tick(), START, "it is seen for the first time");
    // Writes are made in their order: with this one that is committed, and the next run by the old policy is known.
    house.catalog.note_clock(false).wait().unwrap();
    let hourly = "hourly".parse().unwrap();
    let timetable = daily().timetable.map(|it| Timetable { schedule: hourly, ..it });
    house.catalog.set_policies(HashMap::from([(id, Policy { timetable, ..daily() })]));
    house.tick_at(START);
    house.made_at(at("2026-01-01T01:00:00Z"));
}

#[test]
fn retention_waits_for_the_commit_that_notes_that_the_clock_jumped() {
    let mut house = House::new(daily_full(keep(&[(Tier::Last, 1)])));
    let first = house.made_on_days(0..1)[0];
    house.tick_at(half_past_two(1));
    house.complete(house.claim().unwrap().id);
    house.scheduler.tick();
    let retention = house.scheduler.retention();
    let held = Held::by(&house);
    house.set(half_past_two(400));
    house.scheduler.tick();
    assert!(!retention.work_one(), "the jump is not noted yet");
    drop(held);
    house.tick_at(half_past_two(400));
    assert!(house.is_shown(first), "the jump is noted, and stops it");
}

#[test]
fn many_restores_into_staging_that_are_due_at_once_all_begin_and_none_twice() {
    let mut house = House::new(daily());
    let instances: Vec<Instance> =
        (0..200).map(|number| configured("a", &format!("instance {number}"))).collect();
    let ids: Vec<InstanceId> = instances.iter().map(|it| it.id).collect();
    house.catalog.sync_instances(instances).wait().unwrap();
    insert_backups(&house, 1);
    let timetable =
        Timetable { schedule: "daily 05:00".parse().unwrap(), ..crate::policy::daily() };
    let to = StagingTarget::Path("/srv/staging".into());
    let staging = Some(StagingPlan { to, timetable });
    let staged = Policy { timetable: None, staging, ..daily() };
    house.catalog.set_policies(ids.iter().map(|id| (*id, staged.clone())).collect());
    let open = |house: &House| house.catalog.open_recurring(Recurring::Staging).unwrap().len();
    let five = at("2026-01-01T05:00:00Z");
    house.tick_at(five.minus(Duration::from_secs(1)));
    assert_eq!(open(&house), 0);
    house.set(five);
    let mut begun = 0;
    while house.scheduler.tick() <= five {
        let now = open(&house);
        // The portion before may have been committed just after it was counted.
        assert!(now - begun <= 2 * 64, "from {begun} to {now} in one tick");
        begun = now;
    }
    assert_eq!(open(&house), ids.len());
    // One of them ends, and only that is checked again: it is done for today.
    let Some(Job::Stage(job)) = house.catalog.claim(Lane::Drills).unwrap() else { panic!() };
    let end = RunEnd::new(five, RunResult::Done);
    house.catalog.end_staging(job.id, end).wait().unwrap();
    house.tick_at(five);
    assert_eq!(open(&house), ids.len() - 1);
}
