//! Drills of PostgreSQL through the server and by the command: of sound data, and of data that was spoiled
//! in the source before it was backed up, where no checksum shows it.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use super::house::{NAME, id_of, said, source};
use super::postgres::{Postgres, Setup};
use super::support::{Client, TestServer, names_in, wait_until, write_file};

fn drilled(client: &Client, row: &Value) -> Value {
    wait_until("the drill", || {
        let row = client.backup(id_of(row));
        ["passed", "failed"].iter().any(|it| row["drill"]["status"] == *it).then_some(row)
    })
}

fn drilling(server: &Postgres) -> TestServer {
    TestServer::builder()
        .toml(&format!(
            "[[instances]]\nname = \"{NAME}\"\nproject_id = \"project-a\"\nengine = \"postgresql\"\n\
             source = {}\nverify = \"restore\"\n",
            source(server, "")
        ))
        .start()
}

/// Spoils the file of a relation while the server is stopped.
fn spoil(server: &mut Postgres, relation: &str, how: impl Fn(&mut Vec<u8>)) {
    let name = server.sql("postgres", &format!("SELECT pg_relation_filepath('{relation}')"));
    let path = server.data().join(name.trim());
    server.stop();
    let mut content = std::fs::read(&path).unwrap();
    how(&mut content);
    write_file(&path, content);
    server.start();
}

fn unchecked() -> Postgres {
    let server = Postgres::with(&Setup { checksums: false, ..Setup::default() });
    server.sql(
        "postgres",
        "CREATE TABLE item(id int PRIMARY KEY, t text);
         INSERT INTO item SELECT n, md5(n::text) FROM generate_series(1, 10000) n;",
    );
    server
}

#[test]
fn a_drill_starts_the_server_and_counts_and_finds_what_was_spoiled() {
    let mut server = unchecked();
    let mut coffer = drilling(&server);
    coffer.allow_warning("nothing is built on it");
    let client = coffer.by_admin();
    let row = drilled(&client, &client.full(NAME));
    assert_eq!(row["drill"]["status"], "passed", "{row:#}");
    assert_eq!(row["verify_level"], "restored");
    assert_eq!(row["drill"]["rows_by_table"], json!({"postgres.public.item": 10000}));
    assert!(row["drill"]["check"].as_str().unwrap().contains("pg_amcheck"), "{row:#}");
    // On an incremental, by the command, with nothing but the archives to go by.
    server.sql("postgres", "DELETE FROM item WHERE id > 9000");
    let incremental = client.incremental(NAME);
    drilled(&client, &incremental);
    let output = coffer.command(&["drill", id_of(&incremental), "--json"]).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["rows"], 9000, "{told:#}");

    spoil(&mut server, "item_pkey", |content| content[2 * 8192 + 4000..3 * 8192].fill(7));
    assert_fails(&client, "item_pkey");
    server.sql("postgres", "REINDEX TABLE item");
    spoil(&mut server, "item", |content| content.truncate(content.len() / 2 / 8192 * 8192));
    assert_fails(&client, "postgres.public.item");
    assert_eq!(names_in(&coffer.data_dir().join("tmp")), Vec::<String>::new());
}

#[track_caller]
fn assert_fails(client: &Client, word: &str) {
    let row = drilled(client, &client.full(NAME));
    let why = &row["drill"]["failure"];
    assert_eq!(
        (&row["drill"]["status"], &why["code"]),
        (&json!("failed"), &json!("archive_damaged"))
    );
    assert!(why["message"].as_str().unwrap().contains(word), "{why:#}");
}

#[test]
fn a_coffer_that_is_not_root_drills_and_fills_too() {
    let server = unchecked();
    let logical = source(&server, "method = \"logical\"");
    let coffer = TestServer::builder()
        .instance_of(NAME, "postgresql", &source(&server, ""), "quick")
        .instance_of("dumped", "postgresql", &logical, "full")
        .unprivileged()
        .start();
    let client = coffer.by_admin();
    for instance in [NAME, "dumped"] {
        let made = client.full(instance);
        client.send("POST", &format!("backups/{}/drill", id_of(&made)), None).expect(202);
        let row = drilled(&client, &made);
        assert_eq!(row["drill"]["status"], "passed", "{row:#}");
        assert_eq!(row["drill"]["rows"], 10000);
    }
}

#[test]
fn a_standby_is_backed_up_and_drilled_as_a_server_of_its_own() {
    let primary = unchecked();
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
    let client = coffer.by_admin();
    let row = drilled(&client, &client.full(NAME));
    assert_eq!(row["drill"]["rows_by_table"], json!({"postgres.public.item": 9000}), "{row:#}");
    // Restored for use it is a standby still, and the report says how it stops being one.
    let target = coffer.folder().join("restored");
    let to = target.to_str().unwrap();
    let output = coffer.command(&["restore", id_of(&row), "--to", to]).output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(told.contains("pgdata/standby.signal"), "{told}{}", said(&output));
    assert!(target.join("pgdata/standby.signal").exists());
}
