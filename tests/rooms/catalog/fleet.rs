//! Fleets: what the names of archives become, who is silent, and that no device takes anything from another one or from the
//! server that reads it.

use std::time::Duration;

use coffer::policy::{Problem, ProblemKind, Severity};
use uuid::Builder;

use super::fixture::{Fixture, START, admin};
use super::*;

const DAY: Duration = Duration::from_secs(24 * 3600);
const HOUR: Duration = Duration::from_secs(3600);

fn id(made: Timestamp, number: u8) -> BackupId {
    let millis = u64::try_from(made.as_micros() / 1000).unwrap();
    BackupId::from_uuid(Builder::from_unix_timestamp_millis(millis, &[number; 10]).into_uuid())
}

fn archive(device: &str, name: &str, made: Timestamp) -> FleetArchive {
    let project: ProjectId = "a".parse().unwrap();
    let instance = InstanceId::derived(&project, name);
    let location = Location::of(&project, None, instance, id(made, 1), Kind::Full);
    FleetArchive::parse(&format!("{device}/archives/{location}"), 1000).unwrap()
}

/// One a day, the newest so long before the start.
fn daily(device: &str, newest: Duration) -> Vec<FleetArchive> {
    (0..4).rev().map(|day| archive(device, "shop", START.minus(newest + DAY * day))).collect()
}

fn rules(silent_after: Option<Duration>, retired: &[&str]) -> FleetRules {
    let retired = retired.iter().map(|it| (*it).to_owned()).collect();
    FleetRules { place: "all".to_owned(), silent_after, retired }
}

fn read_all(catalog: &Catalog, archives: Vec<FleetArchive>) -> FleetAdded {
    let number = catalog.begin_fleet_reading("all").wait().unwrap();
    let added = catalog.add_fleet_page("all", (number, true), archives).wait().unwrap();
    catalog.end_fleet_reading("all", (number, true), added.left_out).unwrap();
    added
}

fn listed(catalog: &Catalog) -> Vec<FleetInstance> {
    catalog.fleet_instances(&admin(), (0, 1000), false).unwrap()
}

fn silent(catalog: &Catalog) -> Vec<String> {
    let found = catalog.fleet_instances(&admin(), (0, 1000), true).unwrap();
    found.into_iter().map(|it| it.device).collect()
}

fn problem(catalog: &Catalog) -> Option<(ProblemKind, String)> {
    let found = catalog.problems().unwrap();
    let is_it =
        |it: &Problem| matches!(it.kind, ProblemKind::DeviceSilent | ProblemKind::FleetUnread);
    found.into_iter().find(is_it).map(|it| (it.kind, it.message))
}

#[test]
fn devices_with_the_same_names_are_kept_apart_and_have_nothing_to_do_with_the_servers_own() {
    let fixture = Fixture::new();
    let catalog = &fixture.catalog;
    catalog.set_fleets(vec![rules(None, &[])]);
    let both = [daily("shop-1", HOUR), daily("shop-2", HOUR)].concat();
    let added = read_all(catalog, both);
    assert_eq!(added.unnamed.len(), 2);
    assert!(added.newest.unwrap().starts_with("shop-2/archives/a/"));
    let found = listed(catalog);
    let ids: Vec<_> = found.iter().map(|it| (&*it.device, it.backups, it.stored_bytes)).collect();
    assert_eq!(ids, [("shop-1", 4, 4000), ("shop-2", 4, 4000)]);
    assert_eq!(found[0].instance, found[1].instance);
    assert_eq!(found[0].instance, fixture::shop(), "it is also the id of an instance here");
    assert_eq!(catalog.every_backup().unwrap(), [], "they are no backups of this server");
    let before = BackupId::at(START.plus(DAY));
    let (whose, backups) =
        catalog.fleet_backups(&admin(), found[1].number, (before, 3)).unwrap().unwrap();
    assert_eq!((&*whose.device, backups.len()), ("shop-2", 3));
    assert!(backups.is_sorted_by(|a, b| a.id > b.id));
    assert_eq!(catalog.fleet_backups(&admin(), 99, (before, 3)).unwrap(), None);
    let names = vec![(found[0].number, Ok("shop".to_owned()))];
    catalog.name_fleet_instances(names).wait().unwrap();
    assert_eq!(listed(catalog)[0].title(), "shop of shop-1 in all");
}

#[test]
fn a_device_without_a_backup_when_one_was_due_is_silent_until_it_makes_one_or_is_retired() {
    let fixture = Fixture::new();
    let catalog = &fixture.catalog;
    catalog.set_fleets(vec![rules(None, &[])]);
    let all = || [daily("fresh", DAY), daily("late", DAY * 2)].concat();
    read_all(catalog, all());
    assert_eq!(silent(catalog), ["late"]);
    let (kind, message) = problem(catalog).unwrap();
    assert_eq!(kind, ProblemKind::DeviceSilent);
    assert!(message.contains("1 in the fleet") && message.contains("of late in all"), "{message}");
    assert_eq!(kind.severity(), Severity::Critical);
    // What is left of a device that is gone with all it had is that it is missed.
    read_all(catalog, daily("fresh", DAY));
    assert_eq!((silent(catalog), listed(catalog)[1].backups), (vec!["late".to_owned()], 0));
    let back = [daily("fresh", DAY), vec![archive("late", "shop", START.minus(HOUR))]].concat();
    read_all(catalog, back);
    assert_eq!((silent(catalog).len(), problem(catalog)), (0, None));
    // The configuration may say it more strictly, and that nothing is expected any more.
    catalog.set_fleets(vec![rules(Some(HOUR * 2), &["late"])]);
    read_all(catalog, all());
    assert_eq!(silent(catalog), ["fresh"]);
    read_all(catalog, daily("fresh", DAY));
    assert_eq!(listed(catalog).len(), 1, "nothing is left of a device that is retired");
}

#[test]
fn an_archive_from_the_future_does_not_hide_that_its_device_is_silent() {
    let fixture = Fixture::new();
    let catalog = &fixture.catalog;
    catalog.set_fleets(vec![rules(None, &[])]);
    let future = archive("late", "shop", START.plus(DAY * 4000));
    read_all(catalog, [daily("late", DAY * 2), vec![future]].concat());
    assert_eq!(silent(catalog), ["late"]);
    assert_eq!(listed(catalog)[0].backups, 5);
}

#[test]
fn a_device_cannot_fill_the_catalog() {
    let fixture = Fixture::new();
    let catalog = &fixture.catalog;
    catalog.set_fleets(vec![rules(None, &[])]);
    let many = (0..250).map(|number| archive("greedy", &format!("db-{number}"), START.minus(HOUR)));
    let mut all: Vec<_> = many.collect();
    all.extend(daily("modest", HOUR));
    let added = read_all(catalog, all);
    assert_eq!(added.left_out, 50);
    let found = listed(catalog);
    assert_eq!(found.iter().filter(|it| it.device == "greedy").count(), 200);
    assert_eq!(found.iter().filter(|it| it.device == "modest").count(), 1);
    let (kind, message) = problem(catalog).unwrap();
    assert!(kind == ProblemKind::FleetUnread && message.contains("50 archives"), "{message}");
}

#[test]
fn a_fleet_that_cannot_be_read_keeps_what_is_known_and_one_that_is_gone_does_not() {
    let fixture = Fixture::new();
    let catalog = &fixture.catalog;
    catalog.set_fleets(vec![rules(None, &[])]);
    read_all(catalog, daily("shop-1", HOUR));
    catalog.fleet_unread("all", "the bucket is missing".to_owned()).wait().unwrap();
    let reading = catalog.fleet_readings().unwrap().remove(0);
    assert_eq!(reading.failing.unwrap().1, "the bucket is missing");
    assert_eq!((listed(catalog).len(), problem(catalog)), (1, None), "only for a moment");
    read_all(catalog, daily("shop-1", HOUR));
    assert_eq!(catalog.fleet_readings().unwrap().remove(0).failing, None);
    catalog.set_fleets(Vec::new());
    catalog.forget_other_fleets().unwrap();
    assert_eq!((listed(catalog).len(), catalog.fleet_readings().unwrap().len()), (0, 0));
}

#[test]
fn the_worst_of_a_fleet_come_first_page_by_page_and_those_that_are_retired_last() {
    let fixture = Fixture::new();
    let catalog = &fixture.catalog;
    catalog.set_fleets(vec![rules(None, &["old"])]);
    let late = |device: &str, days: u32| daily(device, DAY * days);
    let all = [late("gone", 9), late("new", 0), late("old", 30), late("slow", 3)].concat();
    read_all(catalog, all);
    let (mut found, mut after) = (Vec::new(), None);
    while let Some(row) = catalog.worst_in_fleets(&admin(), after, 1).unwrap().pop() {
        after = Some((row.expected, row.number));
        found.push((row.device.clone(), row.is_silent(START)));
    }
    let expected = [("gone", true), ("slow", true), ("new", false), ("old", false)];
    assert_eq!(found, expected.map(|(device, silent)| (device.to_owned(), silent)));
    let page = catalog.worst_in_fleets(&admin(), None, 3).unwrap();
    assert_eq!(page.iter().map(|it| &*it.device).collect::<Vec<_>>(), ["gone", "slow", "new"]);
}
