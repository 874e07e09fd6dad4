//! A copy of the catalog that is older than the archives.

use serde_json::Value;

use super::{Fixture, copy_catalog};
use crate::support::{archive_of, id_of};

#[test]
fn a_copy_of_the_catalog_whose_backups_are_all_gone_learns_on_a_new_machine_what_is_there() {
    let mut fixture = Fixture::with(|builder| builder.allow_warning("the catalog"));
    let client = fixture.client();
    let old = ["shop", "blog"].map(|it| client.full(it));
    fixture.server.terminate();
    copy_catalog(&fixture, "catalog.db", "copy.db");
    fixture.server.restart();
    let client = fixture.client();
    let (full, child) = (client.full("shop"), client.incremental("shop"));
    fixture.server.terminate();
    // As if retention had removed them, and only the archives and the copy had been saved.
    for backup in &old {
        std::fs::remove_file(archive_of(backup)).unwrap();
    }
    copy_catalog(&fixture, "copy.db", "catalog.db");
    for name in ["archives.id", "trash"] {
        let path = fixture.path(name);
        std::fs::remove_dir_all(&path).or_else(|_file| std::fs::remove_file(&path)).unwrap();
    }
    fixture.server.restart();
    let client = fixture.client();
    let ids = [&child, &full].map(|it| id_of(it).to_owned());
    let good = |row: &&Value| row["failure"].is_null();
    let rows = client.all("backups", "backups");
    let found: Vec<&str> = rows.iter().filter(good).map(id_of).collect();
    assert_eq!(found, ids);
    fixture.server.run_ok(&["verify", id_of(&child)]);
}

#[test]
fn an_older_copy_of_the_catalog_learns_at_start_what_happened_since() {
    let mut fixture = Fixture::with(|builder| {
        builder
            .allow_warning("the catalog is older than the archives")
            .allow_warning("the catalog was older")
    });
    let client = fixture.client();
    let (full, deleted) = (client.full("shop"), client.full("blog"));
    let lost = client.full("blog");
    let back = client.full("blog");
    client.delete(&format!("backups/{}", id_of(&back))).with_status(202);
    client.wait_until_gone(id_of(&back));
    fixture.server.terminate();
    copy_catalog(&fixture, "catalog.db", "copy.db");
    fixture.server.restart();

    let client = fixture.client();
    fixture.change();
    let child = client.incremental("shop");
    let gone = client.full("blog");
    for backup in [&deleted, &gone] {
        client.delete(&format!("backups/{}", id_of(backup))).with_status(202);
        client.wait_until_gone(id_of(backup));
    }
    fixture.server.run_ok(&["undelete", id_of(&back)]);
    std::fs::remove_file(archive_of(&lost)).unwrap();
    fixture.server.terminate();
    copy_catalog(&fixture, "copy.db", "catalog.db");
    fixture.server.restart();

    let client = fixture.client();
    let rows = client.all("backups", "backups");
    let ids: Vec<&str> = rows.iter().map(id_of).collect();
    assert_eq!(ids, [&child, &back, &lost, &full].map(|it| id_of(it)));
    assert_eq!(rows[2]["failure"]["code"], "archive_missing");
    let notices = fixture.notices();
    assert!(
        notices.contains("2 backups made since then are in it again, 1 deleted since"),
        "{notices}"
    );
    for backup in [&deleted, &gone] {
        client.get(&format!("backups/{}", id_of(backup))).with_status(404);
        fixture.server.run_ok(&["undelete", id_of(backup)]);
    }
    for backup in [&full, &child, &back, &deleted, &gone] {
        fixture.server.run_ok(&["verify", id_of(backup)]);
    }
    fixture.change();
    assert_eq!(client.incremental("shop")["parent_id"], child["id"]);
    fixture.server.restart();
    assert_eq!(fixture.notices(), "[]");
}
