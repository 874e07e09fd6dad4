//! Catalogs with many rows, written directly: a million backups would take too long.

use std::fs;
use std::path::Path;

use rusqlite::Connection;

use super::Outcome;
use super::server::PROJECT;

/// A backup's id from its number, as SQL.
const ID: &str = "printf('%08x-%04x-7%03x-8%03x-%012x', (1700000000000 + i * 1000) >> 16,
    (1700000000000 + i * 1000) & 65535, (i * 2654435761) & 4095, (i * 40503) & 4095,
    (i * 2654435761 * 97) & 281474976710655)";

/// An instance's id from its number, as SQL.
const INSTANCE: &str = "printf('%08x-0000-4000-8000-%012x', i % 1000, i % 1000)";

/// Adds finished backups of a thousand instances; one in a hundred of them is RESTORED, and the oldest ten
/// are FAILED, so that a filter has something rare to find. The newest has a file in its archive's place, because
/// no backup begins where every archive is missing.
pub(crate) fn backups(catalog: &Path, rows: u64) -> Outcome<()> {
    let db = Connection::open(catalog)?;
    db.execute_batch(&format!(
        "PRAGMA synchronous = OFF;
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
         INSERT INTO backups (id, project, instance, name, description, task, kind, status, engine,
             version, created, updated, location, size, source_bytes, checksum, verified_at,
             verify_level, failure_code, failure_message)
         SELECT {ID}, '{PROJECT}', {INSTANCE}, 'nightly ' || i, 'the nightly backup', 'backup', 'full',
             CASE WHEN i <= 10 THEN 'FAILED' WHEN i % 100 = 0 THEN 'RESTORED' ELSE 'COMPLETED' END,
             'sqlite', '3.50', 1700000000000000 + i * 1000000, 1700000000000500 + i * 1000000,
             '{PROJECT}/' || {INSTANCE} || '/' || {ID} || '.tar.zst', 1000000 + i, 2000000 + i,
             lower(hex(randomblob(32))), 1700000000000400 + i * 1000000, 'checked',
             CASE WHEN i <= 10 THEN 'internal' END, CASE WHEN i <= 10 THEN 'it did not work' END
         FROM n;
         PRAGMA wal_checkpoint(TRUNCATE);"
    ))?;
    let newest = "SELECT location FROM backups ORDER BY created DESC LIMIT 1";
    let location: String = db.query_row(newest, [], |row| row.get(0))?;
    let archive = catalog.with_file_name("archives").join(location);
    if let Some(folder) = archive.parent() {
        fs::create_dir_all(folder)?;
    }
    #[expect(clippy::disallowed_methods, reason = "data of the bench's own")]
    fs::write(archive, "")?;
    Ok(())
}

/// Adds instances that can be backed up, as if restores had made them.
pub(crate) fn instances(catalog: &Path, rows: u64) -> Outcome<()> {
    let db = Connection::open(catalog)?;
    db.execute_batch(&format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
         INSERT INTO instances (id, project, name, engine, version, restored_from, source,
             check_level, status, created, updated)
         SELECT printf('%08x-0000-4000-9000-000000000000', i), '{PROJECT}', 'posted ' || i, 'sqlite',
             '3.50', '018bcfed-0d08-7765-81a3-755298ffed45', '{{\"path\":\"/nowhere\"}}', 'off',
             'ACTIVE', 1700000000000000, 1700000000000000 FROM n;
         PRAGMA wal_checkpoint(TRUNCATE);"
    ))?;
    Ok(())
}

/// Ids of backups, spread evenly over the table.
pub(crate) fn some_ids(catalog: &Path, count: u32) -> Outcome<Vec<String>> {
    let db = Connection::open(catalog)?;
    let rows: u32 = db.query_row("SELECT max(rowid) FROM backups", [], |row| row.get(0))?;
    let mut find = db.prepare("SELECT id FROM backups WHERE rowid = ?1")?;
    (0..count)
        .map(|at| {
            let row = u64::from(rows) * u64::from(at) / u64::from(count) + 1;
            Ok(find.query_row([i64::try_from(row)?], |row| row.get(0))?)
        })
        .collect()
}
