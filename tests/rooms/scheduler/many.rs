//! A thousand instances with one schedule.

use std::time::Instant;

use coffer::catalog::Catalog;
use coffer::policy::Tier;

use super::retention::keep;

use super::*;

const INSTANCES: usize = 1000;

/// How many backups begin in one tick.
const PORTION: usize = 64;

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
    // They begin in portions, so that nothing else waits for all of them.
    house.set(half_past_two(0));
    let mut begun = 0;
    loop {
        let next = house.scheduler.tick();
        let now = waiting(&house.catalog);
        // The portion before may have been committed just after it was counted.
        assert!(now - begun <= 2 * PORTION, "from {begun} to {now} in one tick");
        begun = now;
        if next > half_past_two(0) {
            break;
        }
    }
    assert_eq!(waiting(&house.catalog), INSTANCES);
    house.tick_at(half_past_two(0).plus(Duration::from_secs(1)));
    let clock: Arc<dyn Clock> = Arc::<SetClock>::clone(&house.clock);
    house.scheduler = Scheduler::new(Arc::clone(&house.catalog), clock, Box::new(|| true));
    house.tick_at(half_past_two(0).plus(Duration::from_secs(2)));
    assert_eq!(waiting(&house.catalog), INSTANCES);
}

/// Adds so many completed full backups of each instance, one for each hour before the clock's time.
pub(super) fn insert_backups(house: &House, each: usize) {
    let db = rusqlite::Connection::open(house.folder.path().join("catalog.db")).unwrap();
    db.execute_batch("PRAGMA synchronous = OFF; PRAGMA cache_size = -600000").unwrap();
    let hour = 3_600_000_000_i64;
    let rows = format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {each}),
             points(i, number, instance, id) AS (
                 SELECT i, instances.rowid, instances.id,
                     lower(printf('%08x-0000-7000-8000-%012x', i, instances.rowid))
                 FROM instances, n)
         INSERT INTO backups (id, project, instance, name, task, kind, status, engine, version, created, updated,
             location, size, source_bytes, checksum, verified_at, verify_level, took_ms)
         SELECT id, 'a', instance, 'n', 'backup', 'full', 'COMPLETED', 'sqlite', '3', {now} - i * {hour} + number, 2,
             'a/' || instance || '/' || id || '.tar.zst', 1000, 4000, 'c', 5, 'checked', 700
         FROM points",
        now = START.as_micros()
    );
    db.execute(&rows, []).unwrap();
}

/// What this process has in memory now and had at most, as the kernel says it.
fn memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let lines = status.lines().filter(|it| it.starts_with("VmHWM") || it.starts_with("VmRSS"));
    lines
        .map(|it| it.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect::<Vec<_>>()
        .join(", ")
}

/// The median of the times that this work takes, and a line about all of them. The first time does not count: it takes
/// over a thousand schedules that it has not seen, or reads the file.
fn times(count: u64, mut work: impl FnMut(u64)) -> (Duration, String) {
    let took = (0..count).map(|number| {
        let begun = Instant::now();
        work(number);
        begun.elapsed()
    });
    let mut took: Vec<Duration> = took.collect();
    let first = took.remove(0);
    let (median, shown) = in_short(&mut took);
    (median, format!("first {first:?}, {shown}"))
}

fn in_short(took: &mut [Duration]) -> (Duration, String) {
    took.sort();
    let at = |share: usize| took[(took.len() - 1) * share / 100];
    (at(50), format!("median {:?}, 99 % {:?}, longest {:?}", at(50), at(99), at(100)))
}

/// The limits are those of an optimised build: `--config 'profile.dev.package.coffer.opt-level=2'`.
#[test]
#[ignore = "a measurement of minutes: a thousand instances and a million backups"]
fn a_tick_over_a_million_backups_takes_less_than_five_milliseconds_and_health_less_than_three_hundred()
 {
    let kept = keep(&[(Tier::Hourly, 999_999)]);
    let mut house = House::new(daily_full(kept.clone()));
    let instances: Vec<Instance> =
        (0..INSTANCES).map(|number| configured("a", &format!("instance {number}"))).collect();
    let policies = instances.iter().map(|it| (it.id, daily_full(kept.clone()))).collect();
    house.catalog.sync_instances(instances).wait().unwrap();
    insert_backups(&house, 1000);
    house.catalog.set_policies(policies);
    eprintln!("memory before: {}", memory());
    let catalog = Arc::clone(&house.catalog);
    let (health, shown) = times(20, |_number| {
        assert!(catalog.health_of_all().unwrap().instances.len() >= INSTANCES);
    });
    eprintln!("health: {shown}; {}", memory());
    let (tick, shown) = times(3000, |number| {
        house.set(START.plus(Duration::from_millis(100 * number)));
        house.scheduler.tick();
    });
    eprintln!("ticks: {shown}; {}", memory());
    let retention = house.scheduler.retention();
    let (_, looks) = times(100, |_number| {
        assert!(retention.work_one());
    });
    eprintln!("retention of an instance: {looks}; {}", memory());
    assert!(tick < Duration::from_millis(5), "{shown}");
    assert!(health < Duration::from_millis(300), "health: {health:?}");
}

/// How long ticks took until all that was due has begun: the median of the longest, which began something, and a line
/// about all of them. Most only find that what was begun is not committed yet.
fn ticks_at(house: &mut House, now: Timestamp) -> (Duration, String) {
    house.set(now);
    let (begun, mut took) = (Instant::now(), Vec::new());
    loop {
        let tick = Instant::now();
        let next = house.scheduler.tick();
        took.push(tick.elapsed());
        if next > now {
            break;
        }
        // As the thread does.
        std::thread::park_timeout(Duration::from_millis(10));
    }
    let (all, count) = (begun.elapsed(), took.len());
    let (_, shown) = in_short(&mut took);
    let longest = &took[count.saturating_sub(INSTANCES.div_ceil(PORTION))..];
    let median = longest[longest.len() / 2];
    (median, format!("{count} ticks in {all:?}: {shown}; of the longest {median:?}"))
}

/// The limit is that of an optimised build, as above.
#[test]
#[ignore = "a measurement: a thousand instances that are due at once, a hundred thousand backups and retention at work"]
fn a_tick_with_a_thousand_due_and_retention_at_work_takes_less_than_five_milliseconds() {
    let kept = keep(&[(Tier::Last, 50)]);
    let mut house = House::new(daily_full(kept.clone()));
    let instances: Vec<Instance> =
        (0..INSTANCES).map(|number| configured("a", &format!("instance {number}"))).collect();
    let policies = instances.iter().map(|it| (it.id, daily_full(kept.clone()))).collect();
    house.catalog.sync_instances(instances).wait().unwrap();
    insert_backups(&house, 100);
    house.catalog.set_policies(policies);
    let before = half_past_two(0).minus(Duration::from_secs(1));
    let (_, shown) = ticks_at(&mut house, before);
    eprintln!("each schedule is seen: {shown}");
    let retention = house.scheduler.retention();
    let ended = Arc::new(AtomicBool::new(false));
    let at_work = std::thread::spawn({
        let ended = Arc::clone(&ended);
        move || {
            let mut looked = 0;
            while !ended.load(Ordering::SeqCst) && retention.work_one() {
                looked += 1;
            }
            looked
        }
    });
    let (tick, shown) = ticks_at(&mut house, half_past_two(0));
    ended.store(true, Ordering::SeqCst);
    let looked = at_work.join().unwrap();
    eprintln!("all are due: {shown}; retention read {looked} instances meanwhile");
    assert!(looked > 0 && tick < Duration::from_millis(5), "{shown}");
}
