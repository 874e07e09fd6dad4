//! Mounts that are not there, or that are others: for the data directory and for the archives, under a server that runs and
//! one that starts.

use std::path::{Path, PathBuf};
use std::process::Command;

use rstest::rstest;
use serde_json::json;

use super::disks::{notices, server_over};
use crate::support::{Client, id_of, names_in, stderr_of, succeed, wait_until, write_file};

/// The data directory is on a filesystem of its own, which can be taken away from it and brought back.
struct Mounted {
    folder: tempfile::TempDir,
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let unmount = |name: &str| {
            Command::new("umount").args(["--quiet", "--lazy"]).arg(self.path(name)).status()
        };
        // The first was unmounted by the test, unless that failed.
        drop(["data", "disk"].map(unmount));
    }
}

impl Mounted {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["disk", "other", "data"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        let disk = folder.path().join("disk");
        succeed(
            Command::new("mount").args(["-t", "tmpfs", "-o", "mode=700", "coffer-test"]).arg(disk),
        );
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

/// Another disk, or a folder of the same one: files cannot be renamed to there either.
#[rstest]
#[case::another_disk(&["-t", "tmpfs", "-o", "mode=700", "other"])]
#[case::another_folder(&["--bind"])]
fn a_start_with_a_mount_over_the_archives_is_refused_and_puts_nothing_there(
    #[case] mount: &[&str],
) {
    let folder = tempfile::tempdir().unwrap();
    let mut server = server_over(folder.path(), |it| it);
    let made = server.admin().full("shop");
    server.terminate();
    let archives = server.data_dir().join("archives");
    let other = server.folder().join("other");
    std::fs::create_dir(&other).unwrap();
    let mut command = Command::new("mount");
    command.args(mount);
    if mount == ["--bind"] {
        command.arg(&other);
    }
    succeed(command.arg(&archives));
    let refused = server.run(&["serve"]);
    let text = stderr_of(&refused);
    let (code, names) = (refused.status.code(), names_in(&archives));
    succeed(Command::new("umount").arg(&archives));
    assert_eq!((code, names.len()), (Some(1), 0), "{text}");
    assert!(text.contains("must lie on one filesystem"), "{text}");
    server.restart();
    server.run_ok(&["verify", id_of(&made)]);
}

/// The disk of the data directory goes away under a running server, which goes on when it is back; as does one that was
/// started meanwhile.
#[rstest]
fn a_data_directory_that_is_unmounted_is_missed_until_it_is_mounted_again(
    #[values(false, true)] restarted: bool,
) {
    let mounted = Mounted::new();
    let remembered = mounted.path("identity");
    mounted.mount("disk");
    let mut server = server_over(mounted.folder.path(), |it| {
        it.data_dir(&mounted.path("data"))
            .setting("storage.identity_file", remembered.to_str().unwrap())
            .allow_warning("was removed or replaced")
            .allow_warning("the archives are not where they were")
            .allow_warning("again: work goes on")
            .allow_warning("r2d2")
    });
    let made = server.admin().full("shop");
    let body = json!({"backup": {"name": "no", "instance": server.admin().instance_id("shop")}});
    mounted.unmount();
    wait_until("the notice", || notices(&server).contains("was removed or replaced").then_some(()));
    server.admin().post("backups", &body).fault(503);
    assert_eq!(names_in(&mounted.path("data")), [""; 0], "something was put on the mount point");
    if restarted {
        server.terminate();
        let refused = server.run(&["serve"]);
        let text = stderr_of(&refused);
        assert!(text.contains("is its disk mounted?"), "{text}");
        assert_eq!(names_in(&mounted.path("data")), [""; 0]);
    }
    mounted.mount("disk");
    if restarted {
        server.restart();
    }
    wait_until("the end of the notice", || (notices(&server) == "[]").then_some(()));
    let client = server.admin();
    assert_eq!(client.full("shop")["status"], "COMPLETED");
    assert_eq!(rows(&client), 2);
    server.run_ok(&["verify", id_of(&made)]);
    server.terminate();
    mounted.unmount();
}

/// A folder that is mounted somewhere below the data directory, with what it holds.
struct Planted {
    precious: tempfile::TempDir,
    at: PathBuf,
}

impl Planted {
    fn at(at: &Path) -> Self {
        let precious = tempfile::tempdir().unwrap();
        std::fs::create_dir(precious.path().join("folder")).unwrap();
        write_file(&precious.path().join("folder/file"), "precious");
        let at = at.join(precious.path().file_name().unwrap());
        std::fs::create_dir_all(&at).unwrap();
        succeed(Command::new("mount").arg("--bind").args([precious.path(), &at]));
        Self { precious, at }
    }

    fn assert_untouched(&self) {
        assert!(self.precious.path().join("folder/file").exists());
    }
}

impl Drop for Planted {
    /// Wherever it is by now: it moves with the folder that it is in.
    fn drop(&mut self) {
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
        let points = mounts.lines().filter_map(|line| line.split(' ').nth(1));
        let name = self.at.file_name().and_then(|it| it.to_str()).unwrap();
        for point in points.filter(|it| it.ends_with(name)) {
            drop(Command::new("umount").args(["--quiet", "--lazy", point]).status());
        }
    }
}

/// A bind mount shows the same filesystem, so that its device does not tell it from a folder.
#[test]
fn what_is_mounted_inside_of_a_restored_instance_stays_when_that_is_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = server_over(folder.path(), |it| {
        it.setting("storage.trash_window_s", "0").allow_warning("something is mounted here")
    });
    let client = server.admin();
    let restored = client.restored_instance(&client.full("shop"));
    let above = restored.parent().unwrap().to_owned();
    let planted = Planted::at(&above);
    let id = above.file_name().unwrap().to_str().unwrap().to_owned();
    client.delete(&format!("instances/{id}")).with_status(202);
    let log = server.log();
    wait_until("the removal to be refused", || {
        log.text()
            .contains("something is mounted here, and what it holds is not removed")
            .then_some(())
    });
    planted.assert_untouched();
    server.terminate();
}

#[test]
fn a_start_with_something_mounted_in_the_leftovers_of_a_killed_process_is_refused_and_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = server_over(folder.path(), |it| it);
    server.terminate();
    let planted = Planted::at(&server.data_dir().join("tmp/.coffer-spool-x"));
    let refused = server.run(&["serve"]);
    let text = stderr_of(&refused);
    assert_eq!(refused.status.code(), Some(1), "{text}");
    assert!(
        text.contains("something is mounted here") && text.contains("tmp/.coffer-spool-x"),
        "{text}"
    );
    planted.assert_untouched();
    drop(planted);
    server.restart();
}
