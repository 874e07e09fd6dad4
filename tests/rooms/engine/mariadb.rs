//! The engines `mariadb` and `mysql`, on real servers.

#[path = "../../servers/mariadb.rs"]
mod server;

use std::fs::OpenOptions;
use std::path::Path;

use coffer::domain::{FailureCode, Source};
use coffer::engine::{DrillReport, DrillRequest, Engine, EngineError, find};
use serde_json::json;

use self::server::MariaDb;
use super::conformance::{EngineTest, NOT_CANCELLED, TestSource, code, engine_conformance};

/// Tables of three storage engines, several segments together.
const SHOP: &str = "CREATE DATABASE shop; USE shop; \
     CREATE TABLE orders(id INT PRIMARY KEY, what VARCHAR(200), coins INT, KEY(coins)) ENGINE=InnoDB; \
     INSERT INTO orders SELECT seq, REPEAT(MD5(seq), 6), seq * 7 % 1000 FROM seq_1_to_20000; \
     CREATE TABLE log(id INT PRIMARY KEY, what VARCHAR(100)) ENGINE=MyISAM; \
     INSERT INTO log SELECT seq, MD5(seq) FROM seq_1_to_5000; \
     CREATE TABLE notes(id INT PRIMARY KEY, what VARCHAR(100)) ENGINE=Aria; \
     INSERT INTO notes SELECT seq, MD5(seq) FROM seq_1_to_5000";

/// What must be the same in a copy.
const SUMS: &str = "CHECKSUM TABLE shop.orders, shop.log, shop.notes EXTENDED";

/// The source of a test's server.
fn source_of(server: &MariaDb, method: &str) -> Source {
    let source = json!({"socket": server.socket(), "user": "root", "method": method});
    serde_json::from_value(source).unwrap()
}

fn nowhere() -> Source {
    serde_json::from_value(json!({"socket": "/nowhere/at all"})).unwrap()
}

struct Physical;

impl EngineTest for Physical {
    fn engine() -> &'static dyn Engine {
        find("mariadb").unwrap()
    }

    fn create(_folder: &Path) -> TestSource {
        let server = MariaDb::start();
        server.sql(SHOP);
        let (source, path) = (source_of(&server, "physical"), server.datadir().to_owned());
        TestSource { source, path, server: Some(Box::new(server)) }
    }

    fn assert_same(original: &TestSource, restored: &Path) {
        let server = original.server.as_ref().unwrap().downcast_ref::<MariaDb>().unwrap();
        let again = MariaDb::on(restored);
        assert_eq!(again.sql(SUMS), server.sql(SUMS));
    }

    fn nowhere() -> Source {
        nowhere()
    }
}

mod physical {
    super::engine_conformance!(super::Physical);
}

fn drill(datadir: &Path, source: Option<&Source>) -> Result<DrillReport, EngineError> {
    let scratch = tempfile::tempdir().unwrap();
    Physical::engine().drill(&DrillRequest {
        restored: datadir,
        source,
        scratch: scratch.path(),
        cancel: &NOT_CANCELLED,
    })
}

/// Stops the server and truncates one of its files.
fn cut(server: &mut MariaDb, file: &str) {
    server.stop();
    let file = OpenOptions::new().write(true).open(server.datadir().join(file)).unwrap();
    // InnoDB makes files longer than their content: half of a file could be lost without any data.
    file.set_len(file.metadata().unwrap().len() / 5).unwrap();
}

#[test]
fn a_drill_finds_truncated_files_of_innodb() {
    for (file, word) in [("shop/orders.ibd", "shop.orders"), ("ibdata1", "ibdata1")] {
        let mut server = MariaDb::start();
        server.sql(SHOP);
        cut(&mut server, file);
        let found = drill(server.datadir(), None);
        let said = found.as_ref().expect_err(file).to_string();
        assert!(said.contains(word), "{file}: {said}");
        assert_eq!(code(found), FailureCode::ArchiveDamaged, "{said}");
    }
}

#[test]
fn a_drill_without_a_server_program_names_the_package() {
    let (datadir, empty) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let source = json!({"socket": "/s", "tools": empty.path()});
    let source = serde_json::from_value(source).unwrap();
    let found = drill(datadir.path(), Some(&source));
    assert!(found.as_ref().unwrap_err().to_string().contains("apt install mariadb-server"));
    assert_eq!(code(found), FailureCode::Tool);
}

struct Logical;

impl EngineTest for Logical {
    fn engine() -> &'static dyn Engine {
        find("mysql").unwrap()
    }

    fn create(folder: &Path) -> TestSource {
        let TestSource { path, server, .. } = Physical::create(folder);
        let source =
            source_of(server.as_ref().unwrap().downcast_ref::<MariaDb>().unwrap(), "logical");
        TestSource { source, path, server }
    }

    fn assert_same(original: &TestSource, restored: &Path) {
        Physical::assert_same(original, restored);
    }

    fn nowhere() -> Source {
        nowhere()
    }
}

mod logical {
    // The size of a dump is not known in advance, so the rule about announced sizes is left out.
    super::engine_conformance! { super::Logical:
        a_restore_equals_the_source
        a_restore_passes_a_drill
        a_dump_ends_when_the_intake_stops_at_any_call
        dropping_an_unfinished_restore_leaves_nothing_behind
        a_restore_never_replaces_anything
        missing_and_invalid_sources_have_different_codes
        an_archive_with_an_unexpected_entry_is_refused
    }
}

#[test]
fn a_database_of_a_server_is_not_refreshed_by_itself_and_the_reason_says_what_can_be_done() {
    for name in ["mariadb", "mysql"] {
        let engine = find(name).unwrap();
        let refused = engine.check_refresh(&nowhere(), &nowhere(), "shop_staging").unwrap_err();
        assert_eq!(refused.failure().unwrap().code, FailureCode::SourceInvalid);
        let said = refused.to_string();
        assert!(said.contains(name) && said.contains("another name"), "{said}");
        assert!(said.contains("staging.to"), "{said}");
        assert!(engine.probe_refresh(&nowhere(), &nowhere(), "shop_staging").is_err());
    }
}
