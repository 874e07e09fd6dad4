//! Creates the tables in an empty database, and migrates those of an older catalog.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::{Result, StoreError};

const SCHEMA: &str = include_str!("../../schema.sql");

/// The application id in the file's header: "Cofr".
const APPLICATION_ID: i64 = 0x436f_6672;

/// Each step brings a catalog to the schema after its own, the first one from 1 to 2: the current schema
/// is one more than there are steps. A step that was released is never edited.
const STEPS: &[&str] = &[
    include_str!("steps/2_drills.sql"),
    include_str!("steps/3_filtered_lists.sql"),
    include_str!("steps/4_runs.sql"),
    include_str!("steps/5_left_out.sql"),
    include_str!("steps/6_trash.sql"),
    include_str!("steps/7_missing.sql"),
    include_str!("steps/8_schedules.sql"),
    include_str!("steps/9_unattended.sql"),
    include_str!("steps/10_totals.sql"),
    include_str!("steps/11_holdings.sql"),
    include_str!("steps/12_changes.sql"),
    include_str!("steps/13_written.sql"),
    include_str!("steps/14_fleet.sql"),
];

/// The number of the current schema.
fn newest() -> i64 {
    i64::try_from(STEPS.len()).unwrap_or(i64::MAX).saturating_add(1)
}

/// Whether a catalog that may not be changed has the current schema. An error if it is none, or a newer one.
pub(super) fn is_current(db: &Connection, path: &Path) -> Result<bool> {
    let (application, found) = numbers(db)?;
    if application != APPLICATION_ID {
        return Err(StoreError::NotACatalog { path: path.to_owned() });
    }
    if found > newest() {
        return Err(StoreError::Newer { path: path.to_owned(), found, known: newest() });
    }
    Ok(found == newest())
}

/// The application id and the number of the schema.
fn numbers(db: &Connection) -> Result<(i64, i64)> {
    let application = db.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    Ok((application, db.query_row("PRAGMA user_version", [], |row| row.get(0))?))
}

/// Creates or migrates, in one transaction.
pub(super) fn prepare(db: &mut Connection, path: &Path) -> Result<()> {
    let newest = newest();
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let (application, found) = numbers(&tx)?;
    let tables: i64 = tx.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if tables == 0 && application == 0 && found == 0 {
        tx.execute_batch(SCHEMA)?;
    } else if application != APPLICATION_ID || found < 1 {
        return Err(StoreError::NotACatalog { path: path.to_owned() });
    } else if found > newest {
        return Err(StoreError::Newer { path: path.to_owned(), found, known: newest });
    } else if found == newest {
        return Ok(());
    } else {
        let done = usize::try_from(found.saturating_sub(1)).unwrap_or(usize::MAX);
        for step in STEPS.iter().skip(done) {
            tx.execute_batch(step)?;
        }
    }
    tx.pragma_update(None, "application_id", APPLICATION_ID)?;
    tx.pragma_update(None, "user_version", newest)?;
    Ok(tx.commit()?)
}
