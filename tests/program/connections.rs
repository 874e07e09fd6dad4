//! Connections that are of no use: they end, and do not keep others out. And the Unix socket beside the port.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use crate::support::{Builder, PATIENCE, TestServer, id_of, wait_until, write_file};

const HEALTH: &str = "GET /healthcheck HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// A server with a member and a tree of 16 MiB that cannot be compressed.
fn server(folder: &tempfile::TempDir) -> Builder {
    let mut noise = vec![0; 16 << 20];
    getrandom::fill(&mut noise).unwrap();
    let tree = folder.path().join("tree");
    std::fs::create_dir(&tree).unwrap();
    write_file(&tree.join("noise"), noise);
    TestServer::builder().token("alice", "project-a", &["member"]).instance_directory("tree", &tree)
}

fn connect(server: &TestServer) -> TcpStream {
    let stream = TcpStream::connect(server.base().trim_start_matches("http://")).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Sends what the server may have stopped listening to.
fn send(stream: &mut impl Write, text: &str) {
    stream.write_all(text.as_bytes()).unwrap_or_default();
}

/// Everything until the server closes the connection, which it has to.
#[track_caller]
fn read_to_end(stream: &mut impl Read) -> String {
    let mut answer = Vec::new();
    if let Err(error) = stream.read_to_end(&mut answer) {
        let closed = [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe].contains(&error.kind());
        assert!(closed, "the connection stays open: {error}");
    }
    String::from_utf8_lossy(&answer).into_owned()
}

/// Whether the other side has not closed it.
fn is_open(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    let (mut stream, mut bytes) = (stream, [0; 4096]);
    loop {
        match stream.read(&mut bytes) {
            Ok(0) => return false,
            Ok(_answer) => {}
            Err(error) => return error.kind() == ErrorKind::WouldBlock,
        }
    }
}

#[test]
fn idle_connections_do_not_keep_a_client_out_and_the_limit_is_what_the_key_says() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(&folder)
        .setting("server.max_connections", "8")
        .setting("server.max_connections_per_address", "8")
        .setting("server.keep_alive_s", "600")
        .setting("server.request_timeout_s", "600")
        .start();
    let alice = server.client_of("alice");
    let instance = alice.instance_id("tree");
    let idle: Vec<_> = (0..40).map(|_number| connect(&server)).collect();
    for (number, mut stream) in idle.iter().enumerate() {
        // One with an answer, one with half a head, one with nothing.
        send(&mut stream, [HEALTH, "GET /heal", ""][number % 3]);
    }
    wait_until("a health check over the port", || {
        let answer = server.anonymous().try_send("GET", "/healthcheck", None).ok()?;
        (answer.status == 200).then_some(())
    });
    let body = json!({"backup": {"name": "n", "instance": instance}}).to_string();
    let created = wait_until("a create over the port", || {
        let answer = alice.try_send("POST", "backups", Some(body.as_bytes())).ok()?;
        (answer.status != 413).then_some(answer)
    });
    alice.completed(&created.with_status(202));
    let open = idle.iter().filter(|stream| is_open(stream)).count();
    // Those, and the reserve for health checks.
    assert!(open <= 8 + 8, "{open} connections are open");
}

/// Asks for the health without a pause, over a new connection whenever the last one has ended.
fn ask_without_end(server: &TestServer, ended: &AtomicBool) {
    let mut answer = [0; 4096];
    while !ended.load(Ordering::Acquire) {
        let mut stream = connect(server);
        loop {
            send(&mut stream, HEALTH);
            let is_open = stream.read(&mut answer).is_ok_and(|bytes| bytes > 0);
            if !is_open || ended.load(Ordering::Acquire) {
                break;
            }
        }
    }
}

/// Ends the clients also if the test fails.
struct EndOnDrop<'a>(&'a AtomicBool);

impl Drop for EndOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

#[test]
fn clients_that_ask_without_end_do_not_keep_a_client_out() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(&folder)
        .setting("server.max_connections", "4")
        .setting("server.max_connections_per_address", "4")
        .start();
    let alice = server.client_of("alice");
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _end = EndOnDrop(&ended);
        for _client in 0..8 {
            scope.spawn(|| ask_without_end(&server, &ended));
        }
        let body =
            br#"{"backup": {"name": "n", "instance": "deadbeef-0000-4000-8000-00000000dead"}}"#;
        for _time in 0..5 {
            wait_until("a create over the port", || {
                alice.try_send("POST", "backups", Some(body)).ok().filter(|it| it.status == 404)
            });
        }
    });
}

#[test]
fn what_waits_for_the_client_has_an_end() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(&folder)
        .setting("server.keep_alive_s", "1")
        .setting("server.request_timeout_s", "1")
        .start();
    let secret = server.secret("alice");
    // Nothing, or half a head.
    for begin in ["", "GET /healthcheck HTTP/1.1\r\nHost"] {
        let mut stream = connect(&server);
        send(&mut stream, begin);
        assert!(read_to_end(&mut stream).starts_with("HTTP/1.1 408"), "{begin}");
    }
    // After an answer: nothing, or half a head, for which the HTTP library has no limit.
    for more in ["", "GET /healthcheck HTTP/1.1\r\nHost"] {
        let mut stream = connect(&server);
        send(&mut stream, &format!("{HEALTH}{more}"));
        let answer = read_to_end(&mut stream);
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
    }
    // Half a body.
    let mut stream = connect(&server);
    let head = "POST /v1.0/project-a/backups HTTP/1.1\r\nHost: localhost";
    let rest = "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"backup\"";
    send(&mut stream, &format!("{head}\r\nX-Auth-Token: {secret}\r\n{rest}"));
    let answer = read_to_end(&mut stream);
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(answer.contains("\"requestTimeout\""), "{answer}");
}

#[test]
fn a_download_that_nobody_reads_is_let_go() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(&folder)
        .setting("server.send_timeout_s", "3")
        .setting("limits.downloads", "1")
        .start();
    let alice = server.client_of("alice");
    let backup = alice.full("tree");
    let archive = format!("backups/{}/archive", id_of(&backup));
    let mut unread = connect(&server);
    let head = format!("GET /v1.0/project-a/{archive} HTTP/1.1\r\nHost: localhost");
    send(&mut unread, &format!("{head}\r\nX-Auth-Token: {}\r\n\r\n", server.secret("alice")));
    // It has begun, and takes the only place.
    unread.peek(&mut [0]).unwrap();
    let whole = wait_until("the download to be let go", || {
        let answer = alice.get(&archive);
        if answer.status == 200 {
            return Some(answer);
        }
        let (fault, message) = answer.fault(413);
        assert_eq!(fault, "overLimit", "{message}");
        None
    });
    assert!(whole.bytes.len() > 16 << 20);
    assert!(read_to_end(&mut unread).len() < whole.bytes.len());
}

#[test]
fn http_2_is_refused_and_not_kept_open() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(&folder).start();
    let mut stream = connect(&server);
    send(&mut stream, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    let answer = read_to_end(&mut stream);
    assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
}

#[test]
fn a_client_that_would_rather_speak_another_protocol_gets_the_ordinary_answer() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(&folder).start();
    for upgrade in [
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA",
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13",
    ] {
        let mut stream = connect(&server);
        send(
            &mut stream,
            &format!("GET /healthcheck HTTP/1.1\r\nHost: localhost\r\n{upgrade}\r\n\r\n"),
        );
        let answer = read_to_end(&mut stream);
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let head = head.to_ascii_lowercase();
        assert!(head.starts_with("http/1.1 200") && body.contains("\"ok\""), "{answer}");
        assert!(head.contains("\r\nconnection: close") && !head.contains("upgrade"), "{answer}");
    }
}

#[test]
fn the_socket_answers_while_the_port_is_full_and_is_gone_after_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = server(&folder)
        .setting("server.max_connections", "1")
        .setting("server.max_connections_per_address", "1")
        .setting("server.socket_mode", "0640")
        .start();
    let _full: Vec<_> = (0..20).map(|_number| connect(&server)).collect();
    let path = server.data_dir().join("coffer.sock");
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o7777, 0o640);
    let mut socket = UnixStream::connect(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = HEALTH.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
    send(&mut socket, &request);
    let answer = read_to_end(&mut socket);
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("\"ok\""), "{answer}");
    // The port of this configuration is 0: a command can reach the server over the socket only.
    let backup = server
        .command(&["backup", "tree", "--wait", "--json"])
        .env("COFFER_TOKEN", server.secret("alice"))
        .env("COFFER_PROJECT", "project-a")
        .output()
        .unwrap();
    assert!(backup.status.success(), "{backup:?}");
    assert!(server.terminate().success());
    assert!(!path.exists());
}

/// Each process at the socket is a client of its own: one that takes all places with requests of which it sends no end
/// keeps no command out.
#[test]
fn a_process_that_takes_all_of_the_socket_does_not_keep_others_out() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(&folder).token("bob", "project-a", &["member"]).start();
    let begun = format!(
        "POST /v1.0/project-a/backups HTTP/1.1\r\nHost: localhost\r\nX-Auth-Token: {}\r\n\
         Content-Type: application/json\r\nContent-Length: 10\r\n\r\n{{",
        server.secret("alice")
    );
    let path = server.data_dir().join("coffer.sock");
    let _crowd: Vec<_> = (0..64)
        .map(|_one| {
            let mut stream = UnixStream::connect(&path).unwrap();
            send(&mut stream, &begun);
            stream
        })
        .collect();
    let listed = server
        .command(&["list", "--json"])
        .env("COFFER_TOKEN", server.secret("bob"))
        .env("COFFER_PROJECT", "project-a")
        .output()
        .unwrap();
    assert!(listed.status.success(), "{listed:?}");
}

#[test]
fn a_server_that_was_killed_leaves_a_socket_that_the_next_one_replaces() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = server(&folder).start();
    server.kill();
    let path = server.data_dir().join("coffer.sock");
    assert!(path.exists() && UnixStream::connect(&path).is_err());
    server.restart();
    assert!(UnixStream::connect(&path).is_ok());
}

#[test]
fn requests_that_are_sent_at_once_are_answered_one_after_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(&folder).start();
    let head = format!("HTTP/1.1\r\nHost: localhost\r\nX-Auth-Token: {}", server.secret("alice"));
    let post = format!("POST /v1.0/project-a/backups {head}\r\nContent-Type: application/json");
    // A body of blank lines and of another request, and one that ends inside of what would be a chunk.
    let body = "{\"backup\":\r\n\r\n  \"GET /healthcheck HTTP/1.1\"}";
    let chunked = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    let round = [
        HEALTH.to_owned(),
        format!("GET /v1.0/project-a/backups {head}\r\n\r\n"),
        format!("{post}\r\nContent-Length: {}\r\n\r\n{body}", body.len()),
        format!("{post}\r\nTransfer-Encoding: chunked\r\n\r\n{chunked}"),
        format!("GET /v1.0/project-a/backups/nothing {head}\r\n\r\n"),
    ]
    .concat();
    let last = HEALTH.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
    let mut stream = connect(&server);
    send(&mut stream, &(round.repeat(30) + &last));
    let answers = read_to_end(&mut stream);
    let statuses: Vec<_> =
        answers.split("HTTP/1.1 ").skip(1).filter_map(|answer| answer.get(..3)).collect();
    let expected = [["200", "200", "400", "400", "404"].repeat(30), vec!["200"]].concat();
    assert_eq!(statuses, expected, "{answers}");
}

#[test]
fn a_body_in_chunks_is_complete_wherever_its_end_is_split() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(&folder).start();
    let head = format!(
        "POST /v1.0/project-a/backups HTTP/1.1\r\nHost: localhost\r\nX-Auth-Token: {}\r\n\
         Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
        server.secret("alice")
    );
    let begin = format!("{head}2\r\n{{}}");
    let end = "\r\n0\r\n\r\n";
    for at in 0..end.len() {
        let mut stream = connect(&server);
        stream.set_nodelay(true).unwrap();
        let (before, after) = end.split_at(at);
        send(&mut stream, &(begin.clone() + before));
        // It has come by the time that another one is answered.
        assert_eq!(server.anonymous().get("/healthcheck").status, 200);
        send(&mut stream, after);
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(String::from_utf8_lossy(&answer), "HTTP/1.1 400", "{at}");
    }
}

/// Connections that each send this, and are kept.
fn crowd(server: &TestServer, size: usize, request: &str) -> Vec<TcpStream> {
    let connection = |_number| {
        let mut stream = connect(server);
        send(&mut stream, request);
        stream
    };
    (0..size).map(connection).collect()
}

#[test]
fn a_link_to_the_next_page_has_the_port_that_was_reached_and_no_other_on_this_machine() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(&folder).start();
    let alice = server.client_of("alice");
    alice.full("tree");
    alice.full("tree");
    let port = server.base().rsplit_once(':').unwrap().1.to_owned();
    let next = |host: &str| {
        let secret = server.secret("alice");
        let mut stream = connect(&server);
        let head = "GET /v1.0/project-a/backups?limit=1 HTTP/1.1\r\nConnection: close";
        send(&mut stream, &format!("{head}\r\nHost: {host}\r\nX-Auth-Token: {secret}\r\n\r\n"));
        let answer = read_to_end(&mut stream);
        let (_, link) = answer.split_once("\"href\":\"").unwrap_or_else(|| panic!("{answer}"));
        link.split_once("/v1.0/").unwrap().0.to_owned()
    };
    for host in [format!("127.0.0.1:{port}"), format!("localhost:{port}")] {
        assert_eq!(next(&host), format!("http://{host}"));
    }
    for other in ["127.0.0.1:22", "localhost", "[::1]:1"] {
        assert_eq!(next(other), "", "{other}");
    }
}

/// A program that runs the server with as much memory of its own as this. `prlimit` counts what is asked for,
/// which is more than what is used.
fn with_data_limit(folder: &tempfile::TempDir, mib: u64) -> std::path::PathBuf {
    let (path, binary) = (folder.path().join("limited"), env!("CARGO_BIN_EXE_coffer"));
    let script = format!("#!/bin/sh\nexec prlimit --data={} '{binary}' \"$@\"\n", mib << 20);
    write_file(&path, script);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[test]
fn crowds_take_little_memory_and_others_are_answered_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let program = with_data_limit(&folder, 256);
    let server = server(&folder)
        .program(&program)
        .token("bob", "project-b", &["member"])
        .setting("executor.compression_threads", "2")
        .setting("server.http_workers", "2")
        .start();
    let alice = server.client_of("alice");
    let backup = alice.full("tree");
    let (secret, before) = (server.secret("alice"), server.peak_rss_bytes());
    let head = |what: &str| format!("{what} HTTP/1.1\r\nHost: localhost\r\nX-Auth-Token: {secret}");
    let post = head("POST /v1.0/project-a/backups") + "\r\nContent-Type: application/json";
    let archive = head(&format!("GET /v1.0/project-a/backups/{}/archive", id_of(&backup)));
    let body = "x".repeat(60_000);
    for request in [
        format!("{post}\r\nContent-Length: 65536\r\n\r\n{body}"),
        format!("{post}\r\nContent-Length: 1048576\r\n\r\n{body}"),
        format!("{post}\r\nTransfer-Encoding: chunked\r\n\r\nea60\r\n{body}"),
        format!("{post}\r\nContent-Length: 60001\r\n\r\n[{}", "[],".repeat(20_000)),
        format!("{}\r\nX-Long: {body}{body}", head("GET /healthcheck")),
        format!("{archive}\r\n\r\n"),
    ] {
        let crowd = crowd(&server, 150, &request);
        let bob = server.client_of("bob");
        wait_until("another's create", || {
            let body =
                br#"{"backup": {"name": "n", "instance": "deadbeef-0000-4000-8000-00000000dead"}}"#;
            bob.try_send("POST", "backups", Some(body)).ok().filter(|it| it.status == 404)
        });
        drop(crowd);
    }
    let grown = server.peak_rss_bytes().saturating_sub(before);
    assert!(grown < 40 << 20, "{} MiB more", grown >> 20);
    assert_eq!(server.anonymous().get("/healthcheck").status, 200);
}

#[test]
fn requests_that_wait_behind_unread_answers_take_little_memory() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(&folder).start();
    let before = server.peak_rss_bytes();
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
    // More than the network takes of answers that nobody reads, and small requests behind them.
    let requests = get("/openapi.json").repeat(30) + &get("/v3").repeat(230);
    let crowd = crowd(&server, 120, &requests);
    for stream in &crowd {
        stream.peek(&mut [0]).unwrap();
    }
    assert_eq!(server.anonymous().get("/healthcheck").status, 200);
    let grown = server.peak_rss_bytes().saturating_sub(before);
    assert!(grown < 40 << 20, "{} MiB more", grown >> 20);
}
