//! Retention by size: the oldest chains go first, no more of them than needed, and none that a guard holds. And what
//! becomes of failed attempts, which take nothing.

use coffer::domain::{BackupId, Timestamp};
use coffer::policy::{
    Amount, Condition, Decision, Fate, History, Keep, Point, PointState, Tier, decide,
};
use jiff::tz::TimeZone;

use super::points::{DAY, FIRST, id, point};

fn failed(number: u8) -> Point {
    Point { state: PointState::Failed, stored_bytes: 0, source_bytes: 0, ..point(number, None) }
}

fn decided(keep: &Keep, points: &[Point], day: i64) -> Decision {
    let condition = Condition { configured: true, store_whole: true, clock_jumped: None };
    let now = Timestamp::from_micros(FIRST + day * DAY);
    decide(keep, &History { points, condition, zone: &TimeZone::UTC, now })
}

fn at_most(bytes: u64) -> Keep {
    limited(Keep::new([(Tier::Last, 99)]), bytes)
}

fn limited(mut keep: Keep, bytes: u64) -> Keep {
    keep.max_size = Some(Amount::new(bytes));
    keep
}

fn going(decision: &Decision) -> Vec<(BackupId, Fate)> {
    decision.going().map(|it| (it.root, it.fate.clone())).collect()
}

#[test]
fn of_more_than_fits_the_oldest_chains_go_and_no_more_than_needed() {
    let points: Vec<Point> = (1..=5).map(|number| point(number, None)).collect();
    assert_eq!(going(&decided(&at_most(500), &points, 9)), []);
    let one = [(id(1), Fate::OverSize)];
    assert_eq!(going(&decided(&at_most(499), &points, 9)), one);
    assert_eq!(going(&decided(&at_most(400), &points, 9)), one);
    let two = [(id(2), Fate::OverSize), (id(1), Fate::OverSize)];
    assert_eq!(going(&decided(&at_most(399), &points, 9)), two);
    let without_rules = limited(Keep::default(), 399);
    assert_eq!(going(&decided(&without_rules, &points, 9)), two);
}

#[test]
fn what_a_guard_holds_counts_and_stays_however_much_there_is() {
    let mut points: Vec<Point> = (1..=5).map(|number| point(number, None)).collect();
    points[0].pinned = true;
    let gone: Vec<BackupId> =
        going(&decided(&at_most(300), &points, 9)).into_iter().map(|it| it.0).collect();
    assert_eq!(gone, [id(3), id(2)], "the pinned one stays, and takes room");
    let gone: Vec<BackupId> =
        going(&decided(&at_most(0), &points, 9)).into_iter().map(|it| it.0).collect();
    assert_eq!(gone, [id(4), id(3), id(2)], "and so does the newest");
}

#[test]
fn what_expires_makes_room_before_anything_goes_for_its_size() {
    let points: Vec<Point> = (1..=5).map(|number| point(number, None)).collect();
    let keep = limited(Keep::new([(Tier::Last, 3)]), 300);
    let expired = [(id(2), Fate::Expired), (id(1), Fate::Expired)];
    assert_eq!(going(&decided(&keep, &points, 9)), expired);
}

#[test]
fn a_chain_that_goes_for_its_size_is_not_made_into_full_backups() {
    let keep = |bytes| limited(Keep::new([(Tier::Last, 2)]).consolidating(true), bytes);
    let mut points = vec![point(1, None), point(2, Some(1)), point(3, Some(2)), point(4, None)];
    points[1].stored_bytes = 90;
    let decision = decided(&keep(9999), &points, 9);
    assert_eq!(decision.consolidating().collect::<Vec<_>>(), [id(3)]);
    assert_eq!(going(&decision), []);
    let decision = decided(&keep(200), &points, 9);
    assert_eq!(going(&decision), [(id(1), Fate::OverSize)]);
    assert_eq!(decision.consolidating().count(), 0);
}

#[test]
fn failed_attempts_are_shown_for_a_month_and_then_go_where_a_policy_lets_something_go() {
    let points = [failed(1), point(2, None), point(3, None)];
    let by_rules = Keep::new([(Tier::Last, 99)]);
    for keep in [&by_rules, &at_most(9999), &limited(Keep::default(), 9999)] {
        assert_eq!(going(&decided(keep, &points, 30)), [], "{keep:?}");
        assert_eq!(going(&decided(keep, &points, 32)), [(id(1), Fate::Expired)], "{keep:?}");
    }
    assert_eq!(going(&decided(&Keep::default(), &points, 999)), [], "nothing ever goes by it");
    // It takes nothing: to remove it would make no room.
    let gone = going(&decided(&at_most(100), &points, 9));
    assert_eq!(gone, [(id(2), Fate::OverSize)]);
}
