//! Dumps of what a server may hold load: whatever needs what, and whatever a strict server would refuse today.

use serde_json::Value;

use super::fixture::source;
use super::server::MariaDb;
use crate::support::{TestServer, archive_of, damage, id_of, stderr_of};

fn logical(database: &MariaDb) -> TestServer {
    let source = source(database, ", method = \"logical\"");
    TestServer::builder().instance_of("all", "mariadb", &source, "quick").start()
}

/// A server on a restored backup that was just made of `database`, and the backup.
#[track_caller]
fn round_trip(database: &MariaDb) -> (MariaDb, Value) {
    let server = logical(database);
    let backup = server.admin().full("all");
    // On files of its own: the test server removes the restored ones when it ends.
    let again = MariaDb::copy_of(&server.restored(&backup));
    (again, backup)
}

#[track_caller]
fn assert_same(database: &MariaDb, again: &MariaDb, questions: &[&str]) {
    for question in questions {
        let expected = database.sql(question);
        assert!(!expected.is_empty(), "{question}");
        assert_eq!(again.sql(question), expected, "{question}");
    }
}

#[test]
fn databases_load_whatever_needs_what_and_whatever_their_names() {
    let database = MariaDb::start();
    database.sql(
        "CREATE DATABASE aaa; CREATE DATABASE mmm; CREATE DATABASE zzz;
         CREATE TABLE zzz.t(id INT PRIMARY KEY); INSERT INTO zzz.t VALUES (1), (2);
         CREATE VIEW aaa.v AS SELECT id FROM zzz.t;
         CREATE FUNCTION zzz.twice(x INT) RETURNS INT DETERMINISTIC RETURN 2 * x;
         CREATE VIEW mmm.w AS SELECT zzz.twice(id) AS two FROM aaa.v;
         CREATE USER app@localhost; GRANT SELECT ON *.* TO app@localhost;
         CREATE DEFINER=app@localhost VIEW aaa.base AS SELECT id FROM zzz.t;
         CREATE VIEW aaa.top AS SELECT id + 1 AS next FROM aaa.base;
         CREATE SEQUENCE zzz.numbers START 40;
         CREATE TABLE aaa.numbered(id INT PRIMARY KEY DEFAULT NEXTVAL(zzz.numbers), what TEXT);
         INSERT INTO aaa.numbered(what) VALUES ('first');
         CREATE TABLE aaa.child(id INT PRIMARY KEY, t INT, FOREIGN KEY (t) REFERENCES zzz.t(id));
         INSERT INTO aaa.child VALUES (7, 2);
         CREATE TABLE zzz.log(id INT);
         CREATE TRIGGER aaa.logs AFTER INSERT ON aaa.child FOR EACH ROW INSERT INTO zzz.log VALUES (NEW.id);
         CREATE FUNCTION aaa.odd() RETURNS TEXT RETURN '
--
-- Current Database: `aaa`
--
'",
    );
    let (again, backup) = round_trip(&database);
    assert_same(
        &database,
        &again,
        &[
            "SELECT * FROM aaa.v",
            "SELECT * FROM mmm.w",
            "SELECT * FROM aaa.top",
            "SELECT * FROM aaa.numbered",
            "SELECT * FROM aaa.child",
            "SHOW CREATE TABLE aaa.child",
            "SHOW CREATE VIEW aaa.top",
            "SELECT aaa.odd()",
            "SELECT TRIGGER_NAME, EVENT_OBJECT_TABLE, ACTION_STATEMENT, SQL_MODE FROM information_schema.TRIGGERS",
        ],
    );
    again.sql("INSERT INTO aaa.child VALUES (8, 1)");
    assert_eq!(again.sql("SELECT id FROM zzz.log"), "8");
    // A sequence goes on behind the numbers that the original had set aside.
    let next = again.sql("INSERT INTO aaa.numbered(what) VALUES ('x') RETURNING id");
    assert!(next.parse::<u64>().unwrap() > 40, "{next}");
    assert_eq!(backup["left_out"], Value::Array(Vec::new()));
}

#[test]
fn a_server_whose_names_are_in_small_letters_is_restored_as_one() {
    let small = "--lower-case-table-names=1";
    let database = MariaDb::start_with(&[small]);
    database.sql(
        "CREATE DATABASE Shop; USE Shop; CREATE TABLE Orders(id INT PRIMARY KEY); CREATE TABLE Log(id INT);
         CREATE TRIGGER Writes AFTER INSERT ON Orders FOR EACH ROW INSERT INTO LOG VALUES (NEW.id);
         CREATE VIEW All_Of_Them AS SELECT id FROM ORDERS; INSERT INTO oRDERS VALUES (1)",
    );
    let source = |method: &str| source(&database, &format!(", method = {method:?}"));
    let server = TestServer::builder()
        .instance_of("logical", "mariadb", &source("logical"), "quick")
        .instance_of("physical", "mariadb", &source("physical"), "quick")
        .start();
    for method in ["logical", "physical"] {
        let backup = server.admin().full(method);
        server.run_ok(&["drill", id_of(&backup)]);
        let target = server.restored(&backup);
        // The commands of a restore name this file.
        let settings = std::fs::read_to_string(target.join("backup-my.cnf")).unwrap();
        assert!(settings.lines().any(|line| line == "lower_case_table_names=1"), "{settings}");
        let again = MariaDb::on_with(&target, &[small]);
        again.sql("INSERT INTO Shop.Orders VALUES (2)");
        assert_eq!(
            again.sql("SELECT id FROM Shop.LOG; SELECT id FROM Shop.All_of_them"),
            "1\n2\n1\n2"
        );
    }
}

#[test]
fn views_on_views_are_what_they_were_and_can_be_written_to() {
    let database = MariaDb::start();
    database.sql(
        "CREATE DATABASE aaa; CREATE DATABASE zzz; CREATE TABLE aaa.t(id INT PRIMARY KEY); USE aaa;
         CREATE VIEW zzz.v1 AS SELECT id FROM aaa.t; CREATE VIEW aaa.v2 AS SELECT id FROM zzz.v1;
         CREATE VIEW zzz.v3 AS SELECT id FROM aaa.v2 WHERE id > 1;
         CREATE VIEW aaa.`a``1` AS SELECT id FROM zzz.v3 WITH CASCADED CHECK OPTION;
         CREATE ALGORITHM=MERGE VIEW aaa.a0 AS SELECT id FROM aaa.`a``1`;
         CREATE ROLE readers; CREATE ROLE leaders WITH ADMIN readers",
    );
    let fresh = MariaDb::start();
    let dumps = |of: &MariaDb| source(of, ", method = \"logical\"");
    let server = TestServer::builder()
        .instance_of("all", "mariadb", &dumps(&database), "quick")
        .instance_of("fresh", "mariadb", &dumps(&fresh), "quick")
        .start();
    let backup = server.admin().full("all");
    let again = MariaDb::copy_of(&server.restored(&backup));
    server.run_ok(&["restore", id_of(&backup), "--into", "fresh"]);
    for (restored, name) in [(&again, "new"), (&fresh, "running")] {
        let views = "SELECT TABLE_NAME, CHECK_OPTION, ALGORITHM FROM information_schema.VIEWS \
                     WHERE TABLE_SCHEMA IN ('aaa', 'zzz') ORDER BY 1";
        assert_same(&database, restored, &[views]);
        restored.sql("INSERT INTO zzz.v1 VALUES (1); INSERT INTO aaa.v2 VALUES (2); INSERT INTO aaa.a0 VALUES (3)");
        assert_eq!(restored.sql("SELECT id FROM aaa.`a``1`"), "2\n3", "{name}");
    }
    assert_same(&database, &again, &["SELECT User, Role FROM mysql.roles_mapping ORDER BY 1, 2"]);
}

#[test]
fn rows_and_tables_that_a_strict_server_would_refuse_load() {
    let database = MariaDb::start_with(&["--innodb-strict-mode=OFF", "--sql-mode="]);
    let columns: Vec<String> = (0..40).map(|at| format!("c{at} VARCHAR(250)")).collect();
    database.sql(&format!(
        "CREATE DATABASE shop CHARACTER SET latin1; USE shop;
         CREATE TABLE wide(id INT PRIMARY KEY, {}); INSERT INTO wide(id, c1) VALUES (1, 'x');
         CREATE TABLE checked(x INT CHECK (x > 0)); SET check_constraint_checks = 0;
         INSERT INTO checked VALUES (-1);
         CREATE TABLE dates(d DATE NOT NULL DEFAULT '0000-00-00', e DATETIME); INSERT INTO dates VALUES ('2024-00-00', 0);
         CREATE TABLE zero(id INT AUTO_INCREMENT PRIMARY KEY); SET sql_mode = 'NO_AUTO_VALUE_ON_ZERO';
         INSERT INTO zero VALUES (0);
         SET max_heap_table_size = 67108864;
         CREATE TABLE fast(id INT, pad CHAR(250)) ENGINE=MEMORY; INSERT INTO fast SELECT seq, 'x' FROM seq_1_to_100000",
        columns.join(", ")
    ));
    let (again, backup) = round_trip(&database);
    let missing = "the rows of shop.fast in a restored data directory";
    assert_eq!(backup["left_out"][0]["what"], missing);
    assert_same(
        &database,
        &again,
        &[
            "SELECT id, c1 FROM shop.wide",
            "SELECT * FROM shop.checked",
            "SELECT * FROM shop.dates",
            "SELECT * FROM shop.zero",
        ],
    );
    // The rows of a MEMORY table end with the server that loaded them; that it loaded at all is what counts.
    assert_eq!(again.sql("SELECT COUNT(*) FROM shop.fast"), "0");
}

const ZONE: &str = "INSERT INTO mysql.time_zone VALUES (1, 'N');
    INSERT INTO mysql.time_zone_name VALUES ('Mine/Here', 1);
    INSERT INTO mysql.time_zone_transition_type VALUES (1, 0, 7200, 0, 'MINE')";

const EVENT: &str =
    "CREATE DATABASE shop; USE shop; CREATE TABLE t(id INT PRIMARY KEY); INSERT INTO t VALUES (1);
    SET time_zone = 'Mine/Here';
    CREATE EVENT ev ON SCHEDULE EVERY 1 DAY STARTS '2035-01-01 00:00:00' DO DELETE FROM t";

#[test]
fn time_zones_servers_plugins_and_history_come_back() {
    let database = MariaDb::start();
    database.sql(ZONE);
    database.sql(EVENT);
    database.sql(
        "INSTALL SONAME 'auth_ed25519';
         CREATE USER elliptic@localhost IDENTIFIED VIA ed25519 USING PASSWORD('secret');
         CREATE SERVER far FOREIGN DATA WRAPPER mysql OPTIONS (HOST '127.0.0.1', DATABASE 'x', USER 'u', PASSWORD 'it''s \\\\', PORT 3307);
         CREATE SERVER `other one` FOREIGN DATA WRAPPER mysql OPTIONS (SOCKET '/nowhere/s');
         USE shop; CREATE TABLE price(id INT PRIMARY KEY, eur INT) WITH SYSTEM VERSIONING;
         INSERT INTO price VALUES (1, 10), (2, 20); UPDATE price SET eur = 11 WHERE id = 1; DELETE FROM price WHERE id = 2",
    );
    let (again, backup) = round_trip(&database);
    assert_same(
        &database,
        &again,
        &[
            "SELECT name, time_zone, starts FROM mysql.event",
            "SELECT CONVERT_TZ('2024-07-01 12:00:00', '+00:00', 'Mine/Here')",
            "SELECT Server_name, Host, Db, Username, Password, Port, Socket, Wrapper FROM mysql.servers ORDER BY 1",
            "SHOW CREATE USER elliptic@localhost",
            "SELECT name, dl FROM mysql.plugin",
            "SELECT *, row_start, row_end FROM shop.price FOR SYSTEM_TIME ALL ORDER BY id, row_start",
        ],
    );
    assert_eq!(backup["left_out"], Value::Array(Vec::new()));
}

#[test]
fn accounts_that_a_check_of_passwords_would_refuse_load_and_the_check_is_there_again() {
    let database = MariaDb::start();
    database.sql(
        "CREATE USER open_door@localhost; CREATE USER short@localhost IDENTIFIED BY 'abc';
         CREATE DATABASE shop; CREATE TABLE shop.item (id INT); INSERT INTO shop.item VALUES (1);
         INSTALL SONAME 'simple_password_check';",
    );
    let (again, backup) = round_trip(&database);
    assert_eq!(backup["left_out"].as_array().map_or(0, Vec::len), 0, "{backup}");
    assert_same(
        &database,
        &again,
        &[
            "SHOW CREATE USER open_door@localhost",
            "SHOW CREATE USER short@localhost",
            "SELECT name, dl FROM mysql.plugin",
        ],
    );
}

#[test]
fn what_a_server_refuses_is_named_with_its_error_and_everything_else_is_restored() {
    let (database, other) = (MariaDb::start(), MariaDb::start());
    database.sql(ZONE);
    database.sql(EVENT);
    database.sql("CREATE VIEW shop.v AS SELECT id FROM shop.t");
    let server = TestServer::builder()
        .instance_of("all", "mariadb", &source(&database, ", method = \"logical\""), "quick")
        .instance_of("other", "mariadb", &source(&other, ""), "quick")
        .start();
    let backup = server.admin().full("all");
    // The other server knows no time zone of this name.
    let output = server.run(&["restore", id_of(&backup), "--into", "other"]);
    assert_eq!(output.status.code(), Some(5), "{}", stderr_of(&output));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = said.lines().find(|line| line.starts_with("Not restored: ")).unwrap_or_default();
    assert!(line.contains("time_zone") && line.contains("Mine/Here"), "{said}");
    assert!(stderr_of(&output).contains("restored in part"), "{}", stderr_of(&output));
    assert_eq!(other.sql("SELECT id FROM shop.v"), "1");
}

#[test]
fn an_account_whose_plugin_is_missing_costs_only_itself() {
    let database = MariaDb::start();
    database.sql(
        "CREATE DATABASE shop; CREATE TABLE shop.t(id INT PRIMARY KEY); INSERT INTO shop.t VALUES (1);
         CREATE USER plain@localhost IDENTIFIED BY 'x';
         INSTALL SONAME 'auth_ed25519';
         CREATE USER gone@localhost IDENTIFIED VIA ed25519 USING PASSWORD('secret');
         CREATE USER open@localhost; CREATE USER 'q`\\'q'@localhost REQUIRE NONE PASSWORD EXPIRE NEVER;
         UNINSTALL SONAME 'auth_ed25519'",
    );
    let server = logical(&database);
    let backup = server.admin().full("all");
    let target = server.folder().join("again");
    let output = server.run(&["restore", id_of(&backup), "--to", target.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(5), "{}", stderr_of(&output));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("gone") && said.contains("ed25519"), "{said}");
    // The drill meets the same, and cannot vouch for what it could not load.
    let drill = server.run(&["drill", id_of(&backup)]);
    assert!(!drill.status.success());
    let said = stderr_of(&drill);
    assert!(said.contains("ed25519") && said.contains("what could be loaded is sound"), "{said}");
    let again = MariaDb::on(&target);
    assert_eq!(again.sql("SELECT id FROM shop.t"), "1");
    let open = [
        "SHOW CREATE USER plain@localhost",
        "SHOW CREATE USER open@localhost",
        "SHOW CREATE USER 'q`\\'q'@localhost",
    ];
    assert_same(&database, &again, &open);
    // An account without its authentication lets nobody in; one that never had a password still has none.
    let enters = |user: &str| {
        again.ask(&["--user", user, "-e", "SELECT 1"]).output().unwrap().status.success()
    };
    assert!(!enters("gone") && !enters("plain") && enters("open") && enters("q`'q"));
}

#[test]
fn what_a_dump_does_not_hold_is_named_and_a_folder_of_the_filesystem_is_no_database() {
    let database = MariaDb::start();
    std::fs::create_dir(database.datadir().join("lost+found")).unwrap();
    database.sql(
        "CREATE DATABASE shop; CREATE TABLE shop.t(id INT PRIMARY KEY); INSERT INTO shop.t VALUES (1);
         CREATE TABLE shop.gone(id INT); CREATE VIEW shop.broken AS SELECT id FROM shop.gone; DROP TABLE shop.gone;
         CREATE TABLE shop.precise(id INT, a BIGINT UNSIGNED GENERATED ALWAYS AS ROW START,
             b BIGINT UNSIGNED GENERATED ALWAYS AS ROW END, PERIOD FOR SYSTEM_TIME(a, b)) WITH SYSTEM VERSIONING;
         INSERT INTO shop.precise(id) VALUES (1); UPDATE shop.precise SET id = 2;
         CREATE TABLE mysql.mine(id INT); CREATE PROCEDURE mysql.helps() SELECT 1",
    );
    let (again, backup) = round_trip(&database);
    assert_eq!(again.sql("SELECT id FROM shop.t UNION ALL SELECT id FROM shop.precise"), "1\n2");
    let named: Vec<&str> = backup["left_out"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["what"].as_str().unwrap())
        .collect();
    assert_eq!(
        named,
        ["the history of shop.precise", "the view shop.broken", "mysql.mine", "mysql.helps"]
    );
    assert_eq!(again.sql("SHOW DATABASES LIKE '%lost%'"), "");
}

const OF_ROOT: &str = "SHOW GRANTS FOR root@localhost";

#[test]
fn a_restored_data_directory_has_the_accounts_and_rights_of_the_backup_and_no_others() {
    let database = MariaDb::start();
    let accounts = "SELECT CONCAT(User, '@', Host) FROM mysql.global_priv ORDER BY 1";
    for row in database.sql(accounts).lines().filter(|it| it.starts_with("root@")) {
        let (user, host) = row.split_once('@').unwrap();
        if host != "localhost" {
            database.sql(&format!("DROP USER '{user}'@'{host}'"));
        }
    }
    database.sql(
        "CREATE DATABASE shop; CREATE TABLE shop.t(id INT PRIMARY KEY); CREATE USER app@localhost IDENTIFIED BY 'x';
         GRANT ALL ON *.* TO app@localhost WITH GRANT OPTION;
         REVOKE FILE, SHUTDOWN ON *.* FROM root@localhost; ALTER USER root@localhost IDENTIFIED VIA unix_socket",
    );
    let (again, _) = round_trip(&database);
    assert_same(&database, &again, &[accounts, OF_ROOT, "SHOW GRANTS FOR app@localhost"]);

    // A backup without accounts leaves one, which only the machine's root can use.
    let source = source(&database, ", method = \"logical\", database = \"shop\"");
    let server = TestServer::builder().instance_of("one", "mariadb", &source, "quick").start();
    let again = MariaDb::copy_of(&server.restored(&server.admin().full("one")));
    assert_eq!(again.sql(accounts), "mariadb.sys@localhost\nroot@localhost");
    assert!(again.sql("SHOW CREATE USER root@localhost").contains("VIA unix_socket"));
}

#[test]
fn accounts_load_whatever_sql_mode_the_server_has_and_expired_passwords_stay_expired() {
    let modes = "--sql-mode=ANSI,ORACLE,NO_BACKSLASH_ESCAPES";
    let database = MariaDb::start_with(&[modes]);
    database.sql(
        "CREATE DATABASE shop; CREATE TABLE shop.t(id INT PRIMARY KEY);
         CREATE USER app@localhost IDENTIFIED BY 'x'; GRANT SELECT ON shop.* TO app@localhost;
         CREATE USER old@localhost IDENTIFIED BY 'y' REQUIRE SSL PASSWORD EXPIRE;
         CREATE USER shut@localhost IDENTIFIED BY 'y' ACCOUNT LOCK PASSWORD EXPIRE NEVER",
    );
    let (again, backup) = round_trip(&database);
    assert_eq!(backup["left_out"], Value::Array(Vec::new()));
    let plain = |question: &str| format!("SET SESSION sql_mode = ''; {question}");
    let questions = [
        "SHOW GRANTS FOR app@localhost",
        "SHOW CREATE USER app@localhost",
        "SHOW CREATE USER old@localhost",
        "SHOW CREATE USER shut@localhost",
    ];
    let questions = questions.map(plain);
    assert_same(&database, &again, &questions.each_ref().map(String::as_str));
}

#[test]
fn the_printed_commands_name_absolute_paths() {
    let database = MariaDb::start();
    database.sql("CREATE DATABASE shop");
    let server = logical(&database);
    let backup = server.admin().full("all");
    let mut restore = server.command(&["restore", id_of(&backup), "--to", "r/x", "--json"]);
    std::fs::create_dir(server.folder().join("r")).unwrap();
    let output = restore.current_dir(server.folder()).output().unwrap();
    assert!(output.status.success(), "{}", stderr_of(&output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let folder = server.folder().join("r/x");
    let next = report["next"].to_string();
    assert!(next.contains(&format!("--datadir={}", folder.display())), "{next}");
}

#[test]
fn a_salvage_keeps_damaged_dumps_as_files_and_loads_nothing_of_them() {
    let (database, other) = (MariaDb::start(), MariaDb::start());
    // So much that the middle of the archive is in the dump of it.
    database.sql(
        "CREATE DATABASE shop; USE shop; CREATE TABLE t(id INT PRIMARY KEY, what CHAR(32));
         INSERT INTO t SELECT seq, MD5(RAND()) FROM seq_1_to_20000",
    );
    let server = TestServer::builder()
        .instance_of("all", "mariadb", &source(&database, ", method = \"logical\""), "quick")
        .instance_of("other", "mariadb", &source(&other, ""), "quick")
        .start();
    let backup = server.admin().full("all");
    damage(&archive_of(&backup));
    let target = server.folder().join("salvaged");
    let to = ["restore", id_of(&backup), "--salvage", "--to", target.to_str().unwrap()];
    let output = server.run(&to);
    assert_eq!(output.status.code(), Some(6), "{}", stderr_of(&output));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("check: not made") && said.contains("and so not loaded"), "{said}");
    assert!(target.join("databases/shop.sql").exists() && !target.join("mysql").exists());
    let output = server.run(&["restore", id_of(&backup), "--salvage", "--into", "other"]);
    assert!(stderr_of(&output).contains("--to PATH"), "{}", stderr_of(&output));
    assert_eq!(other.sql("SHOW DATABASES LIKE 'shop'"), "");
}
