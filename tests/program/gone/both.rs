//! The catalog and the disk with the archives at once.

use super::{Fixture, without_times};
use crate::support::{id_of, names_in, stderr_of};

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
