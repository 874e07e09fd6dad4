//! `SQLite` databases that cannot be backed up as they are: the failure says which file, why and what to do, and
//! after that the next backup succeeds.

use std::os::unix::fs::{FileExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::support::{PROJECT, SqliteShell, TestServer, UNPRIVILEGED, names_in, write_file};

/// A folder with a database of a few hundred kilobytes that everybody may read.
struct Source {
    folder: tempfile::TempDir,
    path: PathBuf,
}

impl Source {
    fn new(mode: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shop.db");
        let connection = Connection::open(&path).unwrap();
        connection
            .execute_batch(&format!(
                "PRAGMA journal_mode = {mode};
                 CREATE TABLE row(id INTEGER PRIMARY KEY, word TEXT, data BLOB);
                 CREATE INDEX by_word ON row(word);
                 WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400)
                 INSERT INTO row SELECT i, 'row ' || i, randomblob(700) FROM n;"
            ))
            .unwrap();
        drop(connection);
        let source = Self { folder, path };
        source.allow(0o755, 0o644);
        source
    }

    /// Gives the folder and every file in it these modes.
    fn allow(&self, folder: u32, files: u32) {
        // The folder must be open while its files change; its own mode comes last.
        let set = |path: &Path, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        set(self.folder.path(), 0o755);
        for name in names_in(self.folder.path()) {
            set(&self.folder.path().join(name), files);
        }
        set(self.folder.path(), folder);
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        PathBuf::from(format!("{}{suffix}", self.path.display()))
    }

    fn server(&self) -> TestServer {
        self.server_that(r#"path = "PATH""#, "quick", false)
    }

    fn unprivileged_server(&self) -> TestServer {
        self.server_that(r#"path = "PATH""#, "quick", true)
    }

    fn server_that(&self, source: &str, check: &str, unprivileged: bool) -> TestServer {
        let source = source.replace("PATH", self.path.to_str().unwrap());
        let builder = TestServer::builder()
            .instance_of("shop", "sqlite", &format!("{{ {source} }}"), check)
            .allow_warning(" failed: ");
        if unprivileged { builder.unprivileged().start() } else { builder.start() }
    }
}

/// The user the server of [`Source::unprivileged_server`] runs as.
fn server_user() -> u32 {
    let own = rustix::process::geteuid();
    if own.is_root() { UNPRIVILEGED } else { own.as_raw() }
}

/// The folder of the instance's archives.
fn archives_of(server: &TestServer) -> PathBuf {
    let instance = server.admin().instance_id("shop");
    server.data_dir().join("archives").join(PROJECT).join(instance)
}

#[track_caller]
fn assert_fails(server: &TestServer, code: &str, words: &[&str]) {
    let archives = || names_in(&archives_of(server));
    let before = archives();
    let (found, message) = server.admin().failed("shop");
    assert_eq!(found, code, "{message}");
    for word in words {
        assert!(message.contains(word), "no {word:?} in: {message}");
    }
    server.assert_tmp_is_empty();
    assert_eq!(archives(), before, "an archive was left");
}

#[track_caller]
fn assert_completes(server: &TestServer) -> PathBuf {
    let backup = server.admin().full("shop");
    server.restored(&backup)
}

fn count(path: &Path, what: &str) -> i64 {
    let connection = Connection::open(path).unwrap();
    connection.query_row(&format!("SELECT count(*) FROM {what}"), (), |row| row.get(0)).unwrap()
}

#[test]
fn an_exclusive_lock_fails_the_backup_after_the_configured_wait() {
    for (mode, lock) in [
        ("delete", "BEGIN EXCLUSIVE;"),
        ("wal", "PRAGMA locking_mode = EXCLUSIVE; UPDATE row SET word = 'x' WHERE id = 1;"),
    ] {
        let source = Source::new(mode);
        let server = source.server_that(r#"path = "PATH", lock_wait_s = 1"#, "quick", false);
        let mut holder = SqliteShell::open(&source.path);
        holder.run(lock);
        let asked = Instant::now();
        assert_fails(&server, "source_locked", &["shop.db", "locked for 1 s", "lock_wait_s"]);
        assert!(asked.elapsed() >= Duration::from_secs(1), "{mode}: it did not wait");
        holder.close();
        assert_eq!(count(&assert_completes(&server), "row"), 400);
    }
}

#[test]
fn a_file_that_is_not_a_database_is_refused() {
    let source = Source::new("delete");
    let server = source.server();
    for content in [&b"name = \"shop\"\n".repeat(1000)[..], b"no", b"SQLite format 3\0"] {
        write_file(&source.path, content);
        assert_fails(&server, "source_invalid", &["shop.db", "not a SQLite database"]);
    }
    std::fs::remove_file(&source.path).unwrap();
    std::fs::create_dir(&source.path).unwrap();
    assert_fails(&server, "source_invalid", &["shop.db", "is a folder", "directory"]);
    std::fs::remove_dir(&source.path).unwrap();
    let made = std::process::Command::new("mkfifo").arg(&source.path).status().unwrap();
    assert!(made.success());
    assert_fails(&server, "source_invalid", &["shop.db", "not a regular file"]);
}

#[test]
fn a_missing_database_is_reported_and_not_created() {
    let source = Source::new("wal");
    let elsewhere = source.folder.path().join("elsewhere");
    let move_to = |from: &Path, to: &Path| {
        #[expect(clippy::disallowed_methods, reason = "a test's own files need no durability")]
        std::fs::rename(from, to).unwrap();
    };
    move_to(&source.path, &elsewhere);
    let server = source.server();
    assert_fails(&server, "source_missing", &["shop.db", "does not exist", "source.path"]);
    assert_eq!(names_in(source.folder.path()), ["elsewhere"]);
    move_to(&elsewhere, &source.path);
    assert_completes(&server);
}

#[test]
fn an_unreadable_database_fails_with_the_command_that_helps() {
    for mode in ["wal", "delete"] {
        let source = Source::new(mode);
        source.allow(0o755, 0o000);
        let server = source.unprivileged_server();
        let help = format!("setfacl -m u:{}:r ", server_user());
        assert_fails(&server, "source_denied", &["shop.db", "may not be read", &help]);
        source.allow(0o755, 0o666);
        if mode == "delete" {
            assert_completes(&server);
        }
        source.allow(0o000, 0o666);
        let help = format!("setfacl -m u:{}:x ", server_user());
        assert_fails(&server, "source_denied", &["shop.db", "cannot be reached", &help]);
        source.allow(0o755, 0o644);
    }
}

#[test]
fn a_wal_database_with_an_unwritable_shm_fails_with_the_commands_that_help() {
    let source = Source::new("wal");
    let application = Connection::open(&source.path).unwrap();
    application.execute_batch("UPDATE row SET word = 'changed' WHERE id = 1").unwrap();
    assert!(source.beside("-shm").exists());
    let shared = |files| {
        let mode = std::fs::Permissions::from_mode(files);
        std::fs::set_permissions(source.beside("-shm"), mode).unwrap();
    };
    source.allow(0o555, 0o444);
    shared(0o000);
    let server = source.unprivileged_server();
    let folder = source.folder.path().display().to_string();
    let user = server_user();
    let lines = [
        "-shm".to_owned(),
        format!("`setfacl -m u:{user}:rwx,d:u:{user}:rw,d:u:"),
        format!("`chmod g+rwxs {folder}`"),
        format!("setfacl -m u:{user}:rw "),
        format!("`ReadWritePaths={folder}`"),
    ];
    assert_fails(&server, "source_denied", &lines.each_ref().map(String::as_str));
    source.allow(0o755, 0o666);
    assert_eq!(count(&assert_completes(&server), "row WHERE word = 'changed'"), 1);
    source.allow(0o755, 0o644);
    application.execute_batch("UPDATE row SET word = 'again' WHERE id = 1").unwrap();
}

#[test]
fn an_idle_wal_database_in_a_read_only_folder_fails_with_the_commands_that_help() {
    let source = Source::new("wal");
    source.allow(0o555, 0o444);
    let server = source.unprivileged_server();
    assert_fails(&server, "source_denied", &["-shm", "setfacl", "ReadWritePaths"]);
    source.allow(0o755, 0o644);
    assert_eq!(names_in(source.folder.path()), ["shop.db"]);
}

#[test]
fn a_backup_leaves_no_wal_files_that_the_application_cannot_write() {
    let source = Source::new("wal");
    let other_user = rustix::process::geteuid().is_root();
    let server = source.unprivileged_server();
    // Everybody may create files in the folder, first with a read-only database, then with a writable one; files
    // that the server creates would belong to the server.
    for files in [0o644, 0o666] {
        source.allow(0o777, files);
        if other_user {
            assert_fails(&server, "source_denied", &["lock its application out", "g+rwxs"]);
        } else {
            assert_completes(&server);
        }
        assert_eq!(names_in(source.folder.path()), ["shop.db"]);
    }
    // A group that both are in, and that owns new files.
    if other_user {
        chown(source.folder.path(), None, Some(UNPRIVILEGED)).unwrap();
        chown(&source.path, None, Some(UNPRIVILEGED)).unwrap();
        source.allow(0o2770, 0o660);
    }
    assert_completes(&server);
    assert_eq!(names_in(source.folder.path()), ["shop.db"]);
}

/// A writer that is killed within a transaction, with half of it in the file already.
fn crash_in_transaction(path: &Path) {
    let mut writer = SqliteShell::open(path);
    writer.run(
        "PRAGMA cache_size = 5; PRAGMA cache_spill = 5; BEGIN;
         UPDATE row SET data = zeroblob(700), word = 'half';",
    );
    writer.kill();
}

#[test]
fn an_unfinished_transaction_of_a_crashed_writer_is_rolled_back_first() {
    let source = Source::new("delete");
    let before = std::fs::read(&source.path).unwrap();
    crash_in_transaction(&source.path);
    assert!(source.beside("-journal").exists());
    assert!(std::fs::read(&source.path).unwrap() != before, "nothing was half done");
    let server = source.server();
    let restored = assert_completes(&server);
    assert_eq!(count(&restored, "row WHERE word = 'half'"), 0);
    assert!(std::fs::read(restored).unwrap() == before);
}

#[test]
fn an_unfinished_transaction_that_cannot_be_rolled_back_fails_the_backup() {
    let source = Source::new("delete");
    crash_in_transaction(&source.path);
    source.allow(0o555, 0o444);
    let server = source.unprivileged_server();
    assert_fails(
        &server,
        "source_denied",
        &["shop.db", "a transaction was interrupted", "setfacl"],
    );
    source.allow(0o755, 0o644);
    assert_eq!(count(&source.path, "row WHERE word = 'half'"), 0, "its application rolls it back");
    assert_eq!(count(&assert_completes(&server), "row WHERE word = 'half'"), 0);
}

#[test]
fn the_wal_of_a_crashed_writer_is_in_the_archive() {
    let source = Source::new("wal");
    let mut writer = SqliteShell::open(&source.path);
    writer.run("UPDATE row SET word = 'committed'; BEGIN; UPDATE row SET word = 'half';");
    writer.kill();
    assert!(source.beside("-wal").exists());
    let server = source.server();
    let restored = assert_completes(&server);
    assert_eq!(count(&restored, "row WHERE word = 'committed'"), 400);
}

/// Removes the index from the schema, adds rows, and puts the index back without them.
fn leave_rows_out_of_index(path: &Path) {
    let forget = "CREATE TABLE kept AS SELECT * FROM sqlite_schema WHERE name = 'by_word';
        PRAGMA writable_schema = ON; DELETE FROM sqlite_schema WHERE name = 'by_word';";
    let missed = "INSERT INTO row VALUES (1000, 'missed', NULL), (1001, 'missed too', NULL);";
    let remember = "PRAGMA writable_schema = ON; INSERT INTO sqlite_schema SELECT * FROM kept;";
    for sql in [forget, missed, remember] {
        Connection::open(path).unwrap().execute_batch(sql).unwrap();
    }
}

#[test]
fn a_full_check_finds_an_index_with_missing_rows() {
    for mode in ["wal", "delete"] {
        let source = Source::new(mode);
        leave_rows_out_of_index(&source.path);
        let server = source.server_that(r#"path = "PATH""#, "full", false);
        let words = ["shop.db", "integrity_check", "missing from index by_word"];
        assert_fails(&server, "source_damaged", &words);
        Connection::open(&source.path).unwrap().execute_batch("REINDEX").unwrap();
        assert_completes(&server);
    }
}

#[test]
fn the_quick_check_finds_an_overwritten_page() {
    for mode in ["wal", "delete"] {
        let source = Source::new(mode);
        let sound = std::fs::read(&source.path).unwrap();
        let file = std::fs::OpenOptions::new().write(true).open(&source.path).unwrap();
        file.write_all_at(&[0x5a; 4096], 4096 * 20).unwrap();
        let server = source.server();
        assert_fails(&server, "source_damaged", &["shop.db"]);
        // Cut short in the middle of a page, as by a full disk.
        file.write_all_at(&sound, 0).unwrap();
        file.set_len(4096 * 20 + 100).unwrap();
        assert_fails(&server, "source_damaged", &["shop.db"]);
        file.write_all_at(&sound, 0).unwrap();
        assert_completes(&server);
    }
}
