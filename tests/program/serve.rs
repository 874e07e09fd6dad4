//! `coffer serve`: its address, whose files it may use, and what it logs.

use std::fs::File;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

use rusqlite::Connection;
use serde_json::Value;

use crate::support::{TestServer, id_of, names_in, stderr_of, wait_until};

#[test]
fn a_second_server_on_an_address_makes_nothing() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_coffer"));
    let output = command
        .arg("serve")
        .env("COFFER__DATA_DIR", folder.path().join("data"))
        .env("COFFER__SERVER__LISTEN", &address)
        .output()
        .unwrap();
    let error = stderr_of(&output);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains(&address) && error.contains("another server"), "{error}");
    assert_eq!(names_in(folder.path()), [""; 0]);
}

#[test]
fn an_address_that_other_machines_reach_is_warned_of_once() {
    for (public_url, warnings) in [("", 1), ("https://backup.example.org", 0)] {
        let server = TestServer::builder()
            .allow_warning("without TLS")
            .setting("server.listen", "0.0.0.0:0")
            .setting("server.public_url", public_url)
            .start();
        let text = server.log().text();
        assert_eq!(text.matches("without TLS").count(), warnings, "{text}");
    }
}

#[test]
fn what_a_user_may_not_read_is_refused_with_the_user_who_may() {
    let mut server = TestServer::builder().unprivileged().start();
    assert!(server.terminate().success());
    let catalog = server.data_dir().join("catalog.db");
    if rustix::process::geteuid().is_root() {
        chown(&catalog, Some(0), Some(0)).unwrap();
    } else {
        std::fs::set_permissions(&catalog, std::fs::Permissions::from_mode(0o0)).unwrap();
    }
    for arguments in [&["serve"][..], &["list"], &["status"], &["verify", "latest:shop"]] {
        let output = server.run(arguments);
        let error = stderr_of(&output);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {error}");
        for part in ["catalog.db", "permission denied", "as root"] {
            assert!(error.contains(part), "{arguments:?}: {part}: {error}");
        }
    }
}

#[test]
fn what_a_mode_or_a_flag_refuses_is_refused_with_the_line_that_mends_it() {
    let mut server = TestServer::builder().unprivileged().start();
    assert!(server.terminate().success());
    let set = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let said = |arguments: &[&str]| {
        let output = server.run(arguments);
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &stderr_of(&output);
        assert!(
            !output.status.success() && said.to_lowercase().contains("permission denied"),
            "{said}"
        );
        said
    };
    let data = server.data_dir();
    let catalog = data.join("catalog.db");
    let all = &[&["list"][..], &["doctor"], &["serve"]][..];
    let cases = [
        (catalog.as_path(), 0o400, "u+rw", all),
        // The others may still use the log that is there.
        (data, 0o500, "u+rwx", &all[1..2]),
        (data, 0o600, "u+rwx", all),
    ];
    for (path, denied, rights, refused) in cases {
        let before = path.metadata().unwrap().mode() & 0o7777;
        set(path, denied);
        let advice = format!("chmod {rights} {}", path.display());
        for arguments in refused {
            let said = said(arguments);
            assert!(said.contains(&advice), "{arguments:?} {denied:o}: {said}");
            assert!(!said.contains("as root"), "{arguments:?} {denied:o}: {said}");
        }
        // To the letter.
        let mended = Command::new("sh").args(["-c", &advice]).status().unwrap();
        assert!(mended.success() && path.metadata().unwrap().mode() & 0o7777 == before);
    }
    if rustix::process::geteuid().is_root() {
        // What root wrote beside it, as a look with another program does.
        let log = data.join("catalog.db-wal");
        let owner = catalog.metadata().unwrap().uid();
        drop(File::options().create(true).append(true).open(&log).unwrap());
        chown(&log, Some(0), None).unwrap();
        set(&log, 0o600);
        let denied = said(&["list"]);
        assert!(denied.contains("run this as root"), "{denied}");
        chown(&log, Some(owner), None).unwrap();
        // Not every filesystem has flags.
        let flag = |flag: &str| {
            Command::new("chattr").arg(flag).arg(&catalog).output().unwrap().status.success()
        };
        if flag("+i") {
            let denied = said(&["list"]);
            assert!(flag("-i") && denied.contains("chattr -ia /"), "{denied}");
        }
    }
    assert!(server.run(&["list"]).status.success());
}

#[test]
fn a_log_of_json_has_an_object_a_line_that_names_backups_and_requests() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("shop.db");
    let created = Connection::open(&database).unwrap();
    created.execute_batch("CREATE TABLE item(name)").unwrap();
    let server = TestServer::builder()
        .instance_sqlite("shop", &database)
        .setting("server.log_format", "json")
        .setting("server.log_level", "debug")
        .start();
    let made = server.admin().full("shop");
    let about_backup = |lines: &[Value]| {
        let about = lines.iter().filter(|it| it["backup_id"] == made["id"]);
        about.filter(|it| it["message"].as_str().unwrap().contains(id_of(&made))).count()
    };
    let lines = wait_until("the end of the backup in the log", || {
        let text = server.log().text();
        let lines: Vec<Value> =
            text.lines().map(|it| serde_json::from_str(it).expect(it)).collect();
        (about_backup(&lines) >= 2).then_some(lines)
    });
    for line in &lines {
        for key in ["time", "level", "target", "message"] {
            assert!(line[key].is_string(), "{line}");
        }
    }
    let access = lines.iter().find(|it| it["target"] == "coffer::access").unwrap();
    assert!(access["request_id"].as_str().unwrap().starts_with("req-"), "{access}");
}

#[test]
fn a_server_that_cannot_start_says_why_in_the_format_of_its_log() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_coffer"))
        .arg("serve")
        .env("COFFER__SERVER__LISTEN", taken.local_addr().unwrap().to_string())
        .env("COFFER__SERVER__LOG_FORMAT", "json")
        .output()
        .unwrap();
    let lines: Vec<Value> =
        stderr_of(&output).lines().map(|it| serde_json::from_str(it).expect(it)).collect();
    let last = lines.last().unwrap();
    assert_eq!(last["level"], "ERROR", "{last}");
    assert!(last["message"].as_str().unwrap().contains("another server"), "{last}");
}

#[test]
fn a_start_takes_no_more_memory_for_many_backups() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("shop.db");
    Connection::open(&database).unwrap().execute_batch("CREATE TABLE item(id)").unwrap();
    let mut server = TestServer::builder().instance_sqlite("shop", &database).start();
    let full = server.admin().full("shop");
    server.restart();
    let with_one = server.peak_rss_bytes();
    assert!(server.terminate().success());
    let rows = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
         INSERT INTO backups (id, project, instance, name, task, kind, status, engine, version, created, updated,
             location, size, source_bytes, checksum, verified_at, verify_level, took_ms)
         SELECT printf('%08x-0000-7000-8000-000000000000', i), project, instance, name, task, kind, status, engine,
             version, created - i * 1000000, updated, printf('%s/%s/%08x-0000-7000-8000-000000000000.tar.zst',
             project, instance, i), size, source_bytes, checksum, verified_at, verify_level, took_ms
         FROM backups, n WHERE id = ?1";
    let catalog = Connection::open(server.data_dir().join("catalog.db")).unwrap();
    catalog.execute_batch("PRAGMA synchronous = OFF").unwrap();
    assert_eq!(catalog.execute(rows, [id_of(&full)]).unwrap(), 20000);
    drop(catalog);
    server.restart();
    let with_many = server.peak_rss_bytes();
    // Each row as it is shown takes more than a KiB.
    let more = with_many.saturating_sub(with_one);
    assert!(more < 12 << 20, "{more} bytes more than {with_one}");
}

#[test]
fn a_health_check_says_by_its_exit_code_whether_a_server_works() {
    let mut server = TestServer::builder().start();
    let healthy = server.run(&["healthcheck"]);
    let said = String::from_utf8_lossy(&healthy.stdout);
    assert!(healthy.status.success(), "{said}{}", stderr_of(&healthy));
    assert!(said.contains(env!("CARGO_PKG_VERSION")), "{said}");
    assert!(server.terminate().success());
    let dead = server.run(&["healthcheck"]);
    assert_eq!(dead.status.code(), Some(1));
    assert!(stderr_of(&dead).contains("/healthcheck"), "{}", stderr_of(&dead));
}

#[test]
fn a_start_says_what_the_first_backup_of_a_folder_will_leave_out() {
    let folder = tempfile::tempdir().unwrap();
    let tree = folder.path().join("tree");
    std::fs::create_dir(&tree).unwrap();
    let _socket = UnixListener::bind(tree.join("of a daemon")).unwrap();
    let source = format!("{{ path = {tree:?} }}");
    let mut server =
        TestServer::builder().instance_of("tree", "directory", &source, "quick").start();
    let said = "instance \"tree\": left out: of a daemon: socket";
    assert!(server.log().wait_for(said, 0).is_some(), "{}", server.log().text());
    let row = server.admin().full("tree");
    assert_eq!(row["left_out"][0]["what"], "of a daemon");
    // From then on it is recorded with the backups.
    let before = server.log().len();
    server.restart();
    server.admin().full("tree");
    let lines = server.log().lines();
    assert!(!lines.iter().skip(before).any(|it| it.contains(said)), "{lines:?}");
}
