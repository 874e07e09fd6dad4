//! A server's scheduler and workers over simulated years, with real archives of a small database: at every midnight
//! what the policy promises is there, and restores to what the database was.
//!
//! `COFFER_SIMULATED_DAYS=3650` simulates ten years; without it there are a few months.

use std::collections::BTreeMap;
use std::path::PathBuf;

use coffer::catalog::Settings;
use coffer::domain::{Cancel, CheckLevel, Source, Status};
use coffer::engine::{Owners, Target};
use coffer::executor::{
    self, Context, Executor, Pace, Places, RestorePlan, Settings as ExecutorSettings,
};
use coffer::policy::Tier;
use coffer::storage::{Local, LocalSettings, Storage};
use fastrand::Rng;
use rusqlite::Connection;

use super::*;

const DAY: u64 = 24 * 3600;

/// What is kept: the newest of each of so many days, weeks of seven days from Monday on, and months.
const KEEP: [(Tier, u32); 4] =
    [(Tier::Last, 3), (Tier::Daily, 7), (Tier::Weekly, 4), (Tier::Monthly, 12)];

/// The days that are simulated.
fn days() -> u64 {
    let asked = std::env::var("COFFER_SIMULATED_DAYS").ok();
    asked.map_or(150, |number| number.parse().expect("a number of days"))
}

/// A server without HTTP, and the database that it backs up.
struct Years {
    context: Context,
    clock: Arc<SetClock>,
    scheduler: Scheduler,
    executor: Executor,
    database: Connection,
    /// What the database held when each backup was made, with the day.
    made: BTreeMap<BackupId, (u64, blake3::Hash)>,
    random: Rng,
    folder: TempDir,
}

impl Years {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("shop.db");
        let database = Connection::open(&path).unwrap();
        let table = "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF;
             CREATE TABLE row(id INTEGER PRIMARY KEY, day INTEGER, data BLOB)";
        database.execute_batch(table).unwrap();
        let clock = Arc::new(SetClock(AtomicI64::new(START.as_micros())));
        let context = context(&folder, &clock);
        let instance = Instance { source: Source::from_path(path.to_str().unwrap()), ..instance() };
        context.catalog.set_engines(vec![sqlite()]);
        context.catalog.sync_instances(vec![instance]).wait().unwrap();
        let policy = Policy { keep: Some(Keep::new(KEEP)), ..daily() };
        context.catalog.set_policies(HashMap::from([(shop(), policy)]));
        executor::settle(&context, &|_, _| {}).unwrap();
        let executor = Executor::start(&context).unwrap();
        let shown: Arc<dyn Clock> = Arc::<SetClock>::clone(&clock);
        let scheduler = Scheduler::new(Arc::clone(&context.catalog), shown, Box::new(|| true));
        let (made, random) = (BTreeMap::new(), Rng::with_seed(10));
        Self { context, clock, scheduler, executor, database, made, random, folder }
    }

    fn tick_at(&mut self, now: Timestamp) {
        self.clock.0.store(now.as_micros(), Ordering::SeqCst);
        while self.scheduler.tick() <= now {}
        while self.scheduler.retention().work_one() {}
    }

    /// Changes a few rows.
    fn work(&mut self, day: u64) {
        let (day, some) = (i64::try_from(day).unwrap(), self.random.u32(1..20));
        let insert = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?2)
             INSERT INTO row (day, data) SELECT ?1, randomblob(200) FROM n";
        self.database.execute(insert, (day, some)).unwrap();
        // It stays small, and one row knows the day.
        self.database.execute("DELETE FROM row WHERE day < ?1", [day - 30]).unwrap();
        self.database.execute("INSERT INTO row (day, data) VALUES (?1, 'last')", [day]).unwrap();
    }

    /// The backup of a day is due, and is made.
    fn back_up(&mut self, day: u64) {
        let digest = digest(&self.database);
        self.tick_at(half_past_two(day));
        let id = wait_for(&self.context.bell, || {
            let all = self.context.catalog.every_backup().unwrap();
            let newest = all.into_iter().rfind(|it| !self.made.contains_key(&it.id))?;
            assert_ne!(newest.status, Status::Failed, "day {day}: {newest:?}");
            (newest.status == Status::Completed).then_some(newest.id)
        });
        self.made.insert(id, (day, digest));
        // Retention follows.
        self.tick_at(half_past_two(day));
    }

    /// The backups that the policy promises to have, by the days on which backups were made.
    fn promised(&self) -> Vec<BackupId> {
        let mut newest: BTreeMap<(u32, i64), BackupId> = BTreeMap::new();
        let all: Vec<(BackupId, u64)> =
            self.made.iter().map(|(id, (day, _))| (*id, *day)).collect();
        for (at, (id, day)) in all.iter().enumerate() {
            let date = START.plus(Duration::from_secs(day * DAY)).to_wire();
            let month: i64 = date.get(..7).unwrap().replace('-', "").parse().unwrap();
            let day = i64::try_from(*day).unwrap();
            // The first of January 2026 is a Thursday.
            let periods = [i64::try_from(at).unwrap(), day, (day + 3) / 7, month];
            for (tier, period) in (0..).zip(periods) {
                newest.insert((tier, period), *id);
            }
        }
        let of = |tier: u32, count: u32| {
            let periods = newest.range((tier, i64::MIN)..(tier + 1, i64::MIN)).rev();
            periods.take(usize::try_from(count).unwrap()).map(|(_, id)| *id)
        };
        (0..).zip(KEEP).flat_map(|(at, (_, count))| of(at, count).collect::<Vec<_>>()).collect()
    }

    /// A restore point that the policy promises, whichever, restores to what the database was.
    fn restore_one(&mut self, day: u64) {
        self.tick_at(START.plus(Duration::from_secs((day + 1) * DAY)));
        let promised = self.promised();
        let id = promised[self.random.usize(..promised.len())];
        let target = self.folder.path().join("restored.db");
        let chain = self.context.catalog.chain(id).unwrap_or_else(|error| {
            panic!("day {day}: {id} of day {} is promised: {error}", self.made[&id].0)
        });
        let cancel = Cancel::default();
        let chain = executor::open_chain(&*self.context.storage, &chain, &cancel).unwrap();
        let plan = RestorePlan {
            target: Target::Path(&target),
            source: None,
            owners: Owners::FromArchive,
            check: CheckLevel::Quick,
            workers: 1,
            salvage: false,
            cancel: &cancel,
        };
        executor::restore(&chain, &plan, &|_, _| {}).unwrap();
        let restored = digest(&Connection::open(&target).unwrap());
        assert_eq!(restored, self.made[&id].1, "day {day}: {id} of day {}", self.made[&id].0);
        for end in ["", "-wal", "-shm"] {
            std::fs::remove_file(PathBuf::from(format!("{}{end}", target.display())))
                .unwrap_or_default();
        }
    }
}

/// A hash of every row.
fn digest(db: &Connection) -> blake3::Hash {
    let rows = "SELECT group_concat(id || ' ' || day || ' ' || hex(data), ',') FROM (SELECT * FROM row ORDER BY id)";
    let rows: String = db.query_row(rows, [], |row| row.get(0)).unwrap();
    blake3::hash(rows.as_bytes())
}

fn context(folder: &TempDir, clock: &Arc<SetClock>) -> Context {
    let clock: Arc<dyn Clock> = Arc::<SetClock>::clone(clock);
    let settings = LocalSettings { headroom_bytes: 1 << 20, clock: Arc::clone(&clock) };
    let local = Arc::new(Local::open_with(&folder.path().join("data"), settings).unwrap());
    let bell = Arc::new(Bell::default());
    let path = folder.path().join("data/catalog.db");
    let catalog =
        Catalog::open(&path, settings_of_catalog(), Arc::clone(&clock), Arc::clone(&bell)).unwrap();
    let storage: Arc<dyn Storage> = Arc::<Local>::clone(&local);
    let settings = ExecutorSettings {
        workers: 1,
        compression_threads: 1,
        compression_level: 1,
        reread_every: 0,
        nice: 0,
        pace: Arc::new(Pace::mib_per_second(0)),
        trash_window: Duration::from_secs(2 * DAY),
        headroom_bytes: 1 << 20,
        room_for_backups: 3,
        drill_limit: None,
        scrub: None,
    };
    let cancel = Cancel::default();
    let places = Places::default();
    Context {
        catalog: Arc::new(catalog),
        storage,
        local,
        clock,
        bell,
        settings,
        cancel,
        stopping: Arc::default(),
        places,
        signer: None,
    }
}

fn settings_of_catalog() -> Settings {
    Settings { max_chain: 30, ..settings() }
}

/// Waits for a worker, which rings the bell.
fn wait_for<T>(bell: &Bell, mut found: impl FnMut() -> Option<T>) -> T {
    for _attempt in 0..1200 {
        let seen = bell.count();
        if let Some(found) = found() {
            return found;
        }
        bell.wait_past(seen, Duration::from_millis(100));
    }
    panic!("no backup was made in two minutes");
}

#[test]
fn at_every_midnight_what_the_policy_promises_restores_to_what_the_database_was() {
    let mut years = Years::new();
    years.tick_at(START);
    for day in 0..days() {
        years.work(day);
        years.back_up(day);
        years.restore_one(day);
    }
    let left = years.context.catalog.every_backup().unwrap().len();
    assert!(left < 150, "{left} backups are left: nothing went");
    assert!(years.executor.drain(Duration::from_secs(60)));
    years.context.catalog.close();
}
