//! Real Redis servers, backed up through the API while they are written to, and restored: every archive is
//! consistent and complete.

mod connections;
mod drills;
mod failures;
use crate::servers::redis as server;

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::support::{Builder, TestServer, id_of, names_in, run_script, wait_until};
use server::{Connection, RedisServer, Reply};

const ACCOUNTS: i64 = 50;
const TOTAL: i64 = ACCOUNTS * 1000;

/// Coffer with this server as its instance `cache`, by its socket.
fn coffer(redis: &RedisServer) -> Builder {
    with_source(&format!("{{ socket = {:?} }}", redis.socket()), "quick")
}

fn with_source(source: &str, check: &str) -> Builder {
    TestServer::builder().instance_of("cache", "redis", source, check)
}

fn open_accounts(connection: &mut Connection) {
    for number in 0..ACCOUNTS {
        connection.run(&["SET", &format!("account:{number}"), "1000"]);
    }
    connection.run(&["SET", "transfers", "0"]);
}

/// Moves a coin from one account to another, and writes another key.
fn transfer(connection: &mut Connection, round: i64) {
    let (giver, taker) = (round * 7 % ACCOUNTS, (round * 13 + 1) % ACCOUNTS);
    for command in [
        vec!["MULTI".to_owned()],
        vec!["DECR".to_owned(), format!("account:{giver}")],
        vec!["SET".to_owned(), format!("noise:{}", round % 500), "n".repeat(200)],
        vec!["INCR".to_owned(), format!("account:{taker}")],
        vec!["INCR".to_owned(), "transfers".to_owned()],
        vec!["EXEC".to_owned()],
    ] {
        connection.send(&command);
    }
    for _ in 0..6 {
        assert!(!matches!(connection.receive(), Reply::Error(_)));
    }
}

fn transfers(redis: &RedisServer) -> i64 {
    redis.connect().run(&["GET", "transfers"]).number()
}

#[test]
fn under_load_every_backup_of_a_chain_is_consistent() {
    let redis = RedisServer::start();
    open_accounts(&mut redis.connect());
    let server = coffer(&redis).start();
    let client = server.admin();
    let stop = AtomicBool::new(false);
    let taken = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut connection = redis.connect();
            for round in 0.. {
                transfer(&mut connection, round);
                if stop.load(Ordering::Relaxed) {
                    break;
                }
            }
        });
        let mut taken = Vec::new();
        for number in 0..4 {
            let before = transfers(&redis);
            wait_until("a transfer", || (transfers(&redis) > before + 20).then_some(()));
            let before = transfers(&redis);
            let backup =
                if number == 0 { client.full("cache") } else { client.incremental("cache") };
            taken.push((backup, before, transfers(&redis)));
        }
        stop.store(true, Ordering::Relaxed);
        writer.join().unwrap();
        taken
    });
    for (number, (backup, before, after)) in taken.iter().enumerate() {
        assert_eq!(backup["kind"], if number == 0 { "full" } else { "incremental" });
        assert!(after > before, "nothing was written during the backup");
        let again = RedisServer::on(&server.restored(backup));
        let mut connection = again.connect();
        let names = (0..ACCOUNTS).map(|it| format!("account:{it}"));
        let total: i64 = names.map(|it| connection.run(&["GET", &it]).number()).sum();
        assert_eq!(total, TOTAL, "backup {number}");
        assert!((*before..=*after).contains(&transfers(&again)), "backup {number}");
    }
}

/// Values of every type, with times to live, in two databases, and a function.
fn fill_with_every_type(connection: &mut Connection) {
    let lines = "SET text plain
        SET brief 1 PX 86400000
        SET counted 12345
        APPEND grown abc
        SETBIT bits 4097 1
        PFADD visitors a b c d e f
        GEOADD places 13.361389 38.115556 Palermo 15.087269 37.502669 Catania
        RPUSH list a b c 4 5
        SADD numbers 1 2 3
        SADD words one two three
        HSET hash field value other 2
        ZADD scores 1.5 a 2.5 b inf c
        XADD stream 1-1 temperature 20
        XADD stream 2-1 temperature 21
        XGROUP CREATE stream readers 0
        XREADGROUP GROUP readers alice COUNT 1 STREAMS stream >
        SELECT 7
        SET text of-the-other-database EX 86400
        SELECT 0";
    for line in lines.lines() {
        connection.run(&line.split_whitespace().collect::<Vec<_>>());
    }
    connection.run(&[&b"SET"[..], b"bytes \xff\0\r\n", b"\0\x01\xfe'\""]);
    for number in 0..2000 {
        let name = format!("member:{number}");
        connection.run(&["HSET", "large hash", &name, &number.to_string()]);
        connection.run(&["ZADD", "large scores", &number.to_string(), &name]);
    }
    let library = "#!lua name=shop\nredis.register_function('total', function() return 42 end)";
    connection.run(&["FUNCTION", "LOAD", library]);
}

#[test]
fn values_of_every_type_restore_exactly() {
    let redis = RedisServer::start();
    fill_with_every_type(&mut redis.connect());
    let before = redis.connect().contents();
    assert_eq!(before.len(), 18, "the contents are incomplete");
    let server = coffer(&redis).start();
    let client = server.admin();
    let full = client.full("cache");
    assert_eq!(full["verify_level"], "checked", "{full:#}");
    assert_eq!(full["datastore"]["type"], "redis");
    let unchanged = client.incremental("cache");
    redis.connect().run(&["SET", "later", "1"]);
    let after = redis.connect().contents();
    let changed = client.incremental("cache");
    for (backup, expected) in [(&full, &before), (&unchanged, &before), (&changed, &after)] {
        let again = RedisServer::on(&server.restored(backup));
        assert!(&again.connect().contents() == expected, "{backup:#}");
        assert_eq!(again.connect().run(&["FCALL", "total", "0"]), Reply::Number(42));
    }

    client.ask_for_drill(id_of(&changed));
    let row = client.drilled(id_of(&changed));
    assert_eq!(
        (&row["drill"]["status"], &row["verify_level"]),
        (&json!("passed"), &json!("restored"))
    );
    let rows = json!({"db0": after.len() - 2, "db7": 1, "functions": 1});
    assert_eq!(row["drill"]["rows_by_table"], rows, "{row:#}");
}

#[test]
fn a_restore_through_the_api_and_one_by_hand_can_be_started() {
    let redis = RedisServer::start();
    fill_with_every_type(&mut redis.connect());
    let expected = redis.connect().contents();
    let server = coffer(&redis).start();
    let client = server.admin();
    let full = client.full("cache");
    let folder = client.restored_instance(&full);
    assert_eq!(names_in(&folder), ["dump.rdb"]);
    assert!(RedisServer::on(&folder).connect().contents() == expected);

    let id = full["id"].as_str().unwrap();
    let here = server.run(&["restore", id, "--to", folder.to_str().unwrap()]);
    assert!(!here.status.success(), "a folder that is not empty was restored over");
    by_hand(&full, &expected);
}

/// Unpacks an archive and starts a server by the commands in it.
fn by_hand(full: &Value, expected: &[String]) {
    let archive = Path::new(full["locationRef"].as_str().unwrap().strip_prefix("file://").unwrap());
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join(archive.file_name().unwrap());
    std::fs::copy(archive, &copy).unwrap();
    let words = format!("zstd -dc '{}' | tar -xOf - .coffer/RESTORE.txt", copy.display());
    let words = run_script(&words, folder.path());
    let commands: Vec<&str> = words
        .lines()
        .filter_map(|line| line.strip_prefix("    "))
        .map(|line| line.strip_prefix("#   ").unwrap_or(line))
        .collect();
    // The commands after the server's start would change this machine.
    let at = commands.iter().position(|it| it.starts_with("redis-server")).unwrap();
    let unpack = commands[..at].join("\n");
    assert!(unpack.contains("tar") && unpack.contains("redis-check-rdb"), "{words}");
    run_script(&unpack, folder.path());
    let serve = commands[at];
    let serve = serve.replace("--port 6380", "--port 0 --unixsocket by-hand");
    let mut child = Command::new("bash");
    let child = child.args(["-c", &format!("exec {serve}")]).current_dir(folder.path());
    let mut child = child.stdout(Stdio::null()).spawn().unwrap();
    let socket = folder.path().join("restored/data/by-hand");
    let stream = wait_until("the server", || UnixStream::connect(&socket).ok());
    let mut connection = Connection::over(stream);
    wait_until("the data", || {
        connection.ask(&["PING"]).eq(&Reply::Bytes(b"PONG".to_vec())).then_some(())
    });
    let found = connection.contents();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(found == expected, "other contents were restored");
}
