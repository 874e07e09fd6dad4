//! Full disks, on a small filesystem that the test mounts: a backup or restore that does not fit fails with
//! `disk_full` and leaves no files, and a delete needs no free space.

use std::path::{Path, PathBuf};

use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{Disk, TestServer, names_in, stderr_of, wait_until, write_file};

const MIB: usize = 1 << 20;

/// How large the filesystem is.
const DISK_MIB: usize = 24;

/// A server with its data on a small disk, and sources elsewhere.
struct Fixture {
    server: TestServer,
    sources: tempfile::TempDir,
    disk: Disk,
}

impl Fixture {
    fn new() -> Self {
        Self::with(Disk::mounted(DISK_MIB), "0", "1")
    }

    /// On this disk, with these seconds in the trash and this headroom.
    fn with(disk: Disk, window_s: &str, headroom_mib: &str) -> Self {
        let sources = tempfile::tempdir().unwrap();
        for name in ["small", "large"] {
            std::fs::create_dir(sources.path().join(name)).unwrap();
        }
        write_file(&sources.path().join("small/file"), noise(MIB));
        let server = TestServer::builder()
            .instance_directory("small", &sources.path().join("small"))
            .instance_directory("large", &sources.path().join("large"))
            .instance_sqlite("database", &sources.path().join("source.db"))
            .setting("storage.trash_window_s", window_s)
            .setting("storage.headroom_mib", headroom_mib)
            .data_dir(&disk.path().join("data"))
            .start();
        Self { server, sources, disk }
    }

    fn write_large(&self, content: Vec<u8>) {
        write_file(&self.sources.path().join("large/file"), content);
    }

    /// The files in the store.
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
    fn assert_fails_for_lack_of_space(&mut self, instance: &str) -> String {
        self.server.allow_warning(" failed: ");
        let client = self.server.admin();
        let made = client.create_backup(instance, &json!({})).with_status(202).json();
        let row = client.wait_for(made["backup"]["id"].as_str().unwrap(), &["COMPLETED", "FAILED"]);
        assert_eq!(
            (&row["status"], &row["failure"]["code"]),
            (&json!("FAILED"), &json!("disk_full"))
        );
        self.server.assert_tmp_is_empty();
        row["failure"]["message"].as_str().unwrap().to_owned()
    }

    /// A backup is refused, or accepted by the last room there is and fails.
    fn assert_cannot_be_made(&mut self, instance: &str) {
        let client = self.server.admin();
        if client.create_backup(instance, &json!({})).status != 503 {
            self.assert_fails_for_lack_of_space(instance);
        }
    }

    fn restores_to(&self, backup: &Value, source: &Path) {
        let target = self.sources.path().join("restored");
        let id = backup["id"].as_str().unwrap();
        let arguments = ["restore", id, "--to", target.to_str().unwrap()];
        self.server.run_ok(&arguments);
        let same = std::fs::read(target.join("file")).unwrap() == std::fs::read(source).unwrap();
        assert!(same, "wrong data");
        std::fs::remove_dir_all(&target).unwrap();
    }
}

/// Bytes that do not compress.
fn noise(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    getrandom::fill(&mut bytes).unwrap();
    bytes
}

/// Bytes that compress well, without holes.
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
    let mut fixture = Fixture::new();
    fixture.write_large(noise(2 * DISK_MIB * MIB));
    make_database(&fixture.sources.path().join("source.db"), 2 * DISK_MIB);
    let free_before = fixture.disk.free_bytes();
    let stderr = fixture.assert_fails_for_lack_of_space(instance);
    assert!(stderr.contains("make room"), "does not say what to do: {stderr}");
    assert_eq!(fixture.archives(), Vec::<PathBuf>::new());
    // The catalog has grown by a row; the backup has left no files.
    let gone = free_before.saturating_sub(fixture.disk.free_bytes());
    assert!(gone < 1 << 20, "{gone} bytes are still used");

    let client = fixture.server.admin();
    client.get("/healthcheck").with_status(200);
    let small = client.full("small");
    fixture.restores_to(&small, &fixture.sources.path().join("small/file"));
}

#[test]
fn a_source_larger_than_the_free_space_is_backed_up_if_its_archive_fits() {
    let fixture = Fixture::new();
    fixture.write_large(repetition(2 * DISK_MIB * MIB));
    let made = fixture.server.admin().full("large");
    assert!(made["size_bytes"].as_u64().unwrap() < 1 << 20, "{made:#}");
    fixture.restores_to(&made, &fixture.sources.path().join("large/file"));
}

#[test]
fn a_delete_needs_no_free_space_and_frees_space_for_the_next_backup() {
    let mut fixture = Fixture::new();
    fixture.server.allow_warning("the disk is full");
    fixture.write_large(noise(14 * MIB));
    let client = fixture.server.admin();
    let large = client.full("large");
    fixture.assert_fails_for_lack_of_space("large");
    fixture.disk.fill(0);

    let path = format!("backups/{}", large["id"].as_str().unwrap());
    client.delete(&path).with_status(202);
    client.wait_until_gone(large["id"].as_str().unwrap());
    assert_eq!(fixture.archives(), Vec::<PathBuf>::new());
    wait_until("the space to be freed", || (fixture.disk.free_bytes() > 12 << 20).then_some(()));
    // The disk is still filled: this backup uses the space of the deleted one.
    fixture.write_large(noise(8 * MIB));
    let next = client.full("large");
    fixture.restores_to(&next, &fixture.sources.path().join("large/file"));
}

#[test]
fn a_backup_on_a_full_disk_fails_and_the_server_keeps_running() {
    let mut fixture = Fixture::new();
    let client = fixture.server.admin();
    client.full("small");
    fixture.server.allow_warning("the disk is full");
    fixture.disk.fill(0);
    fixture.assert_cannot_be_made("small");
    client.get("backups").with_status(200);
    fixture.server.restart();
    fixture.assert_cannot_be_made("small");
    let client = fixture.server.admin();
    fixture.disk.empty();
    client.full("small");
}

#[test]
fn a_restore_that_does_not_fit_fails_and_leaves_no_files() {
    let mut fixture = Fixture::new();
    fixture.write_large(repetition(2 * DISK_MIB * MIB));
    let client = fixture.server.admin();
    let made = client.full("large");
    let id = made["id"].as_str().unwrap();

    // By the command, to a folder on the small disk.
    let target = fixture.disk.path().join("restored");
    let arguments = ["restore", id, "--to", target.to_str().unwrap()];
    let output = fixture.server.run(&arguments);
    let stderr = stderr_of(&output);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("make room"), "does not say what to do: {stderr}");
    assert_eq!(names_in(fixture.disk.path()), ["data"]);

    // By the API, into a new instance.
    fixture.server.allow_warning("restoring into instance");
    let row = client.restore_into_instance(&made);
    assert_ne!(row["status"], "ACTIVE");
    assert!(row.to_string().contains("disk_full"), "{row:#}");
    assert!(fixture.disk.free_bytes() > 20 << 20, "the restore has left files");
    client.full("small");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "files of others that fill the disk")]
fn a_disk_that_takes_no_more_files_is_full_and_deletes_work() {
    let mut fixture = Fixture::with(Disk::for_files(DISK_MIB, 200), "3600", "1");
    fixture.server.allow_warning("the disk is full");
    fixture.server.allow_warning("is removed at once");
    let client = fixture.server.admin();
    let made = client.full("small");
    let filling: Vec<PathBuf> =
        (0..200).map(|number| fixture.disk.path().join(format!("empty-{number}"))).collect();
    let count = filling.iter().take_while(|it| std::fs::File::create(it).is_ok()).count();
    assert!(count < filling.len());
    let refused = client.create_backup("small", &json!({})).with_status(503).json();
    assert!(refused.to_string().contains("disk"), "{refused}");
    let health = wait_until("the health to say so", || {
        let health = client.get("/healthcheck").json();
        (health["status"] == "stopped").then_some(health)
    });
    assert!(health["notices"].to_string().contains("df -i"), "{health}");
    client.delete(&format!("backups/{}", made["id"].as_str().unwrap())).with_status(202);
    wait_until("the archive to be removed at once", || fixture.archives().is_empty().then_some(()));
    for path in filling.iter().take(count) {
        std::fs::remove_file(path).unwrap();
    }
    let accepted = wait_until("a backup to be accepted", || {
        let answer = client.create_backup("small", &json!({}));
        (answer.status == 202).then_some(answer)
    });
    client.completed(&accepted);
}

#[test]
fn without_headroom_a_delete_on_a_full_disk_frees_its_room_at_once() {
    let mut fixture = Fixture::with(Disk::mounted(DISK_MIB), "3600", "0");
    fixture.server.allow_warning("the disk is full");
    fixture.server.allow_warning("is removed at once");
    fixture.write_large(noise(14 * MIB));
    let client = fixture.server.admin();
    let large = client.full("large");
    fixture.disk.fill(0);
    client.delete(&format!("backups/{}", large["id"].as_str().unwrap())).with_status(202);
    wait_until("the space to be freed", || (fixture.disk.free_bytes() > 12 << 20).then_some(()));
}
