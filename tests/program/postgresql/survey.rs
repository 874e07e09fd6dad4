//! A server with every kind of object, backed up both ways: the restored server's own catalogs name the same objects,
//! kind by kind, or the backup says that it does not hold them.

use serde_json::Value;

use super::fixture::{source, start_restored_with};
use super::postgres::{Postgres, Setup};
use crate::support::TestServer;

const CLUSTER: &str = include_str!("survey/cluster.sql");
const OBJECTS: &str = include_str!("survey/objects.sql");
const KINDS: &str = include_str!("survey/kinds.sql");

const SETTINGS: &str = "wal_level = logical\nmax_prepared_transactions = 20\n";

/// The kind of each object that a dump does not hold and the beginning of its row, and how the backup names it.
const NOT_IN_A_DUMP: &[(&str, &str)] = &[
    ("", "the content of database shut"),
    ("tablespaces: (fast", "tablespace fast"),
    (
        "prepared transactions: (\"half done\"",
        "the changes of prepared transaction half done in database postgres",
    ),
    ("replication origins: (elsewhere", "replication origin elsewhere"),
    ("", "replication slot spare"),
    ("functions: (ours()", "function ours() in database shop"),
    ("functions: (\"ours()", "function ours() in database shop"),
    ("", "file /etc/hostname of foreign table store.passwd in database shop"),
];

const NOT_IN_A_COPY: &[(&str, &str)] =
    &[("", "unlogged tables and their indexes (3)"), ("", "replication slot spare")];

/// A line for each object of a database and of the server, by kind.
fn catalogs(server: &Postgres, database: &str) -> Vec<String> {
    let mut script = "SET search_path = pg_catalog;
        CREATE FUNCTION pg_temp.acl(aclitem[]) RETURNS text LANGUAGE sql
        AS $$ SELECT array_agg(a::text ORDER BY a::text)::text FROM unnest($1) a $$;\n"
        .to_owned();
    let mut kind = "";
    for line in KINDS.lines().skip(1) {
        if let Some(name) = line.strip_prefix("-- ") {
            kind = name;
            continue;
        }
        let user = "relnamespace::regnamespace::text !~ '^(pg_|information_schema)'";
        let query = line.replace(" acl(", " pg_temp.acl(").replace("@user", user);
        let selected = format!(
            "SELECT line FROM (SELECT '{kind}: ' || replace(q::text, E'\\n', ' ') AS line FROM ({query}) q) q
             WHERE line !~ 'pg_temp';\n"
        );
        script.push_str(&selected);
    }
    let mut lines: Vec<String> = server.sql(database, &script).lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// Fails if there is a kind of which the survey holds nothing. No provider of security labels comes with the server.
fn require_all_kinds(lines: &[String]) {
    for kind in KINDS.lines().skip(1).filter_map(|line| line.strip_prefix("-- ")) {
        let is_there = lines.iter().any(|it| it.starts_with(&format!("{kind}: ")));
        assert!(is_there || kind == "security labels", "the survey holds no {kind}");
    }
}

fn names(left_out: &Value) -> Vec<&str> {
    left_out.as_array().unwrap().iter().map(|it| it["what"].as_str().unwrap()).collect()
}

#[track_caller]
fn survey(method: &str, not_held: &[(&str, &str)]) {
    let server = Postgres::with(&Setup { settings: SETTINGS.to_owned(), ..Setup::default() });
    let folder = server.tablespace_folder("fast");
    let space = format!("CREATE TABLESPACE fast LOCATION '{}';\n", folder.display());
    server.sql("postgres", &(space + CLUSTER));
    server.sql("shop", OBJECTS);
    let databases = ["postgres", "shop", "icu", "latin", "pattern", "template1"];
    let before = databases.map(|database| catalogs(&server, database));
    require_all_kinds(&before.concat());
    let coffer = TestServer::builder()
        .instance_of(
            "survey",
            "postgresql",
            &source(&server, &format!("method = {method:?}")),
            "quick",
        )
        .start();
    let client = coffer.admin();
    for backup in [client.full("survey"), client.incremental("survey")] {
        let mut expected: Vec<&str> = not_held.iter().map(|(_, what)| *what).collect();
        expected.dedup();
        assert_eq!(names(&backup["left_out"]), expected);
        let restored = start_restored_with(&coffer, &backup, SETTINGS);
        for (database, before) in databases.iter().zip(&before) {
            let after = catalogs(&restored, database);
            let named = |line: &&String| {
                not_held.iter().any(|(row, _)| !row.is_empty() && line.starts_with(row))
            };
            let missing: Vec<&String> = before
                .iter()
                .filter(|line| !after.contains(line))
                .filter(|it| !named(it))
                .collect();
            let added: Vec<&String> = after.iter().filter(|line| !before.contains(line)).collect();
            assert!(missing.is_empty() && added.is_empty(), "{database}: {missing:#?} {added:#?}");
        }
    }
}

#[test]
fn every_kind_of_object_comes_back_from_dumps_or_is_named() {
    survey("logical", NOT_IN_A_DUMP);
}

#[test]
fn every_kind_of_object_comes_back_from_copies_or_is_named() {
    survey("physical", NOT_IN_A_COPY);
}
