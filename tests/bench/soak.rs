//! Ten minutes of everything at once, killed every minute: what the server takes at most, and whether it has given
//! everything back thirty seconds later.

use std::io::Write as _;
use std::net::TcpStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::park_timeout;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::Outcome;
use super::data::{make, make_tree};
use super::load::request;
use super::mariadb::MariaDb;
use super::measure::{MemoryWatch, memory_of, mib, reset_peak, stored_below};
use super::options::{Options, Program};
use super::postgres::{Postgres, Setup};
use super::readers::Readers;
use super::redis::RedisServer;
use super::server::{Instance, PROJECT, SECRET, Server, at, configure};
use super::table::Results;

/// How long the server runs until it is killed.
const PHASE: Duration = Duration::from_secs(60);
/// When what is left is looked at.
const AFTER: Duration = Duration::from_secs(30);
/// Connections that read, and the threads that they are driven by.
const READERS: usize = 200;
const THREADS: usize = 4;
/// How long a job may take.
const LONGEST: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(200);

/// What the server uses.
struct Use {
    rss: f64,
    anonymous: f64,
    threads: f64,
    open_files: f64,
    stored: f64,
}

fn use_of(server: &Server) -> Outcome<Use> {
    let pid = server.pid();
    let files = std::fs::read_dir(format!("/proc/{pid}/fd"))?.count();
    Ok(Use {
        rss: memory_of(pid, "VmRSS:")?,
        anonymous: memory_of(pid, "RssAnon:")?,
        // `memory_of` takes the figure for KiB.
        threads: memory_of(pid, "Threads:")? * 1024.0,
        open_files: f64::from(u32::try_from(files)?),
        stored: mib(stored_below(&server.data_dir())),
    })
}

/// The API, with what a soak does with it.
struct Api<'a> {
    address: &'a str,
    agent: ureq::Agent,
    ended: &'a AtomicBool,
}

impl Api<'_> {
    fn send(&self, method: &str, path: &str, body: &Value) -> Outcome<Value> {
        let url = format!("http://{}/v1.0/{PROJECT}/{path}", self.address);
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(url)
            .header("X-Auth-Token", SECRET)
            .header("Content-Type", "application/json");
        let mut answer = if body.is_null() {
            self.agent.run(request.body(())?)?
        } else {
            self.agent.run(request.body(body.to_string())?)?
        };
        let (status, text) = (answer.status(), answer.body_mut().read_to_string()?);
        if !status.is_success() {
            return Err(format!("{method} {path}: {status}: {text}").into());
        }
        Ok(serde_json::from_str(&text).unwrap_or_default())
    }

    /// Asks for a row until it is as wanted. An error once the soak has ended.
    fn wait(&self, path: &str, is_done: impl Fn(&Value) -> bool) -> Outcome<Value> {
        let deadline = Instant::now() + LONGEST;
        while Instant::now() < deadline && !self.ended.load(Ordering::Acquire) {
            let row = self.send("GET", path, &Value::Null)?;
            if is_done(&row) {
                return Ok(row);
            }
            park_timeout(POLL);
        }
        Err(format!("{path} was not done in time").into())
    }

    fn backup(&self, instance: &str, incremental: u8) -> Outcome<String> {
        let body = json!({"backup": {
            "name": "soak", "instance": instance, "incremental": incremental,
        }});
        let made = self.send("POST", "backups", &body)?;
        let id = made.pointer("/backup/id").and_then(Value::as_str).ok_or("no id")?.to_owned();
        let row = self.wait(&format!("backups/{id}"), |row| {
            matches!(status(row, "/backup/status"), "COMPLETED" | "FAILED")
        })?;
        match status(&row, "/backup/status") {
            "COMPLETED" => Ok(id),
            _ => Err(row.to_string().into()),
        }
    }

    /// Waits until no backup of an instance runs: one that a killed server had accepted is made after the next start.
    fn wait_for_turn(&self, instance: &str) -> Outcome<()> {
        let runs = |row: &Value| ["NEW", "BUILDING", "SAVING"].contains(&status(row, "/status"));
        self.wait(&format!("instances/{instance}/backups?limit=1000"), |list| {
            let all = list.get("backups").and_then(Value::as_array);
            all.is_some_and(|all| !all.iter().any(runs))
        })?;
        Ok(())
    }

    /// Everything that is done with the backups of an instance; nothing of it is left.
    fn work(&self, instance: &str) -> Outcome<()> {
        self.wait_for_turn(instance)?;
        let full = self.backup(instance, 0)?;
        let child = self.backup(instance, 1)?;
        let body = json!({"instance": {"name": "soak", "restorePoint": {"backupRef": child}}});
        let made = self.send("POST", "instances", &body)?;
        let restored = made.pointer("/instance/id").and_then(Value::as_str).ok_or("no id")?;
        self.wait(&format!("instances/{restored}"), |row| {
            status(row, "/instance/status") == "ACTIVE"
        })?;
        self.send("POST", &format!("backups/{child}/drill"), &Value::Null)?;
        self.wait(&format!("backups/{child}"), |row| {
            status(row, "/backup/drill/status") == "passed"
        })?;
        self.send("DELETE", &format!("instances/{restored}"), &Value::Null)?;
        self.send("DELETE", &format!("backups/{full}"), &Value::Null)?;
        Ok(())
    }

    /// Deletes what killed servers and the end of the soak have left.
    fn clear(&self) -> Outcome<()> {
        for (rows, end) in [("instances", "ACTIVE"), ("backups", "COMPLETED")] {
            let path = format!("{rows}?limit=1000");
            self.wait(&path, |list| {
                let all = list.get(rows).and_then(Value::as_array);
                all.is_some_and(|all| {
                    all.iter().all(|row| [end, "FAILED", "ERROR"].contains(&status(row, "/status")))
                })
            })?;
            let list = self.send("GET", &path, &Value::Null)?;
            for row in list.get(rows).and_then(Value::as_array).into_iter().flatten() {
                // Those of the configuration stay, and children go with their parents.
                self.send("DELETE", &format!("{rows}/{}", status(row, "/id")), &Value::Null).ok();
            }
        }
        Ok(())
    }
}

/// Sends each request over a connection of its own: the server may end one that is kept just when it is used again.
fn agent() -> ureq::Agent {
    let config = ureq::Agent::config_builder().http_status_as_error(false);
    config.max_idle_connections(0).build().into()
}

/// A text in a row; empty if it has none.
fn status<'r>(row: &'r Value, pointer: &str) -> &'r str {
    row.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

pub(crate) fn rows(folder: &Path, options: &Options, results: &mut Results) -> Outcome<()> {
    let (mariadb, redis) = (MariaDb::start(), RedisServer::start());
    let postgres = Postgres::with(&Setup::default());
    postgres.fill("postgres", 1);
    mariadb.sql("CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY) ENGINE=InnoDB");
    redis.connect().run(&["SET", "key", "value"]);
    let database = folder.join("shop.db");
    make(&database, 32)?;
    make_tree(&folder.join("tree"), 500, 32)?;
    let (socket, of_postgres) = (json!(mariadb.socket()), json!(postgres.folder()));
    let by_mariadb = |more: &str| format!("{{ socket = {socket}, user = \"root\"{more} }}");
    let by_postgres =
        |more: &str| format!("{{ socket = {of_postgres}, user = \"postgres\"{more} }}");
    let logical = ", method = \"logical\"";
    let sources = [
        ("database", "sqlite", at(&database)),
        ("tree", "directory", at(&folder.join("tree"))),
        ("cache", "redis", format!("{{ socket = {} }}", json!(redis.socket()))),
        ("mariadb", "mariadb", by_mariadb("")),
        ("mariadb-dumped", "mariadb", by_mariadb(logical)),
        ("postgresql", "postgresql", by_postgres("")),
        ("postgresql-dumped", "postgresql", by_postgres(logical)),
    ];
    let instances: Vec<Instance<'_>> =
        sources.iter().map(|(name, engine, source)| (*name, *engine, "quick", &**source)).collect();
    for program in &options.programs {
        soak(folder, program, options.soak_minutes, &instances, results)?;
    }
    Ok(())
}

fn soak(
    folder: &Path,
    program: &Program,
    minutes: u64,
    instances: &[Instance<'_>],
    results: &mut Results,
) -> Outcome<()> {
    let digest = hex::encode(Sha256::digest(SECRET));
    let settings = format!(
        "max_connections = 512\nmax_connections_per_address = 512\n[[auth.tokens]]\nname = \"bench\"\nproject_id = \"{PROJECT}\"\nroles = [\"admin\"]\n\
         sha256 = \"{digest}\"\n[limits]\ntoken_requests = 1000\n[storage]\ntrash_window_s = 0\n"
    );
    let config = configure(folder, program.name, &settings, instances)?;
    let mut server = Server::start(program, &config)?;
    phase(&server, instances, PHASE / 2)?;
    clear(&server)?;
    let before = use_of(&server)?;
    let mut most = Peak::default();
    for minute in 0..minutes {
        eprintln!("soak: minute {} of {minutes}", minute + 1);
        most.add(phase(&server, instances, PHASE)?);
        // Killed, with whatever the last of its jobs were doing.
        drop(server);
        server = Server::start(program, &config)?;
    }
    most.add(phase(&server, instances, PHASE / 2)?);
    clear(&server)?;
    let after = use_of(&server)?;
    server.stop()?;
    let mut figure = |what: &str, unit, figure| {
        results.figure(&format!("soak of {minutes} min: {what}"), program.name, unit, figure);
    };
    figure("peak RSS", "MiB", most.own);
    figure("peak RSS with the tools it runs", "MiB", most.tree);
    figure("answers to 200 connections", "", most.answers);
    figure("rounds of full, incremental, restore, drill, delete", "", most.rounds);
    figure("RSS afterwards, more than before", "MiB", after.rss - before.rss);
    figure(
        "anonymous memory afterwards, more than before",
        "MiB",
        after.anonymous - before.anonymous,
    );
    figure("threads afterwards, more than before", "", after.threads - before.threads);
    figure("open files afterwards, more than before", "", after.open_files - before.open_files);
    figure("data directory afterwards, more than before", "MiB", after.stored - before.stored);
    Ok(())
}

/// The most that was taken, and what was done.
#[derive(Clone, Copy, Default)]
struct Peak {
    own: f64,
    tree: f64,
    answers: f64,
    rounds: f64,
}

impl Peak {
    fn add(&mut self, other: Self) {
        self.own = self.own.max(other.own);
        self.tree = self.tree.max(other.tree);
        self.answers += other.answers;
        self.rounds += other.rounds;
    }
}

/// All load for a time: readers, two slow clients, and the work of every instance beside each other.
fn phase(server: &Server, instances: &[Instance<'_>], time: Duration) -> Outcome<Peak> {
    reset_peak(server.pid())?;
    let tree = MemoryWatch::start(server.pid());
    let (ended, answers, rounds) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    let paths = ["backups?limit=20", "instances", "backups?limit=1", "datastores"];
    let ask = |path: &str| request("GET", &format!("/v1.0/{PROJECT}/{path}"), "");
    let requests: Vec<String> =
        paths.iter().map(|it| String::from_utf8_lossy(&ask(it)).into_owned()).collect();
    let address = server.address();
    let ids = instances.iter().map(|(name, ..)| server.instance(name));
    let ids = ids.collect::<Outcome<Vec<_>>>()?;
    let readers = Readers {
        address,
        connections: READERS / THREADS,
        requests: &requests,
        rounds: usize::MAX,
    };
    let slow = ["GET / HTTP/1.1\r\nX-Slow: ", "POST /v1.0/bench/backups HTTP/1.1\r\n"];
    let failed = std::thread::scope(|scope| {
        for _thread in 0..THREADS {
            scope.spawn(|| readers.run(&ended, &answers));
        }
        for head in slow {
            scope.spawn(|| send_slowly(address, head, &ended));
        }
        let workers: Vec<_> =
            ids.iter().map(|id| scope.spawn(|| work(address, id, &ended, &rounds))).collect();
        park_until(Instant::now() + time);
        ended.store(true, Ordering::Release);
        workers.into_iter().find_map(|it| it.join().unwrap_or_else(|_| Some("a panic".into())))
    });
    if let Some(failed) = failed {
        return Err(failed.into());
    }
    let whole = |count: AtomicU64| u32::try_from(count.into_inner()).map_or(f64::NAN, f64::from);
    Ok(Peak {
        own: memory_of(server.pid(), "VmHWM:")?,
        tree: tree.peak()?,
        answers: whole(answers),
        rounds: whole(rounds),
    })
}

/// Works on an instance until the end; what went wrong before that.
fn work(address: &str, instance: &str, ended: &AtomicBool, rounds: &AtomicU64) -> Option<String> {
    let agent = agent();
    let api = Api { address, agent, ended };
    while !ended.load(Ordering::Acquire) {
        match api.work(instance) {
            Ok(()) => rounds.fetch_add(1, Ordering::Relaxed),
            Err(_late) if ended.load(Ordering::Acquire) => break,
            Err(error) => return Some(format!("instance {instance}: {error}")),
        };
    }
    None
}

/// Sends a byte a second, over one connection after the other.
fn send_slowly(address: &str, head: &str, ended: &AtomicBool) {
    while !ended.load(Ordering::Acquire) {
        let Ok(mut stream) = TcpStream::connect(address) else { return };
        for byte in head.bytes().cycle() {
            if ended.load(Ordering::Acquire) || stream.write_all(&[byte]).is_err() {
                break;
            }
            park_until(Instant::now() + Duration::from_secs(1));
        }
    }
}

fn park_until(time: Instant) {
    while let Some(left) = time.checked_duration_since(Instant::now()) {
        park_timeout(left);
    }
}

/// Deletes everything, and waits until all could be given back.
fn clear(server: &Server) -> Outcome<()> {
    let agent = agent();
    let never = AtomicBool::new(false);
    Api { address: server.address(), agent, ended: &never }.clear()?;
    park_until(Instant::now() + AFTER);
    Ok(())
}
