//! Copies, removals of copies, and archives that leave the data directory, cut short.

use std::path::Path;

use rstest::rstest;
use rusqlite::Connection;
use serde_json::json;
use tempfile::TempDir;

use super::support::{TestServer, archive_of, files_below, id_of, names_in, wait_until};
use super::{Fixture, change, content, make_database};

impl Fixture {
    /// One whose backups are copied to a folder, with more in the configuration of that.
    fn copied_to(place: &Path, keep: &str, more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("source.db");
        make_database(&database);
        let path = place.display();
        let server = TestServer::builder()
            .instance_sqlite("shop", &database)
            .toml(&format!("copies = [\"nas\"]\n{keep}"))
            .toml(&format!(
                "[[places]]\nname = \"nas\"\ntype = \"disk\"\npath = \"{path}\"\nsame_disk = true\n{more}"
            ))
            .setting("storage.trash_window_s", "0")
            .start();
        Self { server, database, _folder: folder }
    }

    fn rows(&self, sql: &str) -> i64 {
        let db = Connection::open(self.server.data_dir().join("catalog.db")).unwrap();
        db.query_row(sql, [], |row| row.get(0)).unwrap()
    }
}

fn assert_tidy(place: &TempDir) {
    assert_eq!(names_in(&place.path().join("tmp")), [""; 0], "no upload is left over");
}

#[rstest]
#[case::begun("copy-after-begin")]
#[case::sent("copy-after-part")]
#[case::committed("copy-after-commit")]
#[case::about_to_be_proven("copy-before-proof")]
#[case::about_to_be_written_down("copy-before-settle")]
fn a_copy_that_is_cut_short_is_made_once_and_proven_after_the_next_start(#[case] point: &str) {
    let place = tempfile::tempdir().unwrap();
    let mut fixture = Fixture::copied_to(place.path(), "", "");
    fixture.make("first", 0);
    let proven = "SELECT count(*) FROM copies WHERE state = 'proven'";
    wait_until("the first copy", || (fixture.rows(proven) == 1).then_some(()));
    let one = content(&fixture.database);
    change(&fixture.database, " changed");
    let two = content(&fixture.database);
    fixture.set_failpoint(point);
    let instance = fixture.client().instance_id("shop");
    let body = json!({"backup": {"name": "cut", "instance": instance, "incremental": 1}});
    fixture.crash_by("POST", "backups", Some(&body));
    wait_until("the copies", || (fixture.rows(proven) == 2).then_some(()));
    for backup in fixture.backups() {
        let archive = archive_of(&backup);
        let below = archive.strip_prefix(fixture.server.data_dir()).unwrap();
        let copy = std::fs::read(place.path().join(below)).unwrap();
        assert!(copy == std::fs::read(&archive).unwrap(), "{} differs", id_of(&backup));
    }
    assert_eq!(files_below(&place.path().join("archives")).len(), 2);
    assert_tidy(&place);
    fixture.assert_in_order(&[("first".into(), one), ("cut".into(), two)]);
}

#[rstest]
#[case::about_to_be_removed("copy-before-remove")]
#[case::removed("copy-removed")]
fn a_removal_of_a_copy_that_is_cut_short_is_finished_after_the_next_start(#[case] point: &str) {
    let place = tempfile::tempdir().unwrap();
    let mut fixture = Fixture::copied_to(place.path(), "", "");
    let first = fixture.make("first", 0);
    let kept = content(&fixture.database);
    fixture.make("kept", 0);
    let proven = "SELECT count(*) FROM copies WHERE state = 'proven'";
    wait_until("the copies", || (fixture.rows(proven) == 2).then_some(()));
    fixture.set_failpoint(point);
    fixture.crash_by("DELETE", &format!("backups/{}", id_of(&first)), None);
    wait_until("the copy to be removed and forgotten", || {
        let left = files_below(&place.path().join("archives")).len();
        (left == 1 && fixture.rows("SELECT count(*) FROM copies") == 1).then_some(())
    });
    assert_tidy(&place);
    fixture.assert_in_order(&[("kept".into(), kept)]);
}

#[rstest]
#[case::about_to_leave("leaving-before-remove")]
#[case::gone("leaving-before-settle")]
fn an_archive_that_leaves_the_data_directory_is_never_nowhere(#[case] point: &str) {
    let place = tempfile::tempdir().unwrap();
    let keep = "keep = { last = 1 }";
    let mut fixture = Fixture::copied_to(place.path(), keep, "keep = { last = 9 }");
    fixture.make("first", 0);
    let one = content(&fixture.database);
    let proven = "SELECT count(*) FROM copies WHERE state = 'proven'";
    wait_until("the first copy", || (fixture.rows(proven) == 1).then_some(()));
    change(&fixture.database, " changed");
    let two = content(&fixture.database);
    fixture.set_failpoint(point);
    let instance = fixture.client().instance_id("shop");
    let body = json!({"backup": {"name": "second", "instance": instance, "incremental": 0}});
    fixture.crash_by("POST", "backups", Some(&body));
    wait_until("the first archive to leave", || {
        let here = fixture.rows("SELECT count(*) FROM backups WHERE here = 'no'");
        let files = files_below(&fixture.server.data_dir().join("archives")).len();
        (here == 1 && files == 1).then_some(())
    });
    wait_until("the copy of the second", || (fixture.rows(proven) == 2).then_some(()));
    assert_eq!(files_below(&place.path().join("archives")).len(), 2);
    // The one that left is restored from its copy.
    fixture.assert_in_order(&[("first".into(), one), ("second".into(), two)]);
}
