//! Full and incremental backups of a server at work, and of one that is quiet.

use serde_json::Value;

use super::bank::{Bank, audit};
use super::fixture::source;
use super::server::MariaDb;
use crate::support::{TestServer, size_of};

#[test]
fn under_load_every_backup_of_a_chain_is_consistent_and_starts() {
    let mut bank = Bank::found();
    let server = TestServer::builder()
        .instance_of("bank", "mariadb", &source(&bank.server, ""), "quick")
        .start();
    let client = server.admin();
    bank.open();
    let mut taken: Vec<(Value, u64, u64)> = Vec::new();
    for number in 0..4 {
        bank.busy();
        let before = bank.transfers();
        let backup = if number == 0 { client.full("bank") } else { client.incremental("bank") };
        taken.push((backup, before, bank.transfers()));
    }
    bank.close();
    for (number, (backup, before, after)) in taken.iter().enumerate() {
        assert_eq!(backup["kind"], if number == 0 { "full" } else { "incremental" });
        assert_eq!(backup["verify_level"], "checked");
        let booked = audit(&server.restored(backup));
        assert!((*before..=*after).contains(&booked), "{before} <= {booked} <= {after}");
    }
    assert!(
        taken.iter().all(|(_, before, after)| after > before),
        "nothing was written during a backup"
    );
}

/// Every kind of table, and names of every kind of letter.
const ZOO: &str = "
CREATE DATABASE zoo; USE zoo;
CREATE TABLE parts(id INT PRIMARY KEY, n INT, data VARBINARY(400), KEY(n)) ENGINE=InnoDB
    PARTITION BY RANGE (id) (PARTITION a VALUES LESS THAN (20000), PARTITION b VALUES LESS THAN MAXVALUE);
INSERT INTO parts SELECT seq, seq MOD 977, RANDOM_BYTES(400) FROM seq_1_to_40000;
CREATE TABLE mine(id INT PRIMARY KEY, what VARCHAR(80)) ENGINE=MyISAM;
INSERT INTO mine SELECT seq, MD5(seq) FROM seq_1_to_5000;
CREATE TABLE aria(id INT PRIMARY KEY, what VARCHAR(80)) ENGINE=Aria TRANSACTIONAL=1;
INSERT INTO aria SELECT seq, MD5(seq) FROM seq_1_to_5000;
CREATE TABLE aria_plain(id INT PRIMARY KEY, what TEXT) ENGINE=Aria TRANSACTIONAL=0 ROW_FORMAT=DYNAMIC;
INSERT INTO aria_plain SELECT seq, MD5(seq) FROM seq_1_to_2000;
CREATE TABLE squeezed(id INT PRIMARY KEY, what TEXT) ENGINE=InnoDB ROW_FORMAT=COMPRESSED;
INSERT INTO squeezed SELECT seq, REPEAT(MD5(seq), 20) FROM seq_1_to_2000;
CREATE TABLE `Löwe/日本`(`schlüssel` INT PRIMARY KEY, `wörter` VARCHAR(80)) CHARSET utf8mb4;
INSERT INTO `Löwe/日本` VALUES (1, 'Zoë 🦓'), (2, '\\\\ \\' \\\" \\n');
CREATE VIEW much AS SELECT * FROM mine WHERE id > 10;
CREATE TRIGGER grows BEFORE INSERT ON aria FOR EACH ROW SET NEW.what = UPPER(NEW.what);
CREATE FUNCTION twice(x INT) RETURNS INT DETERMINISTIC RETURN 2 * x;
CREATE EVENT yearly ON SCHEDULE EVERY 1 YEAR DO DELETE FROM mine;
CREATE SEQUENCE counter START 100;
SELECT NEXTVAL(counter);
CREATE DATABASE `SYS`; CREATE TABLE `SYS`.x(x INT PRIMARY KEY); INSERT INTO `SYS`.x VALUES (1);
CREATE DATABASE `Tür-zu.1`; CREATE TABLE `Tür-zu.1`.`a/b`(x INT PRIMARY KEY); INSERT INTO `Tür-zu.1`.`a/b` VALUES (7);
";

/// The databases of it.
pub(crate) const ZOOS: [&str; 3] = ["zoo", "Tür-zu.1", "SYS"];

/// A server with all of them.
pub(crate) fn zoo() -> MariaDb {
    let server = MariaDb::start();
    server.sql(ZOO);
    server
}

#[test]
fn every_backup_of_a_chain_restores_to_the_same_dump() {
    let zoo = zoo();
    let server =
        TestServer::builder().instance_of("zoo", "mariadb", &source(&zoo, ""), "full").start();
    let client = server.admin();
    let full = client.full("zoo");
    let before = zoo.dump(&ZOOS);

    let unchanged = client.incremental("zoo");
    zoo.sql("UPDATE zoo.parts SET n = n + 1 WHERE id MOD 100 = 0");
    let changed = client.incremental("zoo");
    let after = zoo.dump(&ZOOS);
    assert_ne!(before, after);
    let share = |backup: &Value| size_of(backup) * 1000 / size_of(&full);
    assert!(share(&unchanged) < 10, "{} of {} bytes", size_of(&unchanged), size_of(&full));
    assert!(share(&changed) < 50, "{} of {} bytes", size_of(&changed), size_of(&full));

    for (backup, dump) in [(&full, &before), (&unchanged, &before), (&changed, &after)] {
        let restored = MariaDb::on(&server.restored(backup));
        assert!(restored.dump(&ZOOS) == *dump, "backup {} is different", backup["kind"]);
        assert_eq!(restored.sql("SELECT zoo.twice(21)"), "42");
    }
}
