//! Rows come first: a rule that they do not satisfy any more, or rows that an extension's script makes as well, keep none
//! of them from a restore.

use std::os::unix::fs::PermissionsExt as _;

use super::extensions::Extension;
use super::fixture::{NAME, coffer_for, source};
use super::postgres::Postgres;
use crate::support::{TestServer, id_of, stderr_of};

const LOGICAL: &str = "method = \"logical\"";

/// Restores to a path and into another server, each of which says `unsatisfied`, and passes on the restored servers.
fn restored(
    server: &Postgres,
    unsatisfied: &[&str],
    left_out: &[&str],
) -> (TestServer, [Postgres; 2]) {
    let fresh = Postgres::new();
    let coffer = coffer_for(server, LOGICAL)
        .instance_of("fresh", "postgresql", &source(&fresh, LOGICAL), "quick")
        .start();
    let full = coffer.admin().full(NAME);
    let named = full["left_out"].as_array().unwrap().iter();
    let named: Vec<&str> = named.map(|it| it["what"].as_str().unwrap()).collect();
    assert_eq!(named, left_out);
    let target = coffer.folder().join("restored");
    for to in [["--to", target.to_str().unwrap()], ["--into", "fresh"]] {
        let output = coffer.run(&[&["restore", id_of(&full)], &to[..]].concat());
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &stderr_of(&output);
        let code = if unsatisfied.is_empty() { 0 } else { 5 };
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert_eq!(said.matches("Not restored: ").count(), unsatisfied.len(), "{said}");
        for it in unsatisfied {
            assert!(said.contains(&format!("Not restored: {it}")), "no {it:?} in {said}");
        }
    }
    coffer.run_ok(&["drill", id_of(&full)]);
    // The server's user must be able to get there.
    let open = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(coffer.folder(), open).unwrap();
    let again = Postgres::on(&target.join("pgdata"));
    (coffer, [again, fresh])
}

#[test]
fn rows_that_do_not_satisfy_a_rule_any_more_are_restored_and_the_rule_holds_for_new_ones() {
    let server = Postgres::new();
    server.sql("postgres", "CREATE DATABASE shop");
    server.sql(
        "shop",
        "CREATE SCHEMA \"my rules\"; CREATE TABLE public.z_most(n int); INSERT INTO z_most VALUES (10);
         CREATE FUNCTION \"my rules\".most() RETURNS int LANGUAGE sql STABLE AS 'SELECT coalesce(max(n), 0) FROM public.z_most';
         CREATE DOMAIN \"my rules\".few AS int CONSTRAINT \"not many\" CHECK (VALUE <= \"my rules\".most());
         CREATE TABLE \"my rules\".counted(v \"my rules\".few[], sound int CHECK (sound > 0));
         INSERT INTO \"my rules\".counted VALUES ('{9}', 1);
         CREATE TABLE offer(id int PRIMARY KEY, until timestamptz, CONSTRAINT \"in time\" CHECK (until > now())) PARTITION BY RANGE (id);
         CREATE TABLE offer_first PARTITION OF offer(CHECK (id <= \"my rules\".most() + 1)) FOR VALUES FROM (0) TO (100);
         CREATE TABLE offer_rest PARTITION OF offer DEFAULT;
         INSERT INTO offer VALUES (1, 'infinity'), (2, 'infinity'), (200, 'infinity');
         ALTER TABLE offer DROP CONSTRAINT \"in time\"; UPDATE offer SET until = '2020-01-01' WHERE id = 2;
         ALTER TABLE offer ADD CONSTRAINT \"in time\" CHECK (until > now()) NOT VALID;
         UPDATE pg_constraint SET convalidated = true WHERE conname = 'in time'; UPDATE z_most SET n = 5;",
    );
    let rows =
        "SELECT * FROM offer ORDER BY id; SELECT * FROM \"my rules\".counted; SELECT * FROM z_most";
    let rules = "SELECT conname, conrelid::regclass, contypid::regtype, pg_get_constraintdef(oid, true) FROM pg_constraint \
                 WHERE contype = 'c' AND connamespace <> 'information_schema'::regnamespace ORDER BY 1, 2";
    let in_time = "that every row satisfies in time of table public.offer in database shop: some do not any more";
    let few = "that every row satisfies not many of domain \"my rules\".few in database shop: ";
    let (_coffer, servers) = restored(&server, &[in_time, few], &[]);
    for again in servers {
        assert_eq!(again.sql("shop", rows), server.sql("shop", rows));
        let found = again.sql("shop", rules).replace(" NOT VALID", "");
        assert_eq!(found, server.sql("shop", rules));
        let mut psql = again.command("psql");
        psql.args(["-X", "-d", "shop", "-c", "INSERT INTO offer VALUES (3, '2020-01-01')"]);
        assert!(stderr_of(&psql.output().unwrap()).contains("in time"), "the rule holds");
    }
}

#[test]
fn rows_of_an_extension_are_restored_where_its_script_makes_some_of_them_and_owners_are_named() {
    // Like pg_cron, whose jobs are rows of its own table, and like those that fill a table with what is usual.
    let _extension = Extension::install(
        "coffer_test_seeded",
        "CREATE SEQUENCE job_ids; CREATE TABLE job(id bigint PRIMARY KEY DEFAULT nextval('job_ids'), what text, owner text DEFAULT current_user);
         ALTER TABLE job ENABLE ROW LEVEL SECURITY; CREATE POLICY own ON job USING (owner = current_user);
         CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
         CREATE TRIGGER touch BEFORE INSERT ON job FOR EACH ROW EXECUTE FUNCTION touch();
         CREATE TABLE setting(name text PRIMARY KEY, value text); INSERT INTO setting VALUES ('depth', '1'), ('width', '1');
         CREATE TABLE region(id int PRIMARY KEY, name text); INSERT INTO region VALUES (1, 'north'), (2, 'south');
         SELECT pg_extension_config_dump('job', ''); SELECT pg_extension_config_dump('job_ids', '');
         SELECT pg_extension_config_dump('setting', ''); SELECT pg_extension_config_dump('region', 'WHERE id > 1');",
    );
    let server = Postgres::new();
    server.sql("postgres", "CREATE ROLE app; CREATE DATABASE shop");
    server.sql(
        "shop",
        "CREATE SCHEMA seeded; CREATE EXTENSION coffer_test_seeded; INSERT INTO seeded.job(what, owner) VALUES ('clean', 'app'), ('count', 'app');
         UPDATE seeded.setting SET value = '7' WHERE name = 'width'; DELETE FROM seeded.setting WHERE name = 'depth';
         INSERT INTO seeded.region VALUES (3, 'east'); ALTER TABLE seeded.region OWNER TO app;",
    );
    let rows = "SELECT * FROM seeded.job ORDER BY id; SELECT last_value FROM seeded.job_ids; \
                SELECT * FROM seeded.setting ORDER BY 1; SELECT * FROM seeded.region ORDER BY 1";
    let owner = "the owner of table seeded.region in database shop";
    let (_coffer, servers) = restored(&server, &[], &[owner]);
    for again in servers {
        assert_eq!(again.sql("shop", rows), server.sql("shop", rows));
    }
}
