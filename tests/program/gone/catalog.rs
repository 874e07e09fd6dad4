//! The catalog.

use std::os::unix::fs::FileExt as _;

use rstest::rstest;
use serde_json::{Value, json};

use super::{Fixture, copy_catalog, move_folder, without_times};
use crate::support::{Builder, Client, archive_of, id_of, stderr_of, wait_until};

#[test]
fn a_server_without_a_catalog_rebuilds_it_from_the_archives_and_says_so() {
    let mut fixture = Fixture::with(Builder::no_tokens);
    let client = fixture.client();
    let full = client.full("shop");
    let restored = client.restored_instance(&full);
    client.ask_for_drill(id_of(&full));
    client.drilled(id_of(&full));
    fixture.change();
    client.incremental("shop");
    let rows = without_times(client.all("backups", "backups"));
    let instances = |client: &Client| {
        let keys = ["id", "name", "status", "restored_from", "restored_to", "volume", "datastore"];
        let rows = client.all("instances", "instances");
        let shown = |row: &Value| keys.map(|key| row[key].clone());
        rows.iter().map(shown).collect::<Vec<_>>()
    };
    let before = instances(&client);
    let drilled = client.backup(id_of(&full))["drill"].take();
    fixture.server.terminate();
    fixture.server.remove_catalog();
    let doctor = fixture.server.run(&["doctor"]);
    let text = String::from_utf8_lossy(&doctor.stdout).into_owned() + &stderr_of(&doctor);
    assert!(text.contains("does not exist, but 2 archives do"), "{text}");
    fixture.server.restart();

    // With the admin's token of before.
    let client = fixture.client();
    assert_eq!(without_times(client.all("backups", "backups")), rows);
    assert_eq!(instances(&client), before);
    assert!(restored.exists());
    assert_eq!(client.backup(id_of(&full))["drill"], drilled);
    let notices = fixture.notices();
    for words in ["was lost and is rebuilt: 2 backups from 2 archives, and 1 restored", "quotas"] {
        assert!(notices.contains(words), "{notices}");
    }
    assert!(fixture.server.log().text().contains("the catalog was lost and is rebuilt"));
    fixture.change();
    assert_eq!(client.incremental("shop")["parent_id"], rows[0]["id"]);
    fixture.server.restart();
    assert_eq!(fixture.notices(), "[]");
}

#[test]
fn damage_that_a_drill_found_is_known_to_a_rebuilt_catalog() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("bad.db");
    super::run_sql(
        &database,
        "CREATE TABLE row(word); CREATE INDEX by_word ON row(word);
         INSERT INTO row VALUES ('first')",
    );
    crate::support::damage_index(&database, "by_word");
    let source = format!("{{ path = {database:?} }}");
    let mut fixture = Fixture::with(|builder| {
        builder.instance_of("bad", "sqlite", &source, "off").allow_warning("nothing is built on it")
    });
    let client = fixture.client();
    let made = client.full("bad");
    client.ask_for_drill(id_of(&made));
    let before = client.drilled(id_of(&made));
    assert_eq!(before["drill"]["status"], "damaged");
    fixture.server.terminate();
    fixture.server.remove_catalog();
    fixture.server.restart();
    let after = fixture.client().backup(id_of(&made));
    assert_eq!((&after["drill"], &after["failure"]), (&before["drill"], &before["failure"]));
    assert_eq!(fixture.client().incremental("bad")["kind"], "full");
}

#[test]
fn an_undeleted_backup_keeps_the_proof_beside_its_archive() {
    let mut fixture = Fixture::new();
    let client = fixture.client();
    let full = client.full("shop");
    client.ask_for_drill(id_of(&full));
    let drilled = client.drilled(id_of(&full))["drill"].take();
    client.delete(&format!("backups/{}", id_of(&full))).with_status(202);
    client.wait_until_gone(id_of(&full));
    assert!(!archive_of(&full).with_extension("zst.proof").exists());
    fixture.server.run_ok(&["undelete", id_of(&full)]);
    fixture.server.terminate();
    fixture.server.remove_catalog();
    fixture.server.restart();
    assert_eq!(fixture.client().backup(id_of(&full))["drill"], drilled);
}

#[rstest]
fn a_catalog_that_is_removed_or_replaced_under_a_running_server_takes_no_new_work(
    #[values(false, true)] replaced: bool,
) {
    let fixture = Fixture::with(|builder| builder.allow_warning("was removed or replaced"));
    let client = fixture.client();
    let full = client.full("shop");
    move_folder(&fixture.path("catalog.db"), &fixture.path("elsewhere"));
    if replaced {
        // In its place SQLite itself would remove the log that it takes for a stale one.
        super::run_sql(&fixture.path("other"), "CREATE TABLE other(x)");
        move_folder(&fixture.path("other"), &fixture.path("catalog.db"));
    }
    fixture.wait_for_notice("was removed or replaced");
    let doctor = fixture.server.run(&["doctor"]);
    let text = String::from_utf8_lossy(&doctor.stdout);
    assert!(text.contains("begins no backup") && text.contains("stop Coffer"), "{text}");
    assert_eq!(doctor.status.code(), Some(1));
    let instance = client.instance_id("shop");
    let body = json!({"backup": {"name": "no", "instance": instance}});
    let (_fault, why) = client.post("backups", &body).fault(503);
    assert!(why.contains("was removed or replaced") && why.contains("coffer doctor"), "{why}");
    assert!(
        !why.contains("catalog.db") && !why.contains('/'),
        "paths are for administrators: {why}"
    );
    let listed = wait_until("a connection for the list", || {
        let answer = client.get("backups");
        (answer.status == 200).then(|| answer.json())
    });
    assert_eq!(listed["backups"].as_array().map(Vec::len), Some(1));
    if replaced {
        std::fs::remove_file(fixture.path("catalog.db")).unwrap();
    }
    move_folder(&fixture.path("elsewhere"), &fixture.path("catalog.db"));
    fixture.wait_for_no_notice("was removed or replaced");
    // The server tries to open connections again only now and then.
    wait_until("a connection to the catalog", || {
        (client.get("backups").status == 200).then_some(())
    });
    assert_eq!(client.incremental("shop")["parent_id"], full["id"]);
}

#[rstest]
fn no_backup_is_accepted_once_the_catalog_is_gone(#[values(false, true)] replaced: bool) {
    let fixture = Fixture::with(|builder| builder.allow_warning("was removed or replaced"));
    let client = fixture.client();
    client.full("shop");
    let body = json!({"backup": {"name": "no", "instance": client.instance_id("shop")}});
    move_folder(&fixture.path("catalog.db"), &fixture.path("elsewhere"));
    if replaced {
        super::run_sql(&fixture.path("catalog.db"), "CREATE TABLE other(x)");
    }
    client.post("backups", &body).fault(503);
}

/// What is written over a catalog without making it shorter or another file.
#[derive(Debug, Clone, Copy)]
enum WrittenOver {
    FirstPage,
    EveryPage,
    OtherPages,
    OlderCatalog,
    OtherCatalog,
}

#[rstest]
#[case::first_page(WrittenOver::FirstPage, "something else was written over it")]
#[case::every_page(WrittenOver::EveryPage, "the catalog is damaged")]
#[case::other_pages(WrittenOver::OtherPages, "the catalog is damaged")]
#[case::older(WrittenOver::OlderCatalog, "an older one was written over it")]
#[case::other(WrittenOver::OtherCatalog, "another catalog was written over it")]
fn a_catalog_that_is_written_over_under_a_running_server_takes_no_new_work(
    #[case] what: WrittenOver,
    #[case] notice: &str,
) {
    let mut fixture = Fixture::with(|builder| {
        [
            "removed or replaced",
            "malformed",
            "is damaged",
            "health check failed",
            "not remembered",
            "not a database",
            "cannot claim",
        ]
        .into_iter()
        .fold(builder, Builder::allow_warning)
    });
    // Stopped in order, a server leaves everything in the file itself.
    fixture.server.terminate();
    let catalog = fixture.path("catalog.db");
    let older = std::fs::read(&catalog).unwrap();
    fixture.server.restart();
    let rows = vec![fixture.client().full("shop")];
    fixture.server.restart();
    let client = fixture.client();
    let body = json!({"backup": {"name": "no", "instance": client.instance_id("shop")}});
    let noise = vec![0x5a; usize::try_from(catalog.metadata().unwrap().len()).unwrap()];
    let file = std::fs::File::options().write(true).open(&catalog).unwrap();
    match what {
        WrittenOver::FirstPage => file.write_all_at(&noise[..4096], 0).unwrap(),
        WrittenOver::EveryPage => file.write_all_at(&noise, 0).unwrap(),
        WrittenOver::OtherPages => file.write_all_at(&noise[4096..], 4096).unwrap(),
        WrittenOver::OlderCatalog => file.write_all_at(&older, 0).unwrap(),
        WrittenOver::OtherCatalog => {
            let other = fixture.path("other.db");
            drop(coffer::store::Store::open(&other).unwrap());
            file.write_all_at(&std::fs::read(other).unwrap(), 0).unwrap();
        }
    }
    if matches!(what, WrittenOver::OlderCatalog | WrittenOver::OtherCatalog) {
        // SQLite itself would read and write it without a word.
        client.post("backups", &body).fault(503);
    }
    let log = fixture.server.log();
    // Of every page, which of the two is found first is left to chance.
    let is_noticed = |text: &str| text.contains(notice) || text.contains("was written over it");
    wait_until("the line of the log", || is_noticed(&log.text()).then_some(()));
    client.post("backups", &body).fault(503);
    wait_until("the health check to say so", || {
        let health = fixture.server.anonymous().get("/healthcheck");
        if health.status == 503 {
            let (_fault, why) = health.fault(503);
            assert!(why.contains("catalog is damaged"), "{why}");
            return Some(());
        }
        (health.json()["status"] == "stopped").then_some(())
    });
    fixture.server.kill();
    fixture.server.remove_catalog();
    fixture.server.restart();
    let listed: Vec<Value> = fixture.client().all("backups", "backups");
    assert_eq!(without_times(listed), without_times(rows));
}

/// With a tool of SQLite's own, which writes through the log, or with `cp` while the log is empty.
#[rstest]
fn an_older_copy_that_another_program_puts_in_is_noticed_at_once(
    #[values(false, true)] by_sqlite: bool,
) {
    let mut fixture = Fixture::with(|builder| {
        ["removed or replaced", "not remembered", "cannot claim", "is damaged", "malformed"]
            .into_iter()
            .fold(builder, Builder::allow_warning)
    });
    let client = fixture.client();
    let catalog = fixture.path("catalog.db");
    let first = client.full("shop");
    let (live, copy) = (rusqlite::Connection::open(&catalog).unwrap(), fixture.path("copy.db"));
    live.execute("VACUUM INTO ?1", [copy.to_str().unwrap()]).unwrap();
    let rows = vec![client.full("blog"), first];
    let body = json!({"backup": {"name": "no", "instance": client.instance_id("shop")}});
    if by_sqlite {
        let restore = format!(".restore '{}'", copy.display());
        crate::support::succeed(std::process::Command::new("sqlite3").arg(&catalog).arg(restore));
    } else {
        live.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_row| Ok(())).unwrap();
        let file = std::fs::File::options().write(true).open(&catalog).unwrap();
        file.write_all_at(&std::fs::read(&copy).unwrap(), 0).unwrap();
    }
    client.post("backups", &body).fault(503);
    drop(live);
    fixture.server.kill();
    fixture.server.remove_catalog();
    fixture.server.restart();
    let listed: Vec<Value> = fixture.client().all("backups", "backups");
    assert_eq!(without_times(listed), without_times(rows));
}

/// What is newer than the copy is in the log, and nothing is lost.
#[test]
fn a_copy_of_the_catalog_that_is_put_over_the_same_file_changes_nothing() {
    let fixture = Fixture::new();
    let client = fixture.client();
    let catalog = fixture.path("catalog.db");
    let same = std::fs::read(&catalog).unwrap();
    let full = client.full("shop");
    let file = std::fs::File::options().write(true).open(&catalog).unwrap();
    file.write_all_at(&same, 0).unwrap();
    let second = client.incremental("shop");
    assert_eq!(second["parent_id"], full["id"]);
    assert_eq!(fixture.notices(), "[]");
}

#[test]
fn a_catalog_whose_log_is_removed_under_a_running_server_takes_no_new_work() {
    let mut fixture = Fixture::with(|builder| {
        ["was removed or replaced", "not remembered"]
            .into_iter()
            .fold(builder, Builder::allow_warning)
    });
    let rows = vec![fixture.client().full("shop")];
    let body = json!({"backup": {"name": "no", "instance": fixture.client().instance_id("shop")}});
    std::fs::remove_file(fixture.path("catalog.db-wal")).unwrap();
    fixture.wait_for_notice("its write-ahead log was removed");
    fixture.client().post("backups", &body).fault(503);
    fixture.server.kill();
    fixture.server.remove_catalog();
    fixture.server.restart();
    let listed: Vec<Value> = fixture.client().all("backups", "backups");
    assert_eq!(without_times(listed), without_times(rows));
}

#[test]
fn a_server_whose_catalog_was_removed_while_it_ran_has_every_backup_after_a_restart() {
    let mut fixture = Fixture::with(|builder| builder.allow_warning("was removed or replaced"));
    let rows = vec![fixture.client().full("shop")];
    fixture.server.remove_catalog();
    fixture.wait_for_notice("was removed or replaced");
    fixture.server.restart();
    let listed: Vec<Value> = fixture.client().all("backups", "backups");
    assert_eq!(without_times(listed), without_times(rows));
}

/// As the message says: all three files away together, and nothing or a copy in their place. A log that is left beside
/// another catalog would be taken for its own.
#[rstest]
fn after_a_catalog_was_replaced_what_the_message_says_leads_to_every_backup(
    #[values(false, true)] with_a_copy: bool,
) {
    let mut fixture = Fixture::with(|builder| {
        ["was removed or replaced", "the catalog is older than the archives", "the catalog was"]
            .into_iter()
            .fold(builder, Builder::allow_warning)
    });
    let first = fixture.client().full("shop");
    fixture.server.terminate();
    copy_catalog(&fixture, "catalog.db", "copy.db");
    fixture.server.restart();
    let second = fixture.client().full("blog");
    // Somebody puts an older copy in, and leaves the log of the one that is open.
    move_folder(&fixture.path("catalog.db"), &fixture.path("away.db"));
    std::fs::copy(fixture.path("copy.db"), fixture.path("catalog.db")).unwrap();
    fixture.wait_for_notice("another file is in its place");
    let notices = fixture.notices();
    for step in ["stop Coffer", "catalog.db, catalog.db-wal and catalog.db-shm away together"] {
        assert!(notices.contains(step), "{notices}");
    }
    fixture.server.terminate();
    assert!(fixture.path("catalog.db-wal").exists(), "it is left beside");
    for end in ["", "-wal", "-shm"] {
        let file = fixture.path(&format!("catalog.db{end}"));
        if file.exists() {
            move_folder(&file, &fixture.path(&format!("moved{end}")));
        }
    }
    if with_a_copy {
        std::fs::copy(fixture.path("copy.db"), fixture.path("catalog.db")).unwrap();
    }
    fixture.server.restart();
    let listed: Vec<Value> = fixture.client().all("backups", "backups");
    assert_eq!(without_times(listed), without_times(vec![second, first]));
}

/// Of a chain in the trash, both ways to bring it back work after the catalog was lost.
#[rstest]
fn what_was_deleted_before_the_catalog_was_lost_can_be_brought_back(
    #[values(false, true)] by_command: bool,
) {
    let mut fixture = Fixture::new();
    let client = fixture.client();
    let full = client.full("shop");
    fixture.change();
    let child = client.incremental("shop");
    let kept = client.full("blog");
    client.delete(&format!("backups/{}", id_of(&full))).with_status(202);
    client.wait_until_gone(id_of(&child));
    fixture.server.terminate();
    fixture.server.remove_catalog();
    if by_command {
        let said = crate::encryption::stdout(fixture.server.run(&["catalog", "rebuild"]));
        assert!(said.contains("2 backups had been deleted and lie in the trash"), "{said}");
        assert!(said.contains("Backups that were deleted are back if their archives"), "{said}");
    }
    fixture.server.restart();

    let client = fixture.client();
    let rows = client.all("backups", "backups");
    assert_eq!((rows.len(), &rows[0]["id"]), (1, &kept["id"]), "DELETE means gone");
    client.get(&format!("backups/{}", id_of(&child))).with_status(404);
    if by_command {
        fixture.server.run_ok(&["undelete", id_of(&child)]);
    } else {
        let ask = format!("backups/{}/undelete", id_of(&full));
        client.send("POST", &ask, None).with_status(202);
    }
    for backup in [&full, &child] {
        assert_eq!(client.backup(id_of(backup))["status"], "COMPLETED");
        fixture.server.run_ok(&["verify", id_of(backup)]);
    }
}

#[rstest]
fn a_catalog_that_is_cut_short_under_a_running_server_takes_no_new_work(
    #[values(0, 4096)] length: u64,
) {
    let mut fixture = Fixture::with(|builder| {
        [
            "cut short or written over",
            "malformed",
            "is damaged",
            "health check failed",
            "not remembered",
            "cannot claim",
        ]
        .into_iter()
        .fold(builder, Builder::allow_warning)
    });
    let rows = vec![fixture.client().full("shop")];
    // Stopped in order, a server leaves everything in the file itself.
    fixture.server.restart();
    let client = fixture.client();
    let body = json!({"backup": {"name": "no", "instance": client.instance_id("shop")}});
    let catalog = fixture.path("catalog.db");
    let whole = std::fs::read(&catalog).unwrap();
    let file = std::fs::File::options().write(true).open(&catalog).unwrap();
    file.set_len(length).unwrap();
    let log = fixture.server.log();
    wait_until("the notice", || log.text().contains("it was cut short").then_some(()));
    client.post("backups", &body).fault(503);
    // As `cp` leaves it, once it has copied: nobody knows what it is now.
    file.write_all_at(&whole, 0).unwrap();
    client.post("backups", &body).fault(503);
    file.set_len(length).unwrap();
    fixture.server.kill();
    if length > 0 {
        let refused = fixture.server.run(&["serve"]);
        let text = stderr_of(&refused);
        assert!(text.contains("damaged") && text.contains("coffer catalog rebuild"), "{text}");
    }
    fixture.server.remove_catalog();
    fixture.server.restart();
    let listed: Vec<Value> = fixture.client().all("backups", "backups");
    assert_eq!(without_times(listed), without_times(rows));
}
