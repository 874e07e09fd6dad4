//! Backups that fail, by the server, its tool or the disk: each says why, and leaves neither a process nor a
//! file.

use std::path::Path;

use serde_json::json;

use super::connections::create_user;
use super::server::{RedisServer, tools_replacing};
use super::{coffer, open_accounts, with_source};
use crate::support::{Builder, Disk, TestServer, id_of, names_in, write_file};

/// Coffer whose backups fail and log warnings.
fn failing_coffer(builder: Builder) -> TestServer {
    let builder = builder.allow_warning(" failed").allow_warning("found damage");
    builder.allow_warning("would fail now").start()
}

/// No tool runs for this server, and `tmp/` is empty.
#[track_caller]
fn assert_nothing_is_left(server: &TestServer, redis: &RedisServer) {
    let socket = redis.socket().display().to_string();
    let mut lines = names_in(Path::new("/proc")).into_iter().map(|process| {
        let line = std::fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).into_owned()
    });
    assert_eq!(lines.find(|line| line.contains(&socket) && line.contains("--rdb")), None);
    server.assert_tmp_is_empty();
}

/// The backup with this `source` fails with this code and these words.
#[track_caller]
fn fails(redis: &RedisServer, source: &str, expected: (&str, &str)) {
    let server = failing_coffer(with_source(source, "quick"));
    let (code, message) = server.admin().failed("cache");
    assert_eq!(code, expected.0, "{message}");
    assert!(message.contains(expected.1), "{message}");
    assert_nothing_is_left(&server, redis);
}

#[test]
fn refused_and_failed_connections_are_reported_with_what_to_do() {
    let redis = RedisServer::start();
    let socket = redis.socket();
    create_user(&redis);
    let mut connection = redis.connect();
    connection.run(&["ACL", "SETUSER", "curious", "on", ">pw", "+info"]);
    let wrong = redis.folder().join("wrong");
    write_file(&wrong, "pw");
    for (user, code, words) in [
        ("coffer", "source_denied", "password_file"),
        ("curious", "source_denied", "ACL SETUSER curious on '>PASSWORD' +ping +info +sync"),
    ] {
        let source =
            format!("{{ socket = {socket:?}, user = {user:?}, password_file = {wrong:?} }}");
        fails(&redis, &source, (code, words));
    }
    connection.run(&["CONFIG", "SET", "requirepass", "something"]);
    fails(&redis, &format!("{{ socket = {socket:?} }}"), ("source_denied", "source.password_file"));
    let gone = "{ socket = \"/nowhere/redis.sock\" }";
    fails(&redis, gone, ("source_missing", "start the server"));
}

#[test]
fn a_tool_older_than_its_server_is_reported_before_the_first_backup() {
    let redis = RedisServer::start();
    let tools = tools_replacing("redis-check-rdb", "echo redis-check-rdb 6.0.16");
    let source = format!("{{ socket = {:?}, tools = {:?} }}", redis.socket(), tools.path());
    fails(&redis, &source, ("tool", "apt install redis-tools"));
    let server = failing_coffer(with_source(&source, "quick"));
    let doctor = server.run(&["doctor"]);
    let said = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(!doctor.status.success() && said.contains("apt install redis-tools"), "{said}");
}

/// A `redis-cli` whose snapshot is changed by `filter`, and nothing else.
fn filtered(filter: &str) -> tempfile::TempDir {
    let real = "/usr/bin/redis-cli \"$@\"";
    tools_replacing(
        "redis-cli",
        &format!("case \"$*\" in *--rdb*) {real} {filter};; *) exec {real};; esac"),
    )
}

#[test]
fn a_killed_tool_or_cut_stream_fails_the_backup_and_leaves_no_files() {
    let redis = RedisServer::start();
    open_accounts(&mut redis.connect());
    for (filter, words) in [
        ("; echo last words >&2; kill -9 $$", "last words"),
        ("| head -c 200", "incomplete snapshot"),
        ("; sh -c 'sleep 600; true' --rdb \"$2\" & exit 4", "exit status: 4"),
    ] {
        let tools = filtered(filter);
        let source = format!("{{ socket = {:?}, tools = {:?} }}", redis.socket(), tools.path());
        fails(&redis, &source, ("tool", words));
    }
}

#[test]
fn a_snapshot_that_does_not_fit_on_the_disk_fails_the_backup_and_leaves_no_files() {
    let redis = RedisServer::start();
    let mut noise = vec![0_u8; 24 << 20];
    getrandom::fill(&mut noise).unwrap();
    redis.connect().run(&[&b"SET"[..], b"noise", &noise]);
    let disk = Disk::mounted(16);
    let server =
        coffer(&redis).data_dir(&disk.path().join("data")).setting("storage.headroom_mib", "1");
    let server = failing_coffer(server);
    let (code, message) = server.admin().failed("cache");
    assert_eq!(code, "disk_full", "{message}");
    assert!(message.contains("make room"), "{message}");
    assert_nothing_is_left(&server, &redis);
}

#[test]
fn a_drill_of_a_damaged_snapshot_fails_with_the_reason() {
    let redis = RedisServer::start();
    redis.connect().run(&["SET", "key", "a value to be damaged"]);
    let tools = filtered("| LC_ALL=C sed s/damaged/famaged/");
    let source = format!("{{ socket = {:?}, tools = {:?} }}", redis.socket(), tools.path());
    fails(&redis, &source, ("source_damaged", "RDB CRC error"));
    let server = failing_coffer(with_source(&source, "off"));
    let client = server.admin();
    let backup = client.full("cache");
    client.ask_for_drill(id_of(&backup));
    let row = client.drilled(id_of(&backup));
    let drill = &row["drill"];
    assert_eq!(
        (&drill["status"], &drill["failure"]["code"]),
        (&json!("damaged"), &json!("archive_damaged"))
    );
    let message = drill["failure"]["message"].as_str().unwrap();
    assert!(message.contains("RDB CRC error"), "{message}");
}

#[test]
fn the_settings_of_a_server_are_no_part_of_a_snapshot_and_a_sentinel_has_none() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("redis.conf");
    write_file(&file, "user keeper on nopass +ping\n");
    let redis = RedisServer::with(&[file.to_str().unwrap()]);
    let watching = folder.path().join("sentinel.conf");
    write_file(&watching, "sentinel resolve-hostnames no\n");
    let sentinel = RedisServer::with(&[watching.to_str().unwrap(), "--sentinel"]);
    let server = coffer(&redis)
        .instance_of("watch", "redis", &format!("{{ socket = {:?} }}", sentinel.socket()), "quick")
        .allow_warning("would fail now")
        .allow_warning(" failed")
        .start();
    let doctor = server.run(&["doctor"]);
    let text = String::from_utf8_lossy(&doctor.stdout).into_owned();
    let what = format!("the server's settings and users ({})", file.display());
    assert!(text.contains(&format!("left out: {what}")), "{text}");
    assert!(text.contains("is a Sentinel, which holds no data"), "{text}");
    let left_out = &server.admin().full("cache")["left_out"];
    assert_eq!(left_out[0]["what"], what);
    assert_eq!(left_out[1]["what"], "the users keeper");
    assert!(text.contains("left out: the users keeper"), "{text}");
    assert_eq!(server.admin().failed("watch").0, "source_invalid");
}
