//! The program whose database is backed up: accounts, transfers between them, documents.
//!
//! The content after transaction `n` depends on `n` (and the plan) alone, and `n` stands in the database
//! itself. So a backup taken at any moment can be compared with a fresh database brought to the same `n`.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use crate::cli::CommandError;

use super::failed;
use super::ledger_rows::{self, OPENING_BALANCE};

/// How much there is at first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plan {
    /// Accounts; each begins with the same balance.
    pub(super) accounts: i64,
    /// Documents, about 4 KiB each.
    pub(super) documents: i64,
}

impl Plan {
    /// What fills about so many MiB.
    pub(super) fn of_mib(size: u32) -> Self {
        Self { accounts: 1_000, documents: i64::from(size) * 250 }
    }

    /// What all accounts hold together, after every transaction.
    pub(super) const fn total(&self) -> i64 {
        self.accounts.saturating_mul(OPENING_BALANCE)
    }

    /// Transactions that change enough for an incremental backup to be worth looking at.
    pub(super) fn stretch(&self) -> i64 {
        (self.documents / 10).clamp(200, 2_000)
    }
}

/// The open database, and how far it is.
#[derive(Debug)]
pub(super) struct Ledger {
    database: Connection,
    plan: Plan,
    number: i64,
}

/// Rows written at first between two looks at whether to go on.
const BATCH: i64 = 500;

impl Ledger {
    /// Makes the database in WAL mode, as a careful program does, with its first rows.
    pub(super) fn create(
        file: &Path,
        plan: &Plan,
        on_the_way: &mut dyn FnMut(f64) -> Result<(), CommandError>,
    ) -> Result<Self, CommandError> {
        Self::make(file, plan, "WAL", "NORMAL", on_the_way)
    }

    /// Makes the same database again, to compare with. It need not survive anything.
    pub(super) fn reference(file: &Path, plan: &Plan) -> Result<Self, CommandError> {
        Self::make(file, plan, "OFF", "OFF", &mut |_share| Ok(()))
    }

    fn make(
        file: &Path,
        plan: &Plan,
        journal: &str,
        synchronous: &str,
        on_the_way: &mut dyn FnMut(f64) -> Result<(), CommandError>,
    ) -> Result<Self, CommandError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let in_file = || failed(format!("making {}", file.display()));
        let database = Connection::open_with_flags(file, flags).map_err(in_file())?;
        let mut ledger = Self { database, plan: *plan, number: 0 };
        ledger.begin(journal, synchronous).map_err(in_file())?;
        let mut id = 0;
        while id < plan.documents {
            let until = plan.documents.min(id + BATCH);
            ledger.write_documents(id + 1, until).map_err(in_file())?;
            id = until;
            on_the_way(share_of(id, plan.documents))?;
        }
        Ok(ledger)
    }

    fn begin(&mut self, journal: &str, synchronous: &str) -> rusqlite::Result<()> {
        self.database.busy_timeout(Duration::from_secs(10))?;
        self.database.pragma_update(None, "page_size", 4096)?;
        self.database.pragma_update(None, "journal_mode", journal)?;
        self.database.pragma_update(None, "synchronous", synchronous)?;
        let transaction = self.database.transaction()?;
        transaction.execute_batch(ledger_rows::SCHEMA)?;
        ledger_rows::open_accounts(&transaction, &self.plan)?;
        transaction.commit()
    }

    fn write_documents(&mut self, from: i64, to: i64) -> rusqlite::Result<()> {
        let transaction = self.database.transaction()?;
        for id in from..=to {
            ledger_rows::write_document(&transaction, id, 0)?;
        }
        transaction.commit()
    }

    /// The number of the next transaction.
    pub(super) const fn next(&self) -> i64 {
        self.number + 1
    }

    /// Commits the next transaction. One that failed can be tried again: it writes the same.
    pub(super) fn commit_next(&mut self) -> rusqlite::Result<()> {
        self.advance_to(self.next())
    }

    /// Goes on to transaction `number`, in one commit: the rows are the same as after as many commits.
    pub(super) fn advance_to(&mut self, number: i64) -> rusqlite::Result<()> {
        let transaction =
            self.database.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for next in self.number + 1..=number {
            ledger_rows::apply(&transaction, &self.plan, next)?;
        }
        transaction.commit()?;
        self.number = number;
        Ok(())
    }

    /// The database, to be read.
    pub(super) const fn database(&self) -> &Connection {
        &self.database
    }

    /// What all accounts hold together if nothing was lost.
    pub(super) const fn total(&self) -> i64 {
        self.plan.total()
    }
}

/// How much of it is done, 0 to 1.
fn share_of(done: i64, total: i64) -> f64 {
    let thousandths = done.saturating_mul(1000) / total.max(1);
    i32::try_from(thousandths).map_or(1.0, |count| f64::from(count) / 1000.0)
}

/// The number of the last transaction that a database holds.
pub(super) fn number_in(database: &Connection) -> rusqlite::Result<i64> {
    database.query_row("SELECT transactions FROM progress", [], |row| row.get(0))
}

/// What all accounts of a database hold together.
pub(super) fn total_in(database: &Connection) -> rusqlite::Result<i64> {
    database.query_row("SELECT SUM(balance) FROM accounts", [], |row| row.get(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::demo::compare;

    const SMALL: Plan = Plan { accounts: 20, documents: 30 };

    fn ledger(folder: &Path, name: &str) -> Ledger {
        Ledger::reference(&folder.join(name), &SMALL).unwrap()
    }

    #[test]
    fn the_content_depends_on_the_number_of_transactions_alone() {
        let folder = tempfile::tempdir().unwrap();
        let mut one_by_one =
            Ledger::create(&folder.path().join("a.db"), &SMALL, &mut |_| Ok(())).unwrap();
        for _ in 0..200 {
            one_by_one.commit_next().unwrap();
        }
        let mut at_once = ledger(folder.path(), "b.db");
        at_once.advance_to(200).unwrap();
        assert_eq!(number_in(at_once.database()), Ok(200));
        let rows = compare::rows(one_by_one.database(), at_once.database()).unwrap();
        // Accounts, transfers, documents (as many go as come), the progress row.
        assert_eq!(rows, 20 + 200 + 30 + 1);
    }

    #[test]
    fn transfers_keep_the_total() {
        let folder = tempfile::tempdir().unwrap();
        let mut ledger = ledger(folder.path(), "a.db");
        for number in [1, 2, 50, 333] {
            ledger.advance_to(number).unwrap();
            assert_eq!(total_in(ledger.database()), Ok(ledger.total()));
        }
    }

    #[test]
    fn every_transaction_changes_the_content() {
        let folder = tempfile::tempdir().unwrap();
        let mut ahead = ledger(folder.path(), "a.db");
        let mut behind = ledger(folder.path(), "b.db");
        for number in 1..=130 {
            ahead.advance_to(number).unwrap();
            assert!(compare::rows(ahead.database(), behind.database()).is_err(), "{number}");
            behind.advance_to(number).unwrap();
        }
    }

    #[test]
    fn the_size_is_about_what_was_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.db");
        drop(Ledger::reference(&file, &Plan::of_mib(2)).unwrap());
        let bytes = file.metadata().unwrap().len();
        assert!((1_800_000..2_600_000).contains(&bytes), "{bytes}");
    }
}
