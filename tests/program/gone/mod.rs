//! What is suddenly not there: the disk with the archives, the catalog, both, or a single archive. Nothing is lost,
//! nothing is said that is not so, and once it is there again, all is as before.

mod archives;
mod both;
mod catalog;
mod older_copy;
mod written;

use std::path::{Path, PathBuf};

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::support::{Builder, Client, TestServer, id_of, names_in, wait_until};

/// A server over two databases.
struct Fixture {
    server: TestServer,
    database: PathBuf,
    _folder: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        Self::with(|builder| builder)
    }

    fn with(more: impl FnOnce(Builder) -> Builder) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let databases = ["shop", "blog"].map(|name| folder.path().join(name));
        for database in &databases {
            run_sql(database, "CREATE TABLE row(word); INSERT INTO row VALUES ('first')");
        }
        let [database, other] = databases;
        let builder = TestServer::builder()
            .instance_sqlite("shop", &database)
            .instance_sqlite("blog", &other)
            .allow_warning("the archives are not where they were")
            .allow_warning("there again")
            .allow_warning("where it was again")
            .allow_warning("r2d2")
            .allow_warning("is not usable")
            .allow_warning("rebuilt");
        Self { server: more(builder).start(), database, _folder: folder }
    }

    fn client(&self) -> Client {
        self.server.admin()
    }

    fn change(&self) {
        run_sql(&self.database, "INSERT INTO row VALUES ('more')");
    }

    fn path(&self, name: &str) -> PathBuf {
        self.server.data_dir().join(name)
    }

    /// Takes the folder of the archives away.
    fn take_archives(&self) {
        move_folder(&self.path("archives"), &self.path("away"));
    }

    /// Brings it back. An empty folder may have been in its place, and nothing else.
    fn bring_archives(&self) {
        assert_eq!(
            names_in(&self.path("archives")),
            [""; 0],
            "something was put into the empty place"
        );
        std::fs::remove_dir(self.path("archives")).unwrap_or_default();
        move_folder(&self.path("away"), &self.path("archives"));
    }

    /// The notices of the health check. While the catalog's file is not its own, the server opens no further
    /// connection to it, and a check that would need one is answered with 503.
    fn notices(&self) -> String {
        let health = wait_until("a health check with notices", || {
            let answer = self.server.anonymous().get("/healthcheck");
            assert!([200, 503].contains(&answer.status), "{answer:?}");
            (answer.status == 200).then(|| answer.json())
        });
        health["notices"].to_string()
    }

    fn wait_for_notice(&self, text: &str) {
        wait_until(text, || self.notices().contains(text).then_some(()));
    }

    fn wait_for_no_notice(&self, text: &str) {
        wait_until("the notice to go", || (!self.notices().contains(text)).then_some(()));
    }

    /// Asks for a backup, which is not begun.
    fn waiting(&self, instance: &str, incremental: u8) -> Value {
        let more = json!({"name": "waiting", "incremental": incremental});
        let accepted = self.client().create_backup(instance, &more).with_status(202);
        accepted.json()["backup"].take()
    }

    #[track_caller]
    fn assert_still_waiting(&self, backup: &Value) {
        assert_eq!(self.client().backup(id_of(backup))["status"], "NEW");
    }

    fn completed(&self, backup: &Value) -> Value {
        let row = self.client().wait_for(id_of(backup), &["COMPLETED", "FAILED"]);
        assert_eq!(row["status"], "COMPLETED", "{row:#}");
        row
    }
}

fn run_sql(database: &Path, sql: &str) {
    Connection::open(database).unwrap().execute_batch(sql).unwrap();
}

#[expect(clippy::disallowed_methods, reason = "a test takes a folder away")]
fn move_folder(from: &Path, to: &Path) {
    std::fs::rename(from, to).unwrap();
}

/// Rows without what a restart or a drill may change.
fn without_times(rows: Vec<Value>) -> Vec<Value> {
    let without = |mut row: Value| {
        row["updated"].take();
        row
    };
    rows.into_iter().map(without).collect()
}

/// A copy of the catalog, without the server's process.
fn copy_catalog(fixture: &Fixture, from: &str, to: &str) {
    for end in ["", "-wal", "-shm"] {
        let (from, to) =
            (fixture.path(&format!("{from}{end}")), fixture.path(&format!("{to}{end}")));
        std::fs::remove_file(&to).unwrap_or_default();
        if from.exists() {
            std::fs::copy(from, to).unwrap();
        }
    }
}
