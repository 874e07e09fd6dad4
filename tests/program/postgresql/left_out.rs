//! What a backup does not hold it names; what can be had is in it.

use serde_json::Value;

use super::fixture::{NAME, coffer_for, source, start_restored};
use super::postgres::{Postgres, Setup};
use crate::support::{TestServer, archive_of, damage, id_of, stderr_of};

const LOGICAL: &str = "method = \"logical\"";

/// What a backup's row says is not in it.
fn left_out(row: &Value) -> String {
    let list = row["left_out"].as_array().unwrap();
    let lines: Vec<_> = list
        .iter()
        .map(|it| format!("{}: {}\n", it["what"].as_str().unwrap(), it["why"]))
        .collect();
    lines.concat()
}

/// Each of these queries gives the same on both servers.
#[track_caller]
fn assert_same(source: &Postgres, restored: &Postgres, queries: &[(&str, &str)]) {
    for (database, query) in queries {
        assert_eq!(restored.sql(database, query), source.sql(database, query), "{query}");
    }
}

fn doctor(coffer: &TestServer) -> String {
    let output = coffer.run(&["doctor"]);
    String::from_utf8_lossy(&output.stdout).into_owned() + &stderr_of(&output)
}

#[test]
fn templates_closed_databases_and_properties_of_every_database_are_dumped_or_named() {
    let server = Postgres::new();
    server.sql(
        "postgres",
        "CREATE ROLE app LOGIN; CREATE ROLE tenant; CREATE DATABASE pattern OWNER app;
         CREATE DATABASE shut OWNER app; CREATE DATABASE \"we'ird \"\"name\" CONNECTION LIMIT 7;
         CREATE TABLE own(id int PRIMARY KEY); INSERT INTO own VALUES (1);
         ALTER DATABASE postgres OWNER TO app; ALTER DATABASE postgres SET work_mem = '7MB';
         ALTER DATABASE postgres SET timezone = 'Asia/Tokyo'; COMMENT ON DATABASE postgres IS 'the app';
         REVOKE CONNECT ON DATABASE postgres FROM PUBLIC; GRANT CREATE ON DATABASE postgres TO tenant;
         ALTER ROLE app IN DATABASE postgres SET statement_timeout = '77s';
         COMMENT ON DATABASE template1 IS 'ours'; ALTER DATABASE template1 SET work_mem = '9MB';",
    );
    server.sql("pattern", "CREATE TABLE seed AS SELECT generate_series(1, 500) AS n");
    server.sql("template1", "CREATE TABLE everywhere(a int)");
    server.sql(
        "postgres",
        "ALTER DATABASE pattern IS_TEMPLATE true; ALTER DATABASE shut ALLOW_CONNECTIONS false;
         SELECT pg_create_physical_replication_slot('spare');",
    );
    let coffer = coffer_for(&server, LOGICAL).start();
    let text = doctor(&coffer);
    let shut = "left out: the content of database shut";
    assert!(text.contains(shut), "{text}");
    let said = format!("instance \"shop\": {shut}");
    assert!(coffer.log().wait_for(&said, 0).is_some(), "a start says it as well");
    let full = coffer.admin().full(NAME);
    let named = left_out(&full);
    assert!(named.contains("the content of database shut"), "{named}");
    assert!(
        named.contains("replication slot spare") && !named.contains("postgresql.conf"),
        "{named}"
    );
    let restored = start_restored(&coffer, &full);
    assert_same(
        &server,
        &restored,
        &[
            (
                "postgres",
                "SELECT datname, datistemplate, datallowconn, datconnlimit, datdba::regrole, datacl,
                    shobj_description(oid, 'pg_database') FROM pg_database ORDER BY 1",
            ),
            (
                "postgres",
                "SELECT datname, setrole::regrole, setconfig FROM pg_db_role_setting
                 LEFT JOIN pg_database d ON d.oid = setdatabase ORDER BY 1, 2",
            ),
            ("postgres", "SELECT count(*) FROM own"),
            ("pattern", "SELECT count(*) FROM seed"),
            ("template1", "SELECT count(*) FROM everywhere"),
        ],
    );
}

#[test]
fn a_dump_loads_whatever_its_database_sets_for_sessions() {
    let server = Postgres::new();
    server.sql(
        "postgres",
        "CREATE ROLE tenant; CREATE ROLE clerk; CREATE DATABASE shop OWNER clerk;",
    );
    server.sql(
        "shop",
        "CREATE TABLE item(id int PRIMARY KEY); INSERT INTO item SELECT generate_series(1, 9);
         ALTER DATABASE shop SET role = tenant;
         ALTER DATABASE shop SET default_transaction_read_only = on;
         CREATE SCHEMA nowhere; CREATE TABLE nowhere.pg_class(x int);
         ALTER DATABASE shop SET search_path = nowhere, pg_catalog;
         ALTER DATABASE shop SET statement_timeout = '5s';",
    );
    let fresh = Postgres::new();
    let coffer = coffer_for(&server, LOGICAL)
        .instance_of("fresh", "postgresql", &source(&fresh, LOGICAL), "quick")
        .start();
    let full = coffer.admin().full(NAME);
    let restored = start_restored(&coffer, &full);
    let output = coffer.run(&["restore", id_of(&full), "--into", "fresh"]);
    assert!(output.status.success(), "{}", stderr_of(&output));
    for target in [&restored, &fresh] {
        assert_eq!(target.sql("shop", "SET role none; SELECT count(*) FROM public.item"), "9\n");
        let kept = "SELECT setconfig FROM pg_db_role_setting";
        assert_eq!(target.sql("postgres", kept), server.sql("postgres", kept));
    }
}

#[test]
fn values_are_read_as_they_were_written_whatever_a_database_sets() {
    let server = Postgres::new();
    let space = server.tablespace_folder("fast");
    server.sql("postgres", &format!("CREATE TABLESPACE fast LOCATION '{}'", space.display()));
    server.sql(
        "postgres",
        "CREATE TABLE item(a text[], i interval);
         INSERT INTO item VALUES ('{NULL,\"NULL\"}', '-1 day +02:03');
         ALTER DATABASE postgres SET array_nulls = off; ALTER DATABASE postgres SET default_tablespace = fast;
         ALTER DATABASE postgres SET intervalstyle = sql_standard; ALTER DATABASE postgres SET datestyle = 'SQL, DMY';",
    );
    let coffer = coffer_for(&server, LOGICAL).start();
    let restored = start_restored(&coffer, &coffer.admin().full(NAME));
    let values = [("postgres", "SELECT a[1] IS NULL, a[2] IS NULL, i FROM item")];
    assert_same(&server, &restored, &values);
}

#[test]
fn a_role_that_becomes_another_reads_as_that() {
    let server = Postgres::new();
    server.sql(
        "postgres",
        "CREATE ROLE owner; CREATE ROLE coffer LOGIN NOINHERIT IN ROLE owner; ALTER ROLE coffer SET role = owner;
         GRANT CREATE ON SCHEMA public TO owner; SET ROLE owner; CREATE TABLE item(id int);",
    );
    let more = "user = \"coffer\", method = \"logical\", databases = [\"postgres\"]";
    let coffer = coffer_for(&server, more).start();
    coffer.admin().full(NAME);
}

#[test]
fn an_index_that_failed_and_a_version_of_an_extension_and_a_subscription_that_runs_are_named() {
    let server = Postgres::new();
    server.sql(
        "postgres",
        "CREATE EXTENSION pg_trgm VERSION '1.3'; CREATE TABLE item(id int); CREATE INDEX by_id ON item(id);
         UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'by_id'::regclass;
         CREATE SUBSCRIPTION sub CONNECTION 'host=127.0.0.1 port=1' PUBLICATION p WITH (connect = false);
         ALTER SUBSCRIPTION sub ENABLE;
         COMMENT ON FUNCTION now() IS 'ours'; COMMENT ON SCHEMA public IS 'in the dump';",
    );
    let coffer = coffer_for(&server, LOGICAL).start();
    let named = left_out(&coffer.admin().full(NAME));
    let text = doctor(&coffer);
    for what in [
        "version 1.3 of extension pg_trgm in database postgres",
        "index public.by_id in database postgres",
        "that subscription sub is enabled in database postgres",
        "the comment on function now() in database postgres",
    ] {
        assert!(named.contains(what), "no {what:?} in {named}");
        assert!(text.contains(&format!("left out: {what}")), "no {what:?} in {text}");
    }
    assert_eq!(named.matches("the comment on").count(), 1, "{named}");
}

#[test]
fn what_belongs_to_an_extension_and_is_in_no_dump_is_named() {
    let settings = "shared_preload_libraries = 'pg_trgm, pg_stat_statements'\n".to_owned();
    let server = Postgres::with(&Setup { settings, ..Setup::default() });
    server.sql(
        "postgres",
        "CREATE EXTENSION pg_trgm; CREATE EXTENSION hstore; CREATE EXTENSION pg_stat_statements;
         CREATE TABLE note(id serial, t text); INSERT INTO note(t) VALUES ('x'); CREATE TABLE empty(id int);
         CREATE TABLE kept(id int); INSERT INTO kept VALUES (1);
         CREATE TRIGGER mine BEFORE UPDATE ON kept FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
         ALTER EXTENSION hstore ADD TABLE note; ALTER EXTENSION hstore ADD SEQUENCE note_id_seq;
         ALTER EXTENSION hstore ADD TABLE empty; ALTER EXTENSION hstore ADD TABLE kept;
         UPDATE pg_extension SET extconfig = ARRAY['kept'::regclass], extcondition = '{\"\"}' WHERE extname = 'hstore';
         CREATE ROLE coffer LOGIN; GRANT pg_monitor TO coffer;",
    );
    let reader =
        source(&server, "user = \"coffer\", method = \"logical\", databases = [\"postgres\"]");
    let coffer = coffer_for(&server, LOGICAL)
        .instance_of("read", "postgresql", &reader, "quick")
        .allow_warning("would fail now")
        .start();
    let text = doctor(&coffer);
    // What an extension asks for is dumped, and has to be read.
    assert!(text.contains("the role coffer may not read public.kept"), "{text}");
    let row = coffer.admin().full(NAME);
    let names = |row: &Value| -> Vec<String> {
        let list = row["left_out"].as_array().unwrap().iter();
        let ours = list.filter_map(|it| it["what"].as_str()?.strip_suffix(" in database postgres"));
        ours.map(str::to_owned).collect()
    };
    let found = names(&row);
    let trigram = "extension pg_trgm and what needs it, where its library is not loaded";
    let expected = [
        "the rows of table public.note",
        "the position of sequence public.note_id_seq",
        "trigger mine of table public.kept",
        trigram,
    ];
    assert_eq!(found, expected);
    for what in &found {
        assert!(text.contains(&format!("left out: {what} in database postgres: ")), "{text}");
    }
    server.sql(
        "postgres",
        "GRANT SELECT ON kept TO coffer; ALTER TABLE empty ENABLE ROW LEVEL SECURITY",
    );
    // Who may not read a table does not know that there is nothing in it.
    let unsure = names(&coffer.admin().full("read"));
    assert!(unsure.contains(&"the rows of table public.empty".to_owned()), "{unsure:?}");
}

fn plant_for_a_reader(server: &Postgres) {
    server.sql(
        "postgres",
        "CREATE ROLE coffer LOGIN; CREATE ROLE app LOGIN PASSWORD 'x'; CREATE DATABASE shop;
         GRANT ALL ON DATABASE shop TO coffer;",
    );
    server.sql(
        "shop",
        "CREATE TABLE o(id int PRIMARY KEY); GRANT SELECT ON o TO coffer;
         CREATE SUBSCRIPTION sub CONNECTION 'host=127.0.0.1 port=1 dbname=x password=s3cret'
            PUBLICATION p, \"q q\" WITH (connect = false, binary = true);
         CREATE FOREIGN DATA WRAPPER w; CREATE SERVER far FOREIGN DATA WRAPPER w OPTIONS (host 'h');
         CREATE USER MAPPING FOR app SERVER far OPTIONS (user 'u', password 'it''s');
         CREATE USER MAPPING FOR PUBLIC SERVER far OPTIONS (user 'pub', password 'pw2');",
    );
}

#[test]
fn what_pg_dump_hides_from_a_reader_of_all_data_is_restored() {
    let server = Postgres::new();
    plant_for_a_reader(&server);
    server.sql("postgres", "GRANT pg_read_all_data TO coffer");
    let coffer = coffer_for(&server, "user = \"coffer\", method = \"logical\"").start();
    let full = coffer.admin().full(NAME);
    let restored = start_restored(&coffer, &full);
    assert_same(
        &server,
        &restored,
        &[
            (
                "shop",
                "SELECT subname, subconninfo, subpublications, subslotname, subbinary FROM pg_subscription",
            ),
            ("shop", "SELECT usename, umoptions FROM pg_user_mappings ORDER BY 1"),
            ("shop", "SELECT rolpassword FROM pg_authid WHERE rolname = 'app'"),
        ],
    );
    let named = left_out(&full);
    assert!(named.starts_with("the server's settings") && named.lines().count() == 1, "{named}");
}

#[test]
fn what_a_role_may_not_read_is_named() {
    let server = Postgres::new();
    plant_for_a_reader(&server);
    let more = "user = \"coffer\", method = \"logical\", databases = [\"shop\"]";
    let coffer = coffer_for(&server, more).start();
    let full = coffer.admin().full(NAME);
    let named = left_out(&full);
    let stored = "SELECT rolpassword FROM pg_authid WHERE rolname = 'app'";
    assert_eq!(start_restored(&coffer, &full).sql("postgres", stored), "\n");
    let text = doctor(&coffer);
    for what in [
        "subscription sub in database shop",
        "options of the user mapping of app on server far in database shop",
        "passwords of roles",
        "the server's settings",
    ] {
        assert!(named.contains(what), "no {what:?} in {named}");
        assert!(text.contains(&format!("left out: {what}")), "no {what:?} in {text}");
    }
}

#[test]
fn what_would_stop_a_dump_is_found_before_and_the_advice_helps() {
    let server = Postgres::new();
    server.sql(
        "postgres",
        "CREATE ROLE coffer LOGIN; GRANT pg_read_all_data TO coffer; CREATE ROLE app;
         CREATE DATABASE policy; CREATE DATABASE object;",
    );
    server.sql(
        "policy",
        "CREATE TABLE o(id int); INSERT INTO o VALUES (1); ALTER TABLE o ENABLE ROW LEVEL SECURITY;
         CREATE POLICY p ON o TO app USING (true);",
    );
    server.sql("object", "SELECT lo_from_bytea(4711, 'abc')");
    let socket = |database: &str| {
        let keys = format!("user = \"coffer\", method = \"logical\", databases = [{database:?}]");
        source(&server, &keys)
    };
    let coffer = TestServer::builder()
        .instance_of("policy", "postgresql", &socket("policy"), "quick")
        .instance_of("object", "postgresql", &socket("object"), "quick")
        .allow_warning("")
        .start();
    let text = doctor(&coffer);
    for (database, advice) in [
        ("policy", "ALTER ROLE \"coffer\" BYPASSRLS"),
        ("object", "ALTER ROLE \"coffer\" SET lo_compat_privileges = on"),
    ] {
        let (code, message) = coffer.admin().failed(database);
        assert_eq!(code, "source_denied", "{message}");
        assert!(message.contains(advice), "{message}");
        assert!(
            text.contains(&format!("in database {database}")) && text.contains(advice),
            "{text}"
        );
        server.sql("postgres", advice);
        coffer.admin().full(database);
    }
    let text = doctor(&coffer);
    assert!(!text.contains("in database"), "{text}");
}

#[test]
fn a_base_backup_names_what_it_does_not_hold_and_takes_the_settings_in() {
    let server = Postgres::with(&Setup { as_debian: true, ..Setup::default() });
    server.sql(
        "postgres",
        "CREATE ROLE coffer LOGIN REPLICATION; CREATE UNLOGGED TABLE brief(id int PRIMARY KEY);
         SELECT pg_create_physical_replication_slot('spare');",
    );
    let coffer = coffer_for(&server, "")
        .instance_of("plain", "postgresql", &source(&server, "user = \"coffer\""), "quick")
        .start();
    let client = coffer.admin();
    let full = client.full(NAME);
    let named = left_out(&full);
    assert!(named.contains("unlogged tables") && named.contains("slot spare"), "{named}");
    assert!(!named.contains("settings"), "{named}");
    let named = left_out(&client.full("plain"));
    assert!(named.contains("postgresql.conf") && named.contains("pg_read_all_settings"), "{named}");

    let restored = coffer.restored(&full);
    let original = server.folder().join("etc/pg_hba.conf");
    let kept = restored.join("settings").join(original.strip_prefix("/").unwrap());
    assert_eq!(std::fs::read(kept).unwrap(), std::fs::read(original).unwrap());
}

#[test]
fn a_tablespace_that_pg_basebackup_would_leave_out_is_found_before() {
    let server = Postgres::with(&Setup {
        settings: "allow_in_place_tablespaces = on\n".to_owned(),
        ..Setup::default()
    });
    server.sql(
        "postgres",
        "CREATE TABLESPACE inside LOCATION ''; CREATE TABLE kept(id int) TABLESPACE inside;
         INSERT INTO kept VALUES (1);",
    );
    let coffer = coffer_for(&server, "")
        .instance_of("dumped", "postgresql", &source(&server, LOGICAL), "quick")
        .allow_warning("")
        .start();
    assert!(doctor(&coffer).contains("tablespace inside"));
    let (code, message) = coffer.admin().failed(NAME);
    assert_eq!(code, "source_invalid", "{message}");
    let dumped = coffer.admin().full("dumped");
    assert!(left_out(&dumped).contains("tablespace inside"));
    let restored = start_restored(&coffer, &dumped);
    assert_eq!(restored.sql("postgres", "SELECT count(*) FROM kept"), "1\n");
}

#[test]
fn settings_that_allow_no_base_backup_are_found_before() {
    for (settings, advice) in [
        ("wal_level = minimal\nmax_wal_senders = 0\n", "wal_level is minimal"),
        ("max_wal_senders = 0\n", "max_wal_senders is 0"),
    ] {
        let settings = settings.to_owned();
        let server = Postgres::with(&Setup { settings, ..Setup::default() });
        let coffer = coffer_for(&server, "").allow_warning("").start();
        assert!(doctor(&coffer).contains(advice), "{}", doctor(&coffer));
        let (code, message) = coffer.admin().failed(NAME);
        assert!(code == "source_invalid" && message.contains(advice), "{code}: {message}");
    }
}

#[test]
fn a_dump_has_its_database_s_encoding_whatever_its_role_sets() {
    let server = Postgres::new();
    server.sql(
        "postgres",
        "CREATE ROLE keeper SUPERUSER LOGIN; ALTER ROLE keeper SET client_encoding = 'LATIN1';
         CREATE DATABASE bytes ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0;
         CREATE TABLE price(t text); INSERT INTO price VALUES ('9 €')",
    );
    server.sql("bytes", "CREATE TABLE raw(t text); INSERT INTO raw VALUES (E'\\xff\\xfe')");
    let coffer = coffer_for(&server, "method = \"logical\", user = \"keeper\"").start();
    let restored = start_restored(&coffer, &coffer.admin().full(NAME));
    let same =
        [("postgres", "SELECT t FROM price"), ("bytes", "SELECT encode(t::bytea, 'hex') FROM raw")];
    assert_same(&server, &restored, &same);
}

#[test]
fn a_database_that_an_interrupted_drop_left_is_named() {
    let server = Postgres::new();
    server.sql(
        "postgres",
        "CREATE DATABASE gone; UPDATE pg_database SET datconnlimit = -2 WHERE datname = 'gone'",
    );
    let coffer = coffer_for(&server, LOGICAL).start();
    let text = doctor(&coffer);
    assert!(text.contains("left out: database gone: an interrupted DROP"), "{text}");
    let named = left_out(&coffer.admin().full(NAME));
    assert!(named.contains("database gone"), "{named}");
}

#[test]
fn a_drill_of_dumps_passes_whatever_tablespaces_the_server_has() {
    let server = Postgres::new();
    for name in ["used", "empty"] {
        let folder = server.tablespace_folder(name);
        let made = format!("CREATE TABLESPACE {name} LOCATION '{}'", folder.display());
        server.sql("postgres", &made);
    }
    server.sql("postgres", "CREATE TABLE t TABLESPACE used AS SELECT generate_series(1, 7) AS n");
    let coffer = coffer_for(&server, LOGICAL).start();
    let full = coffer.admin().full(NAME);
    let output = coffer.run_ok(&["drill", id_of(&full), "--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["rows_by_table"]["postgres.public.t"], 7, "{report:#}");
}

#[test]
fn an_event_trigger_that_raises_refuses_nothing_else() {
    let server = Postgres::new();
    server.sql(
        "postgres",
        "CREATE TABLE t AS SELECT generate_series(1, 7) AS n; CREATE MATERIALIZED VIEW seen AS SELECT n FROM t;
         CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not now'; END $$;
         CREATE EVENT TRIGGER frozen ON ddl_command_start EXECUTE FUNCTION refuse();
         COMMENT ON EVENT TRIGGER frozen IS 'until Monday'",
    );
    let coffer = coffer_for(&server, LOGICAL).start();
    let restored = start_restored(&coffer, &coffer.admin().full(NAME));
    let same = [
        ("postgres", "SELECT count(*) FROM seen"),
        (
            "postgres",
            "SELECT evtname, obj_description(oid, 'pg_event_trigger') FROM pg_event_trigger",
        ),
    ];
    assert_same(&server, &restored, &same);
}

#[test]
fn a_salvage_keeps_damaged_dumps_as_files() {
    let server = Postgres::new();
    // So much that the middle of the archive is in the dump of it.
    let rows =
        "CREATE TABLE t AS SELECT n, md5(random()::text) FROM generate_series(1, 20000) AS n";
    server.sql("postgres", rows);
    let coffer = coffer_for(&server, LOGICAL).start();
    let full = coffer.admin().full(NAME);
    damage(&archive_of(&full));
    let target = coffer.folder().join("salvaged");
    let to = ["restore", id_of(&full), "--salvage", "--to", target.to_str().unwrap()];
    let output = coffer.run(&to);
    assert_eq!(output.status.code(), Some(6), "{}", stderr_of(&output));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("check: not made") && said.contains("and so not loaded"), "{said}");
    assert!(target.join("databases/postgres.dump").exists() && !target.join("pgdata").exists());
}
