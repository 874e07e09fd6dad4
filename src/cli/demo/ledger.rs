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
/// Documents that the first rows are written by, at a time.
const BATCH: i64 = 500;

const WORDS: &[&str] = &[
    "ledger", "harbour", "copper", "invoice", "window", "garden", "seventh", "paper", "north",
    "signal", "marble", "quiet", "orchard", "bridge", "letter", "winter", "canvas", "silver",
    "lantern", "river", "measure", "station", "velvet", "anchor", "market", "pencil", "summit",
    "thread", "village", "amber", "current", "meadow", "of", "the", "and", "with", "under", "for",
];

/// What the database is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To be used and backed up: in WAL mode, as a careful program does.
    Live,
    /// To be compared with. It need not survive anything.
    Reference,
}

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
        purpose: Purpose,
        documents: i64,
        interrupt: &Interrupt,
    ) -> Result<Self, CommandError> {
        let doing = || failed(format!("making {}", file.display()));
        let database = open_new(file, purpose).map_err(doing())?;
        for first in (1..=documents).step_by(500) {
            interrupt.check()?;
            write_documents(&database, first, documents.min(first + BATCH - 1)).map_err(doing())?;
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

fn open_new(file: &Path, purpose: Purpose) -> rusqlite::Result<Connection> {
    let mut database = Connection::open(file)?;
    database.busy_timeout(Duration::from_secs(10))?;
    database.execute_batch(match purpose {
        Purpose::Live => "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;",
        Purpose::Reference => "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;",
    })?;
    let transaction = database.transaction()?;
    transaction.execute_batch(SCHEMA)?;
    for id in 1..=ACCOUNTS {
        let owner = format!("{} {id}", two_words(&mut random(id, 0)));
        transaction
            .prepare_cached("INSERT INTO accounts VALUES (?1, ?2, ?3)")?
            .execute(params![id, owner, OPENING_BALANCE])?;
    }
    transaction.commit()?;
    Ok(database)
}

fn write_documents(database: &Connection, first: i64, last: i64) -> rusqlite::Result<()> {
    let transaction = database.unchecked_transaction()?;
    for id in first..=last {
        write_document(&transaction, id, 0)?;
    }
    transaction.commit()
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
        let interrupt = Interrupt::listen().unwrap();
        Ledger::create(file, Purpose::Reference, documents, &interrupt).unwrap()
    }

    #[test]
    fn the_content_depends_on_the_number_of_transactions_alone() {
        let folder = tempfile::tempdir().unwrap();
        let interrupt = Interrupt::listen().unwrap();
        let live = folder.path().join("live.db");
        let mut one_by_one = Ledger::create(&live, Purpose::Live, 30, &interrupt).unwrap();
        for number in 1..=200 {
            one_by_one.advance_to(number).unwrap();
        }
        let mut at_once = ledger(&folder.path().join("reference.db"), 30);
        at_once.advance_to(200).unwrap();
        assert_eq!(transactions_in(at_once.database()), Ok(200));
        let rows = compare::rows(one_by_one.database(), at_once.database()).unwrap();
        // Accounts, transfers, documents (replaced, never more of them), the progress row.
        assert_eq!(rows, 1_000 + 200 + 30 + 1);
    }

    #[test]
    fn transfers_keep_the_total() {
        let folder = tempfile::tempdir().unwrap();
        let mut ledger = ledger(&folder.path().join("a.db"), 30);
        for number in [1, 2, 50, 333] {
            ledger.advance_to(number).unwrap();
            assert_eq!(compare::total_in(ledger.database()), Ok(TOTAL));
        }
    }

    #[test]
    fn every_transaction_changes_the_content() {
        let folder = tempfile::tempdir().unwrap();
        let mut ahead = ledger(&folder.path().join("a.db"), 30);
        let mut behind = ledger(&folder.path().join("b.db"), 30);
        for number in 1..=130 {
            ahead.advance_to(number).unwrap();
            assert!(compare::rows(ahead.database(), behind.database()).is_err(), "{number}");
            behind.advance_to(number).unwrap();
        }
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
