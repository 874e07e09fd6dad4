//! Servers with locales that the machine of the restore does not have, and amounts of money in their formats.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use super::fixture::{NAME, coffer_for, source, start_restored};
use super::postgres::{Postgres, Setup};
use crate::support::{id_of, stderr_of};

/// A folder with a locale that only a server that is told of it knows.
fn locale(name: &str, from: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut define = Command::new("localedef");
    define.args(["-i", from, "-f", "UTF-8"]).arg(folder.path().join(name));
    let output = define.output().unwrap();
    assert!(output.status.success(), "{}: the package locales is needed", stderr_of(&output));
    let open = Permissions::from_mode(0o755);
    std::fs::set_permissions(folder.path(), open).unwrap();
    folder
}

fn server_with(locales: &Path) -> Postgres {
    Postgres::with(&Setup { locales: Some(locales.to_owned()), ..Setup::default() })
}

#[test]
fn a_database_whose_locale_is_missing_is_restored_without_it_and_that_is_said() {
    let locales = locale("is_IS.utf8", "is_IS");
    let server = server_with(locales.path());
    let create = "TEMPLATE template0 LOCALE 'is_IS.utf8'";
    server.sql(
        "postgres",
        &format!(
            "CREATE ROLE app PASSWORD 's3cret'; ALTER ROLE app SET lc_time = 'is_IS.utf8';
             ALTER ROLE app SET work_mem = '9MB'; CREATE DATABASE north {create} OWNER app; CREATE DATABASE south;
             COMMENT ON DATABASE north IS 'cold'; ALTER DATABASE north SET work_mem = '7MB';
             ALTER DATABASE template1 IS_TEMPLATE false; DROP DATABASE template1;
             CREATE DATABASE template1 {create} IS_TEMPLATE true;"
        ),
    );
    for database in ["north", "south"] {
        server.sql(database, "CREATE TABLE item AS SELECT generate_series(1, 9) AS n");
    }
    let target = Postgres::new();
    let coffer = coffer_for(&server, "method = \"logical\"")
        .instance_of("target", "postgresql", &source(&target, ""), "quick")
        .start();
    let full = coffer.admin().full(NAME);
    let folder = coffer.folder().join("new");
    let output = coffer.run(&["restore", id_of(&full), "--to", folder.to_str().unwrap()]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &stderr_of(&output);
    assert_eq!(output.status.code(), Some(5), "{said}");
    for what in [
        "the locale is_IS.utf8 of new databases",
        "CREATE DATABASE north",
        "ALTER ROLE app SET lc_time TO 'is_IS.utf8'",
    ] {
        assert!(said.contains(what), "no {what:?} in {said}");
    }
    assert!(!said.contains("s3cret") && !said.contains("SCRAM"), "{said}");
    let restored = Postgres::on(&folder.join("pgdata"));
    let output = coffer.run(&["restore", id_of(&full), "--into", "target"]);
    assert_eq!(output.status.code(), Some(5), "{}", stderr_of(&output));
    for server in [&restored, &target] {
        for database in ["north", "south"] {
            assert_eq!(server.sql(database, "SELECT count(*) FROM item"), "9\n");
        }
        let properties = "SELECT datdba::regrole, shobj_description(d.oid, 'pg_database'), setconfig
            FROM pg_database d JOIN pg_db_role_setting ON setdatabase = d.oid WHERE datname = 'north'";
        assert_eq!(server.sql("postgres", properties), "app|cold|{work_mem=7MB}\n");
        let role = "SELECT a.rolpassword IS NOT NULL, rolconfig FROM pg_authid a JOIN pg_roles USING (rolname)
            WHERE rolname = 'app'";
        assert_eq!(server.sql("postgres", role), "t|{work_mem=9MB}\n");
    }
}

#[test]
fn amounts_of_money_are_read_as_they_were_written() {
    let locales = locale("de_DE.utf8", "de_DE");
    let server = server_with(locales.path());
    server.sql(
        "postgres",
        "CREATE TABLE price(amount money); INSERT INTO price VALUES (1234.56::numeric), (-0.5::numeric);
         ALTER SYSTEM SET lc_monetary = 'de_DE.utf8'; SELECT pg_reload_conf();",
    );
    let written = "SELECT string_agg(amount::text, ' ') FROM price";
    assert!(server.sql("postgres", written).contains("1.234,56"));
    let coffer = coffer_for(&server, "method = \"logical\"").start();
    let restored = start_restored(&coffer, &coffer.admin().full(NAME));
    assert_eq!(restored.sql("postgres", written), "$1,234.56 -$0.50\n");
}
