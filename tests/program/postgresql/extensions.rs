//! What somebody made or altered of an extension's parts is in no dump, and named: all of it, and nothing that its script
//! makes.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use super::fixture::{NAME, coffer_for, start_restored};
use super::postgres::{Postgres, bin};
use crate::support::{TestServer, write_file};

/// The files of an extension, where every server here finds them; removed with this value.
pub(super) struct Extension(Vec<PathBuf>);

impl Extension {
    pub(super) fn install(name: &str, script: &str) -> Self {
        let folder = Command::new(bin().join("pg_config")).arg("--sharedir").output().unwrap();
        let folder =
            PathBuf::from(String::from_utf8(folder.stdout).unwrap().trim()).join("extension");
        let [control, sql] = [".control", "--1.sql"].map(|end| folder.join(format!("{name}{end}")));
        write_file(&control, "default_version = '1'\nrelocatable = false\nschema = seeded\n");
        write_file(&sql, script);
        Self(vec![control, sql])
    }
}

impl Drop for Extension {
    fn drop(&mut self) {
        self.0.iter().for_each(|path| std::fs::remove_file(path).unwrap());
    }
}

/// Each kind of part, with what an extension's own script may do to it.
const SCRIPT: &str = "
    CREATE TABLE job(id int PRIMARY KEY, what text, n int CHECK (n > 0)); CREATE INDEX own ON job(what);
    COMMENT ON TABLE job IS 'of the script'; COMMENT ON INDEX own IS 'of the script'; ALTER TABLE job SET (fillfactor = 90);
    ALTER TABLE job ENABLE ROW LEVEL SECURITY; CREATE POLICY own ON job USING (true);
    CREATE STATISTICS own_pair ON id, n FROM job; CREATE RULE own AS ON DELETE TO job WHERE false DO INSTEAD NOTHING;
    CREATE TABLE plain(id int, what text, n int); CREATE SEQUENCE ids; CREATE VIEW seen AS SELECT id FROM plain;
    CREATE MATERIALIZED VIEW kept AS SELECT 1 AS id;
    CREATE TYPE mood AS ENUM ('good', 'bad'); CREATE TYPE pair AS (a int, b int); CREATE DOMAIN small AS int;
    CREATE FUNCTION twice(int) RETURNS int LANGUAGE sql AS 'SELECT 2 * $1'; CREATE FUNCTION thrice(int) RETURNS int LANGUAGE sql AS 'SELECT 3 * $1';
    CREATE FOREIGN DATA WRAPPER wrap; CREATE SERVER far FOREIGN DATA WRAPPER wrap OPTIONS (host 'h'); CREATE FOREIGN TABLE there(id int) SERVER far;
    CREATE TEXT SEARCH DICTIONARY words (TEMPLATE = simple); CREATE TEXT SEARCH CONFIGURATION search (COPY = simple);
    CREATE OPERATOR FAMILY numbers USING btree;
    CREATE OPERATOR CLASS own FOR TYPE mood USING hash AS FUNCTION 1 hashenum(anyenum);
";

/// What comes back from a dump, and is not named: rights, and what only stands beside the extension.
const RIGHTS: &str = "
    GRANT SELECT ON seeded.job TO app; GRANT SELECT (what) ON seeded.plain TO app; GRANT USAGE ON SCHEMA seeded TO app;
    REVOKE EXECUTE ON FUNCTION seeded.thrice FROM PUBLIC; GRANT USAGE ON FOREIGN SERVER far TO app;
    COMMENT ON EXTENSION coffer_test_altered IS 'mine'; CREATE TABLE seeded.beside(id seeded.mood);
";

/// What somebody did, and how it is named.
const ALTERED: &[(&str, &[&str])] = &[
    (
        "ALTER TABLE seeded.job ADD COLUMN more int DEFAULT 7",
        &["column more of table seeded.job", "default value for column more of table seeded.job"],
    ),
    ("ALTER TABLE seeded.plain ALTER id SET STATISTICS 7", &["column id of table seeded.plain"]),
    ("ALTER TYPE seeded.pair ADD ATTRIBUTE c int", &["column c of composite type seeded.pair"]),
    (
        "ALTER TABLE seeded.plain ADD CONSTRAINT few CHECK (n < 9)",
        &["constraint few on table seeded.plain"],
    ),
    (
        "ALTER OPERATOR FAMILY seeded.numbers USING btree ADD OPERATOR 1 < (int4, int4)",
        &[
            "operator 1 (integer, integer) of operator family seeded.numbers for access method btree: <(integer,integer)",
        ],
    ),
    ("CREATE INDEX mine ON seeded.job(n)", &["index seeded.mine"]),
    ("CREATE INDEX mine_kept ON seeded.kept(id)", &["index seeded.mine_kept"]),
    ("CREATE POLICY mine ON seeded.job USING (n > 1)", &["policy mine on table seeded.job"]),
    (
        "CREATE PUBLICATION out FOR TABLE seeded.plain",
        &["publication of table seeded.plain in publication out"],
    ),
    (
        "CREATE RULE mine AS ON DELETE TO seeded.plain DO INSTEAD NOTHING",
        &["rule mine on table seeded.plain"],
    ),
    (
        "CREATE STATISTICS public.mine ON id, n FROM seeded.plain",
        &["statistics object public.mine"],
    ),
    ("COMMENT ON COLUMN seeded.job.n IS 'mine'", &["the comment on column n of table seeded.job"]),
    (
        "COMMENT ON FUNCTION seeded.twice IS 'mine'",
        &["the comment on function seeded.twice(integer)"],
    ),
    ("COMMENT ON INDEX seeded.own IS 'mine'", &["the comment on index seeded.own"]),
    (
        "ALTER TABLE seeded.plain REPLICA IDENTITY FULL",
        &["the replica identity of table seeded.plain"],
    ),
    (
        "ALTER TABLE seeded.plain ENABLE ROW LEVEL SECURITY",
        &["the row-level security of table seeded.plain"],
    ),
    (
        "ALTER TABLE seeded.plain SET (fillfactor = 50)",
        &["the storage parameters of table seeded.plain"],
    ),
    (
        "CREATE USER MAPPING FOR app SERVER far OPTIONS (a 'b')",
        &["the user mapping of app on server far"],
    ),
    (
        "ALTER FOREIGN TABLE seeded.there OPTIONS (ADD a 'b')",
        &["what was altered of foreign table seeded.there"],
    ),
    (
        "ALTER FOREIGN DATA WRAPPER wrap OPTIONS (ADD a 'b')",
        &["what was altered of foreign-data wrapper wrap"],
    ),
    (
        "ALTER FUNCTION seeded.twice SET work_mem = '9MB'",
        &["what was altered of function seeded.twice(integer)"],
    ),
    ("ALTER SEQUENCE seeded.ids MAXVALUE 999", &["what was altered of sequence seeded.ids"]),
    (
        "ALTER TEXT SEARCH CONFIGURATION seeded.search ALTER MAPPING FOR word WITH seeded.words",
        &["what was altered of text search configuration seeded.search"],
    ),
    (
        "ALTER TEXT SEARCH DICTIONARY seeded.words (StopWords = english)",
        &["what was altered of text search dictionary seeded.words"],
    ),
    ("ALTER TYPE seeded.mood ADD VALUE 'fine'", &["what was altered of type seeded.mood"]),
    ("ALTER DOMAIN seeded.small SET DEFAULT 4", &["what was altered of type seeded.small"]),
    (
        "CREATE OR REPLACE VIEW seeded.seen AS SELECT id FROM seeded.plain WHERE id > 1",
        &["what was altered of view seeded.seen"],
    ),
];

/// Makes a backup. Returns it, and what of the database it leaves out.
fn named(coffer: &TestServer) -> (Value, Vec<String>) {
    let row = coffer.admin().full(NAME);
    let list = row["left_out"].as_array().unwrap().iter();
    let lines = list.filter_map(|it| it["what"].as_str()?.strip_suffix(" in database shop"));
    let mut lines: Vec<String> = lines.map(str::to_owned).collect();
    lines.sort();
    (row, lines)
}

#[test]
fn what_somebody_made_or_altered_of_an_extension_is_named_and_what_its_script_makes_is_not() {
    let _extension = Extension::install("coffer_test_altered", SCRIPT);
    let server = Postgres::new();
    server.sql("postgres", "CREATE ROLE app; CREATE DATABASE shop");
    server.sql("shop", "CREATE SCHEMA seeded; CREATE EXTENSION coffer_test_altered");
    server.sql("shop", RIGHTS);
    let coffer = coffer_for(&server, "method = \"logical\"").start();
    assert_eq!(
        named(&coffer).1,
        [""; 0],
        "the extension's script makes all that, and rights come back"
    );
    let mut expected = Vec::new();
    for (statement, what) in ALTERED {
        // Each in a transaction of its own.
        server.sql("shop", statement);
        expected.extend(what.iter().map(|it| (*it).to_owned()));
    }
    expected.sort();
    let (row, lines) = named(&coffer);
    assert_eq!(lines, expected);
    // And what is not named is there: rights, and all that the script makes.
    let restored = start_restored(&coffer, &row);
    let rights = "SELECT has_table_privilege('app', 'seeded.job', 'SELECT'), has_column_privilege('app', 'seeded.plain', 'what', 'SELECT'),
        has_schema_privilege('app', 'seeded', 'USAGE'), has_function_privilege('app', 'seeded.thrice(int)', 'EXECUTE'),
        has_server_privilege('app', 'far', 'USAGE'), obj_description(oid, 'pg_extension') FROM pg_extension WHERE extname LIKE 'coffer%'";
    assert_eq!(restored.sql("shop", rights), server.sql("shop", rights));
    assert_eq!(restored.sql("shop", rights), "t|t|t|f|t|mine\n");
    let indexes =
        "SELECT count(*) FROM pg_indexes WHERE schemaname = 'seeded' AND indexname LIKE 'mine%'";
    assert_eq!(
        (server.sql("shop", indexes), restored.sql("shop", indexes)),
        ("2\n".to_owned(), "0\n".to_owned())
    );
}

/// It makes each part in a transaction of its own, also what the script made.
#[test]
fn of_an_extension_that_pg_upgrade_brought_over_one_line_says_that_changes_cannot_be_told() {
    let _extension = Extension::install("coffer_test_upgraded", SCRIPT);
    let mut server = Postgres::new();
    server.sql("postgres", "CREATE DATABASE shop");
    server.sql("shop", "CREATE SCHEMA seeded; CREATE EXTENSION coffer_test_upgraded");
    server.upgrade();
    let coffer = coffer_for(&server, "method = \"logical\"").start();
    let said = "changes to the parts of extension coffer_test_upgraded, if there are any";
    assert_eq!(named(&coffer).1, [said]);
}
