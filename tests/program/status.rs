//! What the API says of everything's health is what the command says of it, with a server and without one.

use std::path::{Path, PathBuf};

use coffer::domain::{Clock as _, SystemClock};
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::support::{PROJECT, TestServer, archive_of, damage, id_of, stderr_of};

/// Forty days, in microseconds.
const FORTY_DAYS: i64 = 40 * 86_400_000_000;

/// A store in which each instance has a trouble of its own.
struct Store {
    server: TestServer,
    /// The rows of what was made, as they were then: of `well`, `failing`, `late`, and the parent and child of `rotten`.
    made: Vec<Value>,
    // Outlives the server.
    _folder: tempfile::TempDir,
}

fn write_row(path: &Path) {
    let sql =
        "CREATE TABLE IF NOT EXISTS row(data BLOB); INSERT INTO row VALUES (randomblob(90000))";
    Connection::open(path).unwrap().execute_batch(sql).unwrap();
}

/// A time of the day that is half a day away.
fn far_from_now() -> String {
    let hour: u32 = SystemClock.now().to_wire().get(11..13).unwrap().parse().unwrap();
    format!("{:02}:30", (hour + 12) % 24)
}

impl Store {
    fn in_trouble() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| -> PathBuf { folder.path().join(format!("{name}.db")) };
        for name in ["well", "failing", "late", "rotten"] {
            write_row(&path(name));
        }
        let daily = format!("schedule = \"daily {}\"", far_from_now());
        let mut server = TestServer::builder()
            .instance_sqlite("well", &path("well"))
            .toml(&daily)
            .instance_sqlite("failing", &path("failing"))
            .instance_sqlite("late", &path("late"))
            .toml("health = { max_age = \"30 days\" }")
            .instance_sqlite("rotten", &path("rotten"))
            .instance_sqlite("absent", &path("absent"))
            .token("operator", PROJECT, &["admin"])
            .allow_warning("a backup would fail now")
            .allow_warning(" failed: ")
            .allow_warning("nothing is built on it")
            .start();
        let client = server.admin();
        let mut made: Vec<_> =
            ["well", "failing", "late", "rotten"].map(|name| client.full(name)).into();
        client.ask_for_drill(id_of(&made[0]));
        made[0] = client.drilled(id_of(&made[0]));
        write_row(&path("rotten"));
        made.push(client.incremental("rotten"));
        std::fs::remove_file(path("failing")).unwrap();
        client.failed("failing");
        damage(&archive_of(&made[3]));
        assert_eq!(server.run(&["verify", id_of(&made[3])]).status.code(), Some(4));
        server.terminate();
        let catalog = Connection::open(server.data_dir().join("catalog.db")).unwrap();
        let ago = format!(
            "UPDATE backups SET created = created - {FORTY_DAYS} WHERE id = '{}'",
            id_of(&made[2])
        );
        catalog.execute_batch(&ago).unwrap();
        server.restart();
        Self { server, made, _folder: folder }
    }

    /// What the command says; the server's disk changes from one moment to the next.
    fn status(&self) -> Value {
        let mut command = self.server.command(&["status", "--json"]);
        command.env("COFFER_URL", self.server.base());
        command.env("COFFER_TOKEN", self.server.secret("operator")).env("COFFER_PROJECT", PROJECT);
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(7), "{}", stderr_of(&output));
        without_disk(serde_json::from_slice(&output.stdout).unwrap())
    }

    fn status_without_server(&self) -> Value {
        let output = self.server.run(&["status", "--json"]);
        assert_eq!(output.status.code(), Some(7), "{}", stderr_of(&output));
        without_disk(serde_json::from_slice(&output.stdout).unwrap())
    }
}

fn without_disk(mut health: Value) -> Value {
    assert!(health["disk"]["free_bytes"].as_u64().unwrap() > 0, "{health:#}");
    health.as_object_mut().unwrap().remove("disk");
    health
}

fn of<'a>(health: &'a Value, name: &str) -> &'a Value {
    let all = health["instances"].as_array().unwrap();
    all.iter().find(|it| it["instance_name"] == name).unwrap()
}

fn kinds(health: &Value) -> Vec<&str> {
    health["problems"].as_array().unwrap().iter().map(|it| it["kind"].as_str().unwrap()).collect()
}

#[test]
fn the_api_and_the_command_say_the_same_of_every_kind_of_trouble_with_a_server_and_without() {
    let mut store = Store::in_trouble();
    let client = store.server.admin();
    let api = without_disk(client.get("health").json()["health"].take());
    let mut said = store.status();
    assert_eq!(said.as_object_mut().unwrap().remove("server_answers"), Some(true.into()));
    assert_eq!(said, api);

    // They say what is so, by what else the API says.
    let [well, failing, late, rotten, child] = &store.made[..] else { unreachable!() };
    for (name, state, problems, points, good) in [
        ("well", "safe", vec![], 1, Some(well)),
        ("failing", "critical", vec!["failed"], 1, Some(failing)),
        ("late", "critical", vec!["missed"], 1, Some(late)),
        ("rotten", "critical", vec!["damaged", "no_backup"], 0, None),
        ("absent", "not_backed_up", vec![], 0, None),
    ] {
        let it = of(&api, name);
        assert_eq!((&it["state"], kinds(it)), (&state.into(), problems), "{it:#}");
        assert_eq!(it["restore_points"], points, "{name}");
        let Some(good) = good else {
            assert_eq!(it["last_good"], Value::Null, "{name}");
            continue;
        };
        let row = client.backup(id_of(good));
        for (key, column) in [
            ("backup_id", "id"),
            ("created", "created"),
            ("size_bytes", "size_bytes"),
            ("source_bytes", "source_bytes"),
            ("verified_at", "verified_at"),
            ("verify_level", "verify_level"),
        ] {
            assert_eq!(it["last_good"][key], row[column], "{name}: {key}");
        }
        assert_eq!(it["stored_bytes"], row["size_bytes"], "{name}");
    }
    let bytes = |row: &Value| row["size_bytes"].as_u64().unwrap();
    let it = of(&api, "rotten");
    assert_eq!(it["stored_bytes"], bytes(rotten) + bytes(child));
    assert_eq!(it["bad_backups"], 1);
    let schedules = client.get("backup_schedules").json();
    let of_well = schedules["backup_schedules"].as_array().unwrap().iter();
    let of_well = of_well.clone().find(|it| it["instance_name"] == "well").unwrap();
    assert_eq!(of(&api, "well")["next_run"], of_well["next_run"]);
    assert_eq!(of(&api, "well")["last_passed_drill"], well["drill"]["at"]);

    // Without a server the same is read from the catalog, and that nobody follows the schedule.
    store.server.terminate();
    let mut offline = store.status_without_server();
    let problems = offline["problems"].as_array_mut().unwrap();
    let stopped = problems.remove(0);
    assert_eq!(
        (&stopped["kind"], &stopped["instance_id"]),
        (&json!("server_stopped"), &Value::Null)
    );
    assert_eq!(offline.as_object_mut().unwrap().remove("server_answers"), Some(false.into()));
    assert_eq!(offline, api);
}

#[test]
fn what_the_server_found_of_a_source_is_said_without_it_and_by_the_next_one() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("shop.db");
    let mut server = TestServer::builder()
        .instance_sqlite("shop", &source)
        .token("operator", PROJECT, &["admin"])
        .allow_warning("a backup would fail now")
        .start();
    server.terminate();
    // As a server records it that has tried for some minutes.
    let catalog = Connection::open(server.data_dir().join("catalog.db")).unwrap();
    let alert = "INSERT INTO alerts (id, kind, instance, project, name, since, began, said, message, advice, channels)
         SELECT '00000000-0000-4000-b000-000000000000', 'cannot_start', id, project, name, created, created, created,
             'a backup of shop cannot begin: its source is away', 'as the test wants', '[]'
         FROM instances WHERE name = 'shop'";
    assert_eq!(catalog.execute(alert, []).unwrap(), 1);
    drop(catalog);
    let output = server.run(&["status", "--json"]);
    assert_eq!(output.status.code(), Some(7), "{}", stderr_of(&output));
    let offline: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(kinds(of(&offline, "shop")), ["cannot_start"], "{offline:#}");
    let message = of(&offline, "shop")["problems"][0]["message"].as_str().unwrap();
    let found = "its source is away (found earlier, and not tried again yet)";
    assert_eq!(message, format!("a backup of shop cannot begin: {found}"));
    server.restart();
    let health = server.admin().get("health").json()["health"].take();
    assert_eq!(kinds(of(&health, "shop")), ["cannot_start"], "{health:#}");
}
