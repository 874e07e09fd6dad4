//! Crowds of clients that mean no good: what they cost in memory, for how long, and whether others are answered
//! meanwhile.

use std::collections::VecDeque;
use std::error::Error;
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};
use socket2::{Domain, Socket, Type};

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
struct Crowd(&'static str, usize, Sent);

/// What a crowd sends.
enum Sent {
    /// The same over each connection.
    Same(Vec<u8>),
    /// One of these after the other over each new connection. They come from six addresses as fast as they can.
    Mixed(Vec<Vec<u8>>),
}

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
    Server::start(program, &configure(folder, program.name, &settings, &instances)?)
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
    let archive = request("GET", &path(&format!("backups/{backup}/archive")), "");
    let mixed = mixed(&archive);
    let behind_lists = [lists_first.as_slice(), &head].concat();
    let same = |name, size, bytes| Crowd(name, size, Sent::Same(bytes));
    vec![
        same("nothing is sent", 520, Vec::new()),
        same("half a head", 520, b"GET / HTTP/1.1\r\nHost".to_vec()),
        same("long heads without an end", 450, head),
        same("bodies of 1 MiB without an end", 450, post(1 << 20, &"x".repeat((1 << 20) - 1))),
        same("bodies of 64 KiB without an end", 450, post(64 << 10, &"x".repeat((64 << 10) - 1))),
        same("bodies of thousands of lists", 64, post(lists.len(), &lists)),
        same("lists of 1000 instances", 200, request("GET", &path("instances"), "")),
        same("heads of 120 KiB behind lists that nobody reads", 450, behind_lists),
        same("230 small requests behind answers that nobody reads", 300, [unread, small].concat()),
        same("downloads", 520, archive.clone()),
        Crowd("connections of every kind from six addresses", 1200, Sent::Mixed(mixed)),
    ]
}

/// Heads, lists, downloads, bodies and sign-ins at once.
fn mixed(archive: &[u8]) -> Vec<Vec<u8>> {
    let path = |below: &str| format!("/v1.0/{PROJECT}/{below}");
    let fields = ["A", "B", "C"].map(|name| format!("X-{name}: {}\r\n", "x".repeat(30_000)));
    let mut long = request("GET", &path("backups?limit=1000"), "");
    long.truncate(long.len().saturating_sub(2));
    long.extend_from_slice(fields.concat().as_bytes());
    let whole = [long.as_slice(), b"\r\n"].concat();
    let parameters = vec!["abc=b"; 10_000].join("&");
    let query = path(&format!("backups?{parameters}"));
    let without_end = |path: &str, begin: &str| {
        let mut bytes = request("POST", path, &format!("{begin}{}", "x".repeat(64_000)));
        bytes.pop();
        bytes
    };
    let password =
        r#"{"auth": {"identity": {"methods": ["password"], "password": {"user": {"name": ""#;
    vec![
        request("GET", &query, ""),
        long,
        whole.repeat(5),
        archive.repeat(200),
        request("GET", &path("instances"), "").repeat(50),
        request("GET", "/openapi.json", "").repeat(100),
        without_end(&path("backups"), r#"{"backup": {"name": ""#),
        format!("GET /v3?{parameters} HTTP/1.1\r\nHost: a\r\n\r\n").repeat(3).into_bytes(),
        without_end("/v3/auth/tokens", password),
    ]
}

fn attack(
    program: &Program,
    server: &Server,
    Crowd(name, size, sent): &Crowd,
    results: &mut Results,
) -> Outcome<()> {
    reset_peak(server.pid())?;
    let before = memory_of(server.pid(), "VmRSS:")?;
    let (ended, to) = (AtomicBool::new(false), server.address().parse::<SocketAddr>()?);
    let (crowd, [create_ms, health_ms]) = match sent {
        Sent::Same(bytes) => {
            let mut crowd = connections(server, *size, bytes);
            let slowest = answers_meanwhile(server, || {
                for _time in 0..3 {
                    crowd.extend(connections(server, NEW, bytes));
                    std::thread::park_timeout(OFTEN);
                }
            })?;
            (crowd, slowest)
        }
        Sent::Mixed(kinds) => std::thread::scope(|scope| {
            let crowd = scope.spawn(|| come_without_end(to, *size, kinds, &ended));
            let slowest = answers_meanwhile(server, || std::thread::park_timeout(OFTEN));
            ended.store(true, Ordering::Release);
            let crowd = crowd.join().map_err(|_panic| "the crowd ended with a panic")?;
            Ok::<_, Box<dyn Error>>((crowd, slowest?))
        })?,
    };
    let peak = memory_of(server.pid(), "VmHWM:")?;
    drop(crowd);
    std::thread::park_timeout(AFTER);
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

/// The slowest create and the slowest health check while the crowd stays, with this pause between them.
fn answers_meanwhile(server: &Server, mut pause: impl FnMut()) -> Outcome<[f64; 2]> {
    let (mut slowest, began) = ([0.0_f64; 2], Instant::now());
    while began.elapsed() < STAY {
        let times = [create(server)?, health_by_socket(server)?];
        for (slowest, time) in slowest.iter_mut().zip(times) {
            *slowest = slowest.max(time);
        }
        pause();
    }
    Ok(slowest)
}

/// New connections from six addresses, each with the next of these kinds; the oldest are closed.
fn come_without_end(
    to: SocketAddr,
    size: usize,
    kinds: &[Vec<u8>],
    ended: &AtomicBool,
) -> Vec<TcpStream> {
    let mut open = VecDeque::new();
    for (last, bytes) in (2..8).cycle().zip(kinds.iter().cycle()) {
        if ended.load(Ordering::Acquire) {
            break;
        }
        // Whoever is turned away is turned away.
        if let Ok(mut stream) = connect_from(Ipv4Addr::new(127, 0, 0, last), to) {
            stream.write_all(bytes).ok();
            open.push_back(stream);
        }
        if open.len() > size {
            open.pop_front();
        }
    }
    open.into()
}

fn connect_from(from: Ipv4Addr, to: SocketAddr) -> io::Result<TcpStream> {
    const TIMEOUT: Duration = Duration::from_millis(100);
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_recv_buffer_size(2048)?;
    socket.set_write_timeout(Some(TIMEOUT))?;
    socket.bind(&SocketAddr::new(from.into(), 0).into())?;
    socket.connect_timeout(&to.into(), TIMEOUT)?;
    Ok(socket.into())
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
