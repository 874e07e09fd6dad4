//! Schedules over 25 simulated years, in zones with every kind of change.

use std::time::Duration;

use coffer::domain::{InstanceId, Timestamp};
use coffer::policy::{FullEvery, Schedule, Span, Timetable, Turn};
use jiff::tz::TimeZone;

use super::oracle::{Clocks, Kind};

const ZONES: [&str; 6] = [
    "Europe/Berlin",
    "America/Sao_Paulo",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Asia/Kathmandu",
    "UTC",
];

/// The schedules, each in both ways to name it.
const KINDS: [(&str, Kind); 4] = [
    ("hourly", Kind::Hourly),
    ("daily 02:30", Kind::Daily(150)),
    // Sao Paulo's clocks were put forward at midnight.
    ("daily 00:15", Kind::Daily(15)),
    ("monthly 1 04:00", Kind::Monthly(240)),
];

/// Minutes since 1970 of a day in UTC.
fn minutes(day: &str) -> i64 {
    let at: Timestamp = format!("{day}T00:00:00Z").parse().unwrap();
    at.as_micros() / 60_000_000
}

fn instant(minute: i64) -> Timestamp {
    Timestamp::from_micros(minute * 60_000_000)
}

#[test]
fn in_25_years_every_expected_run_comes_once_and_no_other() {
    let (first, end) = (minutes("2004-01-01"), minutes("2029-01-01"));
    for zone_name in ZONES {
        let zone = TimeZone::get(zone_name).unwrap();
        let clocks = Clocks::new(&zone, first, end);
        for (words, kind) in KINDS {
            let schedule: Schedule = words.parse().unwrap();
            let expected = clocks.runs(kind);
            let mut at = instant(first).minus(Duration::from_micros(1));
            for run in &expected {
                let next = schedule.next_after(&zone, at).unwrap();
                assert_eq!(next, instant(*run), "{words} in {zone_name}, after {at}");
                at = next;
            }
            let beyond = schedule.next_after(&zone, at).unwrap();
            assert!(beyond >= instant(end), "{words} in {zone_name}: {beyond} is too much");
            let least = match kind {
                Kind::Hourly => 219_143,
                Kind::Daily(_) => 9_130,
                Kind::Monthly(_) => 300,
            };
            assert!(expected.len() >= least, "{words} in {zone_name}: {}", expected.len());
        }
    }
}

#[test]
fn an_outage_is_followed_by_one_catch_up_and_no_run_is_lost_or_made_twice() {
    let (first, end) = (minutes("2020-01-01"), minutes("2026-01-01"));
    let mut random = fastrand::Rng::with_seed(20);
    let instance = InstanceId::generate();
    for (zone_name, (words, kind)) in ZONES.into_iter().zip(KINDS.into_iter().cycle()) {
        let zone = TimeZone::get(zone_name).unwrap();
        let expected = Clocks::new(&zone, first, end).runs(kind);
        let table = Timetable {
            schedule: words.parse().unwrap(),
            zone,
            jitter: Span::default(),
            window: None,
            full_every: FullEvery::Week,
            retries: 3,
        };
        let mut handled = instant(first).minus(Duration::from_micros(1));
        let (mut now, mut made, mut covered) = (first, 0, 0);
        while now < end {
            let before = handled;
            if let Turn::Due(run) = table.turn(instance, handled, instant(now)) {
                made += 1;
                handled = run;
                let again = table.turn(instance, handled, instant(now));
                assert!(matches!(again, Turn::Wait(_)), "{words}: {again:?} right after {run}");
            }
            let done = expected.iter().skip(covered);
            let done = done.take_while(|run| instant(**run) <= handled).count();
            let is_run = expected.binary_search(&(handled.as_micros() / 60_000_000)).is_ok();
            assert!(handled == before || (done > 0 && is_run), "{words} in {zone_name}: {handled}");
            covered += done;
            let missed = expected.get(covered).is_some_and(|run| *run <= now);
            assert!(!missed, "{words} in {zone_name}: a run before {now} was not made up for");
            // Mostly the server looks within minutes; now and then it is off for up to forty days.
            let off = random.u32(..500) == 0;
            now += if off { random.i64(60..60_000) } else { random.i64(1..240) };
        }
        assert!(made > 30 && made <= expected.len(), "{made} of {}", expected.len());
    }
}
