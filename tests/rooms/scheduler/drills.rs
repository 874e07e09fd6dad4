//! Drills begin by themselves: when they are due, one at a time, the oldest proof first.

use coffer::catalog::{DrillJob, Recurring, RecurringLook};
use coffer::domain::{
    Cancel, Damage, DamageIn, ParentChoice, RowsByTable, RunEnd, RunResult, VerifyLevel,
};
use coffer::policy::{DrillLimits, DrillPlan};

use super::many::insert_backups;
use super::*;
use crate::catalog::fixture::{admin, new_backup};

/// Backups daily at half past two, drills daily at five.
fn drilled() -> Policy {
    drilled_by(shop_id())
}

fn drilled_by(id: InstanceId) -> Policy {
    let limits =
        DrillLimits { zone: TimeZone::UTC, window: None, jitter: Span::default(), retries: 3 };
    let drill = Some(DrillPlan::new("daily 05:00".parse().unwrap(), id, &limits));
    Policy { drill, ..daily() }
}

fn five(day: u64) -> Timestamp {
    START.plus(Duration::from_secs((day * 24 + 5) * 3600))
}

fn minutes(count: u64) -> Duration {
    Duration::from_secs(count * 60)
}

impl House {
    /// The drill that waits for a worker at this time, claimed.
    fn drill_at(&mut self, now: Timestamp) -> Option<DrillJob> {
        self.tick_at(now);
        match self.catalog.claim(Lane::Drills).unwrap() {
            Some(Job::Drill(job)) => Some(*job),
            None => None,
            other => panic!("not a drill: {other:?}"),
        }
    }

    fn end_drill(&mut self, id: BackupId, result: RunResult) {
        let mut end = RunEnd::new(self.clock.now(), result.clone());
        end.numbers.took_ms = Some(1200);
        end.numbers.rows_by_table = RowsByTable::from([("orders".to_owned(), 7)]);
        let damage = match result {
            RunResult::Damaged(failure) => Some(Damage { id, place: DamageIn::Data, failure }),
            _ => None,
        };
        self.catalog.end_drill(id, end, damage).wait().unwrap();
    }
}

fn failure(code: FailureCode) -> Failure {
    Failure::new(code, "as the test wants")
}

#[test]
fn the_newest_backup_is_drilled_when_a_drill_is_due_and_once() {
    let mut house = House::new(drilled());
    assert_eq!(house.drill_at(five(0)), None, "there is no backup yet");
    let id = house.made_at(half_past_two(1)).id;
    assert_eq!(house.drill_at(five(1).minus(minutes(1))), None);
    assert_eq!(house.drill_at(five(1)).unwrap().id, id);
    assert_eq!(house.drill_at(five(1).plus(minutes(1))), None, "it runs");
    house.end_drill(id, RunResult::Done);
    assert_eq!(house.drill_at(five(1).plus(minutes(2))), None, "one drill a day");
    let looked = house.catalog.look_at_recurring(Recurring::Drill, shop_id()).unwrap();
    assert_eq!(looked, RecurringLook::At(five(2)));
    // A backup that was not followed by another one is proven again.
    house
        .catalog
        .set_policies(HashMap::from([(shop_id(), Policy { timetable: None, ..drilled() })]));
    assert_eq!(house.drill_at(five(2)).unwrap().id, id);
    let [last] = house.catalog.last_two_drills(shop_id()).unwrap().try_into().unwrap();
    assert_eq!((last.backup, last.at, last.rows["orders"]), (id, five(1).plus(minutes(1)), 7));
    assert_eq!(house.catalog.restore_time(shop_id()).unwrap(), last.took);
    assert_eq!(house.catalog.find(id).unwrap().facts.unwrap().verify_level, VerifyLevel::Restored);
}

#[test]
fn drills_that_were_missed_are_made_up_for_by_one() {
    let mut house = House::new(drilled());
    let id = house.made_at(half_past_two(0)).id;
    house.set(five(4));
    house.restart();
    let policy = Policy { timetable: None, ..drilled() };
    house.catalog.set_policies(HashMap::from([(shop_id(), policy)]));
    assert_eq!(house.drill_at(five(4)).unwrap().id, id);
    house.end_drill(id, RunResult::Done);
    house.policy = Policy { timetable: None, ..drilled() };
    house.restart();
    assert_eq!(house.drill_at(five(4).plus(minutes(1))), None, "a restart repeats nothing");
    assert!(house.drill_at(five(5)).is_some());
}

#[test]
fn an_inconclusive_drill_is_attempted_again_and_one_that_found_damage_is_not() {
    let mut house = House::new(drilled());
    let older = house.made_at(half_past_two(0)).id;
    assert_eq!(house.drill_at(five(0)).unwrap().id, older);
    house.end_drill(older, RunResult::Done);
    let id = house.made_at(half_past_two(1)).id;
    assert_eq!(house.drill_at(five(1)).unwrap().id, id);
    house.end_drill(id, RunResult::Failed(failure(FailureCode::Tool)));
    assert_eq!(house.drill_at(five(1).plus(minutes(4))), None);
    assert_eq!(house.drill_at(five(1).plus(minutes(5))).unwrap().id, id);
    house.end_drill(id, RunResult::Damaged(failure(FailureCode::ArchiveDamaged)));
    house
        .catalog
        .set_policies(HashMap::from([(shop_id(), Policy { timetable: None, ..drilled() })]));
    assert_eq!(house.drill_at(five(2).minus(minutes(1))), None);
    assert_eq!(house.drill_at(five(2)).unwrap().id, older, "the newest that is not damaged");
    let passed = house.catalog.last_two_drills(shop_id()).unwrap();
    assert_eq!(passed.iter().map(|it| it.backup).collect::<Vec<_>>(), [older]);
}

#[test]
fn of_many_that_are_due_one_runs_at_a_time_and_the_oldest_proof_comes_first() {
    let mut house = House::new(daily());
    let names = ["one", "two", "three"];
    let instances = names.map(|name| configured("a", name));
    house.catalog.sync_instances(instances.to_vec()).wait().unwrap();
    let made = instances.each_ref().map(|it| {
        let new = new_backup(it.id, ParentChoice::None);
        let id = house.catalog.create_backup(&admin(), new).wait().unwrap().id;
        assert_eq!(house.claim().unwrap().id, id);
        house.complete(id);
        id
    });
    // The second one was proven yesterday, the first one before, the third never.
    for (day, which) in [(1, 0), (2, 1)] {
        house.set(five(day));
        house.catalog.ask_drill(&admin(), made[which]).wait().unwrap();
        assert_eq!(house.drill_at(five(day)).unwrap().id, made[which]);
        house.end_drill(made[which], RunResult::Done);
    }
    let due = |it: &Instance| (it.id, Policy { timetable: None, ..drilled_by(it.id) });
    house.catalog.set_policies(instances.iter().map(due).collect());
    let mut now = five(3);
    for expected in [made[2], made[0], made[1]] {
        assert_eq!(house.drill_at(now).unwrap().id, expected);
        now = now.plus(minutes(1));
        house.tick_at(now);
        assert_eq!(house.catalog.claim(Lane::Drills).unwrap(), None, "one at a time");
        house.end_drill(expected, RunResult::Done);
    }
    assert_eq!(house.drill_at(now.plus(minutes(1))), None);
}

#[test]
fn a_drill_that_a_stop_interrupted_is_made_after_the_next_start_and_none_beside_it() {
    let mut house = House::new(drilled());
    let id = house.made_at(half_past_two(0)).id;
    assert_eq!(house.drill_at(five(0)).unwrap().id, id);
    assert!(house.catalog.begin_drill(id, Cancel::default()).wait().unwrap());
    house.restart();
    assert_eq!(house.catalog.reopen_drills().wait().unwrap(), 1);
    assert_eq!(house.drill_at(five(0).plus(minutes(1))).unwrap().id, id);
    assert_eq!(house.drill_at(five(0).plus(minutes(2))), None);
}

#[test]
fn an_instance_that_left_the_configuration_is_not_drilled() {
    let mut house = House::new(drilled());
    house.made_at(half_past_two(0));
    house.catalog.sync_instances(Vec::new()).wait().unwrap();
    assert_eq!(house.drill_at(five(3)), None);
}

#[test]
fn an_instance_that_is_only_drilled_by_a_schedule_is_listed_with_the_time_of_its_drill() {
    let house = House::new(Policy { timetable: None, ..drilled() });
    house
        .catalog
        .create_backup(&admin(), new_backup(shop_id(), ParentChoice::None))
        .wait()
        .unwrap();
    let id = house.claim().unwrap().id;
    house.complete(id);
    let [listed] = house.catalog.every_schedule().unwrap().try_into().unwrap();
    assert_eq!((listed.timetable, listed.next, listed.overdue), (None, None, None));
    assert_eq!(listed.proof.drill.as_deref(), Some("daily 05:00"));
    assert_eq!(listed.proof.next_drill, Some(five(0)));
    house.catalog.set_policies(HashMap::from([(shop_id(), Policy { timetable: None, ..daily() })]));
    assert_eq!(house.catalog.every_schedule().unwrap(), []);
}

#[test]
fn of_more_than_one_tick_looks_at_the_oldest_proof_comes_first() {
    let mut house = House::new(daily());
    let instances: Vec<Instance> =
        (0..40).map(|number| configured("a", &format!("instance {number}"))).collect();
    // The scheduler goes by the ids where all else is equal.
    let last = instances.iter().map(|it| it.id).max().unwrap();
    let ids: Vec<InstanceId> = instances.iter().map(|it| it.id).collect();
    house.catalog.sync_instances(instances).wait().unwrap();
    insert_backups(&house, 1);
    let db = rusqlite::Connection::open(house.folder.path().join("catalog.db")).unwrap();
    let drilled = "INSERT INTO runs (id, kind, project, instance, backup, asked, begun, ended, result, numbers)
         SELECT id, 'drill', 'a', instance, id, 1, 1, ?1, 'done', '{}' FROM backups WHERE instance <> ?2";
    let ended = START.minus(minutes(30)).as_micros();
    assert!(db.execute(drilled, (ended, last.to_string())).unwrap() >= 39);
    let policy = |id| Policy { timetable: None, ..drilled_by(id) };
    house.catalog.set_policies(ids.into_iter().map(|id| (id, policy(id))).collect());
    assert_eq!(house.drill_at(five(0).minus(minutes(1))), None);
    let first = house.drill_at(five(0)).unwrap();
    let of = house.catalog.find(first.id).unwrap().instance;
    assert_eq!(of, Some(last), "it was never drilled");
}
