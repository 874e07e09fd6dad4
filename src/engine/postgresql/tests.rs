//! The engine against a real server.

#[path = "../../../tests/servers/postgres.rs"]
mod server;

use std::path::Path;

use serde_json::{Value, json};

use self::server::{Postgres, Setup};
use super::Postgresql;
use crate::domain::Source;
use crate::engine::Engine;
use crate::engine::conformance::{Original, Subject, engine_conformance};

fn source(server: &Postgres, more: &Value) -> Source {
    let mut source = json!({"socket": server.folder(), "user": server::SUPERUSER});
    for (key, value) in more.as_object().unwrap() {
        source[key] = value.clone();
    }
    serde_json::from_value(source).unwrap()
}

/// Enough rows for several segments, with an index.
const ROWS: &str = "CREATE TABLE item(id int PRIMARY KEY, note text);
    INSERT INTO item SELECT n, repeat(md5(n::text), 6) FROM generate_series(1, 12000) n;";

fn rows(server: &Postgres) -> String {
    server.sql(
        "postgres",
        "SELECT count(*), sum(id), md5(string_agg(note, '' ORDER BY id)) FROM item",
    )
}

struct Physical;

impl Subject for Physical {
    fn engine() -> &'static dyn Engine {
        &Postgresql
    }

    fn plant(_folder: &Path) -> Original {
        let server = Postgres::new();
        server.sql("postgres", ROWS);
        server.sql("postgres", "CHECKPOINT");
        Original {
            source: source(&server, &json!({})),
            path: server.folder().to_owned(),
            server: Some(Box::new(server)),
        }
    }

    fn assert_same(original: &Original, restored: &Path) {
        let old = original.server.as_ref().unwrap().downcast_ref::<Postgres>().unwrap();
        let new = Postgres::on(&restored.join("pgdata"));
        assert_eq!(rows(&new), rows(old));
        assert_eq!(new.dump_all(), old.dump_all());
    }

    fn nowhere() -> Source {
        serde_json::from_value(json!({"socket": "/nowhere/at all"})).unwrap()
    }
}

mod physical {
    super::engine_conformance! { super::Physical }
}
