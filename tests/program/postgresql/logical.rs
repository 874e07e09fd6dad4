//! Dumps: through the API, into a new data directory, into a server that runs.

use std::path::Path;
use std::process::Command;

use super::fixture::{NAME, coffer_for, source, start_restored};
use super::postgres::Postgres;
use crate::support::{Disk, id_of, names_in, stderr_of, succeed};

const LOGICAL: &str = "method = \"logical\"";

fn plant(server: &Postgres) {
    server.sql(
        "postgres",
        "CREATE ROLE clerk LOGIN PASSWORD 'secret'; CREATE DATABASE one OWNER clerk; CREATE DATABASE \"t/w ö\";",
    );
    server.sql(
        "one",
        "CREATE TABLE item(id int PRIMARY KEY, t text);
         INSERT INTO item SELECT n, md5(n::text) FROM generate_series(1, 50000) n;
         CREATE VIEW few AS SELECT * FROM item WHERE id < 5;
         ALTER TABLE item OWNER TO clerk; SELECT lo_from_bytea(4711, 'abc');",
    );
    server.sql("t/w ö", "CREATE TABLE t(x int); INSERT INTO t VALUES (7)");
}

#[test]
fn dumps_restore_to_a_data_directory_and_into_a_server() {
    let server = Postgres::new();
    plant(&server);
    let fresh = Postgres::new();
    let coffer = coffer_for(&server, LOGICAL)
        .instance_of("fresh", "postgresql", &source(&fresh, LOGICAL), "quick")
        .start();
    let client = coffer.admin();
    let full = client.full(NAME);
    server.sql("one", "DELETE FROM item WHERE id > 49990");
    let incremental = client.incremental(NAME);
    assert_eq!(full["verify_level"], "checked");

    let before = server.dump_all();
    assert!(start_restored(&coffer, &incremental).dump_all() == before, "the dumps differ");

    let into = |id: &str, instance: &str| coffer.run(&["restore", id, "--into", instance]);
    let output = into(id_of(&incremental), "fresh");
    assert!(output.status.success(), "{}", stderr_of(&output));
    assert!(fresh.dump_all() == before, "the dumps differ");
    // The second time, everything exists already.
    let output = into(id_of(&full), "fresh");
    assert!(
        !output.status.success() && stderr_of(&output).contains("already has"),
        "{}",
        stderr_of(&output)
    );
    assert!(fresh.dump_all() == before, "the refused restore changed something");
}

#[test]
fn what_needs_a_search_path_or_rows_of_another_table_loads_too() {
    let server = Postgres::new();
    server.sql("postgres", "CREATE DATABASE shop");
    server.sql(
        "shop",
        "CREATE SCHEMA \"my rules\"; ALTER DATABASE shop SET search_path = \"my rules\", public;
         CREATE TABLE \"my rules\".zones(n int PRIMARY KEY); INSERT INTO \"my rules\".zones VALUES (1), (2);
         CREATE FUNCTION \"my rules\".raised(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 + 1';
         SET search_path = \"my rules\", public;
         CREATE FUNCTION public.known(int) RETURNS bool LANGUAGE plpgsql AS 'BEGIN RETURN $1 IN (SELECT n FROM zones); END';
         CREATE FUNCTION public.later(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN raised($1); END';
         CREATE TABLE public.item(zone int CHECK (known(zone)), more int GENERATED ALWAYS AS (later(zone)) STORED);
         INSERT INTO public.item VALUES (1), (2); CREATE INDEX by_later ON public.item(later(zone));
         CREATE MATERIALIZED VIEW public.kept AS SELECT known(1) AS k; CREATE VIEW public.seen AS SELECT more FROM item;",
    );
    let fresh = Postgres::new();
    let coffer = coffer_for(&server, LOGICAL)
        .instance_of("fresh", "postgresql", &source(&fresh, LOGICAL), "quick")
        .start();
    let full = coffer.admin().full(NAME);
    let before = server.dump_all();
    assert!(start_restored(&coffer, &full).dump_all() == before, "the dumps differ");
    let output = coffer.run(&["restore", id_of(&full), "--into", "fresh"]);
    assert!(output.status.success(), "{}", stderr_of(&output));
    assert!(fresh.dump_all() == before, "the dumps differ");
    assert_eq!(fresh.sql("shop", "SELECT k FROM public.kept"), "t\n");
}

#[test]
fn dumps_for_a_server_are_unpacked_with_the_temporary_files_where_the_data_directory_is_read_only()
{
    let (server, disk) = (Postgres::new(), Disk::mounted(64));
    server.sql("postgres", "CREATE DATABASE shop");
    server.sql("shop", "CREATE TABLE item AS SELECT generate_series(1, 9) AS n");
    let keys = "databases = [\"shop\"], method = \"logical\"";
    let data = disk.path().join("data");
    let mut coffer = coffer_for(&server, keys).data_dir(&data).start();
    let full = coffer.admin().full(NAME);
    coffer.terminate();
    server.sql("postgres", "DROP DATABASE shop");
    succeed(Command::new("mount").args(["-o", "remount,ro"]).arg(disk.path()));
    let temporary = tempfile::tempdir().unwrap();
    let into = |folder: &Path| {
        let mut command = coffer.command(&["restore", id_of(&full), "--into", NAME]);
        command.env("TMPDIR", folder).output().unwrap()
    };
    let nowhere = into(Path::new("/nowhere"));
    assert!(stderr_of(&nowhere).contains("/nowhere"), "{}", stderr_of(&nowhere));
    let output = into(temporary.path());
    assert!(output.status.success(), "{}", stderr_of(&output));
    assert_eq!(server.sql("shop", "SELECT count(*) FROM item"), "9\n");
    assert_eq!(names_in(temporary.path()), [""; 0]);
    succeed(Command::new("mount").args(["-o", "remount,rw"]).arg(disk.path()));
}

#[test]
fn one_database_is_dumped_without_the_right_to_replicate() {
    let server = Postgres::new();
    plant(&server);
    server.sql("postgres", "CREATE ROLE reader LOGIN IN ROLE pg_read_all_data");
    let more = "user = \"reader\", method = \"logical\", databases = [\"t/w ö\"]";
    let coffer = coffer_for(&server, more).start();
    let full = coffer.admin().full(NAME);
    let restored = start_restored(&coffer, &full);
    assert_eq!(restored.sql("t/w ö", "SELECT x FROM t"), "7\n");
    let names = restored
        .sql("postgres", "SELECT string_agg(datname, ' ' ORDER BY datname) FROM pg_database");
    assert_eq!(names, "postgres t/w ö template0 template1\n");
    // Who reads all data reads the hashes of passwords too.
    let stored = "SELECT rolpassword FROM pg_authid WHERE rolname = 'clerk'";
    assert_eq!(restored.sql("postgres", stored), server.sql("postgres", stored));
}

#[test]
fn a_restore_brings_back_the_database_that_the_source_connects_to() {
    let server = Postgres::new();
    server.sql("postgres", "CREATE DATABASE shop");
    server.sql("shop", "CREATE TABLE item AS SELECT generate_series(1, 9) AS n");
    let keys = "database = \"shop\", databases = [\"shop\"], method = \"logical\"";
    let coffer = coffer_for(&server, keys).start();
    let full = coffer.admin().full(NAME);
    server.sql("postgres", "DROP DATABASE shop WITH (FORCE)");
    let output = coffer.run(&["restore", id_of(&full), "--into", NAME]);
    assert!(output.status.success(), "{}", stderr_of(&output));
    assert_eq!(server.sql("shop", "SELECT count(*) FROM item"), "9\n");
}

#[test]
fn a_physical_backup_cannot_be_restored_into_a_server() {
    let server = Postgres::new();
    let coffer = coffer_for(&server, "").start();
    let full = coffer.admin().full(NAME);
    let output = coffer.run(&["restore", id_of(&full), "--into", NAME]);
    assert!(
        !output.status.success() && stderr_of(&output).contains("--to PATH"),
        "{}",
        stderr_of(&output)
    );
    // Nor onto a running server's folder.
    let target = server.data().to_str().unwrap().to_owned();
    let output = coffer.run(&["restore", id_of(&full), "--to", &target]);
    assert!(
        !output.status.success() && stderr_of(&output).contains("not empty"),
        "{}",
        stderr_of(&output)
    );
    assert_eq!(server.sql("postgres", "SELECT 1"), "1\n");
    coffer.assert_tmp_is_empty();
}
