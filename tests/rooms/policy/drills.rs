//! Drills by a schedule, over simulated years in which the machine is off at times and drills fail.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use coffer::domain::{FailureCode, InstanceId, PastOutcome, PastRun, Timestamp};
use coffer::policy::{
    DrillEvery, DrillLimits, DrillPlan, RunHistory, Span, Timetable, Turn, Window, oldest_proof,
};
use jiff::tz::TimeZone;

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 3600);

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn instance(random: &mut fastrand::Rng) -> InstanceId {
    uuid::Uuid::from_u128(random.u128(..)).to_string().parse().unwrap()
}

fn limits(zone: &str, window: Option<&str>) -> DrillLimits {
    let window = window.map(|text| text.parse::<Window>().unwrap());
    let zone = TimeZone::get(zone).unwrap();
    DrillLimits { zone, window, jitter: Span::default(), retries: 3 }
}

fn plan(every: &str, of: InstanceId, limits: &DrillLimits) -> Timetable {
    DrillPlan::new(every.parse::<DrillEvery>().unwrap(), of, limits).timetable
}

/// The hour and minute that the clocks of Berlin show.
fn shown(at: Timestamp) -> (i8, i8) {
    let zone = TimeZone::get("Europe/Berlin").unwrap();
    let shown = zone.to_datetime(jiff::Timestamp::from_microsecond(at.as_micros()).unwrap());
    (shown.hour(), shown.minute())
}

#[test]
fn drills_of_many_instances_are_spread_over_the_nights_and_within_each() {
    let mut random = fastrand::Rng::with_seed(5);
    let monday = at("2026-06-01T00:00:00Z");
    for (every, days, window) in [
        ("daily", 1, None),
        ("weekly", 7, None),
        ("monthly", 28, None),
        ("weekly", 7, Some("22:00-02:00")),
    ] {
        let limits = limits("Europe/Berlin", window);
        let (mut nights, mut minutes) = (BTreeMap::new(), HashSet::new());
        let count = 40 * days;
        for _ in 0..count {
            let id = instance(&mut random);
            let next = plan(every, id, &limits).next_start(id, monday).unwrap();
            let (hour, minute) = shown(next);
            let in_window =
                if window.is_some() { !(2..22).contains(&hour) } else { (0..6).contains(&hour) };
            assert!(in_window, "{every}: {hour}:{minute}");
            let noon = next.minus(DAY / 2).as_micros() / i64::try_from(DAY.as_micros()).unwrap();
            *nights.entry(noon).or_insert(0) += 1;
            minutes.insert((hour, minute));
        }
        assert!((days..=days + 1).contains(&nights.len()), "{every}: {nights:?}");
        let crowd = nights.values().max().copied().unwrap();
        assert!(crowd <= 80, "{every}: {crowd} of {count} in one night");
        assert!(minutes.len() > 20, "{every}: {}", minutes.len());
    }
}

#[test]
fn the_time_between_two_drills_is_what_the_configuration_says() {
    let id = instance(&mut fastrand::Rng::with_seed(4));
    for (every, days) in [("daily", 1), ("weekly", 7), ("monthly", 31), ("weekly sun 03:00", 7)] {
        let plan = DrillPlan::new(every.parse().unwrap(), id, &limits("UTC", None));
        assert_eq!(plan.interval(at("2026-06-30T12:00:00Z")), Some(DAY * days), "{every}");
    }
}

#[test]
fn the_oldest_proof_comes_first_and_none_at_all_before_it() {
    let mut random = fastrand::Rng::with_seed(6);
    let ids = [(); 3].map(|()| instance(&mut random));
    let old = Some(at("2026-01-01T00:00:00Z"));
    let proofs = [Some(at("2026-02-01T00:00:00Z")), old, None];
    let due = |from: usize| ids.into_iter().zip(proofs).take(from);
    assert_eq!(oldest_proof(due(3)), Some(ids[2]));
    assert_eq!(oldest_proof(due(2)), Some(ids[1]));
    assert_eq!(oldest_proof(due(0)), None);
}

/// What the drills of one instance did in a simulated time.
struct Simulation {
    table: Timetable,
    id: InstanceId,
    since: Timestamp,
    /// Newest first.
    runs: Vec<PastRun>,
}

impl Simulation {
    fn turn(&self, now: Timestamp) -> Turn {
        let history = RunHistory { since: self.since, runs: &self.runs };
        self.table.turn_after(self.id, &history, now)
    }

    fn end(&mut self, ended: Timestamp, outcome: PastOutcome) {
        self.runs.insert(0, PastRun { ended, outcome });
        self.runs.truncate(128);
    }

    /// How many slots begin behind the first and up to the second instant.
    fn slots(&self, after: Timestamp, until: Timestamp) -> usize {
        let mut at = after;
        let mut count = 0;
        while let Some(next) = self.table.schedule.next_after(&self.table.zone, at) {
            if next > until {
                break;
            }
            (at, count) = (next, count + 1);
        }
        count
    }
}

fn outcome(random: &mut fastrand::Rng) -> PastOutcome {
    match random.u8(..8) {
        0 => PastOutcome::Failed(FailureCode::Tool),
        1 => PastOutcome::Failed(FailureCode::DiskFull),
        2 => PastOutcome::Dropped,
        _ => PastOutcome::Concluded,
    }
}

#[test]
fn each_slot_has_one_conclusion_and_a_time_that_was_missed_is_made_up_for_once() {
    let mut random = fastrand::Rng::with_seed(7);
    let windows = [None, Some("22:00-04:00"), Some("01:00-05:00")];
    let rules = ["daily", "weekly", "monthly", "weekly sat 03:00", "0 3 * * *"];
    for history in 0..60 {
        let limits = limits("Europe/Berlin", windows[history % windows.len()]);
        let id = instance(&mut random);
        let table = plan(rules[history % rules.len()], id, &limits);
        let since = at("2024-01-10T12:00:00Z");
        let mut it = Simulation { table, id, since, runs: Vec::new() };
        let (mut now, mut concluded, mut last) = (since, 0, None::<Timestamp>);
        while now < since.plus(200 * DAY) {
            match it.turn(now) {
                Turn::Due(slot) => {
                    assert!(slot <= now);
                    if let Some(window) = limits.window {
                        assert_eq!(window.opens(&limits.zone, now), now, "outside of the window");
                    }
                    // It was not done since the slot began.
                    assert!(last.is_none_or(|last| last < slot), "{slot} {last:?}");
                    now = now.plus(Duration::from_secs(random.u64(1..7200)));
                    let outcome = outcome(&mut random);
                    if outcome == PastOutcome::Concluded {
                        (concluded, last) = (concluded + 1, Some(now));
                    }
                    it.end(now, outcome);
                }
                Turn::Wait(next) => {
                    assert!(next > now, "it would be looked at for ever");
                    // At times the machine is off.
                    let off = if random.u8(..10) == 0 { random.u64(0..20 * 24 * 60) } else { 0 };
                    now = next.plus(MINUTE * u32::try_from(off).unwrap());
                }
                other => panic!("{other:?}"),
            }
        }
        assert!(concluded <= it.slots(since, now), "{concluded}");
        assert!(concluded >= 4, "{history}: {concluded}");
    }
}

#[test]
fn what_something_stopped_is_attempted_again_later_and_later_and_in_the_next_slot() {
    let mut random = fastrand::Rng::with_seed(8);
    let id = instance(&mut random);
    let table = plan("daily 02:00", id, &limits("UTC", None));
    let since = at("2026-03-01T12:00:00Z");
    let mut it = Simulation { table, id, since, runs: Vec::new() };
    let mut now = at("2026-03-02T02:00:00Z");
    for minutes in [5, 15, 45] {
        assert_eq!(it.turn(now), Turn::Due(at("2026-03-02T02:00:00Z")));
        it.end(now, PastOutcome::Failed(FailureCode::Tool));
        let next = now.plus(MINUTE * minutes);
        assert_eq!(it.turn(now), Turn::Wait(next));
        now = next;
    }
    it.end(now, PastOutcome::Failed(FailureCode::Tool));
    let tomorrow = at("2026-03-03T02:00:00Z");
    assert_eq!(it.turn(now), Turn::Wait(tomorrow), "that was enough for one night");
    assert_eq!(it.turn(tomorrow), Turn::Due(tomorrow));
    it.end(tomorrow, PastOutcome::Failed(FailureCode::TargetOccupied));
    let then = at("2026-03-04T02:00:00Z");
    assert_eq!(it.turn(tomorrow), Turn::Wait(then), "that does not pass by itself");
    it.end(then, PastOutcome::Concluded);
    assert_eq!(it.turn(then), Turn::Wait(then.plus(DAY)));
}

#[test]
fn a_drill_that_ended_when_the_clock_was_years_ahead_does_not_end_the_schedule() {
    let mut random = fastrand::Rng::with_seed(9);
    let id = instance(&mut random);
    let table = plan("daily 02:00", id, &limits("UTC", None));
    let since = at("2026-03-01T12:00:00Z");
    let mut it = Simulation { table, id, since, runs: Vec::new() };
    it.end(at("2036-01-01T00:00:00Z"), PastOutcome::Concluded);
    let now = at("2026-03-02T02:00:00Z");
    assert_eq!(it.turn(now), Turn::Due(now));
    it.runs.insert(0, PastRun { ended: now, outcome: PastOutcome::Concluded });
    assert_eq!(it.turn(now), Turn::Wait(now.plus(DAY)));
}
