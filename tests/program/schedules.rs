//! A server that backs up by itself: what it missed is made up for once, and what is not kept goes to the trash.

use coffer::domain::{Clock as _, SystemClock};
use rusqlite::Connection;
use std::path::Path;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::{PROJECT, TestServer, archive_of, id_of, stderr_of, wait_until, write_file};

const DAY: i64 = 86_400_000_000;

fn report(server: &TestServer, arguments: &[&str]) -> Value {
    serde_json::from_slice(&server.run_ok(arguments).stdout).unwrap()
}

fn server_pid(server: &TestServer) -> Pid {
    let pid = i32::try_from(server.pid().unwrap()).unwrap();
    Pid::from_raw(pid).unwrap()
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

fn ids(server: &TestServer) -> Vec<String> {
    completed(server).iter().map(|it| id_of(it).to_owned()).collect()
}

/// The list of schedules once the server has seen the only one.
fn schedule_seen(server: &TestServer) -> Value {
    wait_until("the schedule to be seen", || {
        let db = Connection::open(server.data_dir().join("catalog.db")).unwrap();
        let seen = "SELECT count(*) FROM schedules";
        let seen: u32 = db.query_row(seen, [], |row| row.get(0)).unwrap();
        (seen == 1).then(|| report(server, &["schedule", "--json"]))
    })
}

/// A time of the day that is half a day away: nothing is due while a test runs.
fn far_from_now() -> String {
    let now = SystemClock.now().to_wire();
    let hour: u32 = now.get(11..13).unwrap().parse().unwrap();
    format!("{:02}:30", (hour + 12) % 24)
}

/// A server that makes a full backup of `shop` each day, with more configuration of that instance.
fn daily(folder: &Path, more: &str) -> TestServer {
    let path = folder.join("shop.db");
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE row(data BLOB)").unwrap();
    TestServer::builder()
        .instance_sqlite("shop", &path)
        .toml(&format!("schedule = \"daily {}\"\nfull_every = 1\n{more}", far_from_now()))
        .token("root", PROJECT, &["admin"])
        .toml("[defaults]\ntimezone = \"UTC\"")
        .start()
}

#[test]
fn a_server_makes_up_for_the_runs_that_it_missed_with_one_backup() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = daily(folder.path(), "");
    let listed = schedule_seen(&server);
    let next = listed["backup_schedules"][0]["next_run"].as_str().unwrap();
    assert!(next.ends_with(":30:00"), "{listed:#}");
    assert_eq!(
        completed(&server),
        Vec::<Value>::new(),
        "nothing was missed before the first start"
    );
    server.terminate();
    days_ago(&server, 3);
    server.restart();
    let made = wait_until("the backup", || completed(&server).pop());
    assert!(made["name"].as_str().unwrap().starts_with("shop 20"), "{made:#}");
    let status = report(&server, &["status", "--json"]);
    assert!(status["instances"][0]["next_run"].as_str().unwrap().ends_with(":30:00"));
    assert_eq!(status["instances"][0]["overdue_since"], Value::Null);
    let listed = report(&server, &["schedule", "--json"]);
    assert_eq!(listed["backup_schedules"][0]["last_backup_id"], made["id"]);
    let table = String::from_utf8(server.run_ok(&["schedule"]).stdout).unwrap();
    let schedule = listed["backup_schedules"][0]["schedule"].as_str().unwrap();
    assert!(table.contains(schedule) && table.contains("COMPLETED"), "{table}");
    server.terminate();
    server.restart();
    let kept = schedule_seen(&server);
    assert_eq!(
        kept["backup_schedules"][0]["last_backup_id"], made["id"],
        "a restart repeats nothing"
    );
}

#[test]
fn what_is_not_kept_goes_after_a_backup_and_what_is_pinned_stays() {
    let folder = tempfile::tempdir().unwrap();
    let server = daily(folder.path(), "keep = { last = 2 }");
    let make = || id_of(&server.admin().full("shop")).to_owned();
    let [first, second, third] = [make(), make(), make()];
    let left = [third.clone(), second.clone()];
    wait_until("the first to go", || (ids(&server) == left).then_some(()));
    let trashed = server.run_ok(&["undelete", &first, "--json"]);
    let trashed: Value = serde_json::from_slice(&trashed.stdout).unwrap();
    assert_eq!((&trashed["backup"], &trashed["pinned"]), (&first.as_str().into(), &true.into()));

    let mut pin = server.command(&["pin", &second]);
    pin.env("COFFER_URL", server.base()).env("COFFER_TOKEN", server.secret("root"));
    let pinned = pin.env("COFFER_PROJECT", PROJECT).output().unwrap();
    assert!(pinned.status.success(), "{}", stderr_of(&pinned));
    let fourth = make();
    let fifth = make();
    let left = [fifth, fourth, second, first];
    wait_until("the third to go", || (ids(&server) == left).then_some(()));
    let preview = server.run_ok(&["retention", "preview", "shop"]).stdout;
    let preview = String::from_utf8(preview).unwrap();
    assert!(
        preview.contains("pinned") && preview.contains("0 backups would be deleted"),
        "{preview}"
    );
}

#[test]
fn an_incremental_that_is_all_that_is_kept_of_its_chain_becomes_full_by_itself_and_the_root_goes() {
    let folder = tempfile::tempdir().unwrap();
    let server = daily(folder.path(), "keep = { last = 2 }");
    let database = Connection::open(folder.path().join("shop.db")).unwrap();
    let random = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)
         INSERT INTO row SELECT randomblob(4000) FROM n";
    database.execute_batch(random).unwrap();
    let root = server.admin().full("shop");
    database.execute_batch("UPDATE row SET data = randomblob(4000)").unwrap();
    let kept = server.admin().incremental("shop");
    assert_eq!(kept["parent_id"], root["id"]);
    let wanted = std::fs::read(server.restored(&kept)).unwrap();
    database.execute_batch("DELETE FROM row WHERE rowid % 9 = 0").unwrap();
    let last = server.admin().full("shop");
    let made =
        wait_until("the full one, and the chain to go", || match completed(&server).as_slice() {
            [newest, made] if newest["id"] == last["id"] && made["id"] != kept["id"] => {
                Some(made.clone())
            }
            _ => None,
        });
    assert_eq!((&made["kind"], &made["parent_id"]), (&"full".into(), &Value::Null), "{made:#}");
    assert_eq!(made["created"], kept["created"], "it is of the same moment");
    wait_until("both archives to be in the trash", || {
        [&root, &kept].iter().all(|it| !archive_of(it).exists()).then_some(())
    });
    assert!(std::fs::read(server.restored(&made)).unwrap() == wanted);
}

#[test]
fn a_catalog_that_is_rebuilt_knows_what_is_pinned() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = daily(folder.path(), "");
    let [kept, let_go, other] = [(); 3].map(|()| id_of(&server.admin().full("shop")).to_owned());
    let pin = |method: &str, id: &str| {
        let answer = server.admin().send(method, &format!("backups/{id}/pin"), None);
        answer.with_status(200).json()["backup"]["pinned_at"].clone()
    };
    let since = pin("PUT", &kept);
    pin("PUT", &let_go);
    pin("DELETE", &let_go);
    server.allow_warning("rebuilt");
    server.terminate();
    server.remove_catalog();
    server.restart();
    let pinned_at = |id: &str| server.admin().backup(id)["pinned_at"].clone();
    assert_eq!(pinned_at(&kept), since);
    assert_eq!([pinned_at(&let_go), pinned_at(&other)], [Value::Null, Value::Null]);
}

#[test]
fn an_edited_configuration_applies_on_sighup_and_a_wrong_one_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop.db");
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE row(data BLOB)").unwrap();
    let server = TestServer::builder()
        .instance_sqlite("shop", &path)
        .allow_warning("is not taken over")
        .start();
    let asked = || server.admin().all("backup_schedules", "backup_schedules");
    assert_eq!(asked(), Vec::<Value>::new());
    let text = std::fs::read_to_string(server.config()).unwrap();
    let edit = |defaults: &str| {
        write_file(server.config(), format!("{text}\n[defaults]\n{defaults}\n"));
        kill_process(server_pid(&server), Signal::HUP).unwrap();
    };
    edit("schedule = \"dayly 02:30\"");
    wait_until("the error", || {
        let log = server.log().text();
        (log.contains("is not taken over") && log.contains("\"dayly 02:30\" is not a schedule"))
            .then_some(())
    });
    assert_eq!(asked(), Vec::<Value>::new());
    let schedule = format!("daily {}", far_from_now());
    edit(&format!("schedule = \"{schedule}\""));
    let listed = wait_until("the schedule", || asked().into_iter().next());
    assert_eq!((&listed["instance_name"], &listed["schedule"]), (&"shop".into(), &schedule.into()));
}
