//! Drills of servers whose own data would mislead them: a drill reaches no other server, waits for nothing, and its
//! verdict is about the data alone.

use std::fs::Permissions;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};

use serde_json::{Value, json};

use super::fixture::{NAME, coffer_for, source};
use super::postgres::{Postgres, Setup, give_to_server};
use crate::support::{TestServer, id_of, wait_until};

/// The row of a full backup of this server once it was drilled.
#[track_caller]
fn drilled(server: &Postgres) -> (TestServer, Value) {
    let coffer =
        TestServer::builder().drilled_instance(NAME, "postgresql", &source(server, "")).start();
    let client = coffer.admin();
    let row = client.drilled(id_of(&client.full(NAME)));
    (coffer, row)
}

#[track_caller]
fn assert_passed(row: &Value) {
    assert_eq!(row["drill"]["status"], "passed", "{:#}", row["drill"]);
    assert_eq!(row["verify_level"], "restored");
}

/// How many connections over TCP the server has logged.
fn visitors(server: &Postgres) -> usize {
    server.log().matches("connection received: host=127.0.0.1").count()
}

#[test]
fn a_drill_of_a_subscriber_speaks_to_no_publisher() {
    let publisher = Postgres::with(&Setup {
        hba: "local all all trust\nhost all all 127.0.0.1/32 trust\n".to_owned(),
        settings: "wal_level = logical\nlog_connections = on\nmax_replication_slots = 30\n\
            max_wal_senders = 30\n"
            .to_owned(),
        tcp: true,
        ..Setup::default()
    });
    publisher
        .sql("postgres", "CREATE TABLE o(id int PRIMARY KEY); CREATE PUBLICATION p FOR TABLE o");
    // More of them than a server has room for by default.
    let mut subscriber = Postgres::with(&Setup {
        settings: "max_replication_slots = 30\nmax_logical_replication_workers = 30\n\
            max_worker_processes = 40\n"
            .to_owned(),
        ..Setup::default()
    });
    subscriber.sql("postgres", "CREATE TABLE o(id int PRIMARY KEY)");
    let connection =
        format!("host=127.0.0.1 port={} user=postgres dbname=postgres", publisher.port());
    for number in 0..12 {
        subscriber.sql(
            "postgres",
            &format!(
                "CREATE SUBSCRIPTION s{number} CONNECTION '{connection}' PUBLICATION p WITH (copy_data = false)"
            ),
        );
    }
    let active = "SELECT count(*) FROM pg_replication_slots WHERE active";
    wait_until("the subscriptions", || (publisher.sql("postgres", active) == "12\n").then_some(()));
    let coffer = coffer_for(&subscriber, "").start();
    let client = coffer.admin();
    let full = client.full(NAME);
    subscriber.stop();
    publisher.sql("postgres", "INSERT INTO o SELECT generate_series(1, 100)");
    let slots =
        "SELECT slot_name, confirmed_flush_lsn, active FROM pg_replication_slots ORDER BY 1";
    let before = (publisher.sql("postgres", slots), visitors(&publisher));
    client.ask_for_drill(id_of(&full));
    assert_passed(&client.drilled(id_of(&full)));
    assert_eq!((publisher.sql("postgres", slots), visitors(&publisher)), before);
    // What came meanwhile is still there for the subscriber.
    subscriber.start();
    let rows = "SELECT count(*) FROM o";
    wait_until("the rows", || (subscriber.sql("postgres", rows) == "100\n").then_some(()));
}

#[test]
fn triggers_settings_and_open_transactions_do_not_decide_a_verdict() {
    let server = Postgres::with(&Setup {
        settings: "max_prepared_transactions = 20\n".to_owned(),
        ..Setup::default()
    });
    server.sql(
        "postgres",
        "CREATE ROLE tenant; CREATE DATABASE shop; CREATE DATABASE latin ENCODING LATIN1 LOCALE 'C'
            TEMPLATE template0;",
    );
    server.sql("latin", "SET client_encoding = 'UTF8'; CREATE TABLE \"größe\"(x int)");
    server.sql(
        "shop",
        "CREATE SCHEMA evil; CREATE TABLE evil.pg_class(x int);
         CREATE TABLE item(id int PRIMARY KEY, t text);
         INSERT INTO item SELECT n, md5(n::text) FROM generate_series(1, 1000) n;
         CREATE TABLE busy(id int PRIMARY KEY); INSERT INTO busy VALUES (1);
         CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql
            AS $$ BEGIN RAISE EXCEPTION 'changes only by the release process'; END $$;
         CREATE EVENT TRIGGER guard ON ddl_command_start EXECUTE FUNCTION refuse();
         ALTER EVENT TRIGGER guard ENABLE ALWAYS;
         BEGIN; INSERT INTO item VALUES (5001, 'prepared'); PREPARE TRANSACTION 'insert';
         BEGIN; LOCK TABLE busy IN ACCESS EXCLUSIVE MODE; PREPARE TRANSACTION 'it''s a lock';
         ALTER DATABASE shop SET search_path = evil, pg_catalog;
         ALTER DATABASE shop SET role = tenant;
         ALTER DATABASE shop SET default_transaction_read_only = on;
         ALTER DATABASE shop SET client_encoding = 'LATIN1';
         ALTER DATABASE shop SET statement_timeout = 1;
         ALTER ROLE postgres SET lock_timeout = 1;
         ALTER ROLE postgres IN DATABASE shop SET enable_seqscan = off;",
    );
    let (_coffer, row) = drilled(&server);
    assert_passed(&row);
    let rows = &row["drill"]["rows_by_table"];
    assert_eq!((&rows["shop.public.item"], &rows["shop.public.busy"]), (&json!(1000), &json!(1)));
    assert_eq!(rows["latin.public.größe"], 0, "{rows:#}");
}

#[test]
fn a_drill_gets_in_where_the_data_lets_nobody_in() {
    let server = Postgres::with(&Setup {
        settings: "min_wal_size = 320MB\n".to_owned(),
        wal_segment_mib: Some(64),
        ..Setup::default()
    });
    server.sql(
        "postgres",
        "CREATE TABLE item AS SELECT generate_series(1, 10) AS n; CREATE DATABASE shut;
         CREATE ROLE deputy SUPERUSER LOGIN; ALTER DATABASE template1 ALLOW_CONNECTIONS false;",
    );
    server.sql("shut", "CREATE TABLE old AS SELECT generate_series(1, 5) AS n");
    server.sql(
        "postgres",
        "ALTER DATABASE shut ALLOW_CONNECTIONS false; ALTER ROLE postgres NOLOGIN;",
    );
    let coffer = TestServer::builder()
        .drilled_instance(NAME, "postgresql", &source(&server, "user = \"deputy\""))
        .start();
    let client = coffer.admin();
    let row = client.drilled(id_of(&client.full(NAME)));
    assert_passed(&row);
    let expected = json!({"postgres.public.item": 10, "shut.public.old": 5});
    assert_eq!(row["drill"]["rows_by_table"], expected);
}

#[test]
fn an_index_that_cannot_be_checked_is_named_and_not_called_damaged() {
    let server = Postgres::new();
    server.sql(
        "postgres",
        "CREATE TABLE rate(x int); CREATE TABLE item(id int PRIMARY KEY, t text);
         INSERT INTO item SELECT n, n::text FROM generate_series(1, 100) n;
         CREATE FUNCTION moody(text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN
            IF current_setting('application_name') = 'coffer' THEN RAISE EXCEPTION 'not today'; END IF;
            RETURN $1; END $$;
         CREATE INDEX by_mood ON item(moody(t));",
    );
    let (_coffer, row) = drilled(&server);
    assert_passed(&row);
    let check = row["drill"]["check"].as_str().unwrap();
    assert!(check.contains("by_mood") && check.contains("not today"), "{check}");
}

#[test]
fn an_index_in_another_order_is_damage_only_if_the_collation_is_the_same() {
    let server = Postgres::new();
    server.sql(
        "postgres",
        "CREATE TABLE item(t text COLLATE \"C\"); CREATE INDEX sorted ON item(t);
         INSERT INTO item SELECT chr(97 + n % 26) || n FROM generate_series(1, 500) n;
         INSERT INTO item SELECT chr(65 + n % 26) || n FROM generate_series(1, 500) n;
         UPDATE pg_index SET indcollation = (SELECT oid::text FROM pg_collation
            WHERE collname = 'de-x-icu')::oidvector WHERE indexrelid = 'sorted'::regclass;",
    );
    let coffer = TestServer::builder()
        .drilled_instance(NAME, "postgresql", &source(&server, ""))
        .allow_warning("")
        .start();
    let client = coffer.admin();
    for (version, code) in [(None, "archive_damaged"), (Some("1.1"), "tool")] {
        if let Some(version) = version {
            let older = format!(
                "UPDATE pg_collation SET collversion = '{version}' WHERE collname = 'de-x-icu'"
            );
            server.sql("postgres", &older);
        }
        let row = client.drilled(id_of(&client.full(NAME)));
        let failure = &row["drill"]["failure"];
        assert_eq!(failure["code"], code, "{failure:#}");
        assert!(failure["message"].as_str().unwrap().contains("sorted"), "{failure:#}");
    }
}

#[test]
fn a_drill_of_a_standby_speaks_to_no_primary_and_runs_no_command_of_its_configuration() {
    let primary = Postgres::with(&Setup {
        hba: "local all all trust\nlocal replication all trust\nhost replication all 127.0.0.1/32 trust\n"
            .to_owned(),
        settings: "log_connections = on\n".to_owned(),
        tcp: true,
        ..Setup::default()
    });
    let home = tempfile::tempdir().unwrap();
    std::fs::set_permissions(home.path(), Permissions::from_mode(0o755)).unwrap();
    let data = home.path().join("standby/data");
    let from = format!("host=127.0.0.1 port={} user=postgres", primary.port());
    let data_text = data.to_str().unwrap();
    let arguments = ["-R", "-C", "-S", "own", "-c", "fast", "-d", &from, "-D", data_text];
    primary.run("pg_basebackup", &arguments);
    // Each command leaves a line.
    let commands = home.path().join("commands");
    std::fs::create_dir(&commands).unwrap();
    give_to_server(&commands);
    let ran = commands.join("ran");
    let leave = format!("pwd >> {}", ran.display());
    let mut standby = Postgres::on_with(
        &data,
        &format!(
            "archive_mode = always\narchive_command = '{leave}'\nrestore_command = '{leave}; false'\n\
             archive_cleanup_command = '{leave}'\nrecovery_end_command = '{leave}'\n"
        ),
    );
    let active = "SELECT count(*) FROM pg_replication_slots WHERE active";
    wait_until("the standby", || (primary.sql("postgres", active) == "1\n").then_some(()));
    let coffer = coffer_for(&standby, "").start();
    let client = coffer.admin();
    let full = client.full(NAME);
    standby.stop();
    let before = (visitors(&primary), std::fs::read_to_string(&ran).unwrap());
    assert!(before.0 > 0, "the log shows no connections");
    client.ask_for_drill(id_of(&full));
    assert_passed(&client.drilled(id_of(&full)));
    assert_eq!((visitors(&primary), std::fs::read_to_string(&ran).unwrap()), before);
}

#[test]
fn a_database_that_takes_damaged_pages_for_empty_ones_hides_no_damage() {
    let mut server = Postgres::with(&Setup { checksums: false, ..Setup::default() });
    server.sql(
        "postgres",
        "CREATE TABLE item AS SELECT generate_series(1, 5000) AS n; CHECKPOINT;
         ALTER DATABASE postgres SET zero_damaged_pages = on;",
    );
    let file = server.sql("postgres", "SELECT pg_relation_filepath('item')");
    server.stop();
    let path = server.data().join(file.trim());
    let damaged = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    damaged.write_all_at(&[0xff; 64], 8192).unwrap();
    server.start();
    let coffer = TestServer::builder()
        .drilled_instance(NAME, "postgresql", &source(&server, ""))
        .instance_of("dumped", "postgresql", &source(&server, "method = \"logical\""), "quick")
        .allow_warning("")
        .start();
    let client = coffer.admin();
    let (code, message) = client.failed("dumped");
    assert_eq!(code, "source_damaged", "{message}");
    let row = client.drilled(id_of(&client.full(NAME)));
    assert_eq!(row["drill"]["failure"]["code"], "archive_damaged", "{:#}", row["drill"]);
}

/// A server on which an index and a materialized view call the server itself, by its socket, and leave a row there
/// each time.
fn server_that_is_called() -> Postgres {
    let server = Postgres::new();
    let folder = server.folder().display().to_string();
    server.sql(
        "postgres",
        &format!(
            "CREATE EXTENSION dblink; CREATE TABLE call(who text);
             CREATE FUNCTION calls(who text) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN
                PERFORM public.dblink_exec('host={folder} user=postgres dbname=postgres',
                    format('INSERT INTO public.call VALUES (%L)', who));
                RETURN 1; END $$;
             CREATE TABLE item(id int PRIMARY KEY, who text); INSERT INTO item VALUES (1, 'index');
             CREATE MATERIALIZED VIEW copied AS SELECT calls('view') AS n;"
        ),
    );
    server
}

#[test]
fn nothing_in_the_data_makes_a_drill_call_a_server_not_even_by_its_socket() {
    let server = server_that_is_called();
    let coffer = TestServer::builder()
        .instance_of("dumped", "postgresql", &source(&server, "method = \"logical\""), "quick")
        .drilled_instance(NAME, "postgresql", &source(&server, ""))
        .allow_warning("not restored: REFRESH MATERIALIZED VIEW public.copied")
        .start();
    let client = coffer.admin();
    let calls = || server.sql("postgres", "SELECT count(*) FROM call");
    let before = calls();
    assert_ne!(before, "0\n");
    // A dump has the view's question, and not its rows.
    let dumped = client.full("dumped");
    client.ask_for_drill(id_of(&dumped));
    assert_passed(&client.drilled(id_of(&dumped)));
    assert_eq!(calls(), before);
    server.sql("postgres", "CREATE INDEX by_call ON item(calls(who))");
    let before = calls();
    let row = client.drilled(id_of(&client.full(NAME)));
    assert_passed(&row);
    let check = row["drill"]["check"].as_str().unwrap();
    assert!(check.contains("by_call"), "{check}");
    assert_eq!(calls(), before);
}
