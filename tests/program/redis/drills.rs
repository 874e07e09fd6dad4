//! Drills whose verdict is about the data alone, and what a snapshot does not hold.

use serde_json::{Value, json};

use super::connections::create_user;
use super::server::{RedisServer, tools_replacing};
use super::{by_hand, coffer, with_source};
use crate::support::{id_of, wait_until};

fn free_port() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port().to_string()
}

#[test]
fn a_server_with_many_databases_is_drilled_and_its_printed_commands_work() {
    let redis = RedisServer::with(&["--databases", "64"]);
    let mut connection = redis.connect();
    connection.run(&["SET", "a", "1"]);
    for database in ["40", "63"] {
        connection.run(&["SELECT", database]);
        connection.run(&["SET", "b", "2"]);
    }
    let server = coffer(&redis).start();
    let client = server.admin();
    let full = client.full("cache");
    client.ask_for_drill(id_of(&full));
    let row = client.drilled(id_of(&full));
    assert_eq!(row["drill"]["status"], "passed", "{:#}", row["drill"]);
    assert_eq!(
        row["drill"]["rows_by_table"],
        json!({"db0": 1, "db40": 1, "db63": 1, "functions": 0})
    );
    by_hand(&full, &redis.connect().contents());
}

#[test]
fn a_drill_of_a_replica_speaks_to_no_master() {
    let master = RedisServer::at_a_port(&[]);
    let port = master.port().to_string();
    let replica = RedisServer::with(&["--replicaof", &format!("127.0.0.1 {port}")]);
    master.connect().run(&["SET", "a", "1"]);
    wait_until("the replica to follow", || {
        (replica.connect().run(&["DBSIZE"]).number() == 1).then_some(())
    });
    let server = coffer(&replica).start();
    let client = server.admin();
    let full = client.full("cache");
    let mut connection = master.connect();
    let mut visitors = || {
        let stats = connection.run(&["INFO", "stats"]).text();
        let line = stats.lines().find_map(|it| it.strip_prefix("total_connections_received:"));
        line.unwrap().trim().to_owned()
    };
    let before = visitors();
    client.ask_for_drill(id_of(&full));
    let row = client.drilled(id_of(&full));
    assert_eq!(row["drill"]["status"], "passed", "{:#}", row["drill"]);
    assert_eq!(visitors(), before);
}

#[test]
fn a_drill_whose_server_is_killed_shows_no_damage() {
    let redis = RedisServer::start();
    redis.connect().run(&["SET", "a", "1"]);
    for script in [
        "echo Short read or OOM loading DB >&2; kill -9 $$",
        "echo 'Failed opening Unix socket'; exit 1",
    ] {
        let version = "case \"$1\" in --version) exec /usr/bin/redis-server --version;; esac";
        let tools = tools_replacing("redis-server", &format!("{version}; {script}"));
        let source = format!("{{ socket = {:?}, tools = {:?} }}", redis.socket(), tools.path());
        let server = with_source(&source, "quick").allow_warning("").start();
        let client = server.admin();
        let full = client.full("cache");
        client.ask_for_drill(id_of(&full));
        let row = client.drilled(id_of(&full));
        assert_eq!(row["drill"]["failure"]["code"], "tool", "{:#}", row["drill"]);
        server.restored(&full);
        assert_eq!(client.incremental("cache")["kind"], "incremental");
    }
}

#[test]
fn one_node_of_a_cluster_names_the_slots_it_does_not_have() {
    let redis = RedisServer::at_a_port(&[
        "--cluster-enabled",
        "yes",
        "--cluster-port",
        &free_port(),
        "--cluster-require-full-coverage",
        "no",
    ]);
    redis.connect().run(&["CLUSTER", "ADDSLOTSRANGE", "0", "8191"]);
    let password = create_user(&redis);
    let by_user = format!(
        "{{ socket = {:?}, user = \"coffer\", password_file = {password:?} }}",
        redis.socket()
    );
    for (builder, words) in [
        (coffer(&redis), "the keys of the cluster's slots 8192-16383"),
        (with_source(&by_user, "quick"), "the keys of the cluster's other nodes"),
    ] {
        let server = builder.start();
        let full: Value = server.admin().full("cache");
        assert_eq!(full["left_out"][0]["what"], words);
        let doctor = server.run(&["doctor"]);
        let text = String::from_utf8_lossy(&doctor.stdout).into_owned();
        assert!(text.contains(words), "{text}");
    }
}

#[test]
fn a_server_without_sync_is_found_before_the_first_backup() {
    for renamed in ["", "hidden-sync"] {
        let redis = RedisServer::with(&["--rename-command", "SYNC", renamed]);
        let server = coffer(&redis).allow_warning("").start();
        let doctor = server.run(&["doctor"]);
        let text = String::from_utf8_lossy(&doctor.stdout).into_owned();
        assert!(!doctor.status.success() && text.contains("rename-command"), "{text}");
        let (code, message) = server.admin().failed("cache");
        assert_eq!(code, "source_invalid", "{message}");
        assert!(message.contains("rename-command"), "{message}");
    }
}
