//! Drills: a server started on what was restored, that finds what is damaged.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use serde_json::json;

use super::fixture::source;
use super::server::MariaDb;
use crate::support::{TestServer, id_of};

const SHOP: &str = "CREATE DATABASE shop; USE shop;
    CREATE TABLE orders(id INT PRIMARY KEY, what VARCHAR(200), coins INT, KEY by_coins(coins)) ENGINE=InnoDB;
    INSERT INTO orders SELECT seq, REPEAT(MD5(seq), 6), seq * 7 MOD 1000 FROM seq_1_to_5000;
    CREATE TABLE log(id INT PRIMARY KEY, what VARCHAR(100)) ENGINE=MyISAM;
    INSERT INTO log SELECT seq, MD5(seq) FROM seq_1_to_3000;
    CREATE TABLE notes(id INT PRIMARY KEY, what VARCHAR(100)) ENGINE=Aria;
    INSERT INTO notes SELECT seq, MD5(seq) FROM seq_1_to_3000";

fn drilling(database: &MariaDb, more: &str) -> TestServer {
    let source = source(database, more);
    TestServer::builder()
        .toml(&format!(
            "[[instances]]\nname = \"shop\"\nproject_id = \"project-a\"\nengine = \"mariadb\"\n\
             source = {source}\nverify = \"restore\"\n"
        ))
        .start()
}

#[test]
fn a_drill_starts_a_server_checks_the_tables_and_counts_the_rows() {
    let database = MariaDb::start();
    database.sql(SHOP);
    for method in ["physical", "logical"] {
        let server = drilling(&database, &format!(", method = \"{method}\""));
        let client = server.admin();
        let row = client.drilled(id_of(&client.full("shop")));
        assert_eq!(
            (&row["verify_level"], &row["drill"]["status"]),
            (&json!("restored"), &json!("passed")),
            "{row:#}"
        );
        assert_eq!(
            row["drill"]["rows_by_table"],
            json!({"shop.orders": 5000, "shop.log": 3000, "shop.notes": 3000})
        );
        assert!(row["drill"]["version"].as_str().unwrap().contains("MariaDB"), "{row:#}");
        server.assert_tmp_is_empty();
    }
}

#[test]
fn a_drill_reaches_no_other_server_and_runs_no_event() {
    let mut remote = MariaDb::start();
    remote.sql("CREATE DATABASE d; CREATE TABLE d.t(id INT PRIMARY KEY); CREATE USER r@'127.0.0.1'; GRANT ALL ON d.* TO r@'127.0.0.1'; \
         CREATE USER r@localhost; GRANT ALL ON d.* TO r@localhost");
    let port = remote.listen();
    let socket = remote.socket().display().to_string();
    let database = MariaDb::start();
    database.sql(SHOP);
    database.sql(&format!(
        "INSTALL SONAME 'ha_federatedx';
         CREATE TABLE shop.far(id INT PRIMARY KEY) ENGINE=FEDERATED CONNECTION='mysql://r@127.0.0.1:{port}/d/t';
         INSTALL SONAME 'ha_spider'; INSTALL SONAME 'ha_connect'; USE shop;
         CREATE SERVER beside FOREIGN DATA WRAPPER mysql OPTIONS (SOCKET '{socket}', USER 'r', DATABASE 'd');
         CREATE TABLE linked(id INT PRIMARY KEY) ENGINE=SPIDER
             COMMENT='wrapper \"mysql\", host \"127.0.0.1\", port \"{port}\", user \"r\", database \"d\", table \"t\"';
         CREATE TABLE linked_by_socket(id INT PRIMARY KEY) ENGINE=SPIDER COMMENT='wrapper \"mysql\", srv \"beside\", table \"t\"';
         CREATE TABLE parts(id INT PRIMARY KEY) ENGINE=SPIDER COMMENT='wrapper \"mysql\", table \"t\"'
             PARTITION BY KEY (id) (PARTITION a COMMENT='srv \"beside\"', PARTITION b COMMENT='srv \"beside\"');
         CREATE TABLE connected(id INT NOT NULL) ENGINE=CONNECT TABLE_TYPE=MYSQL CONNECTION='mysql://r@127.0.0.1:{port}/d/t';
         CREATE TABLE connected_by_socket(id INT NOT NULL) ENGINE=CONNECT TABLE_TYPE=MYSQL CONNECTION='beside/t';
         CREATE VIEW over_all AS SELECT id FROM linked UNION SELECT id FROM connected UNION SELECT id FROM far;
         CREATE TRIGGER asks BEFORE INSERT ON orders FOR EACH ROW SET NEW.coins = (SELECT COUNT(*) FROM linked_by_socket);
         CREATE EVENT shop.ticks ON SCHEDULE EVERY 1 SECOND DO INSERT INTO shop.far VALUES (UNIX_TIMESTAMP());
         CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT={port}, MASTER_USER='r', MASTER_CONNECT_RETRY=1"
    ));
    for method in ["physical", "logical"] {
        let mut server = drilling(&database, &format!(", method = \"{method}\""));
        server.allow_warning("not restored: ");
        let client = server.admin();
        let backup = client.full("shop");
        let accepted = "SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = 'CONNECTIONS'";
        let before: u64 = remote.sql(accepted).parse().unwrap();
        let row = client.drilled(id_of(&backup));
        assert_eq!(row["drill"]["status"], "passed", "{row:#}");
        let after: u64 = remote.sql(accepted).parse().unwrap();
        // The question itself is one.
        assert_eq!(after, before + 1, "{method}");
    }
}

/// Flushes the tables, ends the server, damages a file, and starts it again.
fn damaged(file: &str, damage: impl Fn(&Path)) -> MariaDb {
    let mut database = MariaDb::start();
    database.sql(SHOP);
    database.stop();
    damage(&database.datadir().join("shop").join(file));
    database.restart();
    database
}

fn cut_in_half(path: &Path) {
    let file = OpenOptions::new().write(true).open(path).unwrap();
    file.set_len(file.metadata().unwrap().len() / 2).unwrap();
}

#[track_caller]
fn assert_found(database: &MariaDb, table: &str) {
    let mut server = drilling(database, "");
    server.allow_warning("drill");
    server.allow_warning("nothing is built on it");
    let client = server.admin();
    let row = client.drilled(id_of(&client.full("shop")));
    let why = &row["drill"]["failure"];
    assert_eq!(
        (&row["drill"]["status"], &why["code"]),
        (&json!("damaged"), &json!("archive_damaged")),
        "{row:#}"
    );
    assert!(why["message"].as_str().unwrap().contains(table), "{why:#}");
    server.assert_tmp_is_empty();
}

#[test]
fn a_truncated_file_of_myisam_or_aria_fails_the_drill_with_the_tables_name() {
    assert_found(&damaged("log.MYD", cut_in_half), "shop.log");
    assert_found(&damaged("notes.MAD", cut_in_half), "shop.notes");
}

/// The polynomial of CRC-32C, its bits reversed.
const POLYNOMIAL: u32 = 0x82f6_3b78;

fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 { (crc >> 1) ^ POLYNOMIAL } else { crc >> 1 }
        })
    })
}

const PAGE: usize = 16 << 10;

/// Overwrites keys in leaves of the second index, and makes the pages' checksums right again: neither the
/// server nor the copying tool can see that by looking at pages alone.
fn forge_index(path: &Path) {
    change_index(path, true);
}

/// The same as a disk does it: the pages' checksums stay what they were.
fn rot_index(path: &Path) {
    change_index(path, false);
}

fn change_index(path: &Path, checksums: bool) {
    let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut whole = std::fs::read(path).unwrap();
    let mut forged = 0;
    let number = |page: &[u8], at: usize| u64::from_be_bytes(page[at..at + 8].try_into().unwrap());
    let mut indexes: Vec<u64> = whole
        .chunks(PAGE)
        .filter(|page| page[24..26] == [0x45, 0xbf])
        .map(|page| number(page, 66))
        .collect();
    indexes.sort_unstable();
    let second = *indexes.last().unwrap();
    assert_ne!(indexes[0], second, "there is no second index");
    for (at, page) in whole.chunks_mut(PAGE).enumerate() {
        let is_leaf = page[24..26] == [0x45, 0xbf] && page[64..66] == [0, 0];
        if !is_leaf || number(page, 66) != second {
            continue;
        }
        // Behind the page's head and its two system records: the keys.
        for byte in &mut page[200..400] {
            *byte ^= 0x15;
        }
        if checksums {
            let sum = crc32c(&page[..PAGE - 4]);
            page[PAGE - 4..].copy_from_slice(&sum.to_be_bytes());
        }
        file.write_all_at(page, u64::try_from(at * PAGE).unwrap()).unwrap();
        forged += 1;
    }
    assert!(forged > 0, "no leaf of the second index was found");
}

#[test]
fn a_forged_index_of_innodb_fails_the_drill() {
    assert_found(&damaged("orders.ibd", forge_index), "shop.orders");
}

#[test]
fn a_page_with_a_wrong_checksum_is_found_by_the_backup_itself() {
    let database = damaged("orders.ibd", rot_index);
    let mut server = TestServer::builder()
        .instance_of("shop", "mariadb", &source(&database, ""), "quick")
        .start();
    server.allow_warning(" failed: ");
    let (code, why) = server.admin().failed("shop");
    assert_eq!(code, "source_damaged", "{why}");
    assert!(why.contains("orders.ibd"), "{why}");
    server.assert_tmp_is_empty();
}

#[test]
fn a_table_that_this_machine_cannot_check_is_named() {
    let database = MariaDb::start();
    database.sql(
        "INSTALL SONAME 'ha_archive'; CREATE DATABASE shop; CREATE TABLE shop.old(id INT) ENGINE=ARCHIVE;
         INSERT INTO shop.old VALUES (1); CREATE TABLE shop.t(id INT PRIMARY KEY)",
    );
    let server = drilling(&database, "");
    let client = server.admin();
    let row = client.drilled(id_of(&client.full("shop")));
    assert_eq!(row["drill"]["status"], "passed", "{row:#}");
    let check = row["drill"]["check"].as_str().unwrap();
    assert!(check.contains("could not check shop.old: "), "{check}");
}
