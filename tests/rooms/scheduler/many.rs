//! A thousand instances with one schedule.

use coffer::catalog::Catalog;
use coffer::policy::Tier;

use super::retention::keep;

use super::*;

const INSTANCES: usize = 1000;

fn waiting(catalog: &Catalog) -> usize {
    catalog.every_backup().unwrap().len()
}

#[test]
fn a_thousand_instances_that_are_due_at_once_all_begin_and_none_twice() {
    let mut house = House::new(daily());
    let instances: Vec<Instance> =
        (0..INSTANCES).map(|number| configured("a", &format!("instance {number}"))).collect();
    let policies = instances.iter().map(|it| (it.id, daily())).collect();
    house.catalog.sync_instances(instances).wait().unwrap();
    house.catalog.set_policies(policies);
    house.tick_at(half_past_two(0).minus(Duration::from_secs(1)));
    assert_eq!(waiting(&house.catalog), 0);
    house.tick_at(half_past_two(0));
    assert_eq!(waiting(&house.catalog), INSTANCES);
    house.tick_at(half_past_two(0).plus(Duration::from_secs(1)));
    let clock: Arc<dyn Clock> = Arc::<SetClock>::clone(&house.clock);
    house.scheduler = Scheduler::new(Arc::clone(&house.catalog), clock, Box::new(|| true));
    house.tick_at(half_past_two(0).plus(Duration::from_secs(2)));
    assert_eq!(waiting(&house.catalog), INSTANCES);
}

/// Adds so many completed full backups of each instance, one for each hour before the clock's time.
fn insert_backups(house: &House, each: usize) {
    let db = rusqlite::Connection::open(house.folder.path().join("catalog.db")).unwrap();
    let hour = 3_600_000_000_i64;
    let rows = format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {each})
         INSERT INTO backups (id, project, instance, name, task, kind, status, engine, version, created, updated,
             location, size, source_bytes, checksum, verified_at, verify_level)
         SELECT lower(printf('%08x-0000-7000-8000-%012x', i, instances.rowid)), 'a', instances.id, 'n', 'backup',
             'full', 'COMPLETED', 'sqlite', '3', {now} - i * {hour} + instances.rowid, 2,
             'a/' || i || '-' || instances.rowid, 1000, 4000, 'c', 5, 'checked'
         FROM n, instances",
        now = START.as_micros()
    );
    db.execute(&rows, []).unwrap();
}

#[test]
#[ignore = "a measurement of minutes: a tick over a thousand instances and a million backups"]
fn a_tick_over_a_million_backups_takes_less_than_five_milliseconds() {
    let kept = keep(&[(Tier::Hourly, 999_999)]);
    let mut house = House::new(daily_full(kept.clone()));
    let instances: Vec<Instance> =
        (0..INSTANCES).map(|number| configured("a", &format!("instance {number}"))).collect();
    let policies = instances.iter().map(|it| (it.id, daily_full(kept.clone()))).collect();
    house.catalog.sync_instances(instances).wait().unwrap();
    insert_backups(&house, 1000);
    house.catalog.set_policies(policies);
    let mut took = Vec::new();
    for tick in 0..3000 {
        house.set(START.plus(Duration::from_millis(100 * tick)));
        let begun = std::time::Instant::now();
        house.scheduler.tick();
        took.push(begun.elapsed());
    }
    // The first tick takes over a thousand schedules that it has not seen.
    let first = took.remove(0);
    took.sort();
    let at = |share: usize| took[(took.len() - 1) * share / 100];
    let shown =
        format!("first {first:?}, median {:?}, 99 % {:?}, longest {:?}", at(50), at(99), at(100));
    assert!(at(99) < Duration::from_millis(5), "{shown}");
    eprintln!("ticks: {shown}");
}
