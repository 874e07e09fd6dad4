//! A bank: a database with a total that must hold at every moment, and the tellers who write to it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;

use crate::support::SqliteShell;

const ACCOUNTS: u64 = 2000;
const COINS_EACH: u64 = 100;

/// The bank's database, gone with this value.
pub(crate) struct Bank {
    path: PathBuf,
    _folder: tempfile::TempDir,
}

impl Bank {
    /// A new one, of several megabytes, in this journal mode.
    pub(crate) fn found(mode: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bank.db");
        let connection = Connection::open(&path).unwrap();
        connection
            .execute_batch(&format!(
                "PRAGMA journal_mode = {mode}; PRAGMA synchronous = OFF;
                 CREATE TABLE account(id INTEGER PRIMARY KEY, coins INTEGER, holder TEXT, scan BLOB);
                 CREATE INDEX by_coins ON account(coins);
                 CREATE TABLE ledger(id INTEGER PRIMARY KEY, giver INTEGER, taker INTEGER, coins INTEGER);
                 CREATE TABLE till(transfers INTEGER);
                 INSERT INTO till VALUES (0);
                 WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ACCOUNTS})
                 INSERT INTO account SELECT i, {COINS_EACH}, 'holder ' || i, randomblob(3500) FROM n;"
            ))
            .unwrap();
        Self { path, _folder: folder }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// An application's connection and a second process, taking turns, so that neither is ever in the
/// other's way.
pub(crate) struct Tellers {
    own: Connection,
    other: SqliteShell,
    done: u64,
}

impl Tellers {
    /// Both wait so long for a lock, then fail the test.
    pub(crate) fn at(path: &Path, patience_ms: u32) -> Self {
        let own = Connection::open(path).unwrap();
        own.busy_timeout(Duration::from_millis(patience_ms.into())).unwrap();
        own.execute_batch("PRAGMA synchronous = OFF").unwrap();
        let mut other = SqliteShell::open(path);
        other.run(&format!(".timeout {patience_ms}\nPRAGMA synchronous = OFF;"));
        Self { own, other, done: 0 }
    }

    /// Moves coins from one account to another, in one transaction, and books it.
    pub(crate) fn transfer(&mut self) {
        let (giver, taker) = (self.done * 7 % ACCOUNTS + 1, self.done * 11 % ACCOUNTS + 1);
        let sql = format!(
            "BEGIN IMMEDIATE;
             UPDATE account SET coins = coins - 3 WHERE id = {giver};
             INSERT INTO ledger(giver, taker, coins) VALUES ({giver}, {taker}, 3);
             UPDATE account SET coins = coins + 3 WHERE id = {taker};
             UPDATE till SET transfers = transfers + 1;
             COMMIT;"
        );
        if self.done.is_multiple_of(2) {
            self.own.execute_batch(&sql).unwrap();
        } else {
            self.other.run(&sql);
        }
        self.done += 1;
    }

    /// Closes the database, the second process last.
    pub(crate) fn stop(self) {
        self.own.close().unwrap();
        self.other.close();
    }
}

/// Fails the test unless the books of a restored bank are in order; gives how many transfers it knows.
pub(crate) fn audit(restored: &Path) -> u64 {
    let connection = Connection::open(restored).unwrap();
    let number = |sql: &str| {
        let number: i64 = connection.query_row(sql, (), |row| row.get(0)).unwrap();
        u64::try_from(number).unwrap()
    };
    assert_eq!(number("SELECT sum(coins) FROM account"), ACCOUNTS * COINS_EACH, "coins were lost");
    let unbooked = "SELECT count(*) FROM account WHERE coins != 100
        + (SELECT ifnull(sum(coins), 0) FROM ledger WHERE taker = account.id)
        - (SELECT ifnull(sum(coins), 0) FROM ledger WHERE giver = account.id)";
    connection.execute_batch("CREATE INDEX temp_t ON ledger(taker, coins)").unwrap();
    connection.execute_batch("CREATE INDEX temp_g ON ledger(giver, coins)").unwrap();
    assert_eq!(number(unbooked), 0, "accounts and ledger are of different moments");
    let booked = number("SELECT count(*) FROM ledger");
    assert_eq!(booked, number("SELECT transfers FROM till"));
    let sound: String =
        connection.pragma_query_value(None, "integrity_check", |row| row.get(0)).unwrap();
    assert_eq!(sound, "ok");
    booked
}
