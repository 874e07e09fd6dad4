//! The program whose database is backed up: accounts, transfers between them, documents.
//!
//! What the database holds after transaction `n` depends on `n` alone, and `n` is stored in the database
//! itself. So a backup made at any moment can be compared with a fresh database brought to the same `n`.

use std::path::Path;
use std::time::Duration;

use fastrand::Rng;
use rusqlite::{Connection, TransactionBehavior, params};

use crate::cli::error::{CommandError, failed};
use crate::cli::interrupt::Interrupt;

const SCHEMA: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
    CREATE TABLE accounts (
        id INTEGER PRIMARY KEY, owner TEXT NOT NULL, balance INTEGER NOT NULL);
    CREATE TABLE transfers (
        id INTEGER PRIMARY KEY, debit INTEGER NOT NULL REFERENCES accounts,
        credit INTEGER NOT NULL REFERENCES accounts, amount INTEGER NOT NULL, note TEXT NOT NULL);
    CREATE INDEX transfers_by_account ON transfers (debit, credit);
    CREATE TABLE documents (
        id INTEGER PRIMARY KEY, title TEXT NOT NULL, revision INTEGER NOT NULL, body TEXT NOT NULL);
    CREATE TABLE progress (
        id INTEGER PRIMARY KEY CHECK (id = 1), transactions INTEGER NOT NULL);
    INSERT INTO progress VALUES (1, 0);";

pub(super) const ACCOUNTS: i64 = 1_000;
const OPENING_BALANCE: i64 = 1_000;
/// What all accounts hold together, after every transaction.
pub(super) const TOTAL: i64 = ACCOUNTS * OPENING_BALANCE;

/// Every so many transactions a document is rewritten …
const REWRITE_EVERY: i64 = 4;
/// … and every so many the oldest one is replaced by a new one.
const REPLACE_EVERY: i64 = 64;
/// With row and page overhead, a document fills about 4 KiB.
const DOCUMENT_BYTES: usize = 3_400;
/// First rows that are written in one transaction.
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
    database: Connection,
    documents: i64,
    transactions: i64,
}

impl Ledger {
    /// Makes the database, with its accounts and this many documents.
    pub(super) fn create(
        file: &Path,
        documents: i64,
        interrupt: &Interrupt,
    ) -> Result<Self, CommandError> {
        let doing = || failed(format!("making {}", file.display()));
        let database = Connection::open(file).map_err(doing())?;
        let mut ledger = Self { database, documents, transactions: 0 };
        ledger.write_accounts().map_err(doing())?;
        for first in (1..=documents).step_by(BATCH) {
            interrupt.check()?;
            ledger.write_documents(first).map_err(doing())?;
        }
        Ok(ledger)
    }

    fn write_accounts(&mut self) -> rusqlite::Result<()> {
        self.database.busy_timeout(Duration::from_secs(10))?;
        self.database.execute_batch(SCHEMA)?;
        let transaction = self.database.transaction()?;
        for id in 1..=ACCOUNTS {
            let owner = format!("{} {id}", two_words(&mut random(id, 0)));
            transaction
                .prepare_cached("INSERT INTO accounts VALUES (?1, ?2, ?3)")?
                .execute(params![id, owner, OPENING_BALANCE])?;
        }
        transaction.commit()
    }

    /// Writes the documents from `first` on, as many as one transaction takes.
    fn write_documents(&mut self, first: i64) -> rusqlite::Result<()> {
        let transaction = self.database.transaction()?;
        for id in (first..=self.documents).take(BATCH) {
            write_document(&transaction, id, 0)?;
        }
        transaction.commit()
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

    /// The number of the last transaction.
    pub(super) const fn transactions(&self) -> i64 {
        self.transactions
    }

    pub(super) const fn database(&self) -> &Connection {
        &self.database
    }
}

/// The number of the last transaction that a database holds.
pub(super) fn transactions_in(database: &Connection) -> rusqlite::Result<i64> {
    database.query_row("SELECT transactions FROM progress", [], |row| row.get(0))
}

/// What all accounts of a database hold together.
pub(super) fn total_in(database: &Connection) -> rusqlite::Result<i64> {
    database.query_row("SELECT SUM(balance) FROM accounts", [], |row| row.get(0))
}

/// Writes the document with this id as transaction `revision` writes it.
fn write_document(database: &Connection, id: i64, revision: i64) -> rusqlite::Result<()> {
    let mut random = random(id, revision);
    let title = two_words(&mut random);
    let mut body = String::with_capacity(DOCUMENT_BYTES + 64);
    while body.len() < DOCUMENT_BYTES {
        // As compressible as letters and tables are: words, and a number now and then.
        if random.u8(..9) == 0 {
            body.push_str(&random.u32(..1_000_000).to_string());
        } else {
            body.push_str(word(&mut random));
        }
        body.push(' ');
    }
    database
        .prepare_cached("INSERT OR REPLACE INTO documents VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![id, title, revision, body])?;
    Ok(())
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
    database
        .prepare_cached("INSERT INTO transfers VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![number, debit, credit, amount, two_words(&mut random)])?;

    // The documents are those from `replaced + 1` to `replaced + documents`.
    let replaced = number / REPLACE_EVERY;
    if number % REPLACE_EVERY == 0 {
        database.prepare_cached("DELETE FROM documents WHERE id = ?1")?.execute([replaced])?;
        write_document(database, replaced + documents, number)?;
    } else if number % REWRITE_EVERY == 0 {
        write_document(database, replaced + random.i64(1..=documents), number)?;
    }
    database.prepare_cached("UPDATE progress SET transactions = ?1")?.execute([number])?;
    Ok(())
}

/// Random numbers that are the same each time for the same row and transaction.
fn random(id: i64, transaction: i64) -> Rng {
    Rng::with_seed(id.unsigned_abs() << 32 | transaction.unsigned_abs())
}

fn word(random: &mut Rng) -> &'static str {
    random.choice(WORDS).copied().unwrap_or_default()
}

fn two_words(random: &mut Rng) -> String {
    format!("{} {}", word(random), word(random))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::demo::compare;

    fn ledger(file: &Path, documents: i64) -> Ledger {
        Ledger::create(file, documents, &Interrupt::listen().unwrap()).unwrap()
    }

    #[test]
    fn the_content_depends_on_the_number_of_transactions_alone_and_each_changes_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut one_by_one = ledger(&folder.path().join("a.db"), 30);
        let mut behind = ledger(&folder.path().join("b.db"), 30);
        let mut at_once = ledger(&folder.path().join("c.db"), 30);
        for number in 1..=200 {
            one_by_one.advance_to(number).unwrap();
            assert!(compare::rows(one_by_one.database(), behind.database()).is_err(), "{number}");
            behind.advance_to(number).unwrap();
            assert_eq!(total_in(one_by_one.database()), Ok(TOTAL));
        }
        at_once.advance_to(200).unwrap();
        assert_eq!(transactions_in(at_once.database()), Ok(200));
        let rows = compare::rows(one_by_one.database(), at_once.database()).unwrap();
        // Accounts, transfers, documents (replaced, never more of them), the progress row.
        assert_eq!(rows, 1_000 + 200 + 30 + 1);
    }

    #[test]
    fn two_hundred_fifty_documents_are_about_a_mebibyte() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.db");
        drop(ledger(&file, 500));
        let bytes = file.metadata().unwrap().len();
        assert!((1_800_000..2_600_000).contains(&bytes), "{bytes}");
    }
}
