//! Backups of `SQLite` databases while an application and a second process write to them: every archive is
//! consistent, and in WAL mode no writer ever waits.
//!
//! `COFFER_LONG=1` makes the chains ten times as long.

mod bank;

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rusqlite::Connection;
use serde_json::Value;

use crate::support::{Client, SqliteShell, TestServer, names_in, wait_until};
use bank::{Bank, Tellers, audit};

/// Stops the writers, also when the test fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A backup, with how many transfers were committed when it was asked for and when it was complete.
struct Taken {
    backup: Value,
    before: u64,
    after: u64,
}

/// A full backup and incrementals, each after further transfers.
fn chain(client: &Client, committed: &AtomicU64, incrementals: u32) -> Vec<Taken> {
    let count = || committed.load(Ordering::Acquire);
    let mut taken = Vec::new();
    for number in 0..=incrementals {
        let last = count();
        wait_until("more transfers", || (count() > last + 20).then_some(()));
        let before = count();
        let backup = if number == 0 { client.full("bank") } else { client.incremental("bank") };
        assert_eq!(backup["kind"], if number == 0 { "full" } else { "incremental" });
        taken.push(Taken { backup, before, after: count() });
    }
    taken
}

/// Backs the bank up under load and audits every archive; the number of transfers that were committed during
/// backups.
fn back_up_under_load(mode: &str, patience_ms: u32) -> u64 {
    let bank = Bank::found(mode);
    let server = TestServer::builder().instance_sqlite("bank", bank.path()).start();
    let client = server.admin();
    let incrementals = if std::env::var_os("COFFER_LONG").is_some() { 60 } else { 6 };
    let (stop, committed) = (AtomicBool::new(false), AtomicU64::new(0));
    let taken = std::thread::scope(|scope| {
        let tellers = scope.spawn(|| {
            let mut tellers = Tellers::at(bank.path(), patience_ms);
            while !stop.load(Ordering::Relaxed) {
                tellers.transfer();
                committed.fetch_add(1, Ordering::Release);
            }
            tellers.stop();
        });
        let stopping = Stop(&stop);
        let mut taken = chain(&client, &committed, incrementals);
        taken.extend(chain(&client, &committed, 1));
        drop(stopping);
        tellers.join().unwrap();
        taken
    });
    for Taken { backup, before, after } in &taken {
        let restored = server.restored(backup);
        let booked = audit(&restored);
        // One more than counted: committed, and not counted yet.
        assert!((*before..=after + 1).contains(&booked), "{before} <= {booked} <= {after}");
        std::fs::remove_file(restored).unwrap();
    }
    taken.iter().map(|it| it.after - it.before).sum()
}

#[test]
fn in_wal_mode_archives_are_consistent_and_no_writer_gets_sqlite_busy() {
    // The tellers take turns and never wait: any SQLITE_BUSY would be caused by the backup.
    let meanwhile = back_up_under_load("wal", 0);
    assert!(meanwhile > 0, "nothing was written during the backups");
}

#[test]
fn with_a_rollback_journal_archives_are_consistent_and_writers_wait() {
    back_up_under_load("delete", 60_000);
}

#[test]
fn with_a_persistent_journal_archives_are_consistent() {
    back_up_under_load("persist", 60_000);
}

fn count(path: &Path, of: &str) -> i64 {
    let connection = Connection::open(path).unwrap();
    connection.query_row(&format!("SELECT count(*) FROM {of}"), (), |row| row.get(0)).unwrap()
}

#[test]
fn an_open_transaction_is_not_in_the_archive_and_can_commit() {
    for mode in ["wal", "delete"] {
        let bank = Bank::found(mode);
        let server = TestServer::builder().instance_sqlite("bank", bank.path()).start();
        let mut writer = SqliteShell::open(bank.path());
        writer.run("BEGIN IMMEDIATE; INSERT INTO ledger(giver, taker, coins) VALUES (1, 2, 3);");
        let backup = server.admin().full("bank");
        writer.run("COMMIT;");
        writer.close();
        assert_eq!(count(&server.restored(&backup), "ledger"), 0, "{mode}");
        assert_eq!(count(bank.path(), "ledger"), 1, "{mode}");
    }
}

#[test]
fn an_application_that_keeps_reopening_its_wal_database_does_not_disturb_backups() {
    let bank = Bank::found("wal");
    let server = TestServer::builder().instance_sqlite("bank", bank.path()).start();
    let client = server.admin();
    let (stop, committed) = (AtomicBool::new(false), AtomicU64::new(0));
    let taken = std::thread::scope(|scope| {
        let visitor = scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                // Whoever opens a database may meet another who closes it; SQLite tells both to wait.
                let mut visit = Tellers::at(bank.path(), 10_000);
                visit.transfer();
                visit.stop();
                committed.fetch_add(1, Ordering::Release);
            }
        });
        let stopping = Stop(&stop);
        let taken = chain(&client, &committed, 6);
        drop(stopping);
        visitor.join().unwrap();
        taken
    });
    for Taken { backup, before, after } in &taken {
        let booked = audit(&server.restored(backup));
        assert!((*before..=after + 1).contains(&booked), "{before} <= {booked} <= {after}");
    }
    client.incremental("bank");
    let folder = bank.path().parent().unwrap();
    assert_eq!(names_in(folder), ["bank.db"], "something was left beside the database");
}
