//! Crowds of clients that mean no good: what they cost in memory, for how long, and whether others are answered
//! meanwhile.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};

use super::Outcome;
use super::load::request;
use super::measure::{memory_of, reset_peak};
use super::options::{Options, Program};
use super::server::{PROJECT, SECRET, Server, at, configure};
use super::table::Results;

/// Instances that the reader lists.
const INSTANCES: u32 = 1000;
/// How long a crowd stays, and when memory is looked at after it went.
const STAY: Duration = Duration::from_secs(10);
const AFTER: Duration = Duration::from_secs(30);
/// The secret of the member that is answered meanwhile. The crowds have that of the bench.
const OTHER: &str = "another-secret";

/// A crowd: its name, how many connections it has, and what each sends and leaves unread.
struct Crowd(&'static str, usize, Vec<u8>);

/// How many connections of a crowd come again while it stays, and how often.
const NEW: usize = 40;
const OFTEN: Duration = Duration::from_millis(300);

pub(crate) fn rows(folder: &Path, options: &Options, results: &mut Results) -> Outcome<()> {
    let source = folder.join("tree");
    std::fs::create_dir_all(&source)?;
    let mut noise = vec![0; 24 << 20];
    getrandom::fill(&mut noise)?;
    #[expect(clippy::disallowed_methods, reason = "data of the bench's own")]
    std::fs::write(source.join("noise"), noise)?;
    // An older version that is compared with may never answer again.
    for program in options.programs.iter().take(1) {
        let mut server = start(folder, program, &source)?;
        let instance = server.instance("0-tree")?;
        let backup = server.request_backup(&instance, false)?;
        server.wait_for(&backup)?;
        for crowd in crowds(&backup) {
            eprintln!("attacks: {}", crowd.0);
            attack(program, &server, &crowd, results)?;
        }
        server.stop()?;
    }
    Ok(())
}

fn start(folder: &Path, program: &Program, source: &Path) -> Outcome<Server> {
    let token = |name: &str, secret: &str| {
        let digest = hex::encode(Sha256::digest(secret));
        format!(
            "[[auth.tokens]]\nname = \"{name}\"\nproject_id = \"{PROJECT}\"\nroles = [\"member\"]\n\
             sha256 = \"{digest}\"\n"
        )
    };
    let settings = token("bench", SECRET) + &token("other", OTHER);
    let source = at(source);
    let names: Vec<String> = (0..INSTANCES).map(|number| format!("i{number}")).collect();
    let mut instances = vec![("0-tree", "directory", "off", source.as_str())];
    instances.extend(names.iter().map(|it| (it.as_str(), "directory", "off", source.as_str())));
    Server::start_as_packaged(program, &configure(folder, program.name, &settings, &instances)?)
}

fn crowds(backup: &str) -> Vec<Crowd> {
    let path = |below: &str| format!("/v1.0/{PROJECT}/{below}");
    let post = |length: usize, sent: &str| {
        let mut bytes = request("POST", &path("backups"), &"x".repeat(length));
        bytes.truncate(bytes.len().saturating_sub(length));
        bytes.extend_from_slice(sent.as_bytes());
        bytes
    };
    let lists = format!("[{}1]", "[],".repeat(21_000));
    let mut head = request("GET", "/healthcheck", "");
    head.truncate(head.len().saturating_sub(2));
    head.extend_from_slice(format!("X-Long: {}", "y".repeat(120 << 10)).as_bytes());
    let lists_first = request("GET", &path("instances"), "").repeat(4);
    let unread = request("GET", "/openapi.json", "").repeat(30);
    let small = b"GET /v3 HTTP/1.1\r\nHost: a\r\n\r\n".repeat(230);
    let behind_lists = [lists_first.as_slice(), &head].concat();
    vec![
        Crowd("nothing is sent", 520, Vec::new()),
        Crowd("half a head", 520, b"GET / HTTP/1.1\r\nHost".to_vec()),
        Crowd("long heads without an end", 450, head),
        Crowd("bodies of 1 MiB without an end", 450, post(1 << 20, &"x".repeat((1 << 20) - 1))),
        Crowd("bodies of 64 KiB without an end", 450, post(64 << 10, &"x".repeat((64 << 10) - 1))),
        Crowd("bodies of thousands of lists", 64, post(lists.len(), &lists)),
        Crowd("lists of 1000 instances", 200, request("GET", &path("instances"), "")),
        Crowd("heads of 120 KiB behind lists that nobody reads", 450, behind_lists),
        Crowd("230 small requests behind answers that nobody reads", 300, [unread, small].concat()),
        Crowd("downloads", 520, request("GET", &path(&format!("backups/{backup}/archive")), "")),
    ]
}

fn attack(
    program: &Program,
    server: &Server,
    Crowd(name, size, bytes): &Crowd,
    results: &mut Results,
) -> Outcome<()> {
    reset_peak(server.pid())?;
    let before = memory_of(server.pid(), "VmRSS:")?;
    let mut crowd = connections(server, *size, bytes);
    let (mut slowest, began) = ([0.0_f64; 2], Instant::now());
    while began.elapsed() < STAY {
        let times = [create(server)?, health_by_socket(server)?];
        for (slowest, time) in slowest.iter_mut().zip(times) {
            *slowest = slowest.max(time);
        }
        for _time in 0..3 {
            crowd.extend(connections(server, NEW, bytes));
            std::thread::park_timeout(OFTEN);
        }
    }
    let peak = memory_of(server.pid(), "VmHWM:")?;
    drop(crowd);
    std::thread::park_timeout(AFTER);
    let [create_ms, health_ms] = slowest;
    let after = memory_of(server.pid(), "VmRSS:")?;
    for (what, unit, figure) in [
        ("peak RSS", "MiB", peak),
        ("RSS 30 s after it, more than before", "MiB", after - before),
        ("slowest create of another member", "ms", create_ms),
        ("slowest health check over the socket", "ms", health_ms),
    ] {
        results.figure(&format!("attacks: {size} × {name}: {what}"), program.name, unit, figure);
    }
    Ok(())
}

/// Connections that have sent these bytes. Whoever is turned away is turned away.
fn connections(server: &Server, count: usize, bytes: &[u8]) -> Vec<TcpStream> {
    let connect = |_number| {
        let mut stream = TcpStream::connect(server.address()).ok()?;
        stream.set_write_timeout(Some(Duration::from_millis(200))).ok()?;
        stream.write_all(bytes).ok();
        Some(stream)
    };
    (0..count).filter_map(connect).collect()
}

/// Milliseconds until a create was answered that names what does not exist.
fn create(server: &Server) -> Outcome<f64> {
    let began = Instant::now();
    let url = format!("http://{}/v1.0/{PROJECT}/backups", server.address());
    let body = r#"{"backup": {"name": "n", "instance": "deadbeef-0000-4000-8000-00000000dead"}}"#;
    let agent: ureq::Agent =
        ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let answer = agent
        .post(&url)
        .header("X-Auth-Token", OTHER)
        .header("Content-Type", "application/json")
        .send(body)?;
    if answer.status() != 404 {
        return Err(format!("a create was answered with {}", answer.status()).into());
    }
    Ok(began.elapsed().as_secs_f64() * 1000.0)
}

fn health_by_socket(server: &Server) -> Outcome<f64> {
    let began = Instant::now();
    let mut stream = UnixStream::connect(server.data_dir().join("coffer.sock"))?;
    stream
        .write_all(b"GET /healthcheck HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    if !answer.starts_with("HTTP/1.1 200") {
        return Err(answer.into());
    }
    Ok(began.elapsed().as_secs_f64() * 1000.0)
}
