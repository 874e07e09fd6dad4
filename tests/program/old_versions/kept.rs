//! The archives and catalogs below `tests/data`.

use std::fs::File;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use jiff::Timestamp;
use rusqlite::Connection;
use serde_json::{Map, Value};

use super::contents::{of_directory, of_mariadb, of_postgres, of_redis, of_sqlite};
use super::mariadb::MariaDb;
use super::postgres::Postgres;
use super::redis::RedisServer;

/// The secret of the token in the kept catalogs.
pub(super) const SECRET: &str = "the secret of a kept catalog";

/// `tests/data`.
pub(super) fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data")
}

/// Archives of one version: files named as they were in its store, `backups.json` with the rows that its API
/// showed, oldest first and with `DATA_DIR` for its data directory, and for each sound backup `<id>.txt`, what
/// its source held.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    rows: Vec<Value>,
}

impl Folder {
    pub(super) fn open(version: &str, name: &str) -> Self {
        let path = data().join("archives").join(version).join(name);
        let text = std::fs::read_to_string(path.join("backups.json")).unwrap();
        let rows: Vec<Value> = serde_json::from_str(&text).unwrap();
        assert!(!rows.is_empty(), "{}", path.display());
        Self { path, rows }
    }

    pub(super) fn rows(&self) -> &[Value] {
        &self.rows
    }

    /// The archives that a restore of this backup needs.
    pub(super) fn chain(&self, row: &Value) -> Vec<PathBuf> {
        let mut chain = vec![self.path.join(file_name(row))];
        let parent = self.rows.iter().find(|other| other["id"] == row["parent_id"]);
        chain.extend(parent.into_iter().flat_map(|parent| self.chain(parent)));
        chain
    }

    /// What a restore of this backup must give; `None` if it is damaged.
    pub(super) fn contents(&self, row: &Value) -> Option<String> {
        let path = self.path.join(format!("{}.txt", row["id"].as_str().unwrap()));
        std::fs::read_to_string(path).ok()
    }

    /// Copies the archives to where they were in the data directory. A file's time is when it was last proven.
    pub(super) fn place_archives(&self, data_dir: &Path) {
        for row in &self.rows {
            let location = row["locationRef"].as_str().unwrap();
            let location = location.strip_prefix("file://DATA_DIR/").unwrap();
            let to = data_dir.join(location);
            std::fs::create_dir_all(to.parent().unwrap()).unwrap();
            std::fs::copy(self.path.join(file_name(row)), &to).unwrap();
            let proven = format!("{}Z", row["verified_at"].as_str().unwrap());
            let proven: Timestamp = proven.parse().unwrap();
            let file = File::options().append(true).open(&to).unwrap();
            let seconds = u64::try_from(proven.as_second()).unwrap();
            file.set_modified(UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
        }
    }
}

fn file_name(row: &Value) -> &str {
    row["locationRef"].as_str().unwrap().rsplit('/').next().unwrap()
}

/// Makes `catalog.db` from the dump of this schema.
pub(super) fn place_catalog(schema: u32, data_dir: &Path) {
    let dump = data().join(format!("catalog/schema_{schema}.sql"));
    let dump = std::fs::read_to_string(dump).unwrap();
    let dump = dump.replace("DATA_DIR", data_dir.to_str().unwrap());
    Connection::open(data_dir.join("catalog.db")).unwrap().execute_batch(&dump).unwrap();
}

/// What the version with this schema answered, by path; `DATA_DIR` stands for its data directory.
pub(super) fn expected_answers(schema: u32) -> Map<String, Value> {
    let text = std::fs::read_to_string(data().join(format!("catalog/schema_{schema}.json")));
    serde_json::from_str(&text.unwrap()).unwrap()
}

/// The contents of what a backup was restored to, read by the database's own server.
pub(super) fn read(row: &Value, restored: &Path) -> String {
    match row["datastore"]["type"].as_str().unwrap() {
        "sqlite" => of_sqlite(restored),
        "directory" => of_directory(restored),
        "mariadb" => of_mariadb(&MariaDb::on(restored)),
        "redis" => of_redis(&RedisServer::on(restored)),
        "postgresql" => {
            // The server's user must be able to get there.
            let open = std::fs::Permissions::from_mode(0o755);
            std::fs::set_permissions(restored.parent().unwrap(), open).unwrap();
            of_postgres(&Postgres::on(&restored.join("pgdata")))
        }
        other => panic!("{other} is not an engine"),
    }
}
