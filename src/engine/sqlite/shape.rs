//! What a database says of itself.

use std::collections::BTreeMap;

use rusqlite::Connection;
use serde_json::Value;

/// What the database says of itself.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) page_size: u32,
    pub(super) page_count: u32,
    /// Whether writers go on while it is read.
    pub(super) wal: bool,
    /// For people, in the manifest.
    pub(super) facts: BTreeMap<String, Value>,
}

impl Shape {
    /// The length of the file these pages make.
    pub(super) fn bytes(&self) -> u64 {
        u64::from(self.page_size) * u64::from(self.page_count)
    }
}

/// Asks a connection, in its transaction.
pub(super) fn shape(connection: &Connection) -> rusqlite::Result<Shape> {
    let mut facts = BTreeMap::new();
    for name in [
        "page_size",
        "page_count",
        "freelist_count",
        "auto_vacuum",
        "application_id",
        "user_version",
        "schema_version",
    ] {
        let value: i64 = connection.pragma_query_value(None, name, |row| row.get(0))?;
        facts.insert(name.to_owned(), Value::from(value));
    }
    let encoding: String = connection.pragma_query_value(None, "encoding", |row| row.get(0))?;
    facts.insert("encoding".to_owned(), Value::from(encoding));
    // Which of the rollback modes it is, each writer decides for itself; only WAL is in the file.
    let mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    let wal = mode.eq_ignore_ascii_case("wal");
    facts.insert("journal_mode".to_owned(), Value::from(if wal { "wal" } else { "rollback" }));
    let page_size = connection.pragma_query_value(None, "page_size", |row| row.get(0))?;
    let page_count = connection.pragma_query_value(None, "page_count", |row| row.get(0))?;
    Ok(Shape { page_size, page_count, wal, facts })
}
