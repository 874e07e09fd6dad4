//! A bank: concurrent transfers with a constant total while backups run.

use std::process::{Child, Stdio};

use super::fixture::{NAME, coffer_for, start_restored};
use super::postgres::Postgres;
use crate::support::{wait_until, write_file};

const ACCOUNTS: u32 = 5000;
const COINS_EACH: u32 = 100;

/// Four clients that transfer coins, each in one transaction, until this value goes.
struct Tellers(Child);

impl Tellers {
    fn at(server: &Postgres) -> Self {
        let script = server.folder().join("transfer.sql");
        write_file(
            &script,
            format!(
                "\\set a random(1, {ACCOUNTS} - 1)\n\\set b random(:a + 1, {ACCOUNTS})\n\
                 \\set coins random(-5, 5)\nBEGIN;\n\
                 UPDATE account SET coins = coins - :coins WHERE id = :a;\n\
                 UPDATE account SET coins = coins + :coins WHERE id = :b;\n\
                 INSERT INTO ledger(giver, taker, coins) VALUES (:a, :b, :coins);\nCOMMIT;\n"
            ),
        );
        let child = server
            .command("pgbench")
            .args(["-n", "-c", "4", "-R", "500", "-T", "600", "-f"])
            .arg(&script)
            .arg("bank")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self(child)
    }
}

impl Drop for Tellers {
    fn drop(&mut self) {
        self.0.kill().unwrap_or_default();
        self.0.wait().map(drop).unwrap_or_default();
    }
}

fn create_bank(server: &Postgres) {
    server.sql("postgres", "CREATE DATABASE bank");
    server.sql(
        "bank",
        &format!(
            "CREATE TABLE account(id int PRIMARY KEY, coins int, holder text);
             CREATE TABLE ledger(id serial PRIMARY KEY, giver int, taker int, coins int);
             INSERT INTO account SELECT n, {COINS_EACH}, md5(n::text) FROM generate_series(1, {ACCOUNTS}) n;"
        ),
    );
}

fn transfers(server: &Postgres) -> u64 {
    server.sql("bank", "SELECT count(*) FROM ledger").trim().parse().unwrap()
}

/// Fails the test unless the books are in order; returns the number of transfers in them.
#[track_caller]
fn audit(server: &Postgres) -> u64 {
    let total = server.sql("bank", "SELECT sum(coins) FROM account");
    assert_eq!(total.trim(), (ACCOUNTS * COINS_EACH).to_string(), "coins were lost or made");
    let unbooked = "SELECT count(*) FROM (
        SELECT a.id FROM account a LEFT JOIN (
            SELECT id, sum(c) AS c FROM (SELECT giver AS id, -coins AS c FROM ledger
                UNION ALL SELECT taker, coins FROM ledger) booked GROUP BY id) l ON l.id = a.id
        WHERE a.coins <> 100 + coalesce(l.c, 0)) x";
    assert_eq!(server.sql("bank", unbooked).trim(), "0", "accounts and ledger are of two moments");
    transfers(server)
}

#[test]
fn under_load_every_backup_of_a_chain_is_consistent() {
    let server = Postgres::new();
    create_bank(&server);
    let coffer = coffer_for(&server, "").start();
    let idle = coffer.peak_rss_bytes();
    let client = coffer.admin();
    let tellers = Tellers::at(&server);
    let mut made = Vec::new();
    for number in 0..4_u64 {
        let before = transfers(&server);
        wait_until("transfers to go on", || (transfers(&server) > before + 50).then_some(()));
        let from = transfers(&server);
        let row = if number == 0 { client.full(NAME) } else { client.incremental(NAME) };
        assert_eq!(row["kind"], if number == 0 { "full" } else { "incremental" });
        assert_eq!(row["verify_level"], "checked");
        made.push((row, from, transfers(&server)));
    }
    drop(tellers);
    for (row, from, to) in &made {
        let restored = start_restored(&coffer, row);
        let known = audit(&restored);
        assert!((*from..=*to).contains(&known), "{known} transfers, not {from} to {to}");
    }
    let now = audit(&server);
    assert!(now > made[0].2);
    coffer.assert_little_memory_since(idle);
}
