//! Makes what `tests/data` keeps of one version. Run once for each release, by hand, with its program:
//!
//! ```text
//! COFFER_RELEASED=/path/to/coffer cargo test --test program -- --ignored make_archives
//! ```

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use serde_json::{Value, json};
use sha2::Digest as _;

use super::contents::{of_directory, of_mariadb, of_postgres, of_redis, of_sqlite};
use super::kept::{SECRET, data};
use super::mariadb::MariaDb;
use super::postgres::{Postgres, Setup};
use super::redis::RedisServer;
use crate::support::{
    Client, PROJECT, TestServer, archive_of, damage, damage_index, id_of, write_file,
};

/// The instances that have a folder each.
const ENGINES: [&str; 7] = [
    "directory",
    "mariadb",
    "mariadb-logical",
    "postgresql",
    "postgresql-logical",
    "redis",
    "sqlite",
];

/// Every database that is backed up here.
struct Sources {
    folder: tempfile::TempDir,
    postgres: Postgres,
    mariadb: MariaDb,
    redis: RedisServer,
}

impl Sources {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let postgres = Postgres::with(&Setup { wal_segment_mib: Some(1), ..Setup::default() });
        let sources =
            Self { folder, postgres, mariadb: MariaDb::start(), redis: RedisServer::start() };
        sources.fill();
        sources
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn fill(&self) {
        let items = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200)
             INSERT INTO item SELECT i, 'item ' || i, i * 7 % 100 FROM n";
        let table = "CREATE TABLE item(id INTEGER PRIMARY KEY, name TEXT, price INTEGER)";
        for name in ["shop.db", "tiny.db", "torn.db"] {
            let sql = format!("{table}; CREATE INDEX by_name ON item(name); {items};");
            run_sql(&self.path(name), &sql);
        }
        run_sql(&self.path("shop.db"), "PRAGMA journal_mode = wal");
        self.postgres.sql("postgres", &format!("{table}; {items}; CHECKPOINT"));
        self.mariadb.sql(
            "CREATE DATABASE shop; USE shop;
             CREATE TABLE item(id INT PRIMARY KEY, name VARCHAR(40), price INT) ENGINE=InnoDB;
             INSERT INTO item SELECT seq, CONCAT('item ', seq), seq * 7 MOD 100 FROM seq_1_to_200;
             CREATE TABLE log(id INT PRIMARY KEY, what VARCHAR(40)) ENGINE=MyISAM;
             INSERT INTO log SELECT seq, CONCAT('entry ', seq) FROM seq_1_to_20;
             CREATE TABLE note(id INT PRIMARY KEY, what VARCHAR(40)) ENGINE=Aria;
             INSERT INTO note SELECT seq, CONCAT('note ', seq) FROM seq_1_to_20",
        );
        let mut redis = self.redis.connect();
        for number in 0..50 {
            redis.run(&["SET", &format!("item:{number}"), &format!("value {number}")]);
            redis.run(&["ZADD", "prices", &number.to_string(), &format!("item:{number}")]);
        }
        redis.run(&["HSET", "hash", "field", "value"]);
        redis.run(&["SET", "brief", "x", "PXAT", "4102444800000"]);
        redis.run(&[
            "FUNCTION",
            "LOAD",
            "#!lua name=l\nredis.register_function('f', function() return 1 end)",
        ]);
        fill_tree(&self.path("tree"));
    }

    /// Changes every source for the incremental with this number.
    fn change(&self, number: u32) {
        let update = format!("UPDATE item SET name = 'changed {number}' WHERE id % 50 = {number}");
        let delete = format!("DELETE FROM item WHERE id = {}", 190 + number);
        run_sql(&self.path("shop.db"), &format!("{update}; {delete}"));
        self.postgres.sql("postgres", &format!("{update}; {delete}; CHECKPOINT"));
        self.mariadb
            .sql(&format!("USE shop; {update}; {delete}; DELETE FROM log WHERE id = {number}"));
        let mut redis = self.redis.connect();
        redis.run(&["SET", &format!("item:{number}"), "changed"]);
        redis.run(&["DEL", &format!("item:{}", 40 + number)]);
        let tree = self.path("tree");
        write_file(&tree.join("small.txt"), format!("changed {number}\n"));
        write_file(&tree.join(format!("new {number}")), "new\n");
        let large = tree.join("large.bin");
        let mut bytes = std::fs::read(&large).unwrap();
        bytes[1_500_000..1_500_100].fill(u8::try_from(number).unwrap());
        write_file(&large, bytes);
        if number == 2 {
            std::fs::remove_file(tree.join("new 1")).unwrap();
        }
    }

    /// What the source with this name holds now.
    fn contents(&self, name: &str) -> String {
        match name.split('-').next().unwrap() {
            "sqlite" => of_sqlite(&self.path("shop.db")),
            "tiny" => of_sqlite(&self.path("tiny.db")),
            "directory" => of_directory(&self.path("tree")),
            "postgresql" => of_postgres(&self.postgres),
            "mariadb" => of_mariadb(&self.mariadb),
            "redis" => of_redis(&self.redis),
            other => panic!("{other} is not a source"),
        }
    }

    fn server(&self, program: &Path) -> TestServer {
        let postgres = format!("socket = {:?}, user = \"postgres\"", self.postgres.folder());
        let mariadb = format!("socket = {:?}, user = \"root\"", self.mariadb.socket());
        let redis = format!("{{ socket = {:?} }}", self.redis.socket());
        let logical = ", method = \"logical\"";
        let braces = |one: &str, two: &str| format!("{{ {one}{two} }}");
        TestServer::builder()
            .program(program)
            .instance_sqlite("sqlite", &self.path("shop.db"))
            .instance_directory("directory", &self.path("tree"))
            .instance_of("postgresql", "postgresql", &braces(&postgres, ""), "quick")
            .instance_of("postgresql-logical", "postgresql", &braces(&postgres, logical), "quick")
            .instance_of("mariadb", "mariadb", &braces(&mariadb, ""), "quick")
            .instance_of("mariadb-logical", "mariadb", &braces(&mariadb, logical), "quick")
            .instance_of("redis", "redis", &redis, "quick")
            .instance_sqlite("tiny", &self.path("tiny.db"))
            .instance_of(
                "torn",
                "sqlite",
                &format!("{{ path = {:?} }}", self.path("torn.db")),
                "off",
            )
            .instance_sqlite("missing", &self.path("missing.db"))
            .allow_warning("would fail now")
            .allow_warning(" failed")
            .allow_warning("nothing is built on it")
            .start()
    }
}

fn run_sql(database: &Path, sql: &str) {
    Connection::open(database).unwrap().execute_batch(sql).unwrap();
}

fn fill_tree(tree: &Path) {
    std::fs::create_dir_all(tree.join("empty")).unwrap();
    write_file(&tree.join("small.txt"), "small\n");
    write_file(&tree.join("nothing"), "");
    write_file(&tree.join("a name\twith 'letters'\n"), "x");
    let large: Vec<u8> =
        (0..2_500_000_u32).map(|at| u8::try_from(at / 1000 % 251).unwrap()).collect();
    write_file(&tree.join("large.bin"), large);
    let sparse = std::fs::File::create_new(tree.join("sparse")).unwrap();
    sparse.set_len(4 << 20).unwrap();
    symlink("small.txt", tree.join("link")).unwrap();
    std::fs::hard_link(tree.join("large.bin"), tree.join("same.bin")).unwrap();
    let private = Permissions::from_mode(0o600);
    std::fs::set_permissions(tree.join("nothing"), private).unwrap();
    let flags = rustix::fs::XattrFlags::empty();
    rustix::fs::setxattr(tree.join("small.txt"), "user.note", b"a note", flags).unwrap();
}

/// The answer without the folders and the port of this run.
fn portable(row: &Value, server: &TestServer, sources: &Path) -> Value {
    let text = without_folders(&row.to_string(), server.data_dir(), sources);
    serde_json::from_str(&text.replace(server.base(), "http://SERVER")).unwrap()
}

fn without_folders(text: &str, data_dir: &Path, sources: &Path) -> String {
    let text = text.replace(data_dir.to_str().unwrap(), "DATA_DIR");
    text.replace(sources.to_str().unwrap(), "/srv/kept")
}

/// Keeps the archives of these backups, what each holds, and their rows.
fn keep(
    folder: &Path,
    server: &TestServer,
    sources: &Sources,
    backups: &[(Value, Option<String>)],
) {
    std::fs::create_dir_all(folder).unwrap();
    for (row, contents) in backups {
        let archive = archive_of(row);
        std::fs::copy(&archive, folder.join(archive.file_name().unwrap())).unwrap();
        if let Some(contents) = contents {
            write_file(&folder.join(format!("{}.txt", row["id"].as_str().unwrap())), contents);
        }
    }
    let rows: Vec<Value> =
        backups.iter().map(|(row, _)| portable(row, server, sources.folder.path())).collect();
    write_file(&folder.join("backups.json"), format!("{:#}\n", Value::from(rows)));
}

#[test]
#[ignore = "makes the data of a release, once"]
fn make_archives_of_a_released_version() {
    let program = PathBuf::from(std::env::var_os("COFFER_RELEASED").expect("COFFER_RELEASED"));
    let sources = Sources::new();
    let mut server = sources.server(&program);
    let client = server.admin();
    let names = ENGINES;
    let mut kept: Vec<Vec<(Value, Option<String>)>> = vec![Vec::new(); names.len()];
    for number in 0..3 {
        if number > 0 {
            sources.change(number);
        }
        for (name, kept) in names.iter().zip(&mut kept) {
            let row = if number == 0 { client.full(name) } else { client.incremental(name) };
            kept.push((row, Some(sources.contents(name))));
        }
    }
    let root = data().join("archives").join(env!("CARGO_PKG_VERSION"));
    for (name, kept) in names.iter().zip(&kept) {
        keep(&root.join(name), &server, &sources, kept);
    }
    let states = make_states(&sources, &client, &server);
    keep(&root.join("states"), &server, &sources, &states);
    let answers = answers(&client, &server, sources.folder.path());
    assert!(server.terminate().success());
    let catalog = server.data_dir().join("catalog.db");
    let number = add_unfinished_states(&catalog);
    let answers = format!("{answers:#}\n");
    write_file(&data().join(format!("catalog/schema_{number}.json")), answers);
    keep_catalog(&catalog, number, server.data_dir(), sources.folder.path());
}

/// Backups in every state that a server can bring about.
fn make_states(
    sources: &Sources,
    client: &Client,
    server: &TestServer,
) -> Vec<(Value, Option<String>)> {
    let contents = || Some(sources.contents("tiny"));
    let create = |more: &Value| client.completed(&client.create_backup("tiny", more));
    let drilled = |row: &Value| {
        client.ask_for_drill(id_of(row));
        client.drilled(id_of(row));
    };
    let mut states = Vec::new();
    let passed = create(&json!({"name": "drill passed", "description": "all is well"}));
    drilled(&passed);
    states.push((passed.clone(), contents()));
    states.push((create(&json!({"name": "drill to make", "incremental": 1})), contents()));
    let begun = create(&json!({"name": "drill begun", "incremental": 1}));
    drilled(&begun);
    states.push((begun, contents()));

    let path = "backup_strategies";
    let strategy = json!({"backup_strategy": {"swift_container": "for-all"}});
    client.post(path, &strategy).with_status(202);
    let strategy = json!({"backup_strategy": {
        "swift_container": "for-tiny", "instance_id": client.instance_id("tiny")}});
    client.post(path, &strategy).with_status(202);
    client
        .put(&format!("mgmt/quotas/{PROJECT}"), &json!({"quotas": {"backups": 500}}))
        .with_status(200);

    let damaged = create(&json!({"name": "archive damaged"}));
    damage(&archive_of(&damaged));
    let id = damaged["id"].as_str().unwrap();
    assert_eq!(server.run(&["verify", id]).status.code(), Some(4));
    states.push((damaged, None));

    damage_index(&sources.path("torn.db"), "by_name");
    let torn = client.full("torn");
    drilled(&torn);
    states.push((torn, None));
    client.failed("missing");
    states.push((registered(client, server, &passed), contents()));
    client.restored_instance(&passed);
    let rows = states
        .into_iter()
        .map(|(row, contents)| (client.backup(row["id"].as_str().unwrap()), contents));
    rows.collect()
}

/// A copy of the full backup's archive under another name, registered.
fn registered(client: &Client, server: &TestServer, full: &Value) -> Value {
    let folder = server.data_dir().join("archives").join(PROJECT);
    let copy = folder.join("found.tar.zst");
    std::fs::copy(archive_of(full), &copy).unwrap();
    let datastore = client.get("datastores/sqlite").with_status(200).json();
    let body = json!({"backup": {"name": "registered", "restore_from": {
        "remote_location": format!("file://{}", copy.display()),
        "local_datastore_version_id": datastore["datastore"]["default_version"],
        "size": 0.1,
    }}});
    let accepted = client.post("backups", &body).with_status(202).json();
    client.wait_for(accepted["backup"]["id"].as_str().unwrap(), &["RESTORED"])
}

/// What the API answers about everything that will not change any more.
fn answers(client: &Client, server: &TestServer, sources: &Path) -> Value {
    let mut answers = serde_json::Map::new();
    let mut paths = vec!["backup_strategies".to_owned(), format!("mgmt/quotas/{PROJECT}")];
    for row in client.all("backups", "backups") {
        paths.push(format!("backups/{}", row["id"].as_str().unwrap()));
    }
    for row in client.all("instances", "instances") {
        paths.push(format!("instances/{}", row["id"].as_str().unwrap()));
    }
    for path in paths {
        let answer = client.get(&path).with_status(200).json();
        answers.insert(path, portable(&answer, server, sources));
    }
    Value::Object(answers)
}

/// States that a running server leaves within a moment; the number of the schema.
fn add_unfinished_states(catalog: &Path) -> u32 {
    run_sql(
        catalog,
        "UPDATE backups SET drill = 'asked' WHERE name = 'drill to make';
         UPDATE backups SET drill = 'claimed' WHERE name = 'drill begun';
         INSERT INTO backups (id, project, instance, name, task, kind, status, engine, version,
                 created, updated, failure_code, failure_message, removal)
             SELECT column1, project, instance, column2, 'backup', 'full', column3, engine, version,
                 created + 1, updated + 1, column4, column4, column5
             FROM backups, (VALUES
                 ('00000000-0000-7000-8000-000000000001', 'cut short', 'BUILDING', NULL, NULL),
                 ('00000000-0000-7000-8000-000000000002', 'not removed', 'DELETE_FAILED', 'storage',
                  'failed')) WHERE status = 'FAILED';
         INSERT INTO backups (id, project, name, task, kind, status, engine, version, created, updated,
                 location)
             SELECT '00000000-0000-7000-8000-000000000003', project, 'to register', 'registration',
                 'full', 'NEW', engine, version, created + 2, updated + 2, 'project-a/nothing.tar.zst'
             FROM backups WHERE status = 'FAILED';
         INSERT INTO instances (id, project, name, engine, version, restored_from, source, check_level,
                 status, restore, failure_code, failure_message, created, updated)
             SELECT column1, project, column2, engine, version, restored_from, '{}', check_level,
                 column3, column4, column5, column5, created + 1, updated + 1
             FROM instances, (VALUES
                 ('00000000-0000-7000-8000-000000000011', 'to restore', 'BUILD', 'asked', NULL),
                 ('00000000-0000-7000-8000-000000000012', 'not restored', 'ERROR', NULL, 'tool'))
             WHERE restored_from IS NOT NULL;",
    );
    let db = Connection::open(catalog).unwrap();
    let digest = sha2::Sha256::digest(SECRET).to_vec();
    let token = "INSERT INTO tokens (name, project, roles, sha256, created)
        VALUES ('kept', 'project-a', '[\"admin\"]', ?1, 1)";
    db.execute(token, [digest]).unwrap();
    db.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap()
}

fn keep_catalog(catalog: &Path, number: u32, data_dir: &Path, sources: &Path) {
    let output = std::process::Command::new("sqlite3").arg(catalog).arg(".dump").output().unwrap();
    let dump = String::from_utf8(output.stdout).unwrap();
    let dump = without_folders(&dump, data_dir, sources);
    let application: i64 = Connection::open(catalog)
        .unwrap()
        .query_row("PRAGMA application_id", [], |row| row.get(0))
        .unwrap();
    let text = format!(
        "-- A catalog of schema {number} with rows, as `sqlite3 .dump` writes it.\n{dump}\
         PRAGMA application_id = {application};\nPRAGMA user_version = {number};\n"
    );
    write_file(&data().join(format!("catalog/schema_{number}.sql")), text);
}
