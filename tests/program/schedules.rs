//! A server that backs up by itself: what it missed is made up for once, and what is not kept goes to the trash.

use rusqlite::Connection;
use serde_json::Value;

use crate::support::{PROJECT, TestServer, id_of, wait_until};

const DAY: i64 = 86_400_000_000;

fn report(server: &TestServer, arguments: &[&str]) -> Value {
    serde_json::from_slice(&server.run_ok(arguments).stdout).unwrap()
}

/// The backups that can be restored, newest first.
fn completed(server: &TestServer) -> Vec<Value> {
    let all = server.admin().all("backups", "backups");
    all.into_iter().filter(|it| it["status"] == "COMPLETED").collect()
}

/// Changes the stopped server's catalog to what it was some days ago.
fn days_ago(server: &TestServer, days: i64) {
    let db = Connection::open(server.data_dir().join("catalog.db")).unwrap();
    db.execute("UPDATE schedules SET handled = handled - ?1", [days * DAY]).unwrap();
}

#[test]
fn a_server_makes_up_for_missed_runs_once_and_lets_go_of_what_is_not_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop.db");
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE row(data BLOB)").unwrap();
    let mut server = TestServer::builder()
        .instance_sqlite("shop", &path)
        .toml("schedule = \"daily 02:30\"\nfull_every = 1\nkeep = { last = 2 }")
        .token("root", PROJECT, &["admin"])
        .toml("[defaults]\ntimezone = \"UTC\"")
        .start();
    let listed = wait_until("the schedule to be seen", || {
        let listed = report(&server, &["schedule", "--json"]);
        let db = Connection::open(server.data_dir().join("catalog.db")).unwrap();
        let seen: u32 =
            db.query_row("SELECT count(*) FROM schedules", [], |row| row.get(0)).unwrap();
        (seen == 1).then_some(listed)
    });
    let next = listed["backup_schedules"][0]["next_run"].as_str().unwrap();
    assert!(next.ends_with("T02:30:00"), "{listed:#}");
    assert_eq!(
        completed(&server),
        Vec::<Value>::new(),
        "nothing was missed before the first start"
    );

    let first = id_of(&server.admin().full("shop")).to_owned();
    server.terminate();
    days_ago(&server, 3);
    server.restart();
    let made = wait_until("the backup that makes up for three", || {
        completed(&server).into_iter().find(|it| id_of(it) != first)
    });
    assert!(made["name"].as_str().unwrap().starts_with("shop 20"), "{made:#}");
    let status = report(&server, &["status", "--json"]);
    assert!(status["instances"][0]["next_run"].as_str().unwrap().ends_with("T02:30:00"));
    let listed = report(&server, &["schedule", "--json"]);
    assert_eq!(listed["backup_schedules"][0]["last_backup_id"], made["id"]);
    let table = String::from_utf8(server.run_ok(&["schedule"]).stdout).unwrap();
    assert!(table.contains("daily 02:30") && table.contains("COMPLETED"), "{table}");

    // With a third one the first is not kept any more, and its archive goes to the trash.
    let preview = report(&server, &["retention", "preview", "shop", "--json"]);
    assert_eq!(preview["freed_bytes"], 0, "{preview:#}");
    let third = id_of(&server.admin().full("shop")).to_owned();
    wait_until("the first to go", || {
        let left = completed(&server);
        let left: Vec<&str> = left.iter().map(id_of).collect();
        (left == [third.as_str(), id_of(&made)]).then_some(())
    });
    // What is pinned stays.
    let mut pin = server.command(&["pin", id_of(&made)]);
    pin.env("COFFER_URL", server.base()).env("COFFER_TOKEN", server.secret("root"));
    let pinned = pin.env("COFFER_PROJECT", PROJECT).output().unwrap();
    assert!(pinned.status.success(), "{}", String::from_utf8_lossy(&pinned.stderr));
    let fourth = id_of(&server.admin().full("shop")).to_owned();
    server.admin().full("shop");
    wait_until("the third to go", || {
        let left = completed(&server);
        (!left.iter().any(|it| id_of(it) == third)).then_some(())
    });
    let left = completed(&server);
    let left: Vec<&str> = left.iter().map(id_of).collect();
    assert!(left.contains(&id_of(&made)) && left.contains(&fourth.as_str()), "{left:?}");
    let preview =
        String::from_utf8(server.run_ok(&["retention", "preview", "shop"]).stdout).unwrap();
    assert!(
        preview.contains("pinned") && preview.contains("0 backups would be deleted"),
        "{preview}"
    );
}
