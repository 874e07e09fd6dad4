//! What is wrong before a backup begins, said with what mends it.

use super::house::{source, tools_with};
use super::server::MariaDb;
use super::support::{TestServer, names_in, write_file};

#[test]
fn what_keeps_a_backup_from_beginning_is_said_with_what_mends_it() {
    let database = MariaDb::start();
    database.sql(
        "CREATE USER weak@localhost IDENTIFIED BY 'right'; GRANT PROCESS ON *.* TO weak@localhost",
    );
    let folder = database.folder();
    let (right, wrong) = (folder.join("right"), folder.join("wrong"));
    write_file(&right, "right\n");
    write_file(&wrong, "wrong-password\n");
    let socket = database.socket();
    let as_weak = |file: &std::path::Path, more: &str| {
        format!("{{ socket = {socket:?}, user = \"weak\", password_file = {file:?}{more} }}")
    };
    let older = "case \"$*\" in *--version*) echo 'mariadb-backup based on MariaDB server 10.6.1-MariaDB' >&2;; \
         *) exec \"$real\" \"$@\";; esac";
    let cut = "\"$real\" \"$@\" | head -c 300";
    let older = tools_with(folder, "mariadb-backup", older);
    let cut = tools_with(folder, "mariadb-dump", cut);
    let empty = folder.join("empty");
    std::fs::create_dir(&empty).unwrap();
    let mut server = TestServer::builder()
        .allow_warning("a backup would fail now")
        .instance_of("wrong password", "mariadb", &as_weak(&wrong, ""), "quick")
        .instance_of("right missing", "mariadb", &as_weak(&right, ""), "quick")
        .instance_of("dump right missing", "mysql", &as_weak(&right, ""), "quick")
        .instance_of("down", "mariadb", "{ socket = \"/nowhere/s\", user = \"root\" }", "quick")
        .instance_of("nobody there", "mariadb", "{ url = \"mariadb://127.0.0.1:1\" }", "quick")
        .instance_of("older tool", "mariadb", &source(&database, &format!(", tools = {older:?}")), "quick")
        .instance_of("no tool", "mariadb", &source(&database, &format!(", tools = {empty:?}")), "quick")
        .instance_of("cut", "mariadb", &source(&database, &format!(", method = \"logical\", tools = {cut:?}")), "quick")
        .instance_of("no password file", "mariadb", &as_weak(&folder.join("none"), ""), "quick")
        .instance_of("no such option", "mariadb", &source(&database, ", extra_args = [\"--no-such-thing\"]"), "quick")
        .start();
    server.allow_warning(" failed: ");
    database.sql("CREATE DATABASE shop; CREATE TABLE shop.a(x INT PRIMARY KEY)");
    let client = server.by_admin();
    for (instance, code, words) in [
        ("wrong password", "source_denied", &["Access denied", "GRANT RELOAD, PROCESS"][..]),
        ("right missing", "source_denied", &["lacks RELOAD, LOCK TABLES, BINLOG MONITOR", "'weak'@'localhost'"]),
        ("dump right missing", "source_denied", &["GRANT SELECT, SHOW VIEW, TRIGGER, EVENT ON *.*"]),
        ("down", "source_missing", &["/nowhere/s"]),
        ("nobody there", "source_missing", &["127.0.0.1:1"]),
        ("older tool", "tool", &["10.6.1", "install the package mariadb-backup of MariaDB 10.11"]),
        ("no tool", "tool", &["apt install mariadb-client"]),
        ("cut", "tool", &["cut off", "-- Dump completed"]),
        ("no password file", "source_denied", &["password file"]),
        ("no such option", "tool", &["--no-such-thing"]),
    ] {
        let (found, why) = client.failed(instance);
        assert_eq!(found, code, "{instance}: {why}");
        for word in words {
            assert!(why.contains(word), "{instance}: {why}");
        }
        assert!(!why.contains("wrong-password"), "{why}");
    }
    assert_eq!(names_in(&server.data_dir().join("tmp")), [""; 0]);
}

#[test]
fn doctor_and_start_up_say_before_the_first_backup_what_would_fail() {
    let database = MariaDb::start();
    let server = TestServer::builder()
        .allow_warning("a backup would fail now")
        .instance_of("good", "mariadb", &source(&database, ""), "quick")
        .instance_of("down", "mariadb", "{ socket = \"/nowhere/s\" }", "quick")
        .start();
    assert!(server.log().wait_for("instance \"down\": a backup would fail now", 0).is_some());
    let output = server.command(&["doctor"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("10.11") && said.contains("data directory:"), "{said}");
    assert!(said.contains("/nowhere/s"), "{said}");
    assert_eq!(output.status.code(), Some(1), "{said}");
}
