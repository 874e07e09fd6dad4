//! Drills by the server and by the command: of sound data, and of data that was damaged in the source before the
//! backup, where no checksum shows it.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use super::fixture::{NAME, source};
use super::postgres::{Postgres, Setup};
use crate::alerts::health;
use crate::receivers::HttpReceiver;
use crate::support::{Client, TestServer, id_of, stderr_of, wait_until, write_file};

fn drilling(server: &Postgres) -> TestServer {
    TestServer::builder()
        .toml(&format!(
            "[[instances]]\nname = \"{NAME}\"\nproject_id = \"project-a\"\nengine = \"postgresql\"\n\
             source = {}\nverify = \"restore\"\n",
            source(server, "")
        ))
        .start()
}

/// Changes the file of a relation while the server is stopped.
fn damage_relation(server: &mut Postgres, relation: &str, how: impl Fn(&mut Vec<u8>)) {
    let name = server.sql("postgres", &format!("SELECT pg_relation_filepath('{relation}')"));
    let path = server.data().join(name.trim());
    server.stop();
    let mut content = std::fs::read(&path).unwrap();
    how(&mut content);
    write_file(&path, content);
    server.start();
}

fn server_without_checksums() -> Postgres {
    let server = Postgres::with(&Setup { checksums: false, ..Setup::default() });
    server.sql(
        "postgres",
        "CREATE TABLE item(id int PRIMARY KEY, t text);
         INSERT INTO item SELECT n, md5(n::text) FROM generate_series(1, 10000) n;",
    );
    server
}

#[test]
fn a_drill_starts_a_server_counts_the_rows_and_finds_damage() {
    let mut server = server_without_checksums();
    let mut coffer = drilling(&server);
    coffer.allow_warning("nothing is built on it");
    let client = coffer.admin();
    let row = client.drilled(id_of(&client.full(NAME)));
    assert_eq!(row["drill"]["status"], "passed", "{row:#}");
    assert_eq!(row["verify_level"], "restored");
    assert_eq!(row["drill"]["rows_by_table"], json!({"postgres.public.item": 10000}));
    assert!(row["drill"]["check"].as_str().unwrap().contains("pg_amcheck"), "{row:#}");
    // On an incremental, by the command, with nothing but the archives to go by.
    server.sql("postgres", "DELETE FROM item WHERE id > 9000");
    let incremental = client.incremental(NAME);
    client.drilled(id_of(&incremental));
    let output = coffer.run_ok(&["drill", id_of(&incremental), "--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["rows"], 9000, "{report:#}");

    damage_relation(&mut server, "item_pkey", |content| content[2 * 8192 + 4000..3 * 8192].fill(7));
    assert_fails(&client, "item_pkey");
    server.sql("postgres", "REINDEX TABLE item");
    damage_relation(&mut server, "item", |content| {
        content.truncate(content.len() / 2 / 8192 * 8192);
    });
    assert_fails(&client, "postgres.public.item");
    coffer.assert_tmp_is_empty();
}

#[track_caller]
fn assert_fails(client: &Client, word: &str) {
    let row = client.drilled(id_of(&client.full(NAME)));
    let why = &row["drill"]["failure"];
    assert_eq!(
        (&row["drill"]["status"], &why["code"]),
        (&json!("damaged"), &json!("archive_damaged"))
    );
    assert!(why["message"].as_str().unwrap().contains(word), "{why:#}");
}

#[test]
fn a_drill_that_fails_turns_its_instance_red_and_one_alert_tells_of_it() {
    let (mut shop, blog) = (server_without_checksums(), server_without_checksums());
    let receiver = HttpReceiver::start();
    let url = receiver.url("/hook");
    let coffer = TestServer::builder()
        .drilled_instance(NAME, "postgresql", &source(&shop, ""))
        .drilled_instance("blog", "postgresql", &source(&blog, ""))
        .toml(&format!(
            "[defaults]\nalerts = [\"ops\"]\n[[alerts]]\nname = \"ops\"\nwebhook = \"{url}\"\n"
        ))
        .allow_warning("nothing is built on it")
        .start();
    let client = coffer.admin();
    let drilled = |name: &str| {
        let row = client.drilled(id_of(&client.full(name)));
        row["drill"]["status"].as_str().unwrap().to_owned()
    };
    assert_eq!([drilled(NAME), drilled("blog")], ["passed", "passed"]);
    assert_eq!(health(&coffer), ("safe".into(), "safe".into(), vec![]));
    assert_eq!(coffer.run(&["status"]).status.code(), Some(0));

    damage_relation(&mut shop, "item_pkey", |content| content[2 * 8192 + 4000..3 * 8192].fill(7));
    assert_eq!(drilled(NAME), "damaged");
    let red = ("critical".into(), "safe".into(), vec!["damaged".into()]);
    assert_eq!(health(&coffer), red);
    assert_eq!(coffer.run(&["status"]).status.code(), Some(7));
    let message = wait_until("the message", || Some(receiver.received().first()?.json()));
    assert_eq!((&message["event"], &message["kind"]), (&"began".into(), &"damaged".into()));
    assert_eq!(message["instance"]["name"], NAME);
    assert!(message.to_string().contains("item_pkey"), "{message:#}");

    // A sound drill of another instance ends nothing, and nothing else was or will be said.
    assert_eq!(drilled("blog"), "passed");
    assert_eq!(health(&coffer), red);
    let alerts = coffer.run_ok(&["alert", "list", "--json"]);
    let alerts: Value = serde_json::from_slice(&alerts.stdout).unwrap();
    let all = alerts["alerts"].as_array().unwrap();
    assert_eq!((all.len(), &all[0]["instance_name"]), (1, &NAME.into()), "{alerts:#}");
    assert_eq!((&alerts["undelivered"], receiver.received().len()), (&json!([]), 1));
}

#[test]
fn drills_work_without_root() {
    let server = server_without_checksums();
    let logical = source(&server, "method = \"logical\"");
    let coffer = TestServer::builder()
        .instance_of(NAME, "postgresql", &source(&server, ""), "quick")
        .instance_of("dumped", "postgresql", &logical, "full")
        .unprivileged()
        .start();
    let client = coffer.admin();
    for instance in [NAME, "dumped"] {
        let made = client.full(instance);
        client.ask_for_drill(id_of(&made));
        let row = client.drilled(id_of(&made));
        assert_eq!(row["drill"]["status"], "passed", "{row:#}");
        assert_eq!(row["drill"]["rows"], 10000);
    }
}

#[test]
fn a_standby_is_backed_up_and_drilled() {
    let primary = server_without_checksums();
    let home = tempfile::tempdir().unwrap();
    std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let data = home.path().join("standby/data");
    primary.run("pg_basebackup", &["-R", "-c", "fast", "-D", data.to_str().unwrap()]);
    let standby = Postgres::on(&data);
    primary.sql("postgres", "DELETE FROM item WHERE id <= 1000");
    let count = "SELECT count(*) FROM item";
    wait_until("the standby to follow", || {
        (standby.sql("postgres", count) == "9000\n").then_some(())
    });
    let coffer = drilling(&standby);
    let client = coffer.admin();
    let row = client.drilled(id_of(&client.full(NAME)));
    assert_eq!(row["drill"]["rows_by_table"], json!({"postgres.public.item": 9000}), "{row:#}");
    // Restored for use it is a standby still, and the report says how it stops being one.
    let target = coffer.folder().join("restored");
    let to = target.to_str().unwrap();
    let output = coffer.run(&["restore", id_of(&row), "--to", to]);
    let report = String::from_utf8_lossy(&output.stdout);
    assert!(report.contains("pgdata/standby.signal"), "{report}{}", stderr_of(&output));
    assert!(target.join("pgdata/standby.signal").exists());
}
