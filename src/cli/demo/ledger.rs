//! The program whose database is backed up: accounts, transfers between them, documents.
//!
//! What the database holds after transaction `n` depends on `n` alone, and `n` is the number of its last
//! transfer. So a backup made at any moment can be compared with a fresh database brought to the same `n`.

use std::path::Path;
use std::time::Duration;

use fastrand::Rng;
use rusqlite::{Connection, TransactionBehavior, params};

use crate::cli::error::{Result, failed};
use crate::cli::interrupt::Interrupt;

pub(super) const ACCOUNTS: i64 = 1_000;
/// What all accounts hold together, after every transaction.
pub(super) const TOTAL: i64 = ACCOUNTS * 1_000;

const SCHEMA: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
    CREATE TABLE accounts (
        id INTEGER PRIMARY KEY, owner TEXT NOT NULL, balance INTEGER NOT NULL);
    CREATE TABLE transfers (
        id INTEGER PRIMARY KEY, debit INTEGER NOT NULL REFERENCES accounts,
        credit INTEGER NOT NULL REFERENCES accounts, amount INTEGER NOT NULL);
    CREATE INDEX transfers_by_account ON transfers (debit, credit);
    CREATE TABLE documents (
        id INTEGER PRIMARY KEY, revision INTEGER NOT NULL, body TEXT NOT NULL);
    WITH RECURSIVE ids (id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM ids WHERE id < 1000)
        INSERT INTO accounts SELECT id, 'owner ' || id, 1000 FROM ids;";

/// Every so many transactions a document is rewritten.
const REWRITE_EVERY: i64 = 4;
/// With row and page overhead, a document of so many words fills about 4 KiB.
const DOCUMENT_WORDS: u32 = 480;
/// First documents that are written in one transaction.
const BATCH: usize = 500;

const WORDS: &[&str] = &[
    "ledger", "harbour", "copper", "invoice", "window", "garden", "seventh", "paper", "north",
    "signal", "marble", "quiet", "orchard", "bridge", "letter", "winter", "canvas", "silver",
    "lantern", "river", "measure", "station", "velvet", "anchor", "market", "pencil", "summit",
    "thread", "village", "amber", "current", "meadow", "of", "the", "and", "with", "under", "for",
];

/// An open database.
#[derive(Debug)]
pub(super) struct Ledger {
    pub(super) database: Connection,
    documents: i64,
    pub(super) transactions: i64,
}

impl Ledger {
    /// Makes the database, with its accounts and this many documents.
    pub(super) fn create(file: &Path, documents: i64, interrupt: &Interrupt) -> Result<Self> {
        let doing = || failed(format!("making {}", file.display()));
        let mut database = Connection::open(file).map_err(doing())?;
        database.busy_timeout(Duration::from_secs(10)).map_err(doing())?;
        database.execute_batch(SCHEMA).map_err(doing())?;
        for first in (1..=documents).step_by(BATCH) {
            interrupt.check()?;
            write_batch(&mut database, first..=documents).map_err(doing())?;
        }
        Ok(Self { database, documents, transactions: 0 })
    }

    /// Commits transaction after transaction up to number `last`, all in one: the rows are the same.
    pub(super) fn advance_to(&mut self, last: i64) -> rusqlite::Result<()> {
        let immediate = TransactionBehavior::Immediate;
        let transaction = self.database.transaction_with_behavior(immediate)?;
        for number in self.transactions + 1..=last {
            apply(&transaction, self.documents, number)?;
        }
        transaction.commit()?;
        self.transactions = last;
        Ok(())
    }
}

/// The number of the last transaction that a database holds.
pub(super) fn transactions_in(database: &Connection) -> rusqlite::Result<i64> {
    database.query_row("SELECT COALESCE(MAX(id), 0) FROM transfers", [], |row| row.get(0))
}

/// What all accounts of a database hold together.
pub(super) fn total_in(database: &Connection) -> rusqlite::Result<i64> {
    database.query_row("SELECT SUM(balance) FROM accounts", [], |row| row.get(0))
}

fn write_batch(database: &mut Connection, ids: impl Iterator<Item = i64>) -> rusqlite::Result<()> {
    let transaction = database.transaction()?;
    for id in ids.take(BATCH) {
        write_document(&transaction, id, 0)?;
    }
    transaction.commit()
}

/// Writes the document with this id as transaction `revision` writes it: as compressible as letters and
/// tables are, with a number now and then.
fn write_document(database: &Connection, id: i64, revision: i64) -> rusqlite::Result<()> {
    let mut random = random(id, revision);
    let mut body = String::new();
    for at in 0..DOCUMENT_WORDS {
        match at % 9 {
            0 => body.push_str(&random.u32(..1_000_000).to_string()),
            _ => body.push_str(random.choice(WORDS).unwrap_or(&"")),
        }
        body.push(' ');
    }
    let sql = "INSERT OR REPLACE INTO documents VALUES (?1, ?2, ?3)";
    database.prepare_cached(sql)?.execute(params![id, revision, body]).map(drop)
}

/// Writes what transaction `number` writes. The caller commits.
fn apply(database: &Connection, documents: i64, number: i64) -> rusqlite::Result<()> {
    let mut random = random(0, number);
    let debit = random.i64(1..=ACCOUNTS);
    let credit = 1 + (debit + random.i64(0..ACCOUNTS - 1)) % ACCOUNTS;
    let amount = random.i64(1..=50);
    let mut change =
        database.prepare_cached("UPDATE accounts SET balance = balance + ?2 WHERE id = ?1")?;
    change.execute([debit, -amount])?;
    change.execute([credit, amount])?;
    if number % REWRITE_EVERY == 0 {
        write_document(database, random.i64(1..=documents), number)?;
    }
    let sql = "INSERT INTO transfers VALUES (?1, ?2, ?3, ?4)";
    database.prepare_cached(sql)?.execute([number, debit, credit, amount]).map(drop)
}

/// Random numbers that are the same each time for the same row and transaction.
fn random(id: i64, transaction: i64) -> Rng {
    Rng::with_seed(id.unsigned_abs() << 32 | transaction.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::demo::compare;

    #[test]
    fn the_content_depends_on_the_number_of_transactions_alone_and_each_changes_it() {
        let folder = tempfile::tempdir().unwrap();
        let interrupt = Interrupt::listen().unwrap();
        let make = |name| Ledger::create(&folder.path().join(name), 30, &interrupt).unwrap();
        let [mut one_by_one, mut behind, mut at_once] = ["a.db", "b.db", "c.db"].map(make);
        for number in 1..=200 {
            one_by_one.advance_to(number).unwrap();
            assert!(compare::rows(&one_by_one.database, &behind.database).is_err(), "{number}");
            behind.advance_to(number).unwrap();
            assert_eq!(total_in(&one_by_one.database), Ok(TOTAL));
        }
        at_once.advance_to(200).unwrap();
        assert_eq!(transactions_in(&at_once.database), Ok(200));
        let rows = compare::rows(&one_by_one.database, &at_once.database).unwrap();
        assert_eq!(rows, 1_000 + 200 + 30);
    }

    #[test]
    fn two_hundred_fifty_documents_are_about_a_mebibyte() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.db");
        drop(Ledger::create(&file, 500, &Interrupt::listen().unwrap()).unwrap());
        let bytes = file.metadata().unwrap().len();
        assert!((1_800_000..2_600_000).contains(&bytes), "{bytes}");
    }
}
