//! Power cuts while an encrypted backup is published, on a machine that cannot read it.

use coffer::encryption::NewIdentity;
use rstest::rstest;
use serde_json::json;

use super::{Fixture, change, content, make_database};
use crate::support::{TestServer, files_below, write_file};

fn encrypted() -> (Fixture, std::path::PathBuf) {
    let (folder, key) = (tempfile::tempdir().unwrap(), NewIdentity::generate());
    let (database, file) = (folder.path().join("source.db"), folder.path().join("key"));
    make_database(&database);
    write_file(&file, key.secret());
    let server = TestServer::builder()
        .instance_sqlite("shop", &database)
        .toml(&format!("[encryption]\nrecipients = [\"{}\"]\napplies_to = \"both\"", key.public()))
        .setting("storage.trash_window_s", "0")
        .allow_warning("was never tried")
        .start();
    (Fixture { server, database, _folder: folder }, file)
}

#[rstest]
#[case::about_to_be_named("publish-before-rename", false)]
#[case::named("publish-after-rename", true)]
#[case::about_to_be_completed("before-complete", true)]
fn an_encrypted_backup_that_is_cut_short_is_failed_or_adopted_without_its_key(
    #[case] place: &str,
    #[case] adopted: bool,
    #[values(0, 1)] incremental: u8,
) {
    let (mut fixture, key) = encrypted();
    fixture.make("first", 0);
    let first = content(&fixture.database);
    change(&fixture.database, " changed");
    let second = content(&fixture.database);
    fixture.set_failpoint(place);
    let instance = fixture.client().instance_id("shop");
    let body = json!({"backup": {
        "name": "cut", "instance": instance, "incremental": incremental,
    }});
    fixture.crash_by("POST", "backups", Some(&body));

    let cut = fixture.backups().into_iter().find(|row| row["name"] == "cut").unwrap();
    assert_eq!(cut["status"], if adopted { "COMPLETED" } else { "FAILED" }, "{cut}");
    // What is kept beside an archive is there with it, and only with it.
    let files = files_below(&fixture.server.data_dir().join("archives"));
    let count =
        |ending: &str| files.iter().filter(|it| it.to_str().unwrap().ends_with(ending)).count();
    assert_eq!(
        (count(".age"), count(".index")),
        (1 + usize::from(adopted), 1 + usize::from(adopted))
    );

    let next = fixture.make("next", 1);
    assert_eq!(next["kind"], "incremental", "{next:#}");
    fixture.server.assert_tmp_is_empty();
    for backup in fixture.backups().iter().filter(|it| it["status"] == "COMPLETED") {
        let (id, name) = (backup["id"].as_str().unwrap(), backup["name"].as_str().unwrap());
        let target = fixture.server.folder().join(format!("{id}.db"));
        let (to, key) = (target.to_str().unwrap(), key.to_str().unwrap());
        fixture.server.run_ok(&["restore", id, "--to", to, "--identity", key]);
        let expected = if name == "first" { &first } else { &second };
        assert!(content(&target) == *expected, "backup {name}");
    }
}
