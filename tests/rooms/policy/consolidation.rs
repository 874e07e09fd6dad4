//! When an incremental backup becomes a full one, so that the rest of its chain can go.

use coffer::domain::{BackupId, Timestamp};
use coffer::policy::{Condition, Decision, History, Keep, Point, PointState, Tier, decide};
use jiff::tz::TimeZone;
use uuid::Uuid;

const DAY: i64 = 24 * 3600 * 1_000_000;
/// A Monday.
const FIRST: i64 = 1_767_571_200_000_000;

fn id(number: u128) -> BackupId {
    BackupId::from_uuid(Uuid::from_u128(number))
}

fn point(number: u128, parent: Option<u128>, day: i64, stored_bytes: u64) -> Point {
    Point {
        id: id(number),
        parent: parent.map(id),
        created: Timestamp::from_micros(FIRST + day * DAY),
        state: PointState::Proven,
        pinned: false,
        stored_bytes,
        source_bytes: 1000,
    }
}

/// A full backup on the first day of each of two weeks, and incrementals on the others.
fn two_weeks() -> Vec<Point> {
    (0..14_u128)
        .map(|day| {
            let is_first = day % 7 == 0;
            let parent = (!is_first).then_some(day);
            point(day + 1, parent, i64::try_from(day).unwrap(), if is_first { 100 } else { 10 })
        })
        .collect()
}

fn decided(points: &[Point], keep: &Keep) -> Decision {
    decided_while(true, points, keep)
}

fn decided_while(store_whole: bool, points: &[Point], keep: &Keep) -> Decision {
    let condition = Condition { configured: true, store_whole, clock_jumped: None };
    let now = Timestamp::from_micros(FIRST + 20 * DAY);
    decide(keep, &History { points, condition, zone: &TimeZone::UTC, now })
}

fn weekly() -> Keep {
    Keep::new([(Tier::Weekly, 4)]).consolidating(true)
}

#[test]
fn the_only_backup_that_is_kept_of_an_older_chain_becomes_a_full_one_and_then_the_rest_goes() {
    let mut points = two_weeks();
    let decision = decided(&points, &weekly());
    assert_eq!(decision.consolidating().collect::<Vec<_>>(), [id(7)]);
    assert_eq!(decision.going().count(), 0, "nothing goes before the full one is there");
    points.push(Point { id: id(99), parent: None, stored_bytes: 100, ..points[6].clone() });
    let decision = decided(&points, &weekly());
    assert_eq!(decision.consolidating().count(), 0);
    assert_eq!(decision.going().map(|it| it.root).collect::<Vec<_>>(), [id(1)]);
    let left: usize =
        decision.chains.iter().filter(|it| it.fate.stays()).map(|it| it.restore_points).sum();
    assert_eq!(left, 8, "the second week, and the last day of the first");
}

#[test]
fn while_the_copy_is_not_proven_the_chain_stays() {
    let mut points = two_weeks();
    let copy = Point { id: id(99), parent: None, stored_bytes: 100, ..points[6].clone() };
    points.push(Point { state: PointState::Damaged, ..copy });
    assert_eq!(decided(&points, &weekly()).going().count(), 0);
}

#[test]
fn a_chain_stays_as_it_is_if_consolidation_is_off_or_saves_little_or_something_holds_it() {
    let consolidating =
        |points: &[Point], keep: &Keep| decided(points, keep).consolidating().count();
    assert_eq!(consolidating(&two_weeks(), &weekly()), 1);
    assert_eq!(consolidating(&two_weeks(), &weekly().consolidating(false)), 0);
    let mut small = two_weeks();
    small.iter_mut().filter(|it| it.parent.is_some()).for_each(|it| it.stored_bytes = 1);
    assert_eq!(consolidating(&small, &weekly()), 0, "6 of 106 bytes");
    let mut grown = two_weeks();
    grown[6].source_bytes = 1600;
    grown[13].source_bytes = 1600;
    assert_eq!(consolidating(&grown, &weekly()), 0, "the full one would be as large as the chain");
    let mut pinned = two_weeks();
    pinned[2].pinned = true;
    assert_eq!(consolidating(&pinned, &weekly()), 0);
    let two = Keep::new([(Tier::Daily, 9)]).consolidating(true);
    assert_eq!(consolidating(&two_weeks(), &two), 0, "two full ones would take more");
    let newest = Keep::new([(Tier::Last, 1)]).consolidating(true);
    assert_eq!(consolidating(&two_weeks(), &newest), 0, "never the newest chain");
    let roots: Vec<_> = two_weeks().into_iter().filter(|it| it.parent.is_none()).collect();
    assert_eq!(consolidating(&roots, &weekly()), 0);
}

#[test]
fn nothing_becomes_a_full_backup_while_nothing_may_go() {
    assert_eq!(decided_while(false, &two_weeks(), &weekly()).consolidating().count(), 0);
}

#[test]
fn all_that_are_kept_of_a_chain_become_full_ones_and_the_rest_stays_until_each_of_them_is_there() {
    let two = Keep::new([(Tier::Daily, 9)]).consolidating(true);
    let mut points = two_weeks();
    points.iter_mut().filter(|it| it.parent.is_some()).for_each(|it| it.stored_bytes = 60);
    let decision = decided(&points, &two);
    assert_eq!(decision.consolidating().collect::<Vec<_>>(), [id(6), id(7)]);
    let copy = |number, of: usize| Point {
        id: id(number),
        parent: None,
        stored_bytes: 100,
        ..two_weeks()[of].clone()
    };
    points.push(copy(98, 5));
    let decision = decided(&points, &two);
    assert_eq!(decision.consolidating().collect::<Vec<_>>(), [id(7)], "the other one is there");
    assert_eq!(decision.going().count(), 0);
    points.push(copy(99, 6));
    let decision = decided(&points, &two);
    assert_eq!(decision.going().map(|it| it.root).collect::<Vec<_>>(), [id(1)]);
}

#[test]
fn a_chain_whose_root_is_kept_stays_as_it_is_whatever_could_be_saved() {
    let mut points = vec![point(1, None, 0, 100)];
    points.extend((0..5).map(|hour| Point {
        created: Timestamp::from_micros(FIRST + DAY + hour * DAY / 24),
        ..point(2 + u128::try_from(hour).unwrap(), Some(1), 1, 60)
    }));
    points.push(point(9, None, 7, 100));
    let keep = |days| Keep::new([(Tier::Daily, days)]).consolidating(true);
    assert_eq!(decided(&points, &keep(2)).consolidating().collect::<Vec<_>>(), [id(6)]);
    assert_eq!(decided(&points, &keep(3)).consolidating().count(), 0);
}

#[test]
fn a_backup_and_the_full_one_made_of_it_count_as_one_restore_point() {
    let mut points = two_weeks();
    points.iter_mut().filter(|it| it.parent.is_some()).for_each(|it| it.stored_bytes = 60);
    points.push(Point { id: id(99), parent: None, stored_bytes: 100, ..points[6].clone() });
    let last = |count| decided(&points, &Keep::new([(Tier::Last, count)]).consolidating(true));
    assert_eq!(last(8).going().count(), 1, "the second week and the copy are kept");
    let day_before = last(9).consolidating().collect::<Vec<_>>();
    assert_eq!(day_before, [id(6)], "and not the one that the copy was made of");
}
