//! Dumps: of both engines, to a path and into a running server.

use std::sync::atomic::{AtomicBool, Ordering};

use super::chains::{ZOOS, zoo};
use super::fixture::source;
use super::server::MariaDb;
use crate::support::{TestServer, id_of, stderr_of};

/// An account with every awkward letter, a role, and what both may do.
const ACCOUNTS: &str = "CREATE ROLE `guards`; GRANT SELECT ON zoo.* TO `guards`;
    CREATE USER `it's a \"me\"`@`%` IDENTIFIED BY 'secret'; GRANT `guards` TO `it's a \"me\"`@`%`;
    SET DEFAULT ROLE `guards` FOR `it's a \"me\"`@`%`;
    GRANT INSERT ON zoo.mine TO `it's a \"me\"`@`%`; GRANT EXECUTE ON FUNCTION zoo.twice TO `it's a \"me\"`@`%`";

#[test]
fn a_dump_restores_to_a_data_directory_with_the_same_data_and_accounts() {
    let zoo = zoo();
    let before = zoo.dump(&ZOOS);
    let show = "SHOW GRANTS FOR `it's a \"me\"`@`%`; SHOW GRANTS FOR guards";
    zoo.sql(ACCOUNTS);
    let grants = zoo.sql(show);
    let dumps = source(&zoo, ", method = \"logical\"");
    let server = TestServer::builder()
        .instance_of("mariadb", "mariadb", &dumps, "quick")
        .instance_of("mysql", "mysql", &dumps, "quick")
        .start();
    let client = server.admin();
    for engine in ["mariadb", "mysql"] {
        let full = client.full(engine);
        let unchanged = client.incremental(engine);
        assert!(unchanged["size_bytes"].as_u64() < Some(full["size_bytes"].as_u64().unwrap() / 50));
        let again = MariaDb::on(&server.restored(&unchanged));
        assert!(again.dump(&ZOOS) == before, "{engine}: another dump");
        assert_eq!(again.sql(show), grants);
    }
}

#[test]
fn dumps_restore_into_a_running_server_without_these_databases() {
    let (zoo, other) = (zoo(), MariaDb::start());
    let server = TestServer::builder()
        .instance_of("zoo", "mariadb", &source(&zoo, ", method = \"logical\""), "quick")
        .instance_of("other", "mariadb", &source(&other, ""), "quick")
        .instance_of("whole", "mariadb", &source(&zoo, ""), "quick")
        .start();
    let client = server.admin();
    let backup = client.full("zoo");
    let into = |id: &str| server.run(&["restore", id, "--into", "other"]);

    // The dumps are unpacked in the data directory first: without room there nothing begins.
    let mut command = server.command(&["restore", id_of(&backup), "--into", "other"]);
    let output = command.env("COFFER__STORAGE__HEADROOM_MIB", "1000000000").output().unwrap();
    let place = format!("{}: ", server.data_dir().join("tmp").display());
    let said = stderr_of(&output);
    assert!(said.contains(&place) && said.contains("bytes are needed"), "{said}");
    assert_eq!(other.sql("SHOW DATABASES LIKE 'zoo'"), "");

    let output = into(id_of(&backup));
    assert!(output.status.success(), "{}", stderr_of(&output));
    server.assert_tmp_is_empty();
    assert!(other.dump(&ZOOS) == zoo.dump(&ZOOS));

    // One of them exists: nothing is changed.
    other.sql("DROP DATABASE zoo; DROP DATABASE `SYS`");
    let output = into(id_of(&backup));
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr_of(&output).contains("Tür-zu.1"), "{}", stderr_of(&output));
    assert_eq!(other.sql("SHOW DATABASES LIKE 'zoo'"), "");

    // A server that cannot create the second: the first, which this restore created, is dropped again.
    other.sql("DROP DATABASE `Tür-zu.1`; SET GLOBAL max_allowed_packet = 1024");
    let output = into(id_of(&backup));
    assert_eq!(output.status.code(), Some(1), "{}", stderr_of(&output));
    let left = "SHOW DATABASES WHERE `Database` IN ('zoo', 'Tür-zu.1', 'SYS') AND BINARY `Database` != 'sys'";
    assert_eq!(other.sql(left), "", "{}", stderr_of(&output));

    // A data directory cannot be restored into a server.
    let output = into(id_of(&client.full("whole")));
    assert!(stderr_of(&output).contains("--to PATH"), "{}", stderr_of(&output));
}

#[test]
fn one_database_is_dumped_by_an_account_that_may_read_only_it() {
    let zoo = zoo();
    zoo.sql("CREATE USER one@localhost; GRANT SELECT, SHOW VIEW, TRIGGER, EVENT ON zoo.* TO one@localhost");
    // Without this right, the dump would silently lack the routines.
    zoo.sql("CREATE USER half@localhost; GRANT SELECT, SHOW VIEW, TRIGGER, EVENT ON zoo.* TO half@localhost");
    zoo.sql("GRANT SELECT ON mysql.proc TO one@localhost");
    let socket = zoo.socket();
    let one = |more: &str| {
        format!("{{ socket = {socket:?}, user = \"one\", method = \"logical\"{more} }}")
    };
    let mut server = TestServer::builder()
        .instance_of("zoo", "mysql", &one(", database = \"zoo\""), "quick")
        .instance_of("all", "mysql", &one(""), "quick")
        .instance_of("half", "mysql", &one(", database = \"zoo\"").replace("one", "half"), "quick")
        .allow_warning("a backup would fail now")
        .start();
    let client = server.admin();
    let restored = MariaDb::on(&server.restored(&client.full("zoo")));
    assert!(restored.dump(&["zoo"]) == zoo.dump(&["zoo"]));
    assert_eq!(restored.sql("SHOW DATABASES LIKE 'T%'"), "");
    // The dump would silently lack what the account cannot see.
    server.allow_warning(" failed: ");
    let (code, why) = client.failed("all");
    assert_eq!(code, "source_denied");
    assert!(why.contains("ON *.* TO 'one'@'localhost'"), "{why}");
    let (code, why) = client.failed("half");
    assert_eq!(code, "source_denied");
    assert!(why.contains("GRANT SELECT ON mysql.proc TO 'half'@'localhost';"), "{why}");
}

#[test]
fn a_restore_through_the_api_creates_a_data_directory() {
    let zoo = zoo();
    let server =
        TestServer::builder().instance_of("zoo", "mariadb", &source(&zoo, ""), "quick").start();
    let client = server.admin();
    let backup = client.full("zoo");
    let restored = client.restored_instance(&backup);
    assert!(restored.starts_with(server.data_dir().join("restored").join("project-a")));
    assert!(restored.ends_with("again"));
    assert!(MariaDb::on(&restored).dump(&ZOOS) == zoo.dump(&ZOOS));
}

#[test]
fn all_databases_of_a_dump_are_of_one_moment() {
    let database = MariaDb::start();
    database.sql(
        "CREATE DATABASE a; USE a; CREATE TABLE a.many(id INT PRIMARY KEY, t TEXT);
         INSERT INTO a.many SELECT seq, REPEAT(MD5(seq), 20) FROM seq_1_to_20000;
         CREATE DATABASE b; CREATE DATABASE c",
    );
    for name in ["a", "b", "c"] {
        database
            .sql(&format!("CREATE TABLE {name}.count(n INT); INSERT INTO {name}.count VALUES (0)"));
    }
    database.sql("CREATE VIEW b.seen AS SELECT n FROM c.count");
    let server = TestServer::builder()
        .instance_of("all", "mariadb", &source(&database, ", method = \"logical\""), "quick")
        .start();
    let stop = AtomicBool::new(false);
    let backup = std::thread::scope(|scope| {
        scope.spawn(|| {
            let once = ["a", "b", "c"].map(|name| format!("UPDATE {name}.count SET n = n + 1;"));
            let many = format!("BEGIN; {} COMMIT;", once.concat()).repeat(20);
            while !stop.load(Ordering::Relaxed) {
                database.sql(&many);
            }
        });
        let backup = server.admin().full("all");
        stop.store(true, Ordering::Relaxed);
        backup
    });
    let again = MariaDb::on(&server.restored(&backup));
    let counts = "SELECT COUNT(DISTINCT n), MIN(n) > 0 FROM
        (SELECT n FROM a.count UNION ALL SELECT n FROM b.count UNION ALL SELECT n FROM c.count) counts";
    assert_eq!(again.sql(counts), "1\t1");
}

#[test]
fn databases_that_cannot_be_dumped_together_are_said_to_be_of_different_moments() {
    let database = MariaDb::start();
    database.sql(
        "CREATE DATABASE a; CREATE TABLE a.t(id INT PRIMARY KEY) WITH SYSTEM VERSIONING;
         INSERT INTO a.t VALUES (1); DELETE FROM a.t; CREATE DATABASE b;
         CREATE TABLE b.precise(id INT, a BIGINT UNSIGNED GENERATED ALWAYS AS ROW START,
             b BIGINT UNSIGNED GENERATED ALWAYS AS ROW END, PERIOD FOR SYSTEM_TIME(a, b)) WITH SYSTEM VERSIONING",
    );
    let server = TestServer::builder()
        .instance_of("all", "mariadb", &source(&database, ", method = \"logical\""), "quick")
        .start();
    let backup = server.admin().full("all");
    let named = backup["left_out"].to_string();
    assert!(named.contains("one moment for all databases"), "{named}");
    assert!(named.contains("the history of b.precise") && !named.contains("of a.t"), "{named}");
    let again = MariaDb::on(&server.restored(&backup));
    assert_eq!(again.sql("SELECT id FROM a.t FOR SYSTEM_TIME ALL"), "1");
}

#[test]
fn numbers_that_a_dump_rounds_are_named_and_no_others() {
    let database = MariaDb::start();
    database.sql(
        "CREATE DATABASE shop; USE shop; CREATE TABLE plain(id INT PRIMARY KEY, f FLOAT, g FLOAT(10,3), d DOUBLE);
         INSERT INTO plain VALUES (1, 0.3, 1234567.125, 0.1 + 0.2), (2, 1.17549e-38, 1, 1e308), (3, NULL, NULL, 1/3);
         CREATE TABLE `odd ``name`(a FLOAT, `b ``c` FLOAT UNSIGNED, twice FLOAT AS (`b ``c` * 1.3) VIRTUAL);
         INSERT INTO `odd ``name`(a, `b ``c`) VALUES (1.5, 7), (NULL, 16777217)",
    );
    let server = TestServer::builder()
        .instance_of("dumped", "mariadb", &source(&database, ", method = \"logical\""), "quick")
        .instance_of("copied", "mariadb", &source(&database, ""), "quick")
        .start();
    let left_out = |instance: &str| server.admin().full(instance)["left_out"].clone();
    let rounded = left_out("dumped");
    assert_eq!(rounded.as_array().unwrap().len(), 1, "{rounded}");
    assert_eq!(rounded[0]["what"], "the exact values of shop.odd `name.b `c");
    assert!(rounded[0]["why"].as_str().unwrap().contains("method = \"physical\""), "{rounded}");
    assert_eq!(left_out("copied").as_array().unwrap().len(), 0);
    let doctor = server.run_ok(&["doctor"]);
    let said = String::from_utf8(doctor.stdout).unwrap();
    assert!(said.contains("left out: the exact values of shop.odd `name.b `c: "), "{said}");
}

#[test]
fn sequences_that_began_again_or_were_set_back_go_on_where_they_were() {
    let database = MariaDb::start();
    database.sql(
        "CREATE DATABASE shop; USE shop; CREATE SEQUENCE round START 9 MAXVALUE 10 CYCLE NOCACHE; CREATE SEQUENCE plain;
         DO NEXTVAL(round), NEXTVAL(round), NEXTVAL(round), NEXTVAL(plain);
         CREATE SEQUENCE `set ``back` START 50 NOCACHE; ALTER SEQUENCE `set ``back` RESTART 7;
         CREATE SEQUENCE down START -5 INCREMENT -1 NOCACHE; ALTER SEQUENCE down RESTART -2;
         CREATE TABLE t(id INT PRIMARY KEY DEFAULT NEXTVAL(round)); CREATE VIEW v AS SELECT id FROM t",
    );
    let positions = "USE shop; SELECT next_not_cached_value, cycle_count FROM round; SELECT next_not_cached_value FROM `set ``back`; \
                     SELECT next_not_cached_value FROM down; SELECT next_not_cached_value FROM plain";
    let before = database.sql(positions);
    assert_eq!(before, "2\t1\n7\n-2\n1001");
    let server = TestServer::builder()
        .instance_of("shop", "mariadb", &source(&database, ", method = \"logical\""), "quick")
        .start();
    let full = server.admin().full("shop");
    let again = MariaDb::on(&server.restored(&full));
    assert_eq!(again.sql(positions), before);
    assert_eq!(again.sql("SELECT NEXTVAL(shop.round)"), "2");
}

#[test]
fn the_changes_of_a_prepared_transaction_are_named_in_a_dump_and_are_in_a_copy() {
    let database = MariaDb::start();
    database.sql(
        "CREATE DATABASE shop; CREATE TABLE shop.t(id INT PRIMARY KEY); INSERT INTO shop.t VALUES (1);
         XA START 'half'; INSERT INTO shop.t VALUES (2); XA END 'half'; XA PREPARE 'half'",
    );
    let server = TestServer::builder()
        .instance_of("dumped", "mariadb", &source(&database, ", method = \"logical\""), "quick")
        .instance_of("copied", "mariadb", &source(&database, ""), "quick")
        .start();
    let [dumped, copied] = ["dumped", "copied"].map(|name| server.admin().full(name));
    let left_out = dumped["left_out"].as_array().unwrap();
    assert_eq!(left_out.len(), 1, "{left_out:?}");
    assert_eq!(left_out[0]["what"], "the changes of prepared transaction half");
    assert_eq!(copied["left_out"].as_array().unwrap().len(), 0);
    let again = MariaDb::on(&server.restored(&copied));
    again.sql("XA COMMIT 'half'");
    assert_eq!(again.sql("SELECT COUNT(*) FROM shop.t"), "2");
}
