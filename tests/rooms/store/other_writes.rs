//! Another program that writes to the catalog is noticed, and what only looks like that is not.

use coffer::store::{Purpose, Store, StoreError};
use rusqlite::Connection;
use tempfile::TempDir;

fn put(store: &Store, project: &'static str) {
    let container = "c".parse().unwrap();
    let write = store.write::<_, StoreError>(
        Purpose::NewWork,
        move |db| db.put_strategy(&project.parse().unwrap(), None, &container),
        |()| {},
    );
    write.wait().unwrap();
}

#[test]
fn a_commit_of_another_program_is_noticed_and_none_of_coffer_is() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("catalog.db");
    let store = Store::open(&path).unwrap();
    put(&store, "a");
    assert!(!store.was_written_by_others());
    put(&store, "b");
    assert!(!store.was_written_by_others());
    // A command beside the server.
    let command = Store::open(&path).unwrap();
    put(&command, "c");
    put(&store, "d");
    assert!(!store.was_written_by_others());
    command.close();
    // A program that reads, and empties the log, which begins from its start then.
    let other = Connection::open(&path).unwrap();
    let empty_log = || {
        let busy = other.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |it| it.get::<_, i64>(0));
        assert_eq!(busy.unwrap(), 0);
    };
    empty_log();
    assert!(!store.was_written_by_others());
    put(&store, "e");
    put(&store, "f");
    assert!(!store.was_written_by_others());
    empty_log();
    put(&store, "g");
    assert!(!store.was_written_by_others());
    other.execute("DELETE FROM strategies", []).unwrap();
    put(&store, "h");
    assert!(store.was_written_by_others());
}
