//! Proof that a restored database holds what had been committed.

use std::error::Error;
use std::ops::RangeInclusive;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::ledger::{self, Ledger, TOTAL};

/// Proves that `restored` holds what was committed when it was backed up: SQLite finds no fault in it,
/// the total is right, its last transaction is one of `possible`, and every row equals that of
/// `reference`, which the same program has brought to this transaction. Returns the number of that
/// transaction and of the rows.
pub(super) fn prove(
    restored: &Path,
    possible: &RangeInclusive<i64>,
    reference: &mut Ledger,
) -> Result<(i64, u64), Box<dyn Error>> {
    let database = open(restored)?;
    let check: String = database.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
    if check != "ok" {
        return Err(format!("integrity_check says {check}").into());
    }
    let total = ledger::total_in(&database)?;
    if total != TOTAL {
        return Err(format!("the accounts hold {total} together, not {TOTAL}").into());
    }
    let transactions = ledger::transactions_in(&database)?;
    if !possible.contains(&transactions) {
        let (first, last) = (possible.start(), possible.end());
        return Err(format!(
            "it ends with transaction {transactions}; the backup was made between {first} and {last}"
        )
        .into());
    }
    reference.advance_to(transactions)?;
    Ok((transactions, rows(&database, &reference.database)?))
}

/// Opens a database that exists.
pub(super) fn open(file: &Path) -> rusqlite::Result<Connection> {
    Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_WRITE)
}

/// Compares the schema, then every row of every table, every column with its type. Returns the number
/// of rows; an error names the first one that differs.
pub(super) fn rows(restored: &Connection, expected: &Connection) -> Result<u64, Box<dyn Error>> {
    same_rows(restored, expected, "sqlite_schema", &["type", "name", "sql"].map(str::to_owned))?;
    let tables = names(expected, "SELECT name FROM sqlite_schema WHERE type = 'table'")?;
    tables.iter().try_fold(0, |compared, table| {
        let columns = names(expected, &format!("SELECT name FROM pragma_table_info('{table}')"))?;
        Ok(compared + same_rows(restored, expected, table, &columns)?)
    })
}

fn names(database: &Connection, query: &str) -> rusqlite::Result<Vec<String>> {
    database.prepare(query)?.query_map([], |row| row.get(0))?.collect()
}

/// Compares a table in both databases, by its values as SQL literals.
fn same_rows(
    restored: &Connection,
    expected: &Connection,
    table: &str,
    columns: &[String],
) -> Result<u64, Box<dyn Error>> {
    let literals: Vec<String> = columns.iter().map(|it| format!("quote(\"{it}\")")).collect();
    let literals = literals.join(" || ',' || ");
    let query = format!("SELECT rowid, {literals} FROM \"{table}\" ORDER BY rowid");
    let (mut restored, mut expected) = (restored.prepare(&query)?, expected.prepare(&query)?);
    let mut restored = restored.query_map([], |row| <(i64, String)>::try_from(row))?;
    let mut expected = expected.query_map([], |row| <(i64, String)>::try_from(row))?;
    let mut compared = 0;
    loop {
        let text = match (restored.next().transpose()?, expected.next().transpose()?) {
            (None, None) => return Ok(compared),
            (is, was) if is == was => {
                compared += 1;
                continue;
            }
            (Some((row, _)), Some((id, _))) if row == id => {
                format!("row {row} differs from what was committed")
            }
            (Some((row, _)), was) if was.as_ref().is_none_or(|(id, _)| row < *id) => {
                format!("row {row} was never committed")
            }
            (_, was) => format!("row {} is missing", was.map_or(0, |(row, _)| row)),
        };
        return Err(format!("table {table}, {text}").into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::interrupt::Interrupt;

    const ROWS: &str = "
        CREATE TABLE accounts (id INTEGER PRIMARY KEY, owner TEXT, balance);
        INSERT INTO accounts VALUES (1, 'ann', 10), (2, 'bob', 20), (3, NULL, x'00ff');
        CREATE TABLE empty (id INTEGER PRIMARY KEY);";

    fn changed_by(change: &str) -> Result<u64, String> {
        let databases = [(); 2].map(|()| Connection::open_in_memory().unwrap());
        for database in &databases {
            database.execute_batch(ROWS).unwrap();
        }
        databases[0].execute_batch(change).unwrap();
        rows(&databases[0], &databases[1]).map_err(|difference| difference.to_string())
    }

    #[test]
    fn equal_databases_are_equal_in_every_row() {
        assert_eq!(changed_by(""), Ok(3));
    }

    #[test]
    fn the_first_difference_is_found_and_named() {
        let differs = |row| format!("table accounts, row {row} differs from what was committed");
        for (change, named) in [
            ("UPDATE accounts SET balance = 21 WHERE id >= 2", differs(2)),
            ("UPDATE accounts SET owner = 'annA' WHERE id = 1", differs(1)),
            ("UPDATE accounts SET owner = '' WHERE id = 3", differs(3)),
            ("UPDATE accounts SET balance = '10' WHERE id = 1", differs(1)),
            ("UPDATE accounts SET balance = 10.0 WHERE id = 1", differs(1)),
            ("UPDATE accounts SET balance = x'00fe' WHERE id = 3", differs(3)),
            ("DELETE FROM accounts WHERE id = 1", "table accounts, row 1 is missing".to_owned()),
            ("DELETE FROM accounts WHERE id = 3", "table accounts, row 3 is missing".to_owned()),
            ("INSERT INTO empty VALUES (9)", "table empty, row 9 was never committed".to_owned()),
        ] {
            assert_eq!(changed_by(change).unwrap_err(), named);
        }
        for change in [
            "CREATE INDEX by_owner ON accounts (owner)",
            "CREATE TABLE extra (id INTEGER)",
            "DROP TABLE empty",
        ] {
            assert!(changed_by(change).is_err(), "{change}");
        }
    }

    /// Proves a database after `number` transactions and `change`, made between transactions 5 and 9.
    fn proof_of(number: i64, change: &str) -> Result<(i64, u64), String> {
        let folder = tempfile::tempdir().unwrap();
        let interrupt = Interrupt::listen().unwrap();
        let ledger =
            |name: &str| Ledger::create(&folder.path().join(name), 30, &interrupt).unwrap();
        let mut restored = ledger("restored.db");
        restored.advance_to(number).unwrap();
        restored.database.execute_batch(change).unwrap();
        let proof = prove(&folder.path().join("restored.db"), &(5..=9), &mut ledger("b.db"));
        proof.map_err(|difference| difference.to_string())
    }

    #[test]
    fn a_restore_that_holds_what_was_committed_is_proven_and_any_other_is_damaged() {
        assert_eq!(proof_of(7, ""), Ok((7, 1_000 + 7 + 30)));
        for (number, change, expected) in [
            // Another value.
            (7, "UPDATE documents SET body = body || '.' WHERE id = 3", "documents, row 3 differs"),
            (7, "UPDATE accounts SET balance = balance - 1 WHERE id = 1", "999999"),
            // Another moment.
            (4, "", "between 5 and 9"),
            (10, "", "between 5 and 9"),
            // A lost transaction, although the total is right.
            (7, "DELETE FROM transfers WHERE id = 7", "table accounts, row"),
            (7, "DELETE FROM transfers WHERE id = 6", "table transfers, row 6 is missing"),
        ] {
            let difference = proof_of(number, change).unwrap_err();
            assert!(difference.contains(expected), "{difference}");
        }
    }
}
