//! What is due begins, once; what was missed is made up for; what failed is tried again.

use coffer::catalog::Look;
use coffer::domain::{FailureCode, Kind, ParentChoice};
use rstest::rstest;

use super::*;
use crate::catalog::fixture::{admin, new_backup};

#[test]
fn a_backup_begins_when_it_is_due_and_the_first_of_a_week_is_a_full_one() {
    let mut house = House::new(daily());
    house.tick_at(at("2026-01-01T02:29:59Z"));
    assert_eq!(house.claim(), None);
    let first = house.made_at(at("2026-01-01T02:30:00Z"));
    assert_eq!((first.kind, first.name.as_str()), (Kind::Full, "shop 2026-01-01 02:30 UTC"));
    assert_eq!(first.description.as_deref(), Some("By the schedule \"daily 02:30\"."));
    assert_eq!(house.claim(), None, "one run, one backup");
    // The first of January 2026 is a Thursday.
    let kinds: Vec<Kind> = (1..6).map(|day| house.made_at(half_past_two(day)).kind).collect();
    let incremental = Kind::Incremental;
    assert_eq!(kinds, [incremental, incremental, incremental, Kind::Full, incremental]);
}

#[test]
fn after_a_time_in_which_the_server_was_off_one_backup_makes_up_for_what_was_missed() {
    let mut house = House::new(daily());
    house.made_at(half_past_two(0));
    house.set(at("2026-01-06T12:00:00Z"));
    house.restart();
    let made_up = house.made_at(at("2026-01-06T12:00:00Z"));
    assert_eq!(made_up.name, "shop 2026-01-06 02:30 UTC");
    house.restart();
    house.tick_at(at("2026-01-06T12:01:00Z"));
    assert_eq!(house.claim(), None, "a restart repeats nothing");
    house.made_at(half_past_two(6));
}

#[test]
fn a_backup_that_runs_still_is_waited_for() {
    let mut house = House::new(daily());
    house.tick_at(half_past_two(0));
    let slow = house.claim().unwrap();
    house.tick_at(half_past_two(2));
    assert_eq!(house.claim(), None);
    house.complete(slow.id);
    let next = house.made_at(half_past_two(2));
    assert_eq!(next.name, "shop 2026-01-03 02:30 UTC", "the runs meanwhile are one");
    assert_eq!(house.backups(), [slow.id, next.id]);
}

#[test]
fn a_failure_that_may_pass_is_followed_by_another_attempt_until_there_were_enough() {
    let mut house = House::new(daily());
    let mut now = half_past_two(0);
    for minutes in [5, 15, 45] {
        house.tick_at(now);
        house.fail(house.claim().unwrap().id, FailureCode::SourceLocked);
        house.tick_at(now.plus(Duration::from_secs(minutes * 60 - 1)));
        assert_eq!(house.claim(), None, "not before {minutes} minutes");
        now = now.plus(Duration::from_secs(minutes * 60));
    }
    house.tick_at(now);
    house.fail(house.claim().unwrap().id, FailureCode::SourceLocked);
    house.tick_at(at("2026-01-01T23:59:59Z"));
    assert_eq!(house.claim(), None, "three more attempts are enough");
    house.made_at(half_past_two(1));
}

#[rstest]
#[case(FailureCode::SourceDenied)]
#[case(FailureCode::SourceDamaged)]
fn a_failure_that_does_not_pass_is_not_tried_again(#[case] code: FailureCode) {
    let mut house = House::new(daily());
    house.tick_at(half_past_two(0));
    house.fail(house.claim().unwrap().id, code);
    house.tick_at(at("2026-01-01T23:59:59Z"));
    assert_eq!(house.claim(), None);
    house.made_at(half_past_two(1));
}

#[test]
fn a_backup_that_somebody_made_meanwhile_replaces_another_attempt() {
    let mut house = House::new(daily());
    house.tick_at(half_past_two(0));
    house.fail(house.claim().unwrap().id, FailureCode::SourceLocked);
    house.set(half_past_two(0).plus(Duration::from_secs(60)));
    let asked = new_backup(shop_id(), ParentChoice::None);
    let asked = house.catalog.create_backup(&admin(), asked).wait().unwrap();
    assert_eq!(house.claim().unwrap().id, asked.id);
    house.complete(asked.id);
    house.tick_at(at("2026-01-01T23:59:59Z"));
    assert_eq!(house.claim(), None);
}

#[test]
fn a_clock_that_was_wrong_by_years_does_not_end_the_schedule() {
    let mut house = House::new(daily());
    house.made_at(half_past_two(0));
    house.made_at(at("2036-05-05T12:00:00Z"));
    house.tick_at(at("2026-01-02T02:00:00Z"));
    assert_eq!(house.claim(), None);
    house.made_at(half_past_two(1));
    house.made_at(half_past_two(2));
}

#[test]
fn the_list_of_schedules_says_when_the_next_backup_begins() {
    let mut house = House::new(daily());
    let listed = |house: &House| house.catalog.every_schedule().unwrap();
    assert_eq!(listed(&house)[0].next, Some(half_past_two(0)));
    let made = house.made_at(half_past_two(0));
    let [only] = listed(&house).try_into().unwrap();
    assert_eq!((only.next, only.last), (Some(half_past_two(1)), Some(made.id)));
    assert_eq!(only.instance.name, "shop");
    let looked = house.catalog.look_at_schedule(shop_id()).unwrap();
    assert_eq!(looked, Some(Look::At(half_past_two(1))));
}

#[test]
fn a_backup_that_is_missing_is_overdue_until_one_is_made() {
    let mut house = House::new(daily());
    let overdue = |house: &House| house.catalog.every_schedule().unwrap()[0].overdue;
    house.made_at(half_past_two(0));
    for day in 1..3 {
        house.tick_at(half_past_two(day));
        house.fail(house.claim().unwrap().id, FailureCode::SourceDenied);
    }
    assert_eq!(overdue(&house), Some(half_past_two(1)), "a failed attempt is none");
    house.made_at(half_past_two(3));
    assert_eq!(overdue(&house), None);
}

#[test]
fn policies_that_were_set_anew_apply_at_once() {
    let mut house = House::new(daily());
    house.made_at(half_past_two(0));
    let hourly = "hourly".parse().unwrap();
    let timetable = daily().timetable.map(|it| Timetable { schedule: hourly, ..it });
    house.catalog.set_policies(HashMap::from([(shop_id(), Policy { timetable, ..daily() })]));
    house.made_at(at("2026-01-01T03:00:00Z"));
    house.catalog.set_policies(HashMap::new());
    house.tick_at(at("2026-01-01T09:00:00Z"));
    assert_eq!(house.claim(), None);
}

#[test]
fn an_instance_that_left_the_configuration_is_not_backed_up() {
    let mut house = House::new(daily());
    house.catalog.sync_instances(Vec::new()).wait().unwrap();
    house.tick_at(half_past_two(3));
    assert_eq!(house.claim(), None);
    assert_eq!(house.catalog.look_at_schedule(shop_id()).unwrap(), Some(Look::Never));
}
