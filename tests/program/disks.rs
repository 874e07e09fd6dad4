//! The data directory and its disk: links that somebody planted, a filesystem that is read-only, removals that fail, restores
//! that were killed, a disk that is not mounted.

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use rstest::rstest;
use rusqlite::Connection;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::support::{
    Builder, Client, Disk, TestServer, id_of, names_in, stderr_of, succeed, wait_until, write_file,
};

/// A database to back up.
fn database(folder: &Path) -> PathBuf {
    let path = folder.join("shop.db");
    let sql = "CREATE TABLE row(word); INSERT INTO row VALUES ('first')";
    Connection::open(&path).unwrap().execute_batch(sql).unwrap();
    path
}

fn server_over(folder: &Path, more: impl FnOnce(Builder) -> Builder) -> TestServer {
    let builder = TestServer::builder().instance_sqlite("shop", &database(folder));
    more(builder).start()
}

#[expect(clippy::disallowed_methods, reason = "a test takes something away")]
fn rename(from: &Path, to: &Path) {
    std::fs::rename(from, to).unwrap();
}

fn notices(server: &TestServer) -> String {
    let health = server.anonymous().get("/healthcheck").with_status(200).json();
    health["notices"].to_string()
}

/// As root, and as a user whom file modes bind.
#[rstest]
fn a_start_with_a_planted_link_is_refused_and_leaves_what_it_leads_to_alone(
    #[values(false, true)] unprivileged: bool,
) {
    let folder = tempfile::tempdir().unwrap();
    let open = Permissions::from_mode(0o755);
    std::fs::set_permissions(folder.path(), open).unwrap();
    let source = folder.path().join("source");
    std::fs::create_dir(&source).unwrap();
    write_file(&source.join("file"), "content");
    let builder = TestServer::builder().instance_directory("source", &source);
    let mut server = if unprivileged { builder.unprivileged() } else { builder }.start();
    server.admin().full("source");
    server.terminate();
    let home = server.folder().join("home");
    std::fs::create_dir(&home).unwrap();
    for name in ["letter", "drill-photos", ".coffer-notes"] {
        write_file(&home.join(name), "precious");
    }
    if unprivileged && rustix::process::geteuid().is_root() {
        chown(&home, Some(crate::support::UNPRIVILEGED), None).unwrap();
    }
    for name in ["tmp", "trash", "restored", "archives", "catalog.ballast", "lock"] {
        let (planted, away) = (server.data_dir().join(name), server.folder().join("away"));
        let target = if planted.is_dir() { home.clone() } else { home.join("letter") };
        rename(&planted, &away);
        symlink(&target, &planted).unwrap();
        let refused = server.run(&["serve"]);
        let text = stderr_of(&refused);
        assert_eq!(refused.status.code(), Some(1), "{name}: {text}");
        assert!(text.contains("symbolic link") && text.contains("rm '"), "{name}: {text}");
        let doctor = server.run(&["doctor"]);
        let found = String::from_utf8_lossy(&doctor.stdout).into_owned();
        assert!(found.contains("symbolic link"), "{name}: {found}");
        std::fs::remove_file(&planted).unwrap();
        rename(&away, &planted);
    }
    assert_eq!(names_in(&home), [".coffer-notes", "drill-photos", "letter"]);
    assert_eq!(std::fs::read(home.join("letter")).unwrap(), b"precious");
    server.restart();
    server.admin().full("source");
}

#[test]
fn a_restored_instance_whose_removal_fails_is_shown_with_the_reason_and_can_be_deleted_again() {
    let folder = tempfile::tempdir().unwrap();
    let server = server_over(folder.path(), |it| {
        it.allow_warning("deleting instance").allow_warning("the trash cannot be")
    });
    let client = server.admin();
    let row = client.restore_into_instance(&client.full("shop"));
    let path = format!("instances/{}", id_of(&row));
    let (trash, away) = (server.data_dir().join("trash"), folder.path().join("trash"));
    rename(&trash, &away);
    client.delete(&path).with_status(202);
    let shown = wait_until("the instance to be shown again", || {
        let answer = client.get(&path);
        (answer.status == 200).then(|| answer.json()["instance"].take())
    });
    assert_eq!(shown["status"], "ERROR", "{shown:#}");
    let reason = shown.to_string();
    assert!(reason.contains("could not be deleted") && reason.contains("tried again"), "{reason}");
    rename(&away, &trash);
    client.delete(&path).with_status(202);
    wait_until("the instance to go", || (client.get(&path).status == 404).then_some(()));
    let restored = server.data_dir().join("restored");
    wait_until("its folder to go", || names_in(&restored).is_empty().then_some(()));
}

/// Mounts the folder over itself, read-only. What is open stays writable; only root may do this.
struct ReadOnly<'a>(&'a Path);

impl<'a> ReadOnly<'a> {
    fn over(folder: &'a Path) -> Self {
        succeed(Command::new("mount").arg("--bind").args([folder, folder]));
        succeed(Command::new("mount").args(["-o", "remount,bind,ro"]).arg(folder));
        Self(folder)
    }
}

impl Drop for ReadOnly<'_> {
    fn drop(&mut self) {
        succeed(Command::new("umount").arg("--lazy").arg(self.0));
    }
}

/// What needs nothing of the data directory but to be read.
fn assert_can_be_read(server: &TestServer, backup: &Value, elsewhere: &Path) {
    let id = id_of(backup);
    server.run_ok(&["verify", id]);
    server.run_ok(&["drill", id, "--in", elsewhere.to_str().unwrap()]);
    for (command, target) in [("restore", "restored.db"), ("export", "export.tar.zst")] {
        let target = elsewhere.join(target);
        server.run_ok(&[command, id, "--to", target.to_str().unwrap()]);
        std::fs::remove_file(target).unwrap();
    }
}

#[test]
fn on_a_read_only_filesystem_everything_can_be_read_and_every_change_is_refused_with_the_reason() {
    let (disk, folder) = (Disk::mounted(64), tempfile::tempdir().unwrap());
    let data = disk.path().join("data");
    let mut server = server_over(folder.path(), |it| {
        it.data_dir(&data).allow_warning("read-only").allow_warning("can be written again")
    });
    let client = server.admin();
    let made = client.full("shop");
    let instance = client.instance_id("shop");
    let read_only = ReadOnly::over(&data);
    wait_until("the notice", || notices(&server).contains("is read-only").then_some(()));
    let body = json!({"backup": {"name": "no", "instance": instance}});
    let refused = client.post("backups", &body).fault(503);
    assert!(refused.1.contains("read-only"), "{refused:?}");
    client.delete(&format!("backups/{}", id_of(&made))).fault(503);
    assert_eq!(client.backup(id_of(&made))["status"], "COMPLETED");
    client.get(&format!("backups/{}/archive", id_of(&made))).with_status(200);
    assert_can_be_read(&server, &made, folder.path());
    drop(read_only);
    wait_until("the end of the notice", || (notices(&server) == "[]").then_some(()));
    client.full("shop");

    server.terminate();
    let read_only = ReadOnly::over(&data);
    assert_can_be_read(&server, &made, folder.path());
    let refused = server.run(&["serve"]);
    let text = stderr_of(&refused).to_lowercase();
    assert_eq!(refused.status.code(), Some(1));
    assert!(text.contains("read-only"), "{text}");
    drop(read_only);
    server.restart();
    assert_eq!(server.admin().all("backups", "backups").len(), 2);
    server.terminate();
}

#[test]
fn deletes_work_on_a_full_disk_however_many_and_new_work_is_refused_until_there_is_room() {
    const BACKUPS: usize = 16;
    let (disk, folder) = (Disk::mounted(24), tempfile::tempdir().unwrap());
    let server = server_over(folder.path(), |it| {
        it.data_dir(&disk.path().join("data"))
            .setting("storage.headroom_mib", "1")
            .allow_warning("the disk is full")
            .allow_warning("removed at once")
    });
    let client = server.admin();
    let made: Vec<Value> = (0..BACKUPS).map(|_| client.full("shop")).collect();
    let body = json!({"backup": {"name": "no", "instance": client.instance_id("shop")}});
    disk.fill(0);
    wait_until("new work to be refused", || {
        disk.fill(0);
        let answer = client.post("backups", &body);
        if answer.status == 202 {
            let id = answer.json()["backup"]["id"].as_str().unwrap().to_owned();
            client.wait_for(&id, &["FAILED", "COMPLETED"]);
        }
        (answer.status == 503).then(|| answer.fault(503))
    });
    wait_until("the notice", || {
        notices(&server).contains("disk of the catalog is full").then_some(())
    });
    for backup in &made {
        disk.fill(0);
        client.delete(&format!("backups/{}", id_of(backup))).with_status(202);
        client.wait_until_gone(id_of(backup));
    }
    let trash = server.data_dir().join("trash");
    assert_eq!(names_in(&trash), [""; 0], "the window is given up");
    let undeleted = server.run(&["undelete", id_of(&made[0])]);
    assert_eq!(undeleted.status.code(), Some(3), "{}", stderr_of(&undeleted));
    disk.empty();
    wait_until("the end of the notice", || (notices(&server) == "[]").then_some(()));
    client.full("shop");
    assert_reserve_is_made_again(&server);
}

fn assert_reserve_is_made_again(server: &TestServer) {
    let ballast = server.data_dir().join("catalog.ballast");
    let length = std::fs::metadata(ballast).unwrap().len();
    assert!(length > 1 << 20, "{length}");
}

/// A restore that was stopped while it runs, and the name of the folder that it makes.
fn stopped_restore(server: &TestServer, arguments: &[&str], folder: &Path) -> (Child, String) {
    let is_staging = |name: &String| name.starts_with(".coffer-");
    for _ in 0..20 {
        let mut restore = server.command(arguments).spawn().unwrap();
        let name = wait_until("the restore to begin", || {
            names_in(folder)
                .into_iter()
                .find(is_staging)
                .or_else(|| restore.try_wait().unwrap().map(|_ended| String::new()))
        });
        kill_process(Pid::from_child(&restore), Signal::STOP).unwrap_or_default();
        if is_staging(&name) && folder.join(&name).exists() {
            return (restore, name);
        }
        // It was done already.
        kill_process(Pid::from_child(&restore), Signal::CONT).unwrap_or_default();
        restore.wait().unwrap();
        std::fs::remove_dir_all(folder.join("target")).unwrap_or_default();
    }
    panic!("no restore could be stopped in time");
}

#[test]
fn what_a_killed_restore_leaves_is_named_by_doctor_and_removed_by_the_next_one_to_that_target() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source");
    std::fs::create_dir(&source).unwrap();
    for number in 0..400 {
        write_file(&source.join(format!("{number}")), number.to_string());
    }
    let server = TestServer::builder().instance_directory("source", &source).start();
    let made = server.admin().full("source");
    let target = folder.path().join("target");
    let arguments = ["restore", id_of(&made), "--to", target.to_str().unwrap()];
    let (mut restore, left) = stopped_restore(&server, &arguments, folder.path());
    // Another restore takes nothing away from one that runs.
    server.run_ok(&[
        "restore",
        id_of(&made),
        "--to",
        folder.path().join("other").to_str().unwrap(),
    ]);
    assert!(folder.path().join(&left).exists());
    restore.kill().unwrap();
    restore.wait().unwrap();
    let doctor = server.run(&["doctor"]);
    let text = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(text.contains(&left) && text.contains("restore that was killed"), "{text}");
    server.run_ok(&arguments);
    assert_eq!(names_in(folder.path()), ["other", "source", "target"]);
}

/// The data directory is a mount of its own, as that of a disk is.
struct Mounted {
    folder: tempfile::TempDir,
}

impl Mounted {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["disk", "other", "data"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn mount(&self, disk: &str) {
        succeed(Command::new("mount").arg("--bind").args([self.path(disk), self.path("data")]));
    }

    fn unmount(&self) {
        succeed(Command::new("umount").arg("--lazy").arg(self.path("data")));
    }
}

fn rows(client: &Client) -> usize {
    client.all("backups", "backups").len()
}

#[test]
fn a_start_on_an_empty_mount_point_or_another_disk_is_refused_where_the_identity_is_remembered() {
    let mounted = Mounted::new();
    let remembered = mounted.path("identity");
    mounted.mount("disk");
    let mut server = server_over(mounted.folder.path(), |it| {
        it.data_dir(&mounted.path("data"))
            .setting("storage.identity_file", remembered.to_str().unwrap())
    });
    server.admin().full("shop");
    server.restart();
    server.terminate();
    mounted.unmount();
    let refused = |what: &str| {
        let refused = server.run(&["serve"]);
        let text = stderr_of(&refused);
        assert_eq!(refused.status.code(), Some(1), "{text}");
        assert!(text.contains(what) && text.contains("is its disk mounted?"), "{text}");
    };
    refused("was never used");
    assert_eq!(names_in(&mounted.path("data")), [""; 0]);
    // Another data directory in its place.
    mounted.mount("other");
    write_file(&mounted.path("other").join("data.id"), "7f0c0f6a-6a55-4a3e-9d5c-0a4f3b1a2c3d");
    refused("is another one");
    assert_eq!(names_in(&mounted.path("other")), ["data.id"]);
    mounted.unmount();
    mounted.mount("disk");
    server.restart();
    assert_eq!(rows(&server.admin()), 1);
    server.terminate();
    mounted.unmount();
}

#[test]
fn a_data_directory_that_is_mounted_over_a_younger_one_under_a_running_server_is_left_alone() {
    let mounted = Mounted::new();
    mounted.mount("disk");
    let mut server = server_over(mounted.folder.path(), |it| {
        it.data_dir(&mounted.path("data"))
            .allow_warning("was removed or replaced")
            .allow_warning("the archives are not where they were")
            .allow_warning("again: work goes on")
            .allow_warning("r2d2")
    });
    let old = server.admin().full("shop");
    server.terminate();
    mounted.unmount();
    // Nobody has told this server that there was another one.
    server.restart();
    let young = server.admin().full("shop");
    let body = json!({"backup": {"name": "no", "instance": server.admin().instance_id("shop")}});
    mounted.mount("disk");
    wait_until("the notice", || notices(&server).contains("was removed or replaced").then_some(()));
    server.admin().post("backups", &body).fault(503);
    server.terminate();
    server.restart();
    server.run_ok(&["verify", id_of(&old)]);
    assert_eq!(rows(&server.admin()), 1);
    server.terminate();
    mounted.unmount();
    server.restart();
    server.run_ok(&["verify", id_of(&young)]);
    server.terminate();
}

#[test]
fn a_start_with_another_disk_over_the_archives_is_refused_and_puts_nothing_there() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = server_over(folder.path(), |it| it);
    let made = server.admin().full("shop");
    server.terminate();
    let archives = server.data_dir().join("archives");
    succeed(Command::new("mount").args(["-t", "tmpfs", "-o", "mode=700", "other"]).arg(&archives));
    let refused = server.run(&["serve"]);
    let text = stderr_of(&refused);
    let (code, names) = (refused.status.code(), names_in(&archives));
    succeed(Command::new("umount").arg(&archives));
    assert_eq!((code, names.len()), (Some(1), 0), "{text}");
    assert!(text.contains("must lie on one filesystem"), "{text}");
    server.restart();
    server.run_ok(&["verify", id_of(&made)]);
}
