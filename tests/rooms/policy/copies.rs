//! Retention over the data directory and places, case by case: what leaves, what follows it and what is forgotten.

use std::collections::{HashMap, HashSet};

use coffer::domain::{BackupId, Timestamp};
use coffer::policy::{
    Condition, Fate, Guard, History, Keep, PlaceRule, PlaceTarget, Point, PointState, Targets,
    Tier, decide_targets,
};
use jiff::tz::TimeZone;

use super::points::{DAY, FIRST, id, point};

fn last(count: u32) -> Keep {
    Keep::new([(Tier::Last, count)])
}

/// A place that holds proven copies of these.
fn place<'a>(name: &'a str, rule: PlaceRule<'a>, holds: &[u128]) -> PlaceTarget<'a> {
    let copies: HashMap<BackupId, bool> = holds.iter().map(|number| (id(*number), true)).collect();
    PlaceTarget { name, rule, readable: true, copies }
}

/// Decides with the newest two kept here. `away`: what is here no longer.
fn decided(points: &[Point], away: &[u128], places: &[PlaceTarget<'_>]) -> Targets {
    let condition = Condition { configured: true, store_whole: true, clock_jumped: None };
    decided_in(condition, points, away, places)
}

fn decided_in(
    condition: Condition,
    points: &[Point],
    away: &[u128],
    places: &[PlaceTarget<'_>],
) -> Targets {
    let now = Timestamp::from_micros(FIRST + 100 * DAY);
    let history = History { points, condition, zone: &TimeZone::UTC, now };
    let away: HashSet<BackupId> = away.iter().map(|number| id(*number)).collect();
    decide_targets(&last(2), &history, &away, places)
}

fn four() -> Vec<Point> {
    (1..=4).map(|number| point(number, None)).collect()
}

fn fates(targets: &Targets) -> Vec<(BackupId, Fate)> {
    targets.here.going().map(|it| (it.root, it.fate.clone())).collect()
}

fn leaves(place: &str) -> Fate {
    Fate::Leaves { places: vec![place.to_owned()] }
}

fn copies(place: &str, numbers: &[u128]) -> Vec<(String, Vec<BackupId>)> {
    vec![(place.to_owned(), numbers.iter().map(|number| id(*number)).collect())]
}

#[test]
fn what_no_place_keeps_longer_is_deleted_with_its_copies_and_expires_nowhere_besides() {
    let keep = last(2);
    let nas = place("nas", PlaceRule::Own(&keep), &[1, 2, 3, 4]);
    let targets = decided(&four(), &[], &[nas]);
    assert_eq!(fates(&targets), [(id(2), Fate::Expired), (id(1), Fate::Expired)]);
    assert_eq!(targets.places, []);
}

#[test]
fn a_place_that_is_in_the_configuration_no_longer_counts_as_keeping_all_and_loses_nothing() {
    let keep = last(1);
    let targets = |unknown: &[u128]| {
        let nas = place("nas", PlaceRule::Own(&keep), &[1, 2, 3, 4]);
        decided(&four(), &[], &[nas, place("old", PlaceRule::Unknown, unknown)])
    };
    let found = targets(&[1]);
    assert_eq!(fates(&found), [(id(2), Fate::Expired), (id(1), leaves("old"))]);
    assert_eq!(found.places, copies("nas", &[3, 1]));
    let found = decided(&four(), &[1], &[place("old", PlaceRule::Unknown, &[1])]);
    assert_eq!((found.forgotten, found.places), (vec![], vec![]), "it may be the only copy");
}

#[test]
fn a_place_without_rules_gives_up_its_copy_when_another_keeps_what_left() {
    let keep = last(4);
    let targets = |away: &[u128]| {
        let nas = place("nas", PlaceRule::Own(&keep), &[1, 2, 3, 4]);
        let disk = place("disk", PlaceRule::Follows, &[1, 2, 3, 4]);
        decided(&four(), away, &[nas, disk])
    };
    let found = targets(&[]);
    assert_eq!(fates(&found), [(id(2), leaves("nas")), (id(1), leaves("nas"))]);
    assert_eq!(found.places, copies("disk", &[2, 1]));
    // It had no copy yet when the backup left, and has one now.
    let found = targets(&[1, 2]);
    assert_eq!((fates(&found), found.places), (vec![], copies("disk", &[2, 1])));
}

#[test]
fn while_nothing_may_go_nothing_leaves_follows_expires_or_is_forgotten() {
    let (one, all) = (last(1), last(9));
    let chained =
        [point(1, None), point(2, Some(1)), point(3, None), point(4, None), point(5, None)];
    let places = || {
        let nas = place("nas", PlaceRule::Own(&all), &[1, 2, 3, 4, 5]);
        [nas, place("disk", PlaceRule::Follows, &[1, 2, 3, 4, 5])]
    };
    let usb = place("usb", PlaceRule::Own(&one), &[3, 4, 5]);
    let cases = [(true, true), (false, true), (true, false)];
    for (configured, store_whole) in cases {
        let condition = Condition { configured, store_whole, clock_jumped: None };
        let may_go = configured && store_whole;
        let found = decided_in(condition, &chained, &[1], &places());
        assert_eq!(found.following == [id(2)], may_go, "{found:#?}");
        assert_eq!(found.following.is_empty(), !may_go);
        assert_eq!(fates(&found).is_empty(), !may_go);
        assert_eq!(found.places.is_empty(), !may_go, "{found:#?}");
        let found = decided_in(condition, &chained, &[3], std::slice::from_ref(&usb));
        assert_eq!(found.forgotten == [id(3)], may_go, "{found:#?}");
        assert_eq!(found.forgotten.is_empty(), !may_go);
    }
}

#[test]
fn nothing_is_forgotten_while_the_data_directory_alone_shows_that_something_is_wrong() {
    let one = last(1);
    let usb = place("usb", PlaceRule::Own(&one), &[1, 2, 3]);
    let mut points = four();
    assert_eq!(decided(&points, &[2], std::slice::from_ref(&usb)).forgotten, [id(2)]);
    // The source shrank, and the place does not have the backup yet that shows it.
    points[3].source_bytes = 10;
    let found = decided(&points, &[2], std::slice::from_ref(&usb));
    assert_eq!((found.here.suspended, found.forgotten), (vec![Guard::SourceShrank], vec![]));
}

#[test]
fn what_is_left_of_a_chain_follows_it_only_if_the_copies_can_be_read() {
    let all = last(9);
    let chained = [point(1, None), point(2, Some(1)), point(3, None), point(4, None)];
    let following = |readable| {
        let nas = place("nas", PlaceRule::Own(&all), &[1, 2, 3, 4]);
        decided(&chained, &[1], &[PlaceTarget { readable, ..nas }]).following
    };
    assert_eq!(following(true), [id(2)]);
    assert_eq!(following(false), []);
}

#[test]
fn only_what_a_place_held_and_none_keeps_is_forgotten() {
    let (one, all) = (last(1), last(9));
    let forgotten = |places: &[PlaceTarget<'_>]| decided(&four(), &[1], places).forgotten;
    let nas = place("nas", PlaceRule::Own(&one), &[1, 3, 4]);
    assert_eq!(forgotten(std::slice::from_ref(&nas)), [id(1)]);
    assert_eq!(forgotten(&[nas, place("offsite", PlaceRule::Own(&all), &[1, 3, 4])]), []);
    let none = place("nas", PlaceRule::Own(&one), &[3, 4]);
    assert_eq!(forgotten(&[none]), [], "where it is, nobody knows: a person says that it is lost");
}

#[test]
fn a_failed_attempt_has_no_copy_that_a_chain_would_wait_for() {
    let all = last(9);
    let failed = Point { state: PointState::Failed, stored_bytes: 0, ..point(2, Some(1)) };
    let chained = [point(1, None), failed, point(3, None), point(4, None)];
    let targets = decided(&chained, &[], &[place("nas", PlaceRule::Own(&all), &[1, 3, 4])]);
    assert_eq!(fates(&targets), [(id(1), leaves("nas"))]);
}
