//! Backups that cannot begin: the failure says what to do.

use super::fixture::{source, tools_replacing};
use super::server::MariaDb;
use crate::support::{TestServer, id_of, write_file};

/// An instance that cannot be backed up, the failure's code, and words in its message.
type Case = (&'static str, &'static str, &'static [&'static str]);

const CASES: &[Case] = &[
    ("wrong password", "source_denied", &["Access denied", "GRANT RELOAD, PROCESS"]),
    (
        "right missing",
        "source_denied",
        &["lacks RELOAD, LOCK TABLES, BINLOG MONITOR", "'weak'@'localhost'"],
    ),
    ("dump right missing", "source_denied", &["GRANT SELECT, SHOW VIEW, TRIGGER, EVENT ON *.*"]),
    ("down", "source_missing", &["/nowhere/s"]),
    ("nothing listens", "source_missing", &["127.0.0.1:1"]),
    ("older tool", "tool", &["10.4.1", "install the package mariadb-backup of MariaDB 1"]),
    ("no tool", "tool", &["apt install mariadb-client"]),
    ("cut", "tool", &["cut off", "-- Dump completed"]),
    ("no password file", "source_denied", &["password file"]),
    ("no tls there", "source_denied", &["source.tls"]),
    ("no such option", "tool", &["--no-such-thing"]),
];

/// A Coffer with an instance for each case.
fn coffer(database: &MariaDb) -> TestServer {
    let folder = database.folder();
    let (right, wrong, empty) = (folder.join("right"), folder.join("wrong"), folder.join("empty"));
    write_file(&right, "right\n");
    write_file(&wrong, "wrong-password\n");
    std::fs::create_dir(&empty).unwrap();
    let older = "case \"$*\" in *--version*) echo 'mariadb-backup based on MariaDB server 10.4.1-MariaDB' >&2;; \
         *) exec \"$real\" \"$@\";; esac";
    let older = tools_replacing(folder, "mariadb-backup", older);
    let cut = tools_replacing(folder, "mariadb-dump", "\"$real\" \"$@\" | head -c 300");
    let socket = database.socket();
    let weak = |file: &std::path::Path| {
        format!("{{ socket = {socket:?}, user = \"weak\", password_file = {file:?} }}")
    };
    let root = |more: String| source(database, &more);
    let none = folder.join("none");
    let mut builder = TestServer::builder().allow_warning("a backup would fail now");
    for (name, engine, source) in [
        ("wrong password", "mariadb", weak(&wrong)),
        ("right missing", "mariadb", weak(&right)),
        ("dump right missing", "mysql", weak(&right)),
        ("down", "mariadb", "{ socket = \"/nowhere/s\", user = \"root\" }".to_owned()),
        ("nothing listens", "mariadb", "{ url = \"mariadb://127.0.0.1:1\" }".to_owned()),
        ("older tool", "mariadb", root(format!(", tools = {older:?}"))),
        ("no tool", "mariadb", root(format!(", tools = {empty:?}"))),
        ("cut", "mariadb", root(format!(", method = \"logical\", tools = {cut:?}"))),
        ("no password file", "mariadb", weak(&none)),
        ("no tls there", "mariadb", root(", tls = \"require\"".to_owned())),
        ("no such option", "mariadb", root(", extra_args = [\"--no-such-thing\"]".to_owned())),
        ("good", "mariadb", root(", tls = \"off\"".to_owned())),
    ] {
        builder = builder.instance_of(name, engine, &source, "quick");
    }
    builder.start()
}

#[test]
fn a_backup_that_cannot_begin_fails_with_the_command_that_helps() {
    let database = MariaDb::start();
    database.sql(
        "CREATE USER weak@localhost IDENTIFIED BY 'right'; GRANT PROCESS ON *.* TO weak@localhost;
         CREATE DATABASE shop; CREATE TABLE shop.a(x INT PRIMARY KEY)",
    );
    let mut server = coffer(&database);
    server.allow_warning(" failed: ");
    let client = server.admin();
    for (instance, code, words) in CASES {
        let (found, why) = client.failed(instance);
        assert_eq!(found, *code, "{instance}: {why}");
        for word in *words {
            assert!(why.contains(word), "{instance}: {why}");
        }
        assert!(!why.contains("wrong-password"), "{why}");
    }
    server.assert_tmp_is_empty();
    client.full("good");
}

#[test]
fn doctor_and_the_start_warn_about_backups_that_would_fail() {
    let database = MariaDb::start();
    database.sql("CREATE USER weak@localhost; GRANT PROCESS ON *.* TO weak@localhost");
    let weak = format!("{{ socket = {:?}, user = \"weak\" }}", database.socket());
    let tools = tools_replacing(database.folder(), "mariadb-backup", "");
    std::fs::remove_file(tools.join("mariadb-backup")).unwrap();
    let no_copier = format!(", tools = {tools:?}");
    let server = TestServer::builder()
        .allow_warning("a backup would fail now")
        .instance_of("good", "mariadb", &source(&database, ""), "quick")
        .instance_of("down", "mariadb", "{ socket = \"/nowhere/s\" }", "quick")
        .instance_of("weak", "mariadb", &weak, "quick")
        .instance_of("no copier", "mariadb", &source(&database, &no_copier), "quick")
        .start();
    let output = server.run(&["doctor"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    for (name, why) in [
        ("down", "/nowhere/s"),
        ("weak", "lacks RELOAD, LOCK TABLES, BINLOG MONITOR"),
        ("no copier", "apt install mariadb-backup"),
    ] {
        let begins = format!("instance {name:?}: a backup would fail now");
        let line = server.log().wait_for(&begins, 0);
        assert!(line.is_some_and(|it| it.contains(why)), "{name}: {}", server.log().text());
        assert!(said.contains(why), "{name}: {said}");
    }
    assert!(said.contains("MariaDB") && said.contains("data directory:"), "{said}");
    assert!(said.contains("/nowhere/s"), "{said}");
    assert_eq!(output.status.code(), Some(1), "{said}");
}

#[test]
fn a_server_whose_settings_cut_what_is_read_is_refused_until_they_are_gone() {
    let database = MariaDb::start();
    database.sql(
        "CREATE DATABASE shop; USE shop; CREATE TABLE a(x INT PRIMARY KEY); INSERT INTO a SELECT seq FROM seq_1_to_50",
    );
    let mut server = TestServer::builder()
        .instance_of("dump", "mariadb", &source(&database, ", method = \"logical\""), "quick")
        .instance_of("copy", "mariadb", &source(&database, ""), "quick")
        .start();
    server.allow_warning(" failed: ");
    // The check at the start may come after the first of the settings.
    server.allow_warning("would fail now");
    let client = server.admin();
    for (set, instances) in [
        ("sql_select_limit = 20", &["dump", "copy"][..]),
        ("max_join_size = 20", &["dump", "copy"]),
        ("system_versioning_asof = '2000-01-01 00:00:00'", &["dump"]),
    ] {
        database.sql(&format!("SET GLOBAL {set}"));
        let (name, _) = set.split_once(' ').unwrap();
        let mend = format!("SET GLOBAL {name} = DEFAULT");
        for instance in instances {
            let (code, why) = client.failed(instance);
            assert_eq!(code, "source_invalid", "{why}");
            assert!(why.contains(&mend), "{why}");
        }
        let doctor = server.run(&["doctor"]);
        let said = String::from_utf8_lossy(&doctor.stdout).into_owned();
        assert!(!doctor.status.success() && said.contains(&mend), "{said}");
        database.sql(&mend);
    }
    client.full("dump");
    client.full("copy");
}

#[test]
fn a_copy_for_which_there_is_no_room_is_foretold_at_start_and_by_doctor() {
    let database = MariaDb::start();
    let server = TestServer::builder()
        .allow_warning("a backup would fail now")
        .env("COFFER__STORAGE__HEADROOM_MIB", "1000000000")
        .instance_of("shop", "mariadb", &source(&database, ""), "quick")
        .start();
    let begins = "instance \"shop\": a backup would fail now: a backup first makes a copy";
    let line = server.log().wait_for(begins, 0);
    assert!(line.is_some_and(|it| it.contains("or set method")), "{}", server.log().text());
    let said = String::from_utf8_lossy(&server.run(&["doctor"]).stdout).into_owned();
    assert!(said.contains("a backup first makes a copy"), "{said}");
}

#[test]
fn a_table_of_a_server_that_does_not_answer_stops_no_dump() {
    let mut remote = MariaDb::start();
    remote.sql("CREATE DATABASE d; CREATE TABLE d.t(id INT PRIMARY KEY); CREATE USER r@'127.0.0.1'; GRANT ALL ON d.* TO r@'127.0.0.1'");
    let port = remote.listen();
    let database = MariaDb::start();
    database.sql(&format!(
        "INSTALL SONAME 'ha_federatedx'; CREATE DATABASE shop; USE shop; CREATE TABLE near(id INT PRIMARY KEY);
         INSERT INTO near VALUES (1);
         CREATE TABLE far(id INT PRIMARY KEY) ENGINE=FEDERATED CONNECTION='mysql://r@127.0.0.1:{port}/d/t';
         CREATE VIEW on_near AS SELECT id FROM near"
    ));
    remote.kill();
    let _silent = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    let dumps = source(&database, ", method = \"logical\"");
    let server = TestServer::builder().instance_of("dump", "mariadb", &dumps, "quick").start();
    let said = String::from_utf8_lossy(&server.run(&["doctor"]).stdout).into_owned();
    assert!(said.contains("left out: the rows of shop.far"), "{said}");
    let backup = server.admin().full("dump");
    assert_eq!(backup["left_out"][0]["what"], "the rows of shop.far", "{backup:#}");
    let target = server.folder().join("again");
    let output = server.run(&["restore", id_of(&backup), "--to", target.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(5), "{output:?}");
    let again = MariaDb::on(&target);
    assert_eq!(again.sql("SELECT id FROM shop.on_near"), "1");
}
