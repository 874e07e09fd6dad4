//! A database's page size, length, journal mode and other header fields.

use std::collections::BTreeMap;

use rusqlite::Connection;
use serde_json::Value;

#[derive(Debug)]
pub(super) struct DatabaseInfo {
    pub(super) page_size: u32,
    pub(super) page_count: u32,
    /// In WAL mode writers are not blocked while the database is read.
    pub(super) is_wal: bool,
    /// For the manifest.
    pub(super) facts: BTreeMap<String, Value>,
}

impl DatabaseInfo {
    /// Reads it in the connection's current transaction.
    pub(super) fn read(connection: &Connection) -> rusqlite::Result<Self> {
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
        // The file says only whether it is in WAL mode. Each writer chooses its own rollback mode.
        let mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
        let is_wal = mode.eq_ignore_ascii_case("wal");
        let mode = if is_wal { "wal" } else { "rollback" };
        facts.insert("journal_mode".to_owned(), Value::from(mode));
        let page_size = connection.pragma_query_value(None, "page_size", |row| row.get(0))?;
        let page_count = connection.pragma_query_value(None, "page_count", |row| row.get(0))?;
        Ok(Self { page_size, page_count, is_wal, facts })
    }

    pub(super) fn bytes(&self) -> u64 {
        u64::from(self.page_size) * u64::from(self.page_count)
    }
}
