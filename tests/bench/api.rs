//! The API beside a bare actix-web handler that returns the same bytes: the same workers, the same
//! clients, 32 connections that stay open, one after the other in every round.

use std::cell::Cell;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};

use super::bare::Bare;
use super::load::{LoadResult, load, poll_steadily, request};
use super::measure::{cpu_of, memory_of};
use super::options::{COFFER, Options, Program};
use super::server::{PROJECT, SECRET, Server, at, configure};
use super::table::Results;
use super::{Outcome, data, seed};

/// Threads that answer, in the server and in the bare handler.
const WORKERS: usize = 2;

/// Rounds of every row.
const ROUNDS: u64 = 5;

/// Rounds of the slow rows.
const FEW_ROUNDS: u64 = 3;

/// Rows of the small catalog.
const FEW: u64 = 1000;

/// The rows of the API.
struct Api<'a> {
    folder: &'a Path,
    options: &'a Options,
    results: &'a mut Results,
    /// How long each load takes.
    time: Duration,
}

/// The lines of a configuration with the one token, which may send any number of requests: that is a key which
/// an older program need not know.
fn settings(program: &Program, executor: &str) -> String {
    let digest = hex::encode(Sha256::digest(SECRET));
    let limits =
        if program.name == COFFER { "[limits]\ntoken_requests_per_second = 0\n" } else { "" };
    format!(
        "http_workers = {WORKERS}\n{limits}[[auth.tokens]]\nname = \"bench\"\nproject_id = \"{PROJECT}\"\n\
         roles = [\"member\"]\nsha256 = \"{digest}\"\n[executor]\n{executor}"
    )
}

fn get(path: &str) -> Vec<u8> {
    request("GET", &format!("/v1.0/{PROJECT}/{path}"), "")
}

fn shows(ids: &[String]) -> Vec<Vec<u8>> {
    ids.iter().map(|id| get(&format!("backups/{id}"))).collect()
}

pub(crate) fn rows(folder: &Path, options: &Options, results: &mut Results) -> Outcome<()> {
    let mut api = Api { folder, options, results, time: Duration::from_secs(options.size.load_s) };
    for program in &options.programs {
        for rows in [FEW, options.size.rows] {
            eprintln!("api: a catalog of {rows} rows");
            let config = api.config(program, rows);
            let name = config.file_stem().and_then(|it| it.to_str()).ok_or("a name")?;
            Server::start(program, &configure(folder, name, &settings(program, ""), &[])?)?
                .stop()?;
            seed::backups(&config.with_extension("").join("catalog.db"), rows)?;
        }
    }
    api.reads()?;
    api.many_rows()?;
    api.creates()?;
    api.under_backups()
}

/// The body of the answer to one request.
fn body_of(server: &Server, path: &str) -> Outcome<Vec<u8>> {
    let url = format!("http://{}/v1.0/{PROJECT}/{path}", server.address());
    Ok(ureq::get(&url).header("X-Auth-Token", SECRET).call()?.body_mut().read_to_vec()?)
}

fn require_answers(result: &LoadResult) -> Outcome<()> {
    let LoadResult { refused, answers, .. } = result;
    if *refused > 0 || *answers == 0 {
        return Err(format!("{refused} of {answers} requests were refused").into());
    }
    Ok(())
}

/// Makes the requests of a row from ids of backups.
type Requests = fn(&[String]) -> Vec<Vec<u8>>;

const KINDS: [(&str, Requests); 5] = [
    ("first page", |_ids| vec![get("backups?limit=20")]),
    ("deep pages", |ids| {
        let later = ids.iter().skip(50);
        later.map(|id| get(&format!("backups?limit=20&marker={id}"))).collect()
    }),
    ("filtered page, common", |_ids| vec![get("backups?limit=20&status=COMPLETED")]),
    ("filtered page, rare", |_ids| vec![get("backups?limit=20&status=FAILED")]),
    ("show", shows),
];

impl Api<'_> {
    /// The configuration of the server with this many rows.
    fn config(&self, program: &Program, rows: u64) -> PathBuf {
        self.folder.join(format!("{}-{rows}.toml", program.name))
    }

    /// Puts load on a server. Returns the result, and the microseconds of CPU of each request.
    fn load(&self, server: &Server, requests: &[Vec<u8>]) -> Outcome<(LoadResult, f64)> {
        let before = cpu_of(server.pid())?;
        let result = load(server.address(), requests, self.time, false)?;
        require_answers(&result)?;
        let cpu = (cpu_of(server.pid())? - before) * 1e6 / f64::from(result.answers);
        Ok((result, cpu))
    }

    /// Show and list, beside the bare handler.
    fn reads(&mut self) -> Outcome<()> {
        eprintln!("api: show and list");
        let mut running = Vec::new();
        for program in &self.options.programs {
            let config = self.config(program, FEW);
            let ids = seed::some_ids(&config.with_extension("").join("catalog.db"), 500)?;
            running.push((Server::start(program, &config)?, ids));
        }
        let (first_server, first_ids) = running.first().ok_or("no servers")?;
        let one = format!("backups/{}", first_ids.first().ok_or("no ids")?);
        let rows: [(&str, &str, Requests); 2] = [
            ("GET backups/{id}", &one, shows),
            ("GET backups?limit=20", "backups?limit=20", |_ids| vec![get("backups?limit=20")]),
        ];
        let bodies = [body_of(first_server, rows[0].1)?, body_of(first_server, rows[1].1)?];
        for ((row, _path, requests), body) in rows.into_iter().zip(bodies) {
            let bare = if self.options.only_coffer {
                None
            } else {
                Some(Bare::start(self.folder, &body, WORKERS)?)
            };
            for _round in 0..ROUNDS {
                for (server, ids) in &running {
                    let (result, cpu) = self.load(server, &requests(ids))?;
                    let mut add = |what: &str, unit, figure| {
                        let row = format!("api: {row}: {what}");
                        self.results.figure(&row, server.program.name, unit, figure);
                    };
                    add("rate", "requests/s", result.rate());
                    add("CPU of a request", "µs", cpu);
                    add("p99", "ms", result.latency_ms(990));
                }
                let (first_server, ids) = running.first().ok_or("no servers")?;
                if let Some(bare) = &bare {
                    let name = format!("api: {row}: rate");
                    let rate = load(&bare.address, &requests(ids), self.time, false)?.rate();
                    self.results.figure(&name, "bare handler", "requests/s", rate);
                    let series =
                        self.results.figures.table.series(&name, first_server.program.name);
                    let share = 100.0 * series.and_then(<[f64]>::last).unwrap_or(&f64::NAN) / rate;
                    let row = format!("api: {row}: share of the bare handler's rate");
                    self.results.figure(&row, first_server.program.name, "%", share);
                }
                if bare.is_none() {
                    running.rotate_left(1);
                }
            }
        }
        for (server, _ids) in running {
            let peak = memory_of(server.pid(), "VmHWM:")?;
            self.results.figure("api: peak RSS under load", server.program.name, "MiB", peak);
            server.stop()?;
        }
        Ok(())
    }

    /// The same requests to a small and a large catalog, in turns. Compares the CPU of a request, which other
    /// load on the machine disturbs less than latencies.
    fn many_rows(&mut self) -> Outcome<()> {
        eprintln!("api: few and many rows");
        let mut running = Vec::new();
        for program in &self.options.programs {
            let mut pair = Vec::new();
            for rows in [FEW, self.options.size.rows] {
                let config = self.config(program, rows);
                let ids = seed::some_ids(&config.with_extension("").join("catalog.db"), 500)?;
                pair.push((Server::start(program, &config)?, ids, rows));
            }
            running.push(pair);
        }
        // At first a large catalog is checked in the background, which is not to be measured here.
        std::thread::park_timeout(Duration::from_secs(10));
        for (kind, requests) in KINDS {
            for _round in 0..ROUNDS {
                for pair in &running {
                    let mut costs = Vec::new();
                    let mut by = "";
                    for (server, ids, rows) in pair {
                        by = server.program.name;
                        let (_result, cpu) = self.load(server, &requests(ids))?;
                        let row = format!("api: {kind}, {rows} rows: CPU of a request");
                        self.results.figure(&row, by, "µs", cpu);
                        costs.push(cpu);
                    }
                    if let [few, many] = costs.as_slice() {
                        let row = format!("api: {kind}: many rows ÷ few");
                        self.results.figure(&row, by, "×", many / few);
                    }
                }
                running.rotate_left(1);
            }
        }
        running.into_iter().flatten().try_for_each(|(server, ..)| server.stop())
    }

    /// Durable creates, while the one worker is busy with a slow backup, beside the rate that one fsync for
    /// each request would allow on this disk.
    fn creates(&mut self) -> Outcome<()> {
        eprintln!("api: creates");
        let source = self.folder.join("slow.db");
        data::make(&source, 64)?;
        let at = at(&source);
        for round in 0..FEW_ROUNDS {
            for program in self.options.programs_in(round) {
                let name = format!("{}-creates-{round}", program.name);
                let slow = [("a slow one", "sqlite", "off", at.as_str())];
                let settings = settings(program, "workers = 1\nmax_read_mib_s = 1\n");
                let config = configure(self.folder, &name, &settings, &slow)?;
                Server::start(program, &config)?.stop()?;
                let count = 40_000;
                seed::instances(&self.folder.join(&name).join("catalog.db"), count)?;
                let mut server = Server::start(program, &config)?;
                let slow = server.instance("a slow one")?;
                server.request_backup(&slow, false)?;
                let requests: Vec<_> = (1..=count).map(create).collect();
                let result = load(server.address(), &requests, self.time, true)?;
                require_answers(&result)?;
                let by = program.name;
                let mut add = |what: &str, unit, figure| {
                    self.results.figure(&format!("api: POST backups: {what}"), by, unit, figure);
                };
                add("durable", "requests/s", result.rate());
                add("p99", "ms", result.latency_ms(990));
                let fsyncs = fsyncs_a_second(self.folder)?;
                add("rate ÷ one fsync a request", "×", result.rate() / fsyncs);
                let row = "api: one fsync a request would allow";
                self.results.figure(row, "the disk", "requests/s", fsyncs);
            }
        }
        Ok(())
    }

    /// How long clients that poll wait, without and with two backups that run as fast as they can.
    fn under_backups(&mut self) -> Outcome<()> {
        eprintln!("api: reads while two backups run");
        let sources = [self.folder.join("one.db"), self.folder.join("two.db")];
        for source in &sources {
            data::make(source, self.options.size.mib)?;
        }
        let [one, two] = sources.map(|it| at(&it));
        let both = [("one", "sqlite", "off", one.as_str()), ("two", "sqlite", "off", two.as_str())];
        let mut running = Vec::new();
        for program in &self.options.programs {
            let name = format!("{}-busy", program.name);
            let config = configure(self.folder, &name, &settings(program, "workers = 2\n"), &both)?;
            Server::start(program, &config)?.stop()?;
            let catalog = self.folder.join(&name).join("catalog.db");
            seed::backups(&catalog, FEW)?;
            let server = Server::start(program, &config)?;
            running.push((server, seed::some_ids(&catalog, 200)?));
        }
        for _round in 0..if self.options.compares() { ROUNDS } else { FEW_ROUNDS } {
            for (server, ids) in &mut running {
                let mut requests = shows(ids);
                requests.push(get("backups?limit=20"));
                let started = Instant::now();
                let idle = || started.elapsed() < self.time;
                let result = poll_steadily(server.address(), &requests, &idle)?;
                self.waits(server, "no backup runs", &result)?;
                for instance in ["one", "two"] {
                    let id = server.instance(instance)?;
                    server.request_backup(&id, false)?;
                }
                let left = Cell::new(2_usize);
                let busy = || {
                    left.set(left.get().saturating_sub(server.completed_since()));
                    left.get() > 0
                };
                let result = poll_steadily(server.address(), &requests, &busy)?;
                self.waits(server, "two backups run", &result)?;
            }
            running.rotate_left(1);
        }
        for (server, _ids) in running {
            let peak = memory_of(server.pid(), "VmHWM:")?;
            self.results.figure("api: peak RSS with two backups", server.program.name, "MiB", peak);
            server.stop()?;
        }
        Ok(())
    }

    fn waits(&mut self, server: &Server, when: &str, result: &LoadResult) -> Outcome<()> {
        require_answers(result)?;
        for (what, per_mille) in [("median", 500), ("p99", 990), ("longest", 1000)] {
            let row = format!("api: reads while {when}: {what}");
            let latency = result.latency_ms(per_mille);
            self.results.figure(&row, server.program.name, "ms", latency);
        }
        Ok(())
    }
}

/// A request for a backup of the instance with this number.
fn create(number: u64) -> Vec<u8> {
    let body = format!(
        "{{\"backup\":{{\"name\":\"posted {number}\",\"instance\":\"{number:08x}-0000-4000-9000-000000000000\"}}}}"
    );
    request("POST", &format!("/v1.0/{PROJECT}/backups"), &body)
}

/// Appends and syncs 4 KiB at a time for a second.
fn fsyncs_a_second(folder: &Path) -> Outcome<f64> {
    let mut file = tempfile::tempfile_in(folder)?;
    let (mut done, started) = (0_u32, Instant::now());
    while started.elapsed() < Duration::from_secs(1) {
        file.write_all(&[7; 4096])?;
        file.sync_all()?;
        done += 1;
    }
    Ok(f64::from(done) / started.elapsed().as_secs_f64())
}
