//! Servers that are killed while they are backed up. At whatever moment, and whatever their tools then say, the failure
//! says that the server was gone.

use std::time::Duration;

use serde_json::json;

use crate::servers::mariadb::MariaDb;
use crate::servers::postgres::Postgres;
use crate::servers::redis::{RedisServer, tools_replacing};
use crate::support::{TestServer, id_of, wait_until, write_file};

/// When a server is killed: so many milliseconds after its backup was asked for.
const MOMENTS: [u64; 4] = [0, 60, 200, 600];

/// Coffer with a server as its instance, whose backup takes longer than all moments.
fn coffer(engine: &str, source: &str) -> TestServer {
    TestServer::builder()
        .instance_of("shop", engine, source, "quick")
        .allow_warning(" failed: ")
        // The check at the start may still run when its server is killed.
        .allow_warning("would fail now")
        .start()
}

/// Kills a server at each moment, and starts it again.
fn assert_failures_name_the_server<S>(
    coffer: &TestServer,
    server: &mut S,
    kill: impl Fn(&mut S),
    start: impl Fn(&mut S),
) {
    let client = coffer.admin();
    for moment in MOMENTS {
        let made = client.create_backup("shop", &json!({})).with_status(202).json();
        std::thread::park_timeout(Duration::from_millis(moment));
        kill(server);
        let row = client.wait_for(id_of(&made["backup"]), &["COMPLETED", "FAILED"]);
        assert_eq!(row["failure"]["code"], "source_missing", "after {moment} ms: {row:#}");
        coffer.assert_tmp_is_empty();
        start(server);
    }
}

#[test]
fn a_backup_of_mariadb_whose_server_is_killed_says_so() {
    let mut server = MariaDb::start();
    server.sql(
        "CREATE DATABASE shop; USE shop; CREATE TABLE a(id INT PRIMARY KEY, data VARBINARY(1000));
         INSERT INTO a SELECT seq, RANDOM_BYTES(1000) FROM seq_1_to_30000",
    );
    let slowly = "user = \"root\", extra_args = [\"--throttle=1\"]";
    let coffer = coffer("mariadb", &format!("{{ socket = {:?}, {slowly} }}", server.socket()));
    assert_failures_name_the_server(&coffer, &mut server, MariaDb::kill, MariaDb::restart);
}

#[test]
fn a_backup_of_postgresql_whose_server_is_killed_says_so() {
    let mut server = Postgres::new();
    let slowly = "user = \"postgres\", extra_args = [\"--max-rate=2M\"]";
    let coffer = coffer("postgresql", &format!("{{ socket = {:?}, {slowly} }}", server.folder()));
    assert_failures_name_the_server(&coffer, &mut server, Postgres::crash, Postgres::start);
}

/// A server that sends its snapshot slowly.
fn slow_redis() -> RedisServer {
    let redis = RedisServer::with(&["--rdb-key-save-delay", "100000"]);
    fill(&redis);
    redis
}

fn fill(redis: &RedisServer) {
    let mut connection = redis.connect();
    for number in 0..50 {
        let mut noise = vec![0_u8; 200_000];
        getrandom::fill(&mut noise).unwrap();
        connection.run(&[b"SET".as_slice(), format!("noise:{number}").as_bytes(), &noise]);
    }
}

#[test]
fn a_backup_of_redis_whose_server_is_killed_says_so() {
    let mut redis = slow_redis();
    let coffer = coffer("redis", &format!("{{ socket = {:?} }}", redis.socket()));
    let start = |redis: &mut RedisServer| {
        redis.restart();
        fill(redis);
    };
    assert_failures_name_the_server(&coffer, &mut redis, RedisServer::kill, start);
}

#[test]
fn a_backup_whose_server_was_killed_and_runs_again_says_so() {
    let mut redis = slow_redis();
    let go = redis.folder().join("go");
    // Says how it ended once the server runs again.
    let real = "/usr/bin/redis-cli \"$@\"";
    let tools = tools_replacing(
        "redis-cli",
        &format!(
            "case \"$*\" in *--rdb*) ;; *) exec {real};; esac\n\
             {real}; code=$?; while [ ! -e {go:?} ]; do sleep 0.05; done; exit $code"
        ),
    );
    let source = format!("{{ socket = {:?}, tools = {:?} }}", redis.socket(), tools.path());
    let coffer = coffer("redis", &source);
    let client = coffer.admin();
    let made = client.create_backup("shop", &json!({})).with_status(202).json();
    wait_until("the snapshot to be on its way", || {
        let stats = redis.connect().run(&["INFO", "stats"]).text();
        let line = stats.lines().find_map(|it| it.strip_prefix("total_net_repl_output_bytes:"));
        (line.unwrap().trim().parse::<u64>().unwrap() > 1_000_000).then_some(())
    });
    redis.kill();
    redis.restart();
    write_file(&go, "");
    let row = client.wait_for(id_of(&made["backup"]), &["COMPLETED", "FAILED"]);
    assert_eq!(row["failure"]["code"], "source_missing", "{row:#}");
    let message = row["failure"]["message"].as_str().unwrap();
    assert!(message.contains("was started again"), "{message}");
    assert!(message.contains("Error reading RDB payload"), "{message}");
}
