//! Restores in place, their undo, and what the doctor says of both.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use rusqlite::Connection;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::{TestServer, id_of, names_in, stderr_of, succeed, wait_until, write_file};

/// How the name of an undo point begins.
const POINT: &str = ".coffer-undo-";

fn make_database(path: &Path) {
    let sql =
        "PRAGMA journal_mode = wal; CREATE TABLE row(word TEXT); INSERT INTO row VALUES ('first')";
    Connection::open(path).unwrap().execute_batch(sql).unwrap();
}

fn word(path: &Path) -> String {
    let connection = Connection::open(path).unwrap();
    connection.query_row("SELECT word FROM row", [], |row| row.get(0)).unwrap()
}

fn report(server: &TestServer, arguments: &[&str]) -> Value {
    serde_json::from_slice(&server.run_ok(arguments).stdout).unwrap()
}

#[test]
fn a_database_is_restored_in_place_unless_it_is_open_and_that_is_undone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop.db");
    make_database(&path);
    let server = TestServer::builder().instance_sqlite("shop", &path).start();
    let made = server.admin().full("shop");
    Connection::open(&path).unwrap().execute("UPDATE row SET word = 'second'", []).unwrap();

    let restore = ["restore", id_of(&made), "--in-place", "--json"];
    let held = File::open(&path).unwrap();
    let mut other =
        Command::new("sleep").arg("600").stdin(held).stdout(Stdio::null()).spawn().unwrap();
    let refused = server.run(&restore);
    other.kill().unwrap();
    other.wait().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let why = stderr_of(&refused);
    assert!(why.contains(&format!("process {}", other.id())), "{why}");
    assert_eq!((word(&path), names_in(folder.path())), ("second".into(), vec!["shop.db".into()]));

    let done = report(&server, &restore);
    assert_eq!(done["target"], path.to_str().unwrap());
    assert_eq!(word(&path), "first");
    let id = done["undo_point"]["id"].as_str().unwrap().to_owned();
    let listed = report(&server, &["restore", "list", "--json"]);
    assert_eq!(listed["undo_points"][0]["id"], id.as_str());
    assert!(listed["undo_points"][0]["bytes"].as_u64().unwrap() > 0);
    let doctor = server.run_ok(&["doctor"]);
    let told = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(told.contains("undo points") && told.contains(&id), "{told}");
    let next = server.admin().incremental("shop");
    assert_eq!(next["parent_id"], made["id"]);

    let undone = report(&server, &["restore", "undo", &id, "--json"]);
    assert_eq!((word(&path).as_str(), &undone["holds"]), ("second", &"restored".into()));
    server.run_ok(&["restore", "forget", path.to_str().unwrap()]);
    assert_eq!(names_in(folder.path()), ["shop.db"]);
    let gone = server.run(&["restore", "undo", path.to_str().unwrap()]);
    assert_eq!(gone.status.code(), Some(3), "{}", stderr_of(&gone));
}

#[test]
fn a_folder_is_restored_in_place_of_the_one_that_is_named_and_of_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let tree = folder.path().join("tree");
    std::fs::create_dir(&tree).unwrap();
    write_file(&tree.join("kept"), b"first");
    let server = TestServer::builder().instance_directory("files", &tree).start();
    let made = server.admin().full("files");
    let restore = |to: &Path| {
        let to = to.to_str().unwrap();
        server.run(&["restore", id_of(&made), "--in-place", "--to", to])
    };
    let other = folder.path().join("other");
    assert_eq!(restore(&other).status.code(), Some(3), "there is nothing to replace");
    write_file(&other, b"a file");
    let refused = restore(&other);
    assert!(stderr_of(&refused).contains("no folder"), "{}", stderr_of(&refused));
    std::fs::remove_file(&other).unwrap();
    std::fs::create_dir(&other).unwrap();
    write_file(&other.join("mine"), b"of mine");
    assert!(restore(&other).status.success());
    assert_eq!(names_in(&other), ["kept"]);
    server.run_ok(&["restore", "undo", other.to_str().unwrap()]);
    assert_eq!(names_in(&other), ["mine"]);
}

/// A filesystem in memory over a folder, until this value goes.
struct Mount(PathBuf);

impl Mount {
    fn over(folder: &Path) -> Self {
        succeed(Command::new("mount").args(["-t", "tmpfs", "coffer-test"]).arg(folder));
        write_file(&folder.join("elsewhere"), "of another filesystem");
        Self(folder.to_owned())
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // It may have been moved away by what the test found wrong.
        drop(Command::new("umount").args(["--quiet", "--lazy"]).arg(&self.0).status());
    }
}

#[track_caller]
fn assert_refused(output: &Output, why: &str) {
    let error = stderr_of(output);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains(why), "no {why:?} in: {error}");
}

#[test]
fn in_place_of_a_mount_or_of_what_has_one_below_it_nothing_is_restored_and_none_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let tree = folder.path().join("tree");
    std::fs::create_dir_all(tree.join("inner")).unwrap();
    write_file(&tree.join("kept"), "first");
    let server = TestServer::builder().instance_directory("files", &tree).start();
    let made = server.admin().full("files");
    let restore = |to: &Path| {
        server.run(&["restore", id_of(&made), "--in-place", "--to", to.to_str().unwrap()])
    };
    let inner = Mount::over(&tree.join("inner"));
    assert_refused(&restore(&inner.0), "it is a mount point");
    assert_refused(&restore(&tree), "another filesystem is mounted at it or below it");
    assert_eq!(names_in(folder.path()), ["tree"], "no undo point was made");
    assert_eq!(names_in(&inner.0), ["elsewhere"]);
    drop(inner);

    // What an undo point holds is not removed either, while a filesystem is mounted there.
    assert!(restore(&tree).status.success());
    let point = names_in(folder.path()).into_iter().find(|it| it.starts_with(POINT)).unwrap();
    let held = Mount::over(&folder.path().join(point).join("2/tree/inner"));
    let forget = ["restore", "forget", tree.to_str().unwrap()];
    assert_refused(&server.run(&forget), "another filesystem is mounted at it or below it");
    assert_eq!(names_in(&held.0), ["elsewhere"]);
    drop(held);
    server.run_ok(&forget);
    assert_eq!(names_in(folder.path()), ["tree"]);
}

#[test]
fn what_is_of_another_kind_or_has_an_undo_point_that_cannot_be_read_is_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let (path, other) = (folder.path().join("shop.db"), folder.path().join("other"));
    make_database(&path);
    let server = TestServer::builder().instance_sqlite("shop", &path).start();
    let made = server.admin().full("shop");
    std::fs::create_dir(&other).unwrap();
    write_file(&other.join("mine"), "of mine");
    let restore = |to: &Path| {
        server.run(&["restore", id_of(&made), "--in-place", "--to", to.to_str().unwrap()])
    };
    assert_refused(&restore(&other), "is a folder, and the backup is of a file");
    assert_eq!(names_in(&other), ["mine"]);

    // What cannot be exchanged in one step is not restored in place at all.
    let of_redis = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/archives/0.1.0/redis/01a21c3c-9a4e-770e-9f21-db242971fad9.tar.zst");
    let archive = ["restore", "--archive", of_redis.to_str().unwrap(), "--in-place", "--to"];
    let refused = server.run(&[&archive[..], &[path.to_str().unwrap()]].concat());
    assert_refused(&refused, "a backup of redis is not restored in place");

    // It could be of an exchange of this very file that was killed half-way.
    let point = folder.path().join(format!("{POINT}newer"));
    std::fs::create_dir(&point).unwrap();
    write_file(&point.join("undo.json"), r#"{"version": 2, "name": "shop.db"}"#);
    assert_refused(&restore(&path), "undo.json");
    assert_eq!(word(&path), "first");
    assert_eq!(names_in(folder.path()), [&format!("{POINT}newer"), "other", "shop.db"]);
}

/// A restore in place that was stopped while it writes what is to come: the target is as it was.
fn stopped_restore(server: &TestServer, arguments: &[&str], folder: &Path) -> Child {
    for _ in 0..20 {
        let mut restore = server.command(arguments).stderr(Stdio::piped()).spawn().unwrap();
        wait_until("the restore to begin", || {
            let begun = names_in(folder).iter().any(|it| it.starts_with(POINT));
            (begun || restore.try_wait().unwrap().is_some()).then_some(())
        });
        kill_process(Pid::from_child(&restore), Signal::STOP).unwrap_or_default();
        let points = names_in(folder).into_iter().filter(|it| it.starts_with(POINT));
        let exchanged = points.map(|it| folder.join(it).join("2")).any(|it| it.exists());
        if !exchanged && restore.try_wait().unwrap().is_none() {
            return restore;
        }
        // It had ended already, or nearly.
        kill_process(Pid::from_child(&restore), Signal::CONT).unwrap_or_default();
        restore.wait().unwrap();
        server.run_ok(&["restore", "forget", folder.join("shop.db").to_str().unwrap()]);
    }
    panic!("no restore could be stopped in time");
}

#[test]
fn a_database_that_is_opened_while_it_is_restored_is_not_replaced_unless_that_was_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop.db");
    make_database(&path);
    let fill = "CREATE TABLE filling AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n \
                WHERE i < 300) SELECT randomblob(100000) FROM n";
    Connection::open(&path).unwrap().execute_batch(fill).unwrap();
    let server = TestServer::builder().instance_sqlite("shop", &path).start();
    let made = server.admin().full("shop");
    for (even_if_open, expected) in [(&[][..], "second"), (&["--even-if-open"], "first")] {
        Connection::open(&path).unwrap().execute("UPDATE row SET word = 'second'", []).unwrap();
        let arguments = [&["restore", id_of(&made), "--in-place"], even_if_open].concat();
        let restore = stopped_restore(&server, &arguments, folder.path());
        let held = File::open(&path).unwrap();
        let mut other =
            Command::new("sleep").arg("600").stdin(held).stdout(Stdio::null()).spawn().unwrap();
        kill_process(Pid::from_child(&restore), Signal::CONT).unwrap();
        let ended = restore.wait_with_output().unwrap();
        other.kill().unwrap();
        other.wait().unwrap();
        if even_if_open.is_empty() {
            assert_refused(&ended, &format!("process {}", other.id()));
            assert_eq!(names_in(folder.path()), ["shop.db"], "nothing is left of it");
        } else {
            assert!(ended.status.success(), "{}", stderr_of(&ended));
        }
        assert_eq!(word(&path), expected);
    }
}
