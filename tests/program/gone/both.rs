//! The catalog and the disk with the archives at once.

use std::path::Path;
use std::process::Command;

use super::{Fixture, run_sql, without_times};
use crate::support::{TestServer, archive_of, id_of, names_in, stderr_of, wait_until};

#[test]
fn a_server_without_catalog_and_archives_waits_for_these_and_then_rebuilds() {
    let mut fixture = Fixture::new();
    let client = fixture.client();
    client.full("shop");
    fixture.change();
    client.incremental("shop");
    let rows = without_times(client.all("backups", "backups"));
    fixture.server.terminate();
    fixture.server.remove_catalog();
    fixture.take_archives();
    let doctor = fixture.server.run(&["doctor"]);
    let text = String::from_utf8_lossy(&doctor.stdout).into_owned() + &stderr_of(&doctor);
    assert!(text.contains("neither do the archives that were here"), "{text}");
    fixture.server.restart();

    fixture.wait_for_notice("the archives are not where they were");
    let waiting = fixture.waiting("shop", 0);
    fixture.assert_still_waiting(&waiting);
    fixture.bring_archives();
    fixture.completed(&waiting);
    let client = fixture.client();
    let mut listed = without_times(client.all("backups", "backups"));
    assert_eq!(listed.remove(0)["id"], waiting["id"]);
    assert_eq!(listed, rows);
    assert!(fixture.notices().contains("was lost and is rebuilt: 2 backups"));
    fixture.server.run_ok(&["verify", id_of(&rows[0])]);
}

#[test]
fn catalog_and_archives_that_vanish_under_a_running_server_come_back_as_they_were() {
    let fixture = Fixture::with(|builder| builder.allow_warning("was removed or replaced"));
    let client = fixture.client();
    let full = client.full("shop");
    fixture.take_archives();
    super::move_folder(&fixture.path("catalog.db"), &fixture.path("elsewhere"));
    fixture.wait_for_notice("was removed or replaced");
    fixture.wait_for_notice("the archives are not where they were");
    assert_eq!(names_in(&fixture.path("archives")), [""; 0]);
    super::move_folder(&fixture.path("elsewhere"), &fixture.path("catalog.db"));
    fixture.bring_archives();
    fixture.wait_for_no_notice("e");
    fixture.change();
    assert_eq!(client.incremental("shop")["parent_id"], full["id"]);
}

#[test]
fn a_catalog_whose_backups_were_all_deleted_is_not_lost_while_the_trash_is_still_to_be_emptied() {
    let mut fixture = Fixture::with(|builder| builder.setting("storage.trash_window_s", "0"));
    let client = fixture.client();
    let full = client.full("shop");
    let archive = archive_of(&full);
    let kept = fixture.path("kept");
    std::fs::copy(&archive, &kept).unwrap();
    client.delete(&format!("backups/{}", id_of(&full))).with_status(202);
    client.wait_until_gone(id_of(&full));
    fixture.server.terminate();
    // As if it had been killed before it emptied the trash.
    let label = archive.strip_prefix(fixture.path("archives")).unwrap().to_str().unwrap();
    let trash = fixture.path("trash");
    super::move_folder(&kept, &trash.join(format!("1700000000.{}", label.replace('/', "%2F"))));
    fixture.server.restart();
    let client = fixture.client();
    assert_eq!(fixture.notices(), "[]");
    assert_eq!(client.all("backups", "backups").len(), 0);
    let text = fixture.server.log().text();
    assert!(!text.contains("was lost"), "{text}");
    client.full("shop");
    wait_until("the trash to be emptied", || names_in(&trash).is_empty().then_some(()));
}

fn run(program: &str, arguments: &[&str], path: &Path) {
    assert!(Command::new(program).args(arguments).arg(path).status().unwrap().success());
}

/// The data directory is a mount of its own, as that of a disk is. Only root may mount.
#[test]
fn a_data_directory_whose_disk_is_unmounted_is_waited_for_and_not_begun_anew() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let [disk, data, database] = ["disk", "data", "shop"].map(|name| folder.path().join(name));
    for made in [&disk, &data] {
        std::fs::create_dir(made).unwrap();
    }
    run_sql(&database, "CREATE TABLE row(word)");
    let mount = || run("mount", &["--bind", disk.to_str().unwrap()], &data);
    mount();
    let mut server = TestServer::builder()
        .instance_sqlite("shop", &database)
        .data_dir(&data)
        .allow_warning("the archives are not where they were")
        .allow_warning("was removed or replaced")
        .allow_warning("r2d2")
        .allow_warning("again: work goes on")
        .start();
    let client = server.admin();
    let full = client.full("shop");
    let notices =
        || server.anonymous().get("/healthcheck").with_status(200).json()["notices"].to_string();
    run("umount", &["--lazy"], &data);
    wait_until("the notices", || notices().contains("was removed").then_some(()));
    assert!(notices().contains("the archives are not where they were"), "{}", notices());
    assert_eq!(names_in(&data), [""; 0]);
    let mut doctor = server.command(&["doctor"]);
    let doctor = doctor.env("COFFER__SERVER__LISTEN", server.base().trim_start_matches("http://"));
    let found = String::from_utf8(doctor.output().unwrap().stdout).unwrap();
    assert!(found.contains("and not on this data directory"), "{found}");
    mount();
    wait_until("the end of the notices", || (notices() == "[]").then_some(()));
    run_sql(&database, "INSERT INTO row VALUES ('more')");
    assert_eq!(client.incremental("shop")["parent_id"], full["id"]);

    server.terminate();
    run("umount", &[], &data);
    server.set_env("COFFER__STORAGE__MUST_EXIST", Some("true"));
    let refused = server.run(&["serve"]);
    assert!(stderr_of(&refused).contains("is its disk mounted?"), "{}", stderr_of(&refused));
    assert_eq!((refused.status.code(), names_in(&data)), (Some(1), Vec::new()));
    mount();
    server.restart();
    assert_eq!(server.admin().all("backups", "backups").len(), 2);
    server.terminate();
    run("umount", &[], &data);
}
