//! The disk with the archives.

use std::process::Command;

use rstest::rstest;
use serde_json::Value;

use super::{Fixture, move_folder, without_times};
use crate::support::{Client, archive_of, id_of, names_in, stderr_of, wait_until};

const MISSING: &str = "the archives are not where they were";

/// What is in the place of the archives.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Nothing,
    EmptyFolder,
    OtherArchives,
    OtherDisk,
}

impl Place {
    fn make(self, fixture: &Fixture) {
        let archives = fixture.path("archives");
        if self == Self::OtherDisk {
            let mounted =
                Command::new("mount").args(["-t", "tmpfs", "gone"]).arg(&archives).status();
            assert!(mounted.unwrap().success());
            return;
        }
        fixture.take_archives();
        if self != Self::Nothing {
            std::fs::create_dir(&archives).unwrap();
        }
        if self == Self::OtherArchives {
            std::fs::create_dir(archives.join("other")).unwrap();
            crate::support::write_file(&archives.join("other/x.tar.zst"), "of another Coffer");
        }
    }

    fn unmake(self, fixture: &Fixture) {
        let archives = fixture.path("archives");
        match self {
            Self::OtherDisk => {
                assert_eq!(names_in(&archives), [""; 0]);
                assert!(Command::new("umount").arg(&archives).status().unwrap().success());
            }
            Self::OtherArchives => {
                assert_eq!(names_in(&archives), ["other"]);
                std::fs::remove_dir_all(archives.join("other")).unwrap();
                fixture.bring_archives();
            }
            Self::Nothing => {
                assert!(!archives.exists(), "an empty folder hides that the archives are gone");
                fixture.bring_archives();
            }
            Self::EmptyFolder => fixture.bring_archives(),
        }
    }
}

/// While the archives are gone, commands and answers say so, and call nothing lost or damaged.
fn assert_nothing_is_called_lost(fixture: &Fixture, kept: &[Value]) {
    let doctor = fixture.server.run(&["doctor"]);
    let text = String::from_utf8_lossy(&doctor.stdout).into_owned() + &stderr_of(&doctor);
    assert!(text.contains(MISSING) || text.contains("is on another filesystem"), "{text}");
    assert_ne!(doctor.status.code(), Some(0));
    let status = fixture.server.run(&["status"]);
    let shown = String::from_utf8_lossy(&status.stdout);
    assert!(shown.contains(MISSING) || text.contains("is on another filesystem"), "{shown}");
    for backup in kept {
        for command in ["verify", "drill"] {
            let output = fixture.server.run(&[command, id_of(backup)]);
            assert!([Some(1), Some(3)].contains(&output.status.code()), "{}", stderr_of(&output));
            assert!(!stderr_of(&output).contains("damage"), "{}", stderr_of(&output));
        }
        let row = fixture.client().backup(id_of(backup));
        assert_eq!((&row["status"], &row["failure"]), (&"COMPLETED".into(), &Value::Null));
    }
}

#[rstest]
fn under_a_running_server_nothing_is_begun_or_deleted_until_the_archives_are_back(
    #[values(Place::Nothing, Place::EmptyFolder, Place::OtherArchives, Place::OtherDisk)]
    place: Place,
) {
    if place == Place::OtherDisk && !rustix::process::geteuid().is_root() {
        return;
    }
    let fixture = Fixture::new();
    let client = fixture.client();
    let (full, other) = (client.full("shop"), client.full("blog"));
    let trashed = client.full("blog");
    client.delete(&format!("backups/{}", id_of(&trashed))).with_status(202);
    client.wait_until_gone(id_of(&trashed));
    fixture.change();
    let child = client.incremental("shop");
    place.make(&fixture);
    let undeleted = fixture.server.run(&["undelete", id_of(&trashed)]);
    assert_eq!(undeleted.status.code(), Some(1), "{}", stderr_of(&undeleted));
    let ask = format!("backups/{}/undelete", id_of(&trashed));
    let (fault, why) = client.send("POST", &ask, None).fault(503);
    assert!(fault == "serviceUnavailable" && why.contains("not where they were"), "{why}");
    let waiting = fixture.waiting("shop", 1);
    client.delete(&format!("backups/{}", id_of(&other))).with_status(202);
    client.get(&format!("backups/{}", id_of(&other))).with_status(404);
    client.ask_for_drill(id_of(&child));
    fixture.wait_for_notice(MISSING);
    assert_nothing_is_called_lost(&fixture, &[full.clone(), child.clone()]);
    fixture.assert_still_waiting(&waiting);
    place.unmake(&fixture);

    let made = fixture.completed(&waiting);
    assert_eq!(made["parent_id"], child["id"], "the chain goes on");
    assert_eq!(client.drilled(id_of(&child))["drill"]["status"], "passed");
    client.wait_until_gone(id_of(&other));
    assert!(!archive_of(&other).exists());
    fixture.wait_for_no_notice(MISSING);
    fixture.server.run_ok(&["verify", id_of(&made)]);
    for backup in [&other, &trashed] {
        fixture.server.run_ok(&["undelete", id_of(backup)]);
        fixture.server.run_ok(&["verify", id_of(backup)]);
    }
}

#[rstest]
fn a_server_that_starts_without_the_archives_loses_no_row_and_goes_on_when_they_are_back(
    #[values(Place::Nothing, Place::EmptyFolder)] place: Place,
    #[values(false, true)] killed: bool,
) {
    let mut fixture = Fixture::new();
    let client = fixture.client();
    let (full, other) = (client.full("shop"), client.full("blog"));
    let rows = without_times(client.all("backups", "backups"));
    if killed {
        fixture.server.kill();
    } else {
        fixture.server.terminate();
    }
    place.make(&fixture);
    fixture.server.restart();

    let client = fixture.client();
    fixture.wait_for_notice(MISSING);
    assert_eq!(without_times(client.all("backups", "backups")), rows);
    let waiting = fixture.waiting("shop", 1);
    client.delete(&format!("backups/{}", id_of(&other))).with_status(202);
    assert_nothing_is_called_lost(&fixture, std::slice::from_ref(&full));
    fixture.assert_still_waiting(&waiting);
    fixture.server.restart();
    fixture.assert_still_waiting(&waiting);
    place.unmake(&fixture);
    assert_eq!(fixture.completed(&waiting)["parent_id"], full["id"]);
    fixture.client().wait_until_gone(id_of(&other));
    fixture.wait_for_no_notice(MISSING);
}

#[test]
fn before_the_first_backup_the_archives_are_missed_as_well() {
    let fixture = Fixture::new();
    fixture.wait_for_no_notice(MISSING);
    Place::EmptyFolder.make(&fixture);
    let waiting = fixture.waiting("shop", 0);
    fixture.wait_for_notice(MISSING);
    fixture.assert_still_waiting(&waiting);
    Place::EmptyFolder.unmake(&fixture);
    fixture.completed(&waiting);
}

#[test]
fn archives_that_were_copied_to_another_disk_are_known_again() {
    let mut fixture = Fixture::new();
    let full = fixture.client().full("shop");
    fixture.server.terminate();
    fixture.take_archives();
    let (from, to) = (fixture.path("away"), fixture.path("archives"));
    assert!(Command::new("cp").arg("-r").args([&from, &to]).status().unwrap().success());
    fixture.server.restart();
    assert_eq!(fixture.client().incremental("shop")["parent_id"], full["id"]);
    assert_eq!(fixture.notices(), "[]");
}

#[test]
fn archives_that_are_lost_for_good_are_waited_for_until_a_person_says_so() {
    let fixture = Fixture::new();
    let client = fixture.client();
    let full = client.full("shop");
    fixture.take_archives();
    let waiting = fixture.waiting("shop", 1);
    fixture.wait_for_notice("coffer catalog accept-loss");
    let output = fixture.server.run_ok(&["catalog", "accept-loss"]);
    assert!(String::from_utf8_lossy(&output.stdout).contains(id_of(&full)));
    let made = fixture.completed(&waiting);
    assert_eq!(made["kind"], "full", "nothing is built on what is lost");
    fixture.wait_for_no_notice(MISSING);
    client.delete(&format!("backups/{}", id_of(&full))).with_status(202);
    client.wait_until_gone(id_of(&full));
    fixture.change();
    assert_eq!(client.incremental("shop")["parent_id"], made["id"]);
}

/// Waits until the archive of the backup is said to be missing, or not any more.
fn wait_for_failure(client: &Client, backup: &Value, code: &Value) {
    wait_until("the word for the archive", || {
        (client.backup(id_of(backup))["failure"]["code"] == *code).then_some(())
    });
}

#[test]
fn a_single_missing_archive_is_no_damage_and_its_backup_is_as_before_once_it_is_back() {
    let fixture = Fixture::new();
    let client = fixture.client();
    let full = client.full("shop");
    client.full("blog");
    let (archive, away) = (archive_of(&full), fixture.path("one"));
    move_folder(&archive, &away);
    let verified = fixture.server.run(&["verify", id_of(&full)]);
    assert_eq!(verified.status.code(), Some(3), "{}", stderr_of(&verified));
    assert!(stderr_of(&verified).contains("missing"), "{}", stderr_of(&verified));
    wait_for_failure(&client, &full, &"archive_missing".into());
    let doctor = fixture.server.run(&["doctor"]);
    let text = String::from_utf8_lossy(&doctor.stdout).into_owned() + &stderr_of(&doctor);
    assert!(text.contains("1 backup whose archive is missing"), "{text}");
    move_folder(&away, &archive);
    wait_for_failure(&client, &full, &Value::Null);
    fixture.change();
    assert_eq!(client.incremental("shop")["parent_id"], full["id"]);
    fixture.server.run_ok(&["verify", id_of(&full)]);
}
