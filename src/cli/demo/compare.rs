//! Proof that a restored database holds what had been committed.

use std::ops::RangeInclusive;
use std::path::Path;

use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, Rows};

use super::ledger::{self, Ledger, TOTAL};

/// What is wrong with a restored database.
#[derive(Debug, thiserror::Error)]
pub(super) enum Difference {
    #[error("{0}")]
    Found(String),
    #[error("it cannot be read: {0}")]
    Unreadable(#[from] rusqlite::Error),
}

/// What a proof found.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Proof {
    /// The number of the last transaction in the database.
    pub(super) transactions: i64,
    /// Rows that equal what was committed: all of them.
    pub(super) rows: u64,
}

/// Proves that `restored` holds what was committed when it was backed up: SQLite finds no fault in it,
/// the total is right, its last transaction is one of `possible`, and every row equals that of
/// `reference`, which the same program has brought to this transaction.
pub(super) fn prove(
    restored: &Path,
    possible: &RangeInclusive<i64>,
    reference: &mut Ledger,
) -> Result<Proof, Difference> {
    let database = open(restored)?;
    let check: String = database.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
    if check != "ok" {
        return found(format!("integrity_check says {check}"));
    }
    let total = total_in(&database)?;
    if total != TOTAL {
        return found(format!("the accounts hold {total} together, not {TOTAL}"));
    }
    let transactions = ledger::transactions_in(&database)?;
    if !possible.contains(&transactions) {
        let (first, last) = (possible.start(), possible.end());
        return found(format!(
            "it ends with transaction {transactions}; the backup was made between {first} and {last}"
        ));
    }
    reference.advance_to(transactions)?;
    Ok(Proof { transactions, rows: rows(&database, reference.database())? })
}

/// Opens a database that exists.
pub(super) fn open(file: &Path) -> rusqlite::Result<Connection> {
    Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_WRITE)
}

/// What all accounts of a database hold together.
pub(super) fn total_in(database: &Connection) -> rusqlite::Result<i64> {
    database.query_row("SELECT SUM(balance) FROM accounts", [], |row| row.get(0))
}

/// Compares the schema, then every row of every table, every column with its type. Returns the number
/// of rows; an error names the first one that differs.
pub(super) fn rows(restored: &Connection, expected: &Connection) -> Result<u64, Difference> {
    let schema = "SELECT name, type, sql FROM sqlite_schema ORDER BY name";
    same_rows(restored, expected, "sqlite_schema", schema)?;
    let mut query = expected.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'")?;
    let tables: Vec<String> =
        query.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    let mut compared = 0;
    for table in tables {
        let query = format!("SELECT rowid, * FROM \"{table}\" ORDER BY rowid");
        compared += same_rows(restored, expected, &table, &query)?;
    }
    Ok(compared)
}

/// Compares the answers of both databases to a query whose first column identifies the row.
fn same_rows(
    restored: &Connection,
    expected: &Connection,
    table: &str,
    query: &str,
) -> Result<u64, Difference> {
    let (mut restored, mut expected) = (restored.prepare(query)?, expected.prepare(query)?);
    let columns: Vec<String> = expected.column_names().into_iter().map(str::to_owned).collect();
    let (mut restored, mut expected) = (restored.query([])?, expected.query([])?);
    let mut compared = 0;
    loop {
        let (row, committed) = (next(&mut restored, &columns)?, next(&mut expected, &columns)?);
        let id = |row: &[Value]| row.first().map(shown).unwrap_or_default();
        match (row, committed) {
            (None, None) => return Ok(compared),
            (Some(row), Some(committed)) if row == committed => compared += 1,
            (Some(row), None) => {
                let id = id(&row);
                return found(format!("table {table} has row {id}, which was never committed"));
            }
            (None, Some(committed)) => {
                return found(format!("table {table} lacks row {}", id(&committed)));
            }
            (Some(row), Some(committed)) => {
                let differs = row.iter().zip(&committed).position(|(is, was)| is != was);
                let differs = differs.unwrap_or_default();
                let value = |row: &[Value]| row.get(differs).map(shown).unwrap_or_default();
                return found(format!(
                    "table {table}, row {}: {} is {} and was committed as {}",
                    id(&committed),
                    columns.get(differs).map_or("", String::as_str),
                    value(&row),
                    value(&committed)
                ));
            }
        }
    }
}

fn found<T>(text: String) -> Result<T, Difference> {
    Err(Difference::Found(text))
}

fn next(rows: &mut Rows<'_>, columns: &[String]) -> rusqlite::Result<Option<Vec<Value>>> {
    let Some(row) = rows.next()? else { return Ok(None) };
    (0..columns.len()).map(|column| row.get(column)).collect::<rusqlite::Result<_>>().map(Some)
}

/// A value short enough for a line.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::Integer(number) => number.to_string(),
        Value::Real(number) => number.to_string(),
        Value::Text(text) => {
            let start: String = text.chars().take(32).collect();
            format!("{start:?} ({} bytes)", text.len())
        }
        Value::Blob(bytes) => format!("a blob of {} bytes", bytes.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::demo::ledger::Purpose;
    use crate::cli::interrupt::Interrupt;

    const ROWS: &str = "
        CREATE TABLE accounts (id INTEGER PRIMARY KEY, owner TEXT, balance);
        INSERT INTO accounts VALUES (1, 'ann', 10), (2, 'bob', 20), (3, NULL, x'00ff');
        CREATE TABLE empty (id INTEGER PRIMARY KEY);";

    fn changed_by(change: &str) -> Result<u64, String> {
        let (restored, expected) =
            (Connection::open_in_memory().unwrap(), Connection::open_in_memory().unwrap());
        restored.execute_batch(ROWS).unwrap();
        expected.execute_batch(ROWS).unwrap();
        restored.execute_batch(change).unwrap();
        rows(&restored, &expected).map_err(|difference| difference.to_string())
    }

    #[test]
    fn equal_databases_are_equal_in_every_row() {
        assert_eq!(changed_by(""), Ok(3));
    }

    #[test]
    fn a_changed_value_is_found_and_named() {
        assert_eq!(
            changed_by("UPDATE accounts SET balance = 21 WHERE id = 2").unwrap_err(),
            "table accounts, row 2: balance is 21 and was committed as 20"
        );
        for change in [
            "UPDATE accounts SET owner = 'annA' WHERE id = 1",
            "UPDATE accounts SET owner = '' WHERE id = 3",
            "UPDATE accounts SET balance = '10' WHERE id = 1",
            "UPDATE accounts SET balance = 10.0 WHERE id = 1",
            "UPDATE accounts SET balance = x'00fe' WHERE id = 3",
        ] {
            assert!(changed_by(change).is_err(), "{change}");
        }
    }

    #[test]
    fn an_extra_or_missing_row_is_found_and_named() {
        assert_eq!(
            changed_by("DELETE FROM accounts WHERE id = 3").unwrap_err(),
            "table accounts lacks row 3"
        );
        assert_eq!(
            changed_by("INSERT INTO empty VALUES (9)").unwrap_err(),
            "table empty has row 9, which was never committed"
        );
        assert!(changed_by("DELETE FROM accounts WHERE id = 1").is_err());
    }

    #[test]
    fn another_schema_is_a_difference() {
        for change in [
            "CREATE INDEX by_owner ON accounts (owner)",
            "CREATE TABLE extra (id INTEGER)",
            "DROP TABLE empty",
        ] {
            assert!(changed_by(change).is_err(), "{change}");
        }
    }

    /// Proves a database after `number` transactions and `change`, made between transactions 5 and 9.
    fn proof_of(number: i64, change: &str) -> Result<Proof, Difference> {
        let folder = tempfile::tempdir().unwrap();
        let interrupt = Interrupt::listen().unwrap();
        let ledger = |name: &str, purpose| {
            Ledger::create(&folder.path().join(name), purpose, 30, &interrupt).unwrap()
        };
        let mut restored = ledger("restored.db", Purpose::Live);
        restored.advance_to(number).unwrap();
        restored.database().execute_batch(change).unwrap();
        let mut reference = ledger("expected.db", Purpose::Reference);
        prove(&folder.path().join("restored.db"), &(5..=9), &mut reference)
    }

    #[track_caller]
    fn assert_damaged(number: i64, change: &str, expected: &str) {
        let difference = proof_of(number, change).unwrap_err().to_string();
        assert!(difference.contains(expected), "{difference}");
    }

    #[test]
    fn a_restore_that_holds_what_was_committed_is_proven() {
        let rows = 1_000 + 7 + 30 + 1;
        assert_eq!(proof_of(7, "").unwrap(), Proof { transactions: 7, rows });
    }

    #[test]
    fn a_restore_with_one_other_value_is_damaged() {
        let body = "UPDATE documents SET body = body || '.' WHERE id = 3";
        assert_damaged(7, body, "table documents, row 3: body");
        assert_damaged(7, "UPDATE accounts SET balance = balance - 1 WHERE id = 1", "999999");
    }

    #[test]
    fn a_restore_of_another_moment_is_damaged() {
        assert_damaged(4, "", "between 5 and 9");
        assert_damaged(10, "", "between 5 and 9");
    }

    #[test]
    fn a_restore_that_lost_a_transaction_is_damaged_even_if_the_total_is_right() {
        assert_damaged(6, "UPDATE progress SET transactions = 7", "was committed as");
    }
}
