//! What counts as a restore point, and what does not although it looks like one.

use coffer::domain::{BackupId, Timestamp};
use coffer::policy::{
    Condition, Decision, Fate, Guard, History, Keep, Point, PointState, Tier, decide,
};
use jiff::tz::TimeZone;

use super::points::{DAY, FIRST, id, point};

fn keeping_two(points: &[Point]) -> Decision {
    let condition = Condition { configured: true, store_whole: true, clock_jumped: None };
    decided_in(condition, points, 2)
}

fn decided_in(condition: Condition, points: &[Point], last: u32) -> Decision {
    let now = Timestamp::from_micros(FIRST + 100 * DAY);
    let keep = Keep::new([(Tier::Last, last)]);
    decide(&keep, &History { points, condition, zone: &TimeZone::UTC, now })
}

fn going(decision: &Decision) -> Vec<BackupId> {
    decision.going().map(|it| it.root).collect()
}

/// Restore points in the chain that begins with this one.
fn restore_points(decision: &Decision, root: u128) -> usize {
    decision.chains.iter().find(|it| it.root == id(root)).unwrap().restore_points
}

#[test]
fn what_is_built_on_an_unknown_backup_takes_no_place_of_a_restore_point() {
    let points = [point(1, None), point(2, None), point(3, None)];
    assert_eq!(going(&keeping_two(&points)), [id(1)]);
    let lone = [point(1, None), point(2, None), point(3, Some(77)), point(4, Some(3))];
    let decision = keeping_two(&lone);
    assert_eq!(restore_points(&decision, 3), 0);
    assert_eq!(
        going(&decision),
        [],
        "two others are promised, and this one is newer than any root"
    );
}

#[test]
fn what_is_built_on_an_unknown_backup_is_not_the_newest_chain() {
    // The newest restore point is built on the older of two roots.
    let points =
        [point(1, None), point(2, None), point(3, None), point(4, Some(1)), point(5, Some(77))];
    let decision = decided_in(
        Condition { configured: true, store_whole: true, clock_jumped: None },
        &points,
        1,
    );
    let gone = going(&decision);
    assert!(!gone.contains(&id(1)), "the newest that can be restored goes: {decision:#?}");
    assert_eq!(gone, [id(2)]);
}

#[test]
fn backups_that_are_built_on_each_other_restore_nothing() {
    let points = [point(1, None), point(2, None), point(3, Some(4)), point(4, Some(3))];
    let decision = keeping_two(&points);
    assert_eq!(restore_points(&decision, 1) + restore_points(&decision, 2), 2);
    let circle = decision.chains.iter().filter(|it| it.root == id(3) || it.root == id(4));
    assert_eq!(circle.map(|it| it.restore_points).sum::<usize>(), 0);
    assert!(!going(&decision).contains(&id(1)), "two are promised: {decision:#?}");
}

#[test]
fn nothing_but_proven_backups_whose_chain_is_proven_are_restore_points() {
    for state in [PointState::Failed, PointState::Damaged, PointState::Busy] {
        let bad = |number, parent| Point { state, ..point(number, parent) };
        let points = [point(1, None), point(2, None), bad(3, None), point(4, Some(3))];
        let decision = keeping_two(&points);
        assert_eq!(restore_points(&decision, 3), 0, "{state:?}");
        assert!(!going(&decision).contains(&id(1)), "{state:?}: two are promised");
        let points = [point(1, None), point(2, None), point(3, None), bad(4, Some(3))];
        let decision = keeping_two(&points);
        assert_eq!(restore_points(&decision, 3), 1, "{state:?}");
        assert_eq!(going(&decision), [id(1)], "{state:?}");
    }
}

#[test]
fn a_chain_with_a_missing_archive_is_no_restore_point_and_is_said_to_be_held() {
    let missing = Point { state: PointState::Missing, ..point(1, None) };
    let points = [missing, point(2, Some(1)), point(3, None), point(4, None), point(5, None)];
    let decision = keeping_two(&points);
    assert_eq!(decision.suspended, [Guard::StoreNotWhole]);
    assert_eq!(restore_points(&decision, 1), 0);
    let held = Fate::Stays { tiers: Vec::new(), guards: vec![Guard::Damaged] };
    assert_eq!(decision.chains.last().unwrap().fate, held, "also once the suspension is over");
    let newest = Point { state: PointState::Missing, ..point(6, None) };
    let decision = keeping_two(&[point(4, None), point(5, None), newest]);
    let tiers =
        |root: u128| match &decision.chains.iter().find(|it| it.root == id(root)).unwrap().fate {
            Fate::Stays { tiers, .. } => tiers.clone(),
            _ => Vec::new(),
        };
    assert_eq!([tiers(4), tiers(5), tiers(6)], [vec![Tier::Last], vec![Tier::Last], Vec::new()]);
}

#[test]
fn two_of_one_moment_are_one_of_the_backups_that_a_jump_of_the_clock_waits_for() {
    let condition = |jumped: &Point| Condition {
        configured: true,
        store_whole: true,
        clock_jumped: Some(jumped.created),
    };
    let mut points = vec![point(1, None), point(2, None), point(3, Some(2))];
    points.push(Point { id: id(99), parent: None, ..points[2].clone() });
    let jumped = point(2, None);
    assert_eq!(going(&decided_in(condition(&jumped), &points, 1)), [], "two since the jump");
    points.push(point(4, None));
    assert_eq!(going(&decided_in(condition(&jumped), &points, 1)), [id(99), id(2), id(1)]);
}

#[test]
fn an_hour_that_the_clocks_show_twice_is_two_hours() {
    let zone = TimeZone::get("Europe/Berlin").unwrap();
    let at =
        |number: u8, time: &str| Point { created: time.parse().unwrap(), ..point(number, None) };
    // Half past one, half past two, half past two again, and half past three.
    let times = [
        "2026-10-24T23:30:00Z",
        "2026-10-25T00:30:00Z",
        "2026-10-25T01:30:00Z",
        "2026-10-25T02:30:00Z",
    ];
    let points: Vec<Point> = (1..).zip(times).map(|(number, time)| at(number, time)).collect();
    let condition = Condition { configured: true, store_whole: true, clock_jumped: None };
    let now: Timestamp = "2026-10-26T00:00:00Z".parse().unwrap();
    let history = History { points: &points, condition, zone: &zone, now };
    assert_eq!(going(&decide(&Keep::new([(Tier::Hourly, 3)]), &history)), [id(1)]);
}
