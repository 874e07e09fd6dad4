//! A thousand instances with schedules and a catalog of many backups: what it takes to ask whether everything is safe, and
//! how long a tick of the scheduler takes. The ticks are made in this process, since nobody else can see when one begins.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio, id};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::thread::{park_timeout, spawn};
use std::time::{Duration, Instant};

use coffer::bell::Bell;
use coffer::catalog::{Catalog, Settings};
use coffer::domain::{Clock, Datastore, InstanceId, Timestamp};
use coffer::policy::{FullEvery, HealthLimits, Keep, Policy, Span, Tier, Timetable};
use coffer::scheduler::Scheduler;
use jiff::tz::TimeZone;
use rusqlite::Connection;

use super::Outcome;
use super::measure::{cpu_of, memory_of};
use super::options::{COFFER, Options, Program};
use super::server::{PROJECT, Server, at, configure};
use super::table::Results;

const INSTANCES: u64 = 1000;

/// How often each question is asked of a server in a round.
const REQUESTS: u64 = 5;

/// How long the server's processor time is counted.
const COUNTED: Duration = Duration::from_secs(5);

/// Ticks with nothing due, a second apart.
const IDLE_TICKS: i64 = 1000;

/// How many of the longest ticks are shown: in so many, or more, a thousand backups begin.
const LONGEST: usize = 16;

/// The scheduler's shortest wait between two ticks.
const WAIT: Duration = Duration::from_millis(10);

const SECOND: i64 = 1_000_000;
const HOUR: i64 = 3600 * SECOND;

/// A full hour, in microseconds: each backup is an hour older than the next.
const START: i64 = 1_795_000_000 / 3600 * HOUR;

pub(crate) fn rows(folder: &Path, options: &Options, results: &mut Results) -> Outcome<()> {
    let many = format!("{INSTANCES} instances, {} backups", options.size.rows);
    let mut prepared: Vec<(&Program, PathBuf)> = Vec::new();
    for program in &options.programs {
        eprintln!("scheduler: {many}, {}", program.name);
        prepared.push((program, prepare(folder, program, options.size.rows / INSTANCES)?));
    }
    for round in 0..options.rounds {
        for program in options.programs_in(round) {
            let found = prepared.iter().find(|(known, _)| known.name == program.name);
            let (_, config) = found.ok_or("it was not prepared")?;
            questions(program, config, &many, results)?;
        }
    }
    let own = prepared.iter().find(|(program, _)| program.name == COFFER);
    let (_, config) = own.ok_or("it was not prepared")?;
    ticks(&config.with_extension("").join("catalog.db"), &many, results)
}

fn instance_id(number: u64) -> String {
    format!("{number:08x}-0000-4000-8000-000000000000")
}

/// A server that has all of it in its configuration and its catalog. Retention keeps everything.
fn prepare(folder: &Path, program: &Program, each: u64) -> Outcome<PathBuf> {
    let shop = folder.join("shop.db");
    Connection::open(&shop)?.execute_batch("CREATE TABLE IF NOT EXISTS orders (id INTEGER)")?;
    let config = configure(folder, program.name, "[auth]\nmode = \"none\"\n", &[])?;
    let mut text = fs::read_to_string(&config)?;
    text.push_str("[defaults]\nschedule = \"0 3 1 1 *\"\nkeep = { hourly = 100000 }\n");
    for number in 1..=INSTANCES {
        write!(
            text,
            "[[instances]]\nid = \"{}\"\nname = \"shop number {number}\"\nproject_id = \"{PROJECT}\"\n\
             engine = \"sqlite\"\nsource = {}\n",
            instance_id(number),
            at(&shop)
        )?;
    }
    #[expect(clippy::disallowed_methods, reason = "a file of the bench's own")]
    fs::write(&config, text)?;
    Server::start(program, &config)?.stop()?;
    let data = config.with_extension("");
    let db = Connection::open(data.join("catalog.db"))?;
    db.execute_batch(&format!(
        "PRAGMA synchronous = OFF; PRAGMA cache_size = -200000;
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {each}),
             points(i, instance, id, at) AS (
                 SELECT i, instances.id, lower(printf('%08x-%04x-7000-8000-000000000000', i, instances.rowid)),
                     {START} - i * {HOUR} + instances.rowid
                 FROM instances, n WHERE instances.name LIKE 'shop %')
         INSERT INTO backups (id, project, instance, name, task, kind, status, engine, version, created, updated,
             location, size, source_bytes, checksum, verified_at, verify_level, took_ms)
         SELECT id, '{PROJECT}', instance, 'nightly ' || i, 'backup', 'full', 'COMPLETED', 'sqlite', '3.50', at, at,
             '{PROJECT}/' || instance || '/' || id || '.tar.zst', 1000000 + i, 2000000 + i,
             lower(hex(randomblob(32))), at, 'checked', 700
         FROM points;
         PRAGMA wal_checkpoint(TRUNCATE);"
    ))?;
    // Where every archive is missing, nothing else is said of the server.
    let newest = "SELECT location FROM backups ORDER BY created DESC LIMIT 1";
    let location: String = db.query_row(newest, [], |row| row.get(0))?;
    let archive = data.join("archives").join(location);
    fs::create_dir_all(archive.parent().ok_or("a folder")?)?;
    #[expect(clippy::disallowed_methods, reason = "data of the bench's own")]
    fs::write(archive, "")?;
    Ok(config)
}

fn questions(program: &Program, config: &Path, many: &str, results: &mut Results) -> Outcome<()> {
    let server = Server::start(program, config)?;
    let mut add = |what: &str, unit, figure| {
        results.figure(&format!("scheduler: {what}, {many}"), program.name, unit, figure);
    };
    add("start to listening", "ms", server.started_in.as_secs_f64() * 1000.0);
    let health = format!("http://{}/v1.0/{PROJECT}/health", server.address());
    for request in 0..=REQUESTS {
        // The first one has everything to read.
        let which = if request == 0 { "the first after a start" } else { "the next" };
        let started = Instant::now();
        ureq::get(&health).call()?.body_mut().read_to_vec()?;
        add(&format!("GET health, {which}"), "ms", started.elapsed().as_secs_f64() * 1000.0);
    }
    for _request in 0..REQUESTS {
        let (wall, processor) = status(program, config)?;
        add("coffer status", "ms", wall);
        add("coffer status: of a processor, without the server's", "ms", processor);
    }
    let before = cpu_of(server.pid())?;
    park_timeout(COUNTED);
    let own = (cpu_of(server.pid())? - before) * 1000.0 / COUNTED.as_secs_f64();
    add("processor time in a second after the start, while retention looks at all", "ms", own);
    add("peak RSS", "MiB", memory_of(server.pid(), "VmHWM:")?);
    add("RSS without the program's own file", "MiB", memory_of(server.pid(), "RssAnon:")?);
    server.stop()?;
    let (wall, processor) = status(program, config)?;
    add("coffer status without a server", "ms", wall);
    add("coffer status without a server: of a processor", "ms", processor);
    Ok(())
}

/// Milliseconds that `coffer status` takes, by a clock on the wall and of a processor. Whatever it says of so old backups
/// is right.
fn status(program: &Program, config: &Path) -> Outcome<(f64, f64)> {
    // Its time is added to that of this process, which waits meanwhile.
    let (started, before) = (Instant::now(), cpu_of(id())?);
    let mut command = Command::new(&program.path);
    command.args(["status", "--config"]).arg(config);
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    match status.code() {
        Some(0 | 7) => {
            let wall = started.elapsed().as_secs_f64() * 1000.0;
            Ok((wall, (cpu_of(id())? - before) * 1000.0))
        }
        _ => Err(format!("coffer status: {status}").into()),
    }
}

#[derive(Debug)]
struct SetClock(AtomicI64);

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }
}

/// Hourly full backups, all of which are kept.
fn policy() -> Outcome<Policy> {
    let (zone, schedule) = (TimeZone::UTC, "hourly".parse()?);
    let (jitter, window, full_every, retries) = (Span::default(), None, FullEvery::Day, 3);
    let timetable = Timetable { schedule, zone: zone.clone(), jitter, window, full_every, retries };
    let (drill, staging, health) = (None, None, HealthLimits::default());
    let keep = Some(Keep::new([(Tier::Hourly, 100_000)]));
    Ok(Policy { zone, timetable: Some(timetable), keep, drill, staging, health })
}

/// The times that ticks took, in milliseconds, and what they took of a processor all together.
#[derive(Debug, Default)]
struct Took {
    ticks: Vec<Tick>,
    processor: Duration,
}

/// What a tick took by a clock on the wall, in milliseconds.
#[derive(Debug, Clone, Copy)]
struct Tick {
    wall: f64,
    /// Without the time in which others had the processors.
    own: f64,
}

impl Took {
    fn tick(&mut self, scheduler: &mut Scheduler) -> Outcome<Timestamp> {
        let (before, started) = (Thread::now()?, Instant::now());
        let next = scheduler.tick();
        let (wall, after) = (started.elapsed(), Thread::now()?);
        let own = wall.saturating_sub(after.waited.saturating_sub(before.waited));
        let [wall, own] = [wall, own].map(|it| it.as_secs_f64() * 1000.0);
        self.ticks.push(Tick { wall, own });
        self.processor += after.had.saturating_sub(before.had);
        Ok(next)
    }

    /// The longest ones by the wall, and those by what they took themselves.
    fn report_longest(&self, many: &str, results: &mut Results) {
        let walls = self.ticks.iter().map(|it| it.wall).collect();
        let owns = self.ticks.iter().map(|it| it.own).collect();
        let by: [(&str, Vec<f64>); 2] =
            [("by the wall", walls), ("without waiting for a processor", owns)];
        for (how, mut took) in by {
            took.sort_by(|one, other| other.total_cmp(one));
            for figure in took.into_iter().take(LONGEST) {
                let row = format!("scheduler: the longest ticks with all due: {how}, {many}");
                results.figure(&row, COFFER, "ms", figure);
            }
        }
    }

    fn report(self, when: &str, many: &str, results: &mut Results) -> Outcome<()> {
        let mut add = |what: &str, figure| {
            let row = format!("scheduler: a tick {when}: {what}, {many}");
            results.figure(&row, COFFER, "ms", figure);
        };
        let count = f64::from(u32::try_from(self.ticks.len())?);
        add("of a processor, the mean", self.processor.as_secs_f64() * 1000.0 / count);
        self.ticks.iter().for_each(|it| add("by the wall", it.wall));
        self.ticks.iter().for_each(|it| add("without waiting for a processor", it.own));
        Ok(())
    }
}

/// How long this thread has had a processor, and waited for one.
#[derive(Debug)]
struct Thread {
    /// Some kernels count this in steps of milliseconds, so of many ticks the sum is right.
    had: Duration,
    waited: Duration,
}

impl Thread {
    fn now() -> Outcome<Self> {
        let shown = fs::read_to_string("/proc/thread-self/schedstat")?;
        let mut figures = shown.split_whitespace().map(|it| it.parse().map(Duration::from_nanos));
        let mut next = || figures.next().ok_or("no figure");
        Ok(Self { had: next()??, waited: next()?? })
    }
}

/// Ticks of a scheduler over the catalog of a server that was stopped: with nothing due, and with all due at once while
/// retention reads one instance after the other.
fn ticks(catalog: &Path, many: &str, results: &mut Results) -> Outcome<()> {
    let clock = Arc::new(SetClock(AtomicI64::new(START)));
    let settings = Settings {
        max_backups: -1,
        max_instances: -1,
        max_restores: 1,
        max_chain: 30,
        events_days: 400,
        scrub_after: None,
    };
    let shown: Arc<dyn Clock> = Arc::<SetClock>::clone(&clock);
    let catalog = Catalog::open(catalog, settings, Arc::clone(&shown), Arc::new(Bell::default()))?;
    let catalog = Arc::new(catalog);
    let engine = Datastore { engine: "sqlite".to_owned(), version: "3.50".to_owned() };
    catalog.set_engines(vec![engine]);
    let mut policies = HashMap::new();
    for number in 1..=INSTANCES {
        policies.insert(instance_id(number).parse::<InstanceId>()?, policy()?);
    }
    catalog.set_policies(policies);
    let mut scheduler = Scheduler::new(Arc::clone(&catalog), shown, Box::new(|| true));
    // Each schedule is seen for the first time.
    while scheduler.tick() <= clock.now() {
        park_timeout(WAIT);
    }
    let mut idle = Took::default();
    for second in 1..=IDLE_TICKS {
        clock.0.store(START + second * SECOND, Ordering::SeqCst);
        idle.tick(&mut scheduler)?;
    }
    idle.report("with nothing due", many, results)?;
    let (retention, ended) = (scheduler.retention(), Arc::new(AtomicBool::new(false)));
    let at_work = spawn({
        let ended = Arc::clone(&ended);
        move || while !ended.load(Ordering::SeqCst) && retention.work_one() {}
    });
    clock.0.store(START + HOUR, Ordering::SeqCst);
    let (started, mut due) = (Instant::now(), Took::default());
    while due.tick(&mut scheduler)? <= clock.now() {
        park_timeout(WAIT);
    }
    let all_s = started.elapsed().as_secs_f64();
    ended.store(true, Ordering::SeqCst);
    at_work.join().map_err(|_panic| "retention panicked")?;
    let begun = catalog.queues()?.backups;
    if begun != INSTANCES {
        return Err(format!("{begun} backups began").into());
    }
    // Most ticks only find that what was begun is not committed yet.
    due.report_longest(many, results);
    due.report("with all due and retention at work", many, results)?;
    results.figure(&format!("scheduler: until all have begun, {many}"), COFFER, "s", all_s);
    catalog.close();
    Ok(())
}
