//! The newest backup of a server, restored to a path again and again: it becomes a data directory that a server can run
//! on, and is not replaced while one does.

use std::path::PathBuf;

use crate::servers::mariadb::MariaDb;
use crate::servers::redis::RedisServer;
use crate::support::{MONTHLY, TestServer};

struct Fixture {
    coffer: TestServer,
    to: PathBuf,
    _folder: tempfile::TempDir,
}

impl Fixture {
    fn new(engine: &str, source: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let to = folder.path().join("shop");
        let coffer = TestServer::builder()
            .instance_of("shop", engine, source, "quick")
            .toml(&format!(
                "timezone = \"UTC\"\nstaging = {{ to = {to:?}, schedule = \"{MONTHLY}\" }}"
            ))
            .allow_warning("is not replaced")
            .start();
        Self { coffer, to, _folder: folder }
    }

    /// Backs up, and waits until the restores into staging ended like this.
    #[track_caller]
    fn refresh(&mut self, expected: &[&str]) {
        self.coffer.admin().full("shop");
        self.coffer.forty_days_later();
        self.coffer.wait_for_stagings(expected);
    }
}

/// Refreshes it, starts a server on it, changes the source, and refreshes it while that server runs and once it does not.
#[track_caller]
fn assert_is_refreshed<S>(
    engine: &str,
    source: &str,
    write: impl Fn(&str),
    start: impl Fn(&PathBuf) -> S,
    read: impl Fn(&S) -> String,
) {
    write("first");
    let mut fixture = Fixture::new(engine, source);
    fixture.refresh(&["done"]);
    let running = start(&fixture.to);
    assert_eq!(read(&running), "first");
    write("second");
    fixture.refresh(&["done", "failed"]);
    assert_eq!(read(&running), "first", "nothing is taken away from it");
    let log = fixture.coffer.log().text();
    assert!(log.contains("stop it before the time of staging.schedule"), "{log}");
    drop(running);
    fixture.refresh(&["done", "failed", "done"]);
    assert_eq!(read(&start(&fixture.to)), "second");
}

#[test]
fn a_data_directory_of_mariadb_is_refreshed_unless_a_server_runs_on_it() {
    let shop = MariaDb::start();
    shop.sql("CREATE DATABASE shop; CREATE TABLE shop.item(it TEXT)");
    // As of Debian's packages: the file with the process is not in the data directory.
    let elsewhere = tempfile::tempdir().unwrap();
    let pid_file = format!("--pid-file={}", elsewhere.path().join("pid").display());
    for method in ["physical", "logical"] {
        let source =
            format!("{{ socket = {:?}, user = \"root\", method = {method:?} }}", shop.socket());
        assert_is_refreshed(
            "mariadb",
            &source,
            |word| {
                let sql = format!("DELETE FROM shop.item; INSERT INTO shop.item VALUES ('{word}')");
                shop.sql(&sql);
            },
            |to| MariaDb::on_with(to, &[&pid_file]),
            |server| server.sql("SELECT it FROM shop.item"),
        );
    }
}

#[test]
fn a_folder_of_redis_is_refreshed_unless_a_server_runs_on_it() {
    let shop = RedisServer::start();
    assert_is_refreshed(
        "redis",
        &format!("{{ socket = {:?} }}", shop.socket()),
        |word| {
            shop.connect().run(&["SET", "item", word]);
        },
        |to| RedisServer::on(to),
        |server| server.connect().run(&["GET", "item"]).text(),
    );
}
