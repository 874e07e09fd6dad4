//! What the policy does not keep goes after each backup, as the preview says; what must stay stays.

use coffer::catalog::{CatalogError, ConsolidationJob, NotNow};
use coffer::domain::{ArchiveFacts, Kind};
use coffer::policy::{Guard, Tier};

use super::*;
use crate::catalog::fixture::member;

pub(super) fn keep(counts: &[(Tier, u32)]) -> Keep {
    Keep::new(counts.iter().copied())
}

/// The backups that the preview says would go, oldest first.
fn preview(house: &House) -> Vec<BackupId> {
    let retention = house.catalog.retention_of(shop_id()).unwrap();
    let mut going: Vec<_> =
        retention.targets.here.going().flat_map(|chain| chain.members.clone()).collect();
    going.sort();
    going
}

fn suspended(house: &House) -> Vec<Guard> {
    house.catalog.retention_of(shop_id()).unwrap().targets.here.suspended
}

#[test]
fn after_each_backup_what_is_not_kept_goes_as_the_preview_said() {
    let mut house = House::new(daily_full(keep(&[(Tier::Last, 3)])));
    let first = house.made_on_days(0..3);
    assert_eq!(house.backups(), first);
    house.tick_at(half_past_two(3));
    let fourth = house.claim().unwrap().id;
    assert_eq!(preview(&house), [], "nothing goes for a backup that is not made yet");
    house.complete(fourth);
    assert_eq!(preview(&house), [first[0]]);
    house.tick_at(half_past_two(3));
    assert_eq!(house.backups(), [first[1], first[2], fourth]);
    assert_eq!(preview(&house), []);
}

#[test]
fn retention_waits_while_the_scheduler_has_not_noted_that_the_clock_jumped() {
    let mut house = House::new(daily_full(keep(&[(Tier::Last, 1)])));
    let first = house.made_on_days(0..1)[0];
    house.tick_at(half_past_two(1));
    house.complete(house.claim().unwrap().id);
    house.scheduler.tick();
    let retention = house.scheduler.retention();
    house.set(half_past_two(400));
    assert!(!retention.work_one());
    assert!(house.is_shown(first));
    house.set(half_past_two(1));
    assert!(retention.work_one());
    assert!(!house.is_shown(first));
}

#[test]
fn eight_weeks_of_daily_backups_leave_what_the_policy_promises() {
    let policy = keep(&[(Tier::Daily, 7), (Tier::Weekly, 4)]);
    let mut house = House::new(daily_full(policy));
    let made = house.made_on_days(0..56);
    // Day 55 is Wednesday, 25 February: seven days back to the 19th, and the Sundays before and in that time.
    let left: Vec<usize> = (0..56).filter(|day| house.is_shown(made[*day])).collect();
    assert_eq!(left, [38, 45, 49, 50, 51, 52, 53, 54, 55]);
}

#[test]
fn failed_backups_never_make_a_good_one_go() {
    let mut house = House::new(daily_full(keep(&[(Tier::Last, 1)])));
    let good = house.made_on_days(0..1);
    for day in 1..5 {
        house.tick_at(half_past_two(day));
        house.fail(house.claim().unwrap().id, FailureCode::SourceDenied);
        house.tick_at(half_past_two(day));
        assert!(house.is_shown(good[0]), "day {day}");
    }
    house.made_on_days(5..6);
    assert!(!house.is_shown(good[0]));
}

#[test]
fn while_the_archives_are_not_where_they_were_nothing_goes() {
    let mut house = House::new(daily_full(keep(&[(Tier::Last, 1)])));
    let first = house.made_on_days(0..1);
    house.store_is_whole.store(false, Ordering::SeqCst);
    let second = house.made_on_days(1..2);
    assert_eq!(house.backups(), [first[0], second[0]]);
    house.store_is_whole.store(true, Ordering::SeqCst);
    let third = house.made_on_days(2..3);
    assert_eq!(house.backups(), third);
}

#[test]
fn what_is_pinned_stays_and_cannot_be_deleted() {
    let mut house = House::new(daily_full(keep(&[(Tier::Last, 1)])));
    let first = house.made_on_days(0..1)[0];
    let pinned = house.catalog.pin_backup(&member("a"), first, true).wait().unwrap();
    assert_eq!(pinned.pinned, Some(half_past_two(0)));
    house.made_on_days(1..3);
    assert!(house.is_shown(first));
    let refused = house.catalog.delete_backup(&member("a"), first).wait().unwrap_err();
    assert!(matches!(refused, CatalogError::NotNow(NotNow::Pinned { .. })), "{refused}");
    house.catalog.pin_backup(&member("a"), first, false).wait().unwrap();
    house.made_on_days(3..4);
    assert!(!house.is_shown(first));
}

#[test]
fn an_instance_that_left_the_configuration_keeps_all_its_backups() {
    let mut house = House::new(daily_full(keep(&[(Tier::Last, 2)])));
    let made = house.made_on_days(0..2);
    house.catalog.set_policies(HashMap::from([(shop_id(), daily_full(keep(&[(Tier::Last, 1)])))]));
    house.catalog.sync_instances(Vec::new()).wait().unwrap();
    assert_eq!(suspended(&house), [Guard::NotConfigured]);
    house.tick_at(half_past_two(9));
    assert_eq!(house.backups(), made);
}

#[test]
fn after_the_clock_jumped_nothing_goes_until_three_backups_are_proven() {
    let mut house = House::new(daily_full(keep(&[(Tier::Last, 1)])));
    let old = house.made_on_days(0..1)[0];
    let mut kept = vec![old];
    for day in 1000..1002 {
        kept.extend(house.made_on_days(day..day + 1));
        assert_eq!((house.backups(), suspended(&house)), (kept.clone(), vec![Guard::ClockJumped]));
    }
    let third = house.made_on_days(1002..1003);
    assert_eq!(house.backups(), third);
}

#[test]
fn while_the_source_is_much_smaller_than_it_was_nothing_goes() {
    let mut house = House::new(daily_full(keep(&[(Tier::Last, 1)])));
    let mut made = |day: u64, source_bytes: u64| {
        house.tick_at(half_past_two(day));
        let id = house.claim().unwrap().id;
        house.complete_with(ArchiveFacts { source_bytes, ..facts(id) });
        house.tick_at(half_past_two(day));
        house.backups().len()
    };
    assert_eq!(made(0, 90 << 20), 1);
    assert_eq!(made(1, 80 << 20), 1);
    assert_eq!(made(2, 30 << 20), 2, "it may be the loss of data that a person wants to undo");
    assert_eq!(made(3, 30 << 20), 3);
    assert_eq!(made(4, 70 << 20), 1);
}

/// A full backup in each week, incrementals on the other days; kept is the newest of each of the last four weeks.
fn weekly() -> Policy {
    Policy { keep: Some(keep(&[(Tier::Weekly, 4)]).consolidating(true)), ..daily() }
}

fn claim_consolidation(house: &House) -> Option<Box<ConsolidationJob>> {
    match house.catalog.claim(Lane::Drills).unwrap() {
        Some(Job::Consolidate(job)) => Some(job),
        None => None,
        other => panic!("not a consolidation: {other:?}"),
    }
}

#[test]
fn what_is_all_that_is_kept_of_a_chain_becomes_a_full_backup_and_then_the_rest_goes() {
    let mut house = House::new(weekly());
    // From Thursday to Sunday, and the full backup of Monday.
    let made = house.made_on_days(0..4);
    assert!(claim_consolidation(&house).is_none(), "there is no newer full backup yet");
    let monday = house.made_on_days(4..5)[0];
    let job = claim_consolidation(&house).unwrap();
    assert_eq!(job.backup.id, made[3]);
    house.tick_at(half_past_two(4));
    assert_eq!(preview(&house), [], "its chain is in use");
    let id = job.new_id;
    let facts = Some(facts(id));
    let full = Backup { id, kind: Kind::Full, parent: None, facts, ..job.backup.clone() };
    assert!(house.catalog.consolidated(made[3], full, RunNumbers::default()).wait().unwrap());
    assert_eq!(preview(&house), made);
    house.tick_at(half_past_two(4));
    assert_eq!(house.backups(), [id, monday]);
}

#[test]
fn after_a_consolidation_failed_retention_asks_for_it_again_a_day_later() {
    let mut house = House::new(weekly());
    let made = house.made_on_days(0..5);
    let id = claim_consolidation(&house).unwrap().backup.id;
    let why = Failure::new(FailureCode::DiskFull, "no room");
    house.catalog.consolidation_failed(id, why, None).wait().unwrap();
    house.catalog.expire(shop_id()).wait().unwrap();
    assert!(claim_consolidation(&house).is_none());
    assert_eq!(house.backups(), made, "until then everything stays");
    house.set(half_past_two(5).plus(Duration::from_secs(1)));
    house.catalog.expire(shop_id()).wait().unwrap();
    assert_eq!(claim_consolidation(&house).unwrap().backup.id, id);
}
