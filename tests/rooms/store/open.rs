//! Opening, shared commits, closing.

use std::fs::{self, Permissions};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Sender as Gate, channel};
use std::time::{Duration, Instant};

use coffer::domain::{BackupId, ContainerName, ProjectId, Timestamp};
use coffer::store::{Purpose, Records, Reply, Store, StoreError};
use rstest::rstest;
use rusqlite::Connection;
use tempfile::TempDir;

fn folder() -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("catalog.db");
    (folder, path)
}

fn project() -> ProjectId {
    "a".parse().unwrap()
}

fn container(text: &str) -> ContainerName {
    text.parse().unwrap()
}

fn put(store: &Store, project: &str) -> Reply<(), StoreError> {
    let project: ProjectId = project.parse().unwrap();
    store.write(
        Purpose::NewWork,
        move |db| db.put_strategy(&project, None, &container("c")),
        |()| {},
    )
}

fn is_there(store: &Store, project: &str) -> bool {
    let project: ProjectId = project.parse().unwrap();
    store.read(|db| db.strategy(&project, None)).unwrap().is_some()
}

/// Keeps the writer busy until the sender is dropped, so that what comes next waits together.
fn block_writer(store: &Store) -> (Gate<()>, Reply<(), StoreError>) {
    let (go, gate) = channel::<()>();
    let (started, running) = channel();
    let answer = store.write(
        Purpose::Record,
        move |_db| {
            started.send(()).unwrap();
            assert!(gate.recv().is_err());
            Ok::<_, StoreError>(())
        },
        |()| {},
    );
    running.recv().unwrap();
    (go, answer)
}

#[test]
fn a_new_catalog_and_its_log_are_readable_by_their_owner_only() {
    let (folder, path) = folder();
    let store = Store::open(&path).unwrap();
    put(&store, "a").wait().unwrap();
    for file in fs::read_dir(folder.path()).unwrap() {
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().mode() & 0o777, 0o600, "{:?}", file.path());
    }
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn an_answered_write_is_there_after_reopening() {
    let (_folder, path) = folder();
    let store = Store::open(&path).unwrap();
    put(&store, "a").wait().unwrap();
    store.close();
    let log = path.with_extension("db-wal");
    assert!(fs::metadata(log).map_or(0, |it| it.len()) == 0);
    assert!(matches!(put(&store, "b").wait(), Err(StoreError::Closed)));
    drop(store);
    let store = Store::open(&path).unwrap();
    assert!(is_there(&store, "a") && !is_there(&store, "b"));
}

#[test]
fn closing_commits_the_writes_that_wait() {
    let (_folder, path) = folder();
    let store = Store::open(&path).unwrap();
    let (go, first) = block_writer(&store);
    let waiting: Vec<_> = (0..200).map(|at| put(&store, &format!("p{at}"))).collect();
    drop(go);
    store.close();
    first.wait().unwrap();
    for answer in waiting {
        answer.wait().unwrap();
    }
    assert!(is_there(&Store::open(&path).unwrap(), "p199"));
}

#[test]
fn a_write_that_fails_or_panics_takes_back_its_own_changes_only() {
    let (_folder, path) = folder();
    let store = Store::open(&path).unwrap();
    let (go, first) = block_writer(&store);
    let before = put(&store, "before");
    let fails = store.write(
        Purpose::Record,
        |db| {
            db.put_strategy(&"fails".parse().unwrap(), None, &container("c"))?;
            Err::<(), _>(StoreError::Closed)
        },
        |()| panic!("nothing follows a failure"),
    );
    let panics = store.write(
        Purpose::Record,
        |db| -> Result<(), StoreError> {
            db.put_strategy(&"panics".parse().unwrap(), None, &container("c"))?;
            panic!("on purpose")
        },
        |()| {},
    );
    let after = put(&store, "after");
    drop(go);
    first.wait().unwrap();
    before.wait().unwrap();
    assert!(matches!(fails.wait(), Err(StoreError::Closed)));
    assert!(matches!(panics.wait(), Err(StoreError::Panicked)));
    after.wait().unwrap();
    let kept = |name| is_there(&store, name);
    assert_eq!(["before", "fails", "panics", "after"].map(kept), [true, false, false, true]);
}

#[test]
fn what_follows_a_commit_happens_even_if_the_answer_is_dropped() {
    let (_folder, path) = folder();
    let store = Store::open(&path).unwrap();
    let (sender, receiver) = channel();
    let write = |db: Records<'_>| db.put_strategy(&project(), None, &container("c"));
    drop(store.write::<(), StoreError>(Purpose::Record, write, move |()| sender.send(()).unwrap()));
    receiver.recv().unwrap();
    assert!(is_there(&store, "a"));
}

#[test]
fn two_programs_write_the_same_catalog_in_turns() {
    let (_folder, path) = folder();
    let server = Arc::new(Store::open(&path).unwrap());
    let command = Store::open(&path).unwrap();
    let other = Arc::clone(&server);
    let busy = std::thread::spawn(move || {
        for at in 0..50 {
            put(&other, &format!("server{at}")).wait().unwrap();
        }
    });
    for at in 0..50 {
        put(&command, &format!("command{at}")).wait().unwrap();
    }
    busy.join().unwrap();
    assert!(is_there(&server, "command49") && is_there(&command, "server49"));
}

#[test]
fn a_command_beside_a_running_server_does_not_wait_for_it_when_it_ends() {
    let (_folder, path) = folder();
    let server = Store::open(&path).unwrap();
    put(&server, "a").wait().unwrap();
    let command = Store::open(&path).unwrap();
    put(&command, "b").wait().unwrap();
    let began = Instant::now();
    command.close();
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert!(is_there(&server, "b"));
}

#[test]
fn a_read_cannot_write() {
    let (_folder, path) = folder();
    let store = Store::open(&path).unwrap();
    let write = |db: Records<'_>| db.put_strategy(&project(), None, &container("c"));
    assert!(store.read(write).is_err());
}

#[test]
fn a_file_that_is_no_catalog_is_refused_with_advice_and_not_changed() {
    let (_folder, path) = folder();
    for content in
        ["not a database at all, but long enough to have a header".repeat(20), "x".into()]
    {
        #[expect(clippy::disallowed_methods, reason = "a test makes a broken file")]
        fs::write(&path, &content).unwrap();
        let error = Store::open(&path).unwrap_err();
        assert!(matches!(error, StoreError::NotACatalog { .. }), "{error}");
        assert!(error.to_string().contains("coffer catalog rebuild"));
        assert_eq!(fs::read_to_string(&path).unwrap(), content);
    }
}

#[test]
fn a_damaged_catalog_is_refused_with_advice() {
    let (_folder, path) = folder();
    let store = Store::open(&path).unwrap();
    let many: Vec<_> = (0..500).map(|at| put(&store, &format!("project-{at}"))).collect();
    for answer in many {
        answer.wait().unwrap();
    }
    drop(store);
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..].fill(0x5a);
    #[expect(clippy::disallowed_methods, reason = "a test makes a broken file")]
    fs::write(&path, bytes).unwrap();
    let error = Store::open(&path).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    assert!(error.to_string().contains("coffer catalog rebuild"));
}

/// As a crash leaves it: with a log. `put` makes the rows while the store is open.
fn copy_while_open(path: &Path, to: &Path) {
    for end in ["", "-wal"] {
        let with_end = |path: &Path| PathBuf::from(format!("{}{end}", path.display()));
        fs::copy(with_end(path), with_end(to)).unwrap();
    }
}

#[test]
fn a_log_that_belongs_to_another_state_of_the_catalog_is_refused_and_nothing_is_changed() {
    let (folder, path) = folder();
    let crashed = ["early.db", "late.db"].map(|name| folder.path().join(name));
    for (project, to) in [("first", 0), ("second", 1), ("third", 1)] {
        // Closed in order, everything is in the file itself.
        let store = Store::open(&path).unwrap();
        put(&store, project).wait().unwrap();
        put(&store, &format!("{project}-more")).wait().unwrap();
        copy_while_open(&path, &crashed[to]);
        drop(store);
    }
    let mixed = folder.path().join("mixed.db");
    let log = folder.path().join("mixed.db-wal");
    for (file, other) in [(0, 1), (1, 0)] {
        let other_log = format!("{}-wal", crashed[other].display());
        fs::copy(&crashed[file], &mixed).unwrap();
        fs::copy(&other_log, &log).unwrap();
        let error = Store::open(&mixed).unwrap_err();
        assert!(matches!(&error, StoreError::OtherLog { .. }), "{error}");
        assert!(error.to_string().contains("away together"), "{error}");
        assert_eq!(fs::read(&mixed).unwrap(), fs::read(&crashed[file]).unwrap());
        assert_eq!(fs::read(&log).unwrap(), fs::read(&other_log).unwrap());
    }
    for (state, rows) in crashed.iter().zip([[true, false], [true, true]]) {
        let store = Store::open(state).unwrap();
        assert_eq!(["first-more", "third-more"].map(|it| is_there(&store, it)), rows);
    }
}

/// A pipe would be waited for, and SQLite empties a log that it finds no use for.
#[rstest]
fn files_beside_the_catalog_that_are_not_its_own_are_refused_and_left_as_they_are(
    #[values("-journal", "-wal", "-shm")] end: &str,
    #[values(false, true)] is_pipe: bool,
) {
    let (folder, path) = folder();
    drop(Store::open(&path).unwrap());
    let beside = PathBuf::from(format!("{}{end}", path.display()));
    fs::remove_file(&beside).unwrap_or_default();
    let precious = folder.path().join("precious");
    fs::copy(&path, &precious).unwrap();
    let before = fs::read(&precious).unwrap();
    if is_pipe {
        let pipe = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, &beside, pipe, 0o600.into(), 0).unwrap();
    } else {
        fs::hard_link(&precious, &beside).unwrap();
    }
    let error = Store::open(&path).unwrap_err();
    assert!(matches!(&error, StoreError::Foreign { .. }), "{error}");
    assert_eq!(fs::read(&precious).unwrap(), before);
}

#[test]
fn a_log_of_another_catalog_is_refused() {
    let (folder, path) = folder();
    let other = folder.path().join("other.db");
    for (path, project) in [(&path, "a"), (&other, "b")] {
        let store = Store::open(path).unwrap();
        put(&store, project).wait().unwrap();
        copy_while_open(path, &folder.path().join(project));
    }
    fs::copy(folder.path().join("b-wal"), folder.path().join("a-wal")).unwrap();
    let error = Store::open(&folder.path().join("a")).unwrap_err();
    assert!(matches!(&error, StoreError::OtherLog { .. }), "{error}");
}

#[test]
fn an_empty_file_that_a_crash_left_becomes_a_catalog() {
    let (_folder, path) = folder();
    #[expect(clippy::disallowed_methods, reason = "a test makes an empty file")]
    fs::write(&path, "").unwrap();
    put(&Store::open(&path).unwrap(), "a").wait().unwrap();
}

#[test]
fn a_completed_row_without_an_archive_is_impossible() {
    let (_folder, path) = folder();
    let store = Store::open(&path).unwrap();
    let db = Connection::open(&path).unwrap();
    let insert = |columns: &str, values: &str| {
        db.execute_batch(&format!(
            "INSERT INTO backups (id, project, name, task, kind, status, engine, version, created,
             updated{columns}) VALUES ('{}', 'a', 'n', 'backup', {values})",
            BackupId::generate()
        ))
    };
    assert!(insert("", "'full', 'COMPLETED', 'sqlite', '3', 1, 1").is_err());
    assert!(insert("", "'full', 'DONE', 'sqlite', '3', 1, 1").is_err());
    assert!(insert("", "'incremental', 'NEW', 'sqlite', '3', 1, 1").is_err());
    assert!(insert("", "'full', 'FAILED', 'sqlite', '3', 1, 1").is_err());
    assert!(insert(", removal", "'full', 'NEW', 'sqlite', '3', 1, 1, 'asked'").is_err());
    assert!(insert("", "'full', 'NEW', 'sqlite', '3', 1, 1").is_ok());
    let last = store
        .read(|db| {
            db.last_created(Timestamp::from_micros(i64::MAX)).map(|it| it.map(Timestamp::as_micros))
        })
        .unwrap();
    assert_eq!(last, Some(1));
}

/// Adds this many rows, and overwrites the middle of a page of theirs that no query of these tests reads.
fn damage_an_index(path: &Path, rows: u32) {
    let db = Connection::open(path).unwrap();
    db.execute_batch(&format!(
        "PRAGMA journal_mode = DELETE;
         INSERT INTO quotas SELECT printf('p%08d', value), 'backups', 1 FROM
             (WITH RECURSIVE n (value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n
              WHERE value < {rows}) SELECT value FROM n);"
    ))
    .unwrap();
    let page: u64 = db
        .query_row(
            "SELECT pageno FROM dbstat WHERE name = 'quotas' AND pagetype = 'leaf' LIMIT 1 OFFSET 9",
            [],
            |row| row.get::<_, i64>(0).map(|it| u64::try_from(it).unwrap()),
        )
        .unwrap();
    db.close().unwrap();
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.write_all_at(&[0xff; 512], (page - 1) * 4096).unwrap();
}

/// A catalog with such damage.
fn damaged(rows: u32) -> (TempDir, PathBuf) {
    let (folder, path) = folder();
    put(&Store::open(&path).unwrap(), "a").wait().unwrap();
    damage_an_index(&path, rows);
    (folder, path)
}

#[test]
fn damage_that_no_query_would_meet_is_found_when_the_catalog_is_opened() {
    let (_folder, path) = damaged(5_000);
    assert!(matches!(Store::open(&path), Err(StoreError::Damaged { .. })));
}

#[test]
fn damage_of_a_large_catalog_is_found_while_it_is_used_and_then_everything_is_refused() {
    let (_folder, path) = damaged(500_000);
    assert!(path.metadata().unwrap().len() > 8 << 20);
    let large = Store::open(&path).unwrap();
    let began = Instant::now();
    let refused = loop {
        match large.read(|db| db.strategy(&project(), None)) {
            Err(error) => break error,
            Ok(_) if began.elapsed() > Duration::from_secs(60) => panic!("it is never found"),
            Ok(_) => std::thread::yield_now(),
        }
    };
    assert!(matches!(refused, StoreError::Damaged { .. }), "{refused}");
    assert!(matches!(put(&large, "b").wait(), Err(StoreError::Damaged { .. })));
}

/// How many connections to it are open. Each opens the log, and closes it when it ends.
fn connections_to(path: &Path) -> usize {
    let log = path.canonicalize().unwrap().with_file_name("catalog.db-wal");
    let descriptors = fs::read_dir("/proc/self/fd").unwrap();
    let all = descriptors.filter_map(|it| fs::read_link(it.unwrap().path()).ok());
    all.filter(|it| *it == log).count()
}

#[test]
fn reads_one_after_the_other_share_a_connection() {
    let (_folder, path) = folder();
    let store = Store::open(&path).unwrap();
    put(&store, "b").wait().unwrap();
    let others = connections_to(&path);
    for _read in 0..100 {
        assert!(!is_there(&store, "a"));
    }
    assert_eq!(connections_to(&path), others + 1);
}

#[test]
fn connections_of_a_crowd_end_with_it() {
    fn read_at_once(store: &Store, times: usize, most: &dyn Fn()) {
        if times == 0 {
            return most();
        }
        let read = |_db: Records<'_>| {
            read_at_once(store, times - 1, most);
            Ok::<_, StoreError>(())
        };
        store.read(read).unwrap();
    }

    let (_folder, path) = folder();
    let store = Store::open(&path).unwrap();
    put(&store, "a").wait().unwrap();
    let others = connections_to(&path);
    read_at_once(&store, 8, &|| assert_eq!(connections_to(&path), others + 8));
    assert_eq!(connections_to(&path), others + 4);
}
