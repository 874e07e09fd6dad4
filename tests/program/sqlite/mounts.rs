//! `SQLite` databases seen from another place than their application's: through mounts and hard links, in snapshots,
//! with access control lists.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use rusqlite::Connection;
use rustix::fs::XattrFlags;

use crate::support::{SqliteShell, TestServer, names_in, run_script, succeed, write_file};

const TABLE: &str = "PRAGMA journal_mode = wal; CREATE TABLE t(x); INSERT INTO t VALUES (1);";
const MORE: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 99)
    INSERT INTO t SELECT i FROM n;";

fn rows(path: &Path) -> i64 {
    let connection = Connection::open(path).unwrap();
    connection.query_row("SELECT count(*) FROM t", (), |row| row.get(0)).unwrap()
}

/// Folders `here` and `there`, and in `here` a closed database in WAL mode with one row.
fn places() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    for name in ["here", "there"] {
        std::fs::create_dir(folder.path().join(name)).unwrap();
    }
    let (here, there) = (folder.path().join("here/a.db"), folder.path().join("there/b.db"));
    Connection::open(&here).unwrap().execute_batch(TABLE).unwrap();
    (folder, here, there)
}

fn server(path: &Path) -> TestServer {
    TestServer::builder()
        .instance_sqlite("shop", path)
        .allow_warning(" failed: ")
        .allow_warning("a.db has 2 names")
        .start()
}

/// A mount that ends with this value.
struct Mount(PathBuf);

impl Mount {
    fn bind(from: &Path, to: &Path, options: &[&str]) -> Self {
        succeed(Command::new("mount").arg("--bind").args([from, to]));
        if !options.is_empty() {
            succeed(Command::new("mount").args(options).arg(to));
        }
        Self(to.to_owned())
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        succeed(Command::new("umount").arg("--lazy").arg(&self.0));
    }
}

#[test]
fn a_database_that_is_open_under_another_name_is_refused() {
    for is_mount in [true, false] {
        let (folder, here, there) = places();
        let _mount = if is_mount {
            write_file(&there, "");
            Some(Mount::bind(&here, &there, &[]))
        } else {
            std::fs::hard_link(&here, &there).unwrap();
            None
        };
        let mut application = SqliteShell::open(&there);
        application.run(MORE);
        let server = server(&here);
        let (code, message) = server.admin().failed("shop");
        assert_eq!(code, "source_invalid", "{message}");
        assert!(message.contains("under another name"), "{message}");
        assert_eq!(names_in(&folder.path().join("here")), ["a.db"], "files were left");
        application.close();
        assert_eq!(rows(&server.restored(&server.admin().full("shop"))), 100);
        assert_eq!(names_in(&folder.path().join("here")), ["a.db"]);
    }
}

#[test]
fn a_database_that_is_open_under_its_own_name_is_backed_up_with_its_log() {
    let (_folder, here, _) = places();
    let mut application = SqliteShell::open(&here);
    application.run(MORE);
    let mut reader = SqliteShell::open(&here);
    reader.run("SELECT count(*) FROM t;");
    let server = server(&here);
    assert_eq!(rows(&server.restored(&server.admin().full("shop"))), 100);
    reader.close();
    application.close();
}

#[test]
fn a_hard_link_without_a_log_here_is_backed_up_with_a_warning() {
    let (_folder, here, there) = places();
    std::fs::hard_link(&here, &there).unwrap();
    let server = TestServer::builder()
        .instance_sqlite("shop", &here)
        .allow_warning("a.db has 2 names")
        .start();
    assert_eq!(rows(&server.restored(&server.admin().full("shop"))), 1);
    assert!(server.log().text().contains("a.db has 2 names"));
}

#[test]
fn a_database_on_a_read_only_mount_is_backed_up_with_its_log() {
    // Closed, open in another place with commits in its log, and left by a crash with a journal.
    for state in ["closed", "open", "crashed"] {
        let (folder, here, _) = places();
        let mut application = SqliteShell::open(&here);
        match state {
            "closed" => {
                application.run(MORE);
                application.close();
            }
            "open" => {
                application.run(MORE);
            }
            _ => {
                application.run("PRAGMA journal_mode = delete; PRAGMA cache_size = 5;");
                application.run(&format!("{MORE} BEGIN; UPDATE t SET x = zeroblob(90000);"));
                application.kill();
                assert!(here.with_file_name("a.db-journal").exists());
            }
        }
        let there = folder.path().join("there");
        let _mount = Mount::bind(&folder.path().join("here"), &there, &["-o", "remount,ro,bind"]);
        let before = names_in(&there);
        let server = server(&there.join("a.db"));
        let restored = server.restored(&server.admin().full("shop"));
        assert_eq!(rows(&restored), 100, "{state}");
        assert_eq!(names_in(&there), before, "{state}");
        let doctor = server.run(&["doctor"]);
        assert!(doctor.status.success(), "{state}: {doctor:?}");
    }
}

#[test]
fn a_log_in_a_snapshot_is_in_the_backup() {
    let (folder, here, _) = places();
    let mut application = SqliteShell::open(&here);
    application.run(MORE);
    // A filesystem that is read-only itself, with the database and its log, but without -shm.
    let script = "mkdir snapshot mounted && cp here/a.db here/a.db-wal snapshot/ &&
        truncate -s 32M image && mkfs.ext4 -q -d snapshot image && mount -o loop,ro image mounted";
    run_script(script, folder.path());
    let mount = Mount(folder.path().join("mounted"));
    application.close();
    let server = server(&mount.0.join("a.db"));
    let full = server.admin().full("shop");
    assert_eq!(rows(&server.restored(&full)), 100);
    let incremental = server.admin().incremental("shop");
    assert_eq!(rows(&server.restored(&incremental)), 100);
}

/// A list that lets user 1234 read and write, and the owning group nothing.
fn list() -> Vec<u8> {
    let mut list = vec![2, 0, 0, 0];
    for (tag, bits, who) in [(1, 6, u32::MAX), (2, 6, 1234), (4, 0, u32::MAX), (16, 6, u32::MAX)] {
        list.extend([tag, 0, bits, 0]);
        list.extend(u32::to_le_bytes(who));
    }
    list.extend([32, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]);
    list
}

#[test]
fn an_access_control_list_is_restored_and_gives_nobody_more_rights() {
    let (_folder, here, _) = places();
    chown(&here, Some(4321), Some(8765)).unwrap();
    std::fs::set_permissions(&here, std::fs::Permissions::from_mode(0o600)).unwrap();
    let name = "system.posix_acl_access";
    rustix::fs::setxattr(&here, name, &list(), XattrFlags::empty()).unwrap();
    let server = server(&here);
    let restored = server.restored(&server.admin().full("shop"));
    let mut found = [0; 100];
    let length = rustix::fs::getxattr(&restored, name, &mut found[..]).unwrap();
    assert_eq!(found[..length], list());
    let [was, is] = [&here, &restored].map(|path| path.metadata().unwrap());
    assert_eq!((is.mode(), is.uid(), is.gid()), (was.mode(), was.uid(), was.gid()));
}
