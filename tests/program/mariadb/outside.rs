//! Physical backups of servers whose files or keys are not all in the data directory.

use std::path::Path;

use serde_json::json;

use super::fixture::source;
use super::server::MariaDb;
use crate::support::{TestServer, id_of, write_file};

fn physical(database: &MariaDb) -> TestServer {
    TestServer::builder().instance_of("all", "mariadb", &source(database, ""), "quick").start()
}

/// The paths of the files that a server has open.
fn open_files(database: &MariaDb) -> Vec<String> {
    let files = std::fs::read_dir(format!("/proc/{}/fd", database.pid())).unwrap();
    files
        .filter_map(|it| std::fs::read_link(it.unwrap().path()).ok())
        .map(|path| path.display().to_string())
        .collect()
}

#[test]
fn tables_with_files_elsewhere_are_restored_inside_and_the_originals_are_never_opened() {
    let database = MariaDb::start();
    let far = database.folder().join("far");
    std::fs::create_dir(&far).unwrap();
    let place = format!("DATA DIRECTORY='{0}'", far.display());
    let both = format!("{place} INDEX DIRECTORY='{}'", far.display());
    database.sql(&format!(
        "CREATE DATABASE `s-hop`; USE `s-hop`;
         CREATE TABLE i(id INT PRIMARY KEY) ENGINE=InnoDB {place}; INSERT INTO i SELECT seq FROM seq_1_to_1000;
         CREATE TABLE m(id INT PRIMARY KEY) ENGINE=MyISAM {both}; INSERT INTO m SELECT seq FROM seq_1_to_50;
         CREATE TABLE `a/r`(id INT PRIMARY KEY) ENGINE=Aria {both}; INSERT INTO `a/r` SELECT seq FROM seq_1_to_50;
         CREATE TABLE p(id INT PRIMARY KEY) ENGINE=InnoDB PARTITION BY RANGE (id)
             (PARTITION x VALUES LESS THAN (100) {place}, PARTITION y VALUES LESS THAN MAXVALUE);
         INSERT INTO p SELECT seq FROM seq_1_to_200;
         CREATE TABLE quick(id INT) ENGINE=MEMORY; INSERT INTO quick VALUES (1)"
    ));
    let server = physical(&database);
    let client = server.admin();
    let backup = client.full("all");
    database.sql("INSERT INTO `s-hop`.i VALUES (5001); INSERT INTO `s-hop`.m VALUES (5001); INSERT INTO `s-hop`.`a/r` VALUES (5001)");
    let again = MariaDb::on(&server.restored(&backup));
    for (table, rows) in [("i", "1000"), ("m", "50"), ("`a/r`", "50"), ("p", "200")] {
        assert_eq!(again.sql(&format!("SELECT COUNT(*) FROM `s-hop`.{table}")), rows, "{table}");
        let check = again.sql(&format!("CHECK TABLE `s-hop`.{table} EXTENDED"));
        assert!(check.ends_with("OK") || check.ends_with("up to date"), "{check}");
    }
    let opened = open_files(&again);
    assert!(!opened.iter().any(|it| it.starts_with(far.to_str().unwrap())), "{opened:?}");
    let named: Vec<&str> = backup["left_out"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["what"].as_str().unwrap())
        .collect();
    assert_eq!(named, ["the rows of s-hop.quick"]);
}

#[test]
fn a_dump_of_tables_with_files_elsewhere_is_restored_inside() {
    let database = MariaDb::start();
    let far = database.folder().join("far");
    std::fs::create_dir(&far).unwrap();
    let place = format!("DATA DIRECTORY='{}'", far.display());
    database.sql(&format!(
        "CREATE DATABASE shop; USE shop; CREATE TABLE i(id INT PRIMARY KEY) ENGINE=InnoDB {place};
         CREATE TABLE m(id INT PRIMARY KEY) ENGINE=MyISAM {place}; INSERT INTO i VALUES (1); INSERT INTO m VALUES (1)"
    ));
    let before = names_below(&far);
    let dumps = source(&database, ", method = \"logical\"");
    let server = TestServer::builder().instance_of("all", "mariadb", &dumps, "quick").start();
    let again = MariaDb::on(&server.restored(&server.admin().full("all")));
    assert_eq!(again.sql("SELECT id FROM shop.i UNION ALL SELECT id FROM shop.m"), "1\n1");
    assert_eq!(names_below(&far), before);
}

fn names_below(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(names_below(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

#[test]
fn undo_logs_outside_of_the_data_directory_come_inside_and_a_folder_of_the_filesystem_is_passed_over()
 {
    let undo = tempfile::tempdir().unwrap();
    let option = format!("--innodb-undo-directory={}", undo.path().display());
    let database = MariaDb::start_with(&[&option, "--innodb-undo-tablespaces=3"]);
    database.sql("CREATE DATABASE shop; CREATE TABLE shop.t(id INT PRIMARY KEY); INSERT INTO shop.t VALUES (1)");
    std::fs::create_dir(database.datadir().join("lost+found")).unwrap();
    let server = TestServer::builder()
        .toml(&format!(
            "[[instances]]\nname = \"all\"\nproject_id = \"project-a\"\nengine = \"mariadb\"\n\
             source = {}\nverify = \"restore\"\n",
            source(&database, "")
        ))
        .start();
    let client = server.admin();
    let backup = client.full("all");
    let row = client.drilled(id_of(&backup));
    assert_eq!(row["drill"]["status"], "passed", "{row:#}");
    let target = server.restored(&backup);
    assert!(!target.join("lost+found").exists());
    let settings = std::fs::read_to_string(target.join("backup-my.cnf")).unwrap();
    assert!(!settings.contains(undo.path().to_str().unwrap()), "{settings}");
    let again = MariaDb::on_with(&target, &["--innodb-undo-tablespaces=3"]);
    assert_eq!(again.sql("SELECT id FROM shop.t"), "1");
}

#[test]
fn a_dump_of_encrypted_tables_loads_where_their_keys_are_not() {
    let keys = tempfile::tempdir().unwrap();
    let file = keys.path().join("keys");
    write_file(&file, "1;a7addd9adea9978fda19f21e6be987880e68ac92632ca052e5bb42b1a506939a\n");
    let option = format!("--file-key-management-filename={}", file.display());
    let database = MariaDb::start_with(&["--plugin-load-add=file_key_management", &option]);
    database.sql(
        "CREATE DATABASE shop; USE shop; CREATE TABLE open(id INT PRIMARY KEY); INSERT INTO open VALUES (1);
         CREATE TABLE t(id INT PRIMARY KEY, t TEXT) ENCRYPTED=YES ENCRYPTION_KEY_ID=1 COMMENT='secret things';
         INSERT INTO t SELECT seq, REPEAT('x', 200) FROM seq_1_to_5000",
    );
    let dumps = source(&database, ", method = \"logical\"");
    let server = TestServer::builder().instance_of("all", "mariadb", &dumps, "quick").start();
    let backup = server.admin().full("all");
    let target = server.folder().join("again");
    let output = server.run(&["restore", id_of(&backup), "--to", target.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(5), "{output:?}");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("Not restored: the encryption of tables in \"shop\""), "{said}");
    let again = MariaDb::on(&target);
    assert_eq!(again.sql("SELECT COUNT(*) FROM shop.t; SELECT id FROM shop.open"), "5000\n1");
    // The drill's server has no keys either, and needs none for the rows.
    server.run_ok(&["drill", id_of(&backup)]);
}

#[test]
fn encrypted_tables_are_prepared_and_drilled_with_the_servers_keys_which_are_named_as_missing() {
    let keys = tempfile::tempdir().unwrap();
    let file = keys.path().join("keys");
    write_file(&file, "1;a7addd9adea9978fda19f21e6be987880e68ac92632ca052e5bb42b1a506939a\n");
    let keys_option = format!("--file-key-management-filename={}", file.display());
    let options = [
        "--plugin-load-add=file_key_management",
        &keys_option,
        "--innodb-encrypt-tables=ON",
        "--innodb-encrypt-log=ON",
        "--aria-encrypt-tables=ON",
    ];
    let database = MariaDb::start_with(&options);
    database.sql(
        "CREATE DATABASE shop; USE shop; CREATE TABLE t(id INT PRIMARY KEY, t TEXT) ENCRYPTED=YES;
         INSERT INTO t SELECT seq, REPEAT('x', 200) FROM seq_1_to_5000;
         CREATE TABLE a(id INT) ENGINE=Aria; INSERT INTO a SELECT seq FROM seq_1_to_1000",
    );
    let mut server = physical(&database);
    let client = server.admin();
    let full = client.full("all");
    let backup = client.incremental("all");
    for row in [&full, &backup] {
        let what = row["left_out"][0]["what"].as_str().unwrap();
        assert!(what.contains(file.to_str().unwrap()), "{what}");
    }
    server.run_ok(&["drill", id_of(&backup)]);
    let again = MariaDb::on_with(&server.restored(&backup), &options);
    let question = "CHECKSUM TABLE shop.t, shop.a";
    assert_eq!(again.sql(question), database.sql(question));

    // Without the keys nothing is known of the data, so nothing is called damaged.
    std::fs::remove_file(&file).unwrap();
    let output = server.run(&["drill", id_of(&backup)]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    server.allow_warning(" failed: ");
    let (code, why) = client.failed("all");
    assert_eq!(json!(code), json!("tool"), "{why}");
    assert!(why.contains("encrypt"), "{why}");
}

#[test]
fn files_that_the_tool_passes_over_are_named_and_foretold() {
    let options = tempfile::NamedTempFile::new().unwrap();
    write_file(options.path(), "[mysqld]\nsort_buffer_size=1M\n");
    let database = MariaDb::start_with(&[&format!("--defaults-file={}", options.path().display())]);
    database.sql(
        "INSTALL SONAME 'ha_sphinx'; CREATE DATABASE shop; CREATE TABLE shop.quick(id INT) ENGINE=MEMORY;
         CREATE TABLE shop.found(id BIGINT UNSIGNED NOT NULL, weight INT NOT NULL, query VARCHAR(100) NOT NULL, INDEX(query))
         ENGINE=SPHINX CONNECTION='sphinx://127.0.0.1:9/x'",
    );
    write_file(&database.datadir().join("shop/far.csv"), "1,2\n");
    write_file(&database.datadir().join("server.pem"), "key");
    let server = TestServer::builder()
        .instance_of("all", "mariadb", &source(&database, ""), "quick")
        .instance_of("dumped", "mariadb", &source(&database, ", method = \"logical\""), "quick")
        .start();
    let doctor = server.run(&["doctor"]);
    let text = String::from_utf8_lossy(&doctor.stdout).into_owned();
    let settings = format!("the server's settings ({})", options.path().display());
    let named = server.admin().full("all")["left_out"].to_string();
    for what in [
        "the rows of shop.quick",
        "the rows of shop.found",
        "the file shop/far.csv",
        "the file server.pem",
        &settings,
    ] {
        assert!(named.contains(what), "no {what:?} in {named}");
        assert!(text.contains(&format!("left out: {what}")), "no {what:?} in {text}");
    }
    database.sql("DROP TABLE shop.found");
    let named = server.admin().full("dumped")["left_out"].to_string();
    assert!(named.contains(&settings) && !named.contains("far.csv"), "{named}");
}
