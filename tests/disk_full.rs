//! The disk is full: on a small filesystem of the test's own, mounted for it. What does not fit fails and
//! says so, nothing of it stays, a delete needs no room, and what then fits works again.

#![cfg(test)]

mod support;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use rstest::rstest;
use serde_json::{Value, json};

use support::{TestServer, names_in, wait_until, write_file};

const MIB: usize = 1 << 20;

/// How large the filesystem is.
const DISK_MIB: usize = 24;

/// A small filesystem in memory; unmounted when it goes out of scope.
struct Disk {
    folder: tempfile::TempDir,
}

impl Disk {
    /// Mounting is root's: without that right the test fails and says so, it does not skip.
    fn mounted() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let size = format!("size={DISK_MIB}m");
        let arguments = ["-t", "tmpfs", "-o", &size, "coffer-test"];
        run("mount", &arguments, folder.path());
        Self { folder }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn free_bytes(&self) -> u64 {
        let facts = rustix::fs::statvfs(self.path()).unwrap();
        facts.f_bavail * facts.f_frsize
    }

    /// Takes all but `left` bytes of what is free, in a file that counts for nobody.
    fn fill(&self, left: u64) {
        let path = self.path().join("filling");
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
        while self.free_bytes() > left {
            let wanted = (self.free_bytes() - left).min(1 << 20);
            let chunk = vec![1; usize::try_from(wanted).unwrap()];
            if file.write(&chunk).is_err() {
                break;
            }
        }
        assert!(self.free_bytes() <= left, "{} bytes are still free", self.free_bytes());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        run("umount", &["--lazy"], self.path());
    }
}

#[track_caller]
fn run(program: &str, arguments: &[&str], last: &Path) {
    let output = Command::new(program).args(arguments).arg(last).output();
    let output = output.unwrap_or_else(|reason| panic!("{program} cannot be run: {reason}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "this test mounts a filesystem and must run as root: {said}");
}

/// A server that keeps its data on a small disk, and two sources that lie elsewhere.
struct House {
    server: TestServer,
    sources: tempfile::TempDir,
    disk: Disk,
}

impl House {
    fn new() -> Self {
        let disk = Disk::mounted();
        let sources = tempfile::tempdir().unwrap();
        for name in ["small", "large"] {
            std::fs::create_dir(sources.path().join(name)).unwrap();
        }
        write_file(&sources.path().join("small/file"), noise(MIB));
        let server = TestServer::builder()
            .instance_directory("small", &sources.path().join("small"))
            .instance_directory("large", &sources.path().join("large"))
            .instance_sqlite("database", &sources.path().join("source.db"))
            .setting("storage.trash_window_s", "0")
            .setting("storage.headroom_mib", "1")
            .data_dir(&disk.path().join("data"))
            .start();
        Self { server, sources, disk }
    }

    fn write_large(&self, content: Vec<u8>) {
        write_file(&self.sources.path().join("large/file"), content);
    }

    /// What the store holds, by name.
    fn archives(&self) -> Vec<PathBuf> {
        let mut folders = vec![self.server.data_dir().join("archives")];
        let mut found = Vec::new();
        while let Some(folder) = folders.pop() {
            for name in names_in(&folder) {
                let path = folder.join(name);
                if path.is_dir() { folders.push(path) } else { found.push(path) }
            }
        }
        found
    }

    #[track_caller]
    fn assert_fails_for_room(&mut self, instance: &str) -> String {
        self.server.allow_warning(" failed: ");
        let client = self.server.by_admin();
        let made = client.create_backup(instance, &json!({})).expect(202).json();
        let row = client.wait_for(made["backup"]["id"].as_str().unwrap(), &["COMPLETED", "FAILED"]);
        assert_eq!(
            (&row["status"], &row["failure"]["code"]),
            (&json!("FAILED"), &json!("disk_full"))
        );
        assert_eq!(names_in(&self.server.data_dir().join("tmp")), Vec::<String>::new());
        row["failure"]["message"].as_str().unwrap().to_owned()
    }

    fn restores_to(&self, backup: &Value, source: &Path) {
        let target = self.sources.path().join("restored");
        let id = backup["id"].as_str().unwrap();
        let arguments = ["restore", id, "--to", target.to_str().unwrap()];
        let output = self.server.command(&arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let same = std::fs::read(target.join("file")).unwrap() == std::fs::read(source).unwrap();
        assert!(same, "wrong data");
        std::fs::remove_dir_all(&target).unwrap();
    }
}

/// Bytes that no compression makes fewer.
fn noise(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    getrandom::fill(&mut bytes).unwrap();
    bytes
}

/// Bytes that compression makes much fewer, and that are no hole either.
fn repetition(length: usize) -> Vec<u8> {
    b"the same words again and again, ".iter().copied().cycle().take(length).collect()
}

fn make_database(path: &Path, mib: usize) {
    let connection = rusqlite::Connection::open(path).unwrap();
    connection
        .execute_batch(&format!(
            "CREATE TABLE row(data BLOB);
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {mib})
             INSERT INTO row SELECT randomblob(1048576) FROM n;"
        ))
        .unwrap();
}

#[rstest]
fn a_backup_that_does_not_fit_fails_and_leaves_nothing(
    #[values("large", "database")] instance: &str,
) {
    let mut house = House::new();
    house.write_large(noise(2 * DISK_MIB * MIB));
    make_database(&house.sources.path().join("source.db"), 2 * DISK_MIB);
    let free_before = house.disk.free_bytes();
    let said = house.assert_fails_for_room(instance);
    assert!(said.contains("make room"), "what to do is not told: {said}");
    assert_eq!(house.archives(), Vec::<PathBuf>::new());
    // The catalog has grown by a row; the backup has left nothing.
    let gone = free_before.saturating_sub(house.disk.free_bytes());
    assert!(gone < 1 << 20, "{gone} bytes are gone");

    let client = house.server.by_admin();
    client.get("/healthcheck").expect(200);
    let small = client.full("small");
    house.restores_to(&small, &house.sources.path().join("small/file"));
}

#[test]
fn a_source_larger_than_the_free_room_is_backed_up_if_its_archive_fits() {
    let house = House::new();
    house.write_large(repetition(2 * DISK_MIB * MIB));
    let made = house.server.by_admin().full("large");
    assert!(made["size_bytes"].as_u64().unwrap() < 1 << 20, "{made:#}");
    house.restores_to(&made, &house.sources.path().join("large/file"));
}

#[test]
fn a_delete_needs_no_room_and_makes_room_for_the_next() {
    let mut house = House::new();
    house.server.allow_warning("the disk is full");
    house.write_large(noise(14 * MIB));
    let client = house.server.by_admin();
    let large = client.full("large");
    house.assert_fails_for_room("large");
    house.disk.fill(0);

    let path = format!("backups/{}", large["id"].as_str().unwrap());
    client.delete(&path).expect(202);
    client.wait_until_gone(large["id"].as_str().unwrap());
    assert_eq!(house.archives(), Vec::<PathBuf>::new());
    wait_until("the room to come back", || (house.disk.free_bytes() > 12 << 20).then_some(()));
    // The filling is still there: what was deleted is the room for this one.
    house.write_large(noise(8 * MIB));
    let next = client.full("large");
    house.restores_to(&next, &house.sources.path().join("large/file"));
}

#[test]
fn asking_for_a_backup_on_a_full_disk_is_answered_and_the_server_goes_on() {
    let mut house = House::new();
    let client = house.server.by_admin();
    client.full("small");
    house.server.allow_warning("the disk is full");
    house.disk.fill(0);
    house.assert_fails_for_room("small");
    client.get("backups").expect(200);
    house.server.restart();
    house.assert_fails_for_room("small");
    let client = house.server.by_admin();
    std::fs::remove_file(house.disk.path().join("filling")).unwrap();
    client.full("small");
}

#[test]
fn a_restore_that_does_not_fit_fails_and_leaves_the_target_as_it_was() {
    let mut house = House::new();
    house.write_large(repetition(2 * DISK_MIB * MIB));
    let client = house.server.by_admin();
    let made = client.full("large");
    let id = made["id"].as_str().unwrap();

    // By the command, to a folder on the small disk.
    let target = house.disk.path().join("restored");
    let arguments = ["restore", id, "--to", target.to_str().unwrap()];
    let output = house.server.command(&arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("make room"), "does not say what to do: {said}");
    assert_eq!(names_in(house.disk.path()), ["data"]);

    // By the API, into a new instance.
    house.server.allow_warning("restoring into instance");
    let body = json!({"instance": {
        "name": "again", "flavorRef": "1", "restorePoint": {"backupRef": id},
        "datastore": {"type": "directory"},
    }});
    let made = client.post("instances", &body).expect(200).json();
    let instance = made["instance"]["id"].as_str().unwrap();
    let row = client.wait_for_instance(instance, &["ACTIVE", "ERROR", "FAILED"]);
    assert_ne!(row["status"], "ACTIVE");
    assert!(row.to_string().contains("disk_full"), "{row:#}");
    assert!(house.disk.free_bytes() > 20 << 20, "the restore's bytes are still there");
    client.full("small");
}
