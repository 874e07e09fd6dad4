//! README's commands for the day on which the machine burned: from the archives alone, a new machine has everything
//! again.

use std::path::Path;
use std::process::Command;

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::support::{TestServer, id_of, succeed, wait_until};

/// The commands of README up to the start of the server, for this data directory and copy of the archives.
fn commands(data_dir: &Path, copy: &Path) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(path).unwrap();
    let (_, section) = readme.split_once("## When the machine burned\n").unwrap();
    let (_, block) = section.split_once("```sh\n").unwrap();
    let (block, rest) = block.split_once("systemctl start coffer\n").unwrap();
    assert!(
        rest.starts_with("coffer status\ncoffer schedule\ncoffer restore latest:shop --to"),
        "{rest}"
    );
    // A test has no user for it.
    block
        .replace("systemctl stop coffer", ":")
        .replace("/var/lib/coffer", data_dir.to_str().unwrap())
        .replace("/mnt/copy", copy.to_str().unwrap())
        .replace("sudo -u coffer coffer", env!("CARGO_BIN_EXE_coffer"))
        .replace(" -o coffer -g coffer", "")
        .replace("chown -R coffer:coffer", ": ")
}

fn report(server: &TestServer, arguments: &[&str]) -> Value {
    serde_json::from_slice(&server.run_ok(arguments).stdout).unwrap()
}

fn words(path: &Path) -> Vec<String> {
    let db = Connection::open(path).unwrap();
    let mut rows = db.prepare("SELECT word FROM row").unwrap();
    rows.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

#[test]
fn a_new_machine_goes_on_from_the_archives_alone_by_the_commands_of_the_readme() {
    let folder = tempfile::tempdir().unwrap();
    let shop = folder.path().join("shop.db");
    let rows = "CREATE TABLE row(word); INSERT INTO row VALUES ('first'), ('second')";
    Connection::open(&shop).unwrap().execute_batch(rows).unwrap();
    let mut server = TestServer::builder()
        .instance_sqlite("shop", &shop)
        .setting("catalog.backup", "true")
        .allow_warning("the catalog is older than the archives")
        .allow_warning("the catalog was older")
        .toml("[defaults]\nschedule = \"0 0 29 2 *\"\ntimezone = \"UTC\"")
        .start();
    let client = server.admin();
    let first = client.full("shop");
    // Only the catalog knows of this schedule.
    let wanted = json!({"backup_schedule": {"schedule": "0 0 1 1 *"}});
    client
        .put(&format!("backup_schedules/{}", client.instance_id("shop")), &wanted)
        .with_status(200);
    server.admin().in_project("coffer").full("coffer-catalog");
    let last = client.incremental("shop");
    let copy = folder.path().join("copy");
    std::fs::create_dir(&copy).unwrap();
    server.terminate();
    succeed(Command::new("mv").arg(server.data_dir().join("archives")).arg(&copy));
    // As the first start leaves it.
    std::fs::remove_dir_all(server.data_dir()).unwrap();
    std::fs::create_dir(server.data_dir()).unwrap();

    let script = commands(server.data_dir(), &copy);
    let mut shell = Command::new("bash");
    let ran = shell.args(["-euc", &script]).env("COFFER_CONFIG", server.config()).output().unwrap();
    assert!(ran.status.success(), "{script}\n{}", String::from_utf8_lossy(&ran.stderr));
    server.restart();

    let client = server.admin();
    for backup in [&first, &last] {
        assert_eq!(client.backup(id_of(backup))["status"], "COMPLETED");
    }
    let schedules = wait_until("the schedules to go on", || {
        let all = client.get("backup_schedules").json();
        let shop = all["backup_schedules"].as_array()?.first()?.clone();
        shop["next_run"].is_string().then_some(shop)
    });
    assert_eq!(
        (&schedules["schedule"], &schedules["set_through_api"]),
        (&"0 0 1 1 *".into(), &true.into())
    );
    let restored = server.restored(&last);
    assert_eq!(words(&restored), words(&shop));
    let events = report(&server, &["doctor", "--json"]);
    let log = events["findings"]
        .as_array()
        .unwrap()
        .iter()
        .find(|it| it["check"] == "event log")
        .unwrap();
    assert_eq!(log["level"], "ok", "{log}");
    let told = client.get("events").json();
    assert!(told["events"].to_string().contains("schedule_set"), "{told}");
    let next = client.incremental("shop");
    assert_eq!(next["parent_id"], last["id"], "the chain goes on");
}
