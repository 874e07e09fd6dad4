//! A bank: a database with a total that must hold at every moment, and tellers who move money.

use std::path::Path;
use std::process::{Child, Stdio};

use super::server::MariaDb;
use crate::support::{stderr_of, wait_until};

/// Every transfer is one transaction. The till comes first, so that two tellers never hold each other up for
/// good.
const SCHEMA: &str = "
CREATE DATABASE bank; USE bank;
CREATE TABLE account(id INT PRIMARY KEY, coins INT NOT NULL, holder VARCHAR(40), scan VARBINARY(3000),
    KEY(coins)) ENGINE=InnoDB;
CREATE TABLE ledger(id INT AUTO_INCREMENT PRIMARY KEY, giver INT, taker INT, coins INT) ENGINE=InnoDB;
CREATE TABLE till(transfers INT) ENGINE=InnoDB;
CREATE TABLE closed(since INT) ENGINE=InnoDB;
INSERT INTO till VALUES (0);
INSERT INTO account SELECT seq, 100, CONCAT('holder ', seq), RANDOM_BYTES(1000) FROM seq_1_to_2000;
DELIMITER //
CREATE PROCEDURE work(step INT)
BEGIN
    DECLARE done INT DEFAULT 0;
    REPEAT
        START TRANSACTION;
        UPDATE till SET transfers = transfers + 1;
        UPDATE account SET coins = coins - 3 WHERE id = done * 7 * step MOD 2000 + 1;
        INSERT INTO ledger(giver, taker, coins)
            VALUES (done * 7 * step MOD 2000 + 1, done * 11 * step MOD 2000 + 1, 3);
        UPDATE account SET coins = coins + 3 WHERE id = done * 11 * step MOD 2000 + 1;
        COMMIT;
        SET done = done + 1;
    UNTIL (SELECT COUNT(*) FROM closed) > 0 END REPEAT;
END //
DELIMITER ;";

/// The bank's server.
pub(crate) struct Bank {
    pub(crate) server: MariaDb,
    tellers: Vec<Child>,
}

impl Bank {
    /// A new one.
    pub(crate) fn found() -> Self {
        let server = MariaDb::start();
        let script = server.folder().join("bank.sql");
        crate::support::write_file(&script, SCHEMA);
        let mut client = server.ask(&[]);
        let made = client.stdin(std::fs::File::open(script).unwrap()).output().unwrap();
        assert!(made.status.success(), "{}", stderr_of(&made));
        Self { server, tellers: Vec::new() }
    }

    /// Two tellers begin to work.
    pub(crate) fn open(&mut self) {
        for step in ["1", "3"] {
            let mut client = self.server.ask(&["bank", "-e", &format!("CALL work({step})")]);
            self.tellers.push(client.stdout(Stdio::null()).spawn().unwrap());
        }
        self.busy();
    }

    /// Waits for further transfers.
    pub(crate) fn busy(&self) {
        let before = self.transfers();
        wait_until("more transfers", || (self.transfers() > before + 20).then_some(()));
    }

    /// Stops the tellers, each at the end of a transfer.
    pub(crate) fn close(&mut self) {
        self.server.sql("INSERT INTO bank.closed VALUES (1)");
        for mut teller in self.tellers.drain(..) {
            assert!(teller.wait().unwrap().success(), "a teller met an error");
        }
    }

    /// How many transfers were made so far.
    pub(crate) fn transfers(&self) -> u64 {
        transfers(&self.server)
    }
}

impl Drop for Bank {
    fn drop(&mut self) {
        for teller in &mut self.tellers {
            teller.kill().unwrap_or_default();
            teller.wait().map(drop).unwrap_or_default();
        }
    }
}

fn transfers(server: &MariaDb) -> u64 {
    server.sql("SELECT transfers FROM bank.till").parse().unwrap()
}

/// Starts a server on a restored data directory; fails the test unless its books are in order. Returns the
/// number of its transfers.
pub(crate) fn audit(restored: &Path) -> u64 {
    let server = MariaDb::on(restored);
    assert_eq!(server.sql("SELECT SUM(coins) FROM bank.account"), "200000", "coins were lost");
    let unbooked = "SELECT COUNT(*) FROM bank.account a
        LEFT JOIN (SELECT taker id, SUM(coins) sum FROM bank.ledger GROUP BY taker) t ON t.id = a.id
        LEFT JOIN (SELECT giver id, SUM(coins) sum FROM bank.ledger GROUP BY giver) g ON g.id = a.id
        WHERE a.coins != 100 + IFNULL(t.sum, 0) - IFNULL(g.sum, 0)";
    assert_eq!(server.sql(unbooked), "0", "accounts and ledger are of different moments");
    let checked = server.sql("CHECK TABLE bank.account, bank.ledger, bank.till EXTENDED");
    assert!(checked.lines().all(|line| line.ends_with("OK")), "{checked}");
    let booked: u64 = server.sql("SELECT COUNT(*) FROM bank.ledger").parse().unwrap();
    assert_eq!(booked, transfers(&server));
    booked
}
