//! A fleet: two devices that copy to one place, and a server that reads it, shows who is silent and restores.

use std::path::{Path, PathBuf};

use rusqlite::Connection;
use serde_json::Value;

use super::encryption::new_key;
use crate::servers::proxy::Proxy;
use crate::servers::s3::{KEYS, S3Server};
use crate::servers::swift::{LOGIN, SwiftServer};
use crate::support::{Builder, TestServer, stderr_of, wait_until, write_file};

fn database(path: &Path, rows: u32) {
    let table = "CREATE TABLE row(data BLOB)";
    let db = Connection::open(path).unwrap();
    db.execute_batch(table).unwrap();
    for _ in 0..rows {
        db.execute_batch("INSERT INTO row VALUES (randomblob(3000))").unwrap();
    }
}

fn rows(path: &Path) -> u32 {
    let count = "SELECT count(*) FROM row";
    Connection::open(path).unwrap().query_row(count, [], |row| row.get(0)).unwrap()
}

/// Who may list and read, and nothing else.
const READER: [(&str, &str); 2] = [("ST_USER", "test:reader"), ("ST_KEY", "reading")];

/// Where the devices copy to.
enum Where {
    Disk(PathBuf),
    /// The reader goes through the proxy, which sees what it asks for.
    Bucket(S3Server, Proxy),
    Container(SwiftServer),
}

impl Where {
    /// The keys of a `[[places]]`, for a device or for the fleet.
    fn keys(&self, device: Option<&str>) -> String {
        let prefix = device.map_or_else(|| "fleet".to_owned(), |it| format!("fleet/{it}"));
        match self {
            Self::Disk(path) => {
                let (path, same) =
                    device.map_or((path.clone(), ""), |it| (path.join(it), "same_disk = true\n"));
                format!("type = \"disk\"\npath = {path:?}\n{same}")
            }
            Self::Bucket(server, proxy) => {
                let base = if device.is_some() { server.base() } else { proxy.base() };
                format!(
                    "type = \"s3\"\nendpoint = \"{base}\"\nbucket = \"backups\"\nprefix = \"{prefix}\"\n"
                )
            }
            Self::Container(server) => {
                let url = server.auth_url();
                format!(
                    "type = \"swift\"\nauth_url = \"{url}\"\ncontainer = \"backups\"\nprefix = \"{prefix}\"\n"
                )
            }
        }
    }

    fn with_keys(&self, builder: Builder, is_reader: bool) -> Builder {
        let keys: &[(&str, &str)] = match self {
            Self::Disk(_) => &[],
            Self::Bucket(..) => &KEYS,
            Self::Container(_) if is_reader => &READER,
            Self::Container(_) => &LOGIN,
        };
        keys.iter().fold(builder, |builder, (name, value)| builder.env(name, value))
    }
}

/// Makes a backup on a device, has it copied, and ends its server: from here on it is silent. `more` stands at the end of
/// its configuration.
fn back_up(device: &str, count: u32, to: &Where, more: &str) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop.db");
    database(&path, count);
    if let Where::Disk(root) = to {
        std::fs::create_dir_all(root.join(device)).unwrap();
    }
    let place = format!("[[places]]\nname = \"offsite\"\n{}{more}", to.keys(Some(device)));
    let builder = TestServer::builder().instance_sqlite("shop", &path);
    let builder = builder.toml("copies = [\"offsite\"]").toml(&place);
    let server = to.with_keys(builder, false).allow_warning("was never tried").start();
    let backup = server.admin().full("shop");
    wait_until("the copy", || {
        let copy = server.admin().backup(backup["id"].as_str().unwrap())["copies"][0].take();
        (copy["state"] == "proven").then_some(())
    });
}

fn reader(to: &Where, more: &str) -> TestServer {
    let place = format!("[[places]]\nname = \"all\"\nrole = \"reader\"\n{}{more}", to.keys(None));
    to.with_keys(TestServer::builder().toml(&place), true).start()
}

fn fleet(server: &TestServer) -> Vec<Value> {
    server.admin().get("fleet").with_status(200).json()["fleet"].take().as_array().unwrap().clone()
}

/// The devices that are known by the names of their instances.
fn wait_for_names(server: &TestServer, devices: &[&str]) -> Vec<Value> {
    wait_until("the fleet", || {
        let found = fleet(server);
        let named = found.iter().filter(|it| it["name"] == "shop");
        let named: Vec<_> = named.map(|it| it["device"].as_str().unwrap().to_owned()).collect();
        (named == devices).then_some(found)
    })
}

fn is_read_and_restored(to: &Where) {
    back_up("shop-1", 1, to, "");
    back_up("shop-2", 2, to, "");
    let server = reader(to, "");
    let found = wait_for_names(&server, &["shop-1", "shop-2"]);
    assert_eq!(found[0]["instance_id"], found[1]["instance_id"], "both devices call it the same");
    assert_eq!((&found[1]["backups"], &found[1]["silent"]), (&1.into(), &false.into()));
    let path = format!("fleet/{}/backups", found[1]["id"]);
    let backups = server.admin().get(&path).with_status(200).json();
    assert_eq!(backups["backups"].as_array().unwrap().len(), 1);
    assert_eq!(backups["backups"][0]["kind"], "full");
    assert_eq!(server.admin().get("backups").json()["backups"], serde_json::json!([]));
    let shown = String::from_utf8(server.run_ok(&["fleet"]).stdout).unwrap();
    assert!(
        shown.contains("shop-1") && shown.contains("shop-2") && !shown.contains("SILENT"),
        "{shown}"
    );
    let listed = server.run_ok(&["list", "--from", "all/shop-2", "--json"]);
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!(listed["backups"][0]["id"], backups["backups"][0]["id"]);
    for (device, count) in [("all/shop-1", 1), ("all/shop-2", 2)] {
        let restored = server.folder().join(device.replace('/', "-"));
        let to = restored.to_str().unwrap();
        server.run_ok(&["restore", "--from", device, "latest:shop", "--to", to]);
        assert_eq!(rows(&restored), count, "{device}");
        server.run_ok(&["verify", "--from", device, backup_of(&server, device).as_str()]);
        let drilled = server.run_ok(&["drill", "--from", device, "latest:shop", "--json"]);
        let drilled: Value = serde_json::from_slice(&drilled.stdout).unwrap();
        assert_eq!(drilled["rows_by_table"]["row"], count, "{drilled:#}");
    }
    let unnamed = server.run(&["list", "--from", "all"]);
    assert!(stderr_of(&unnamed).contains("name one, as all/DEVICE"), "{}", stderr_of(&unnamed));
    let doctor = String::from_utf8(server.run(&["doctor"]).stdout).unwrap();
    assert!(doctor.contains("fleet all"), "{doctor}");
}

fn backup_of(server: &TestServer, device: &str) -> String {
    let listed = server.run_ok(&["list", "--from", device, "--json"]);
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    listed["backups"][0]["id"].as_str().unwrap().to_owned()
}

#[test]
fn devices_on_a_disk_are_listed_and_restored_from() {
    let folder = tempfile::tempdir().unwrap();
    is_read_and_restored(&Where::Disk(folder.path().to_owned()));
}

#[test]
fn devices_in_a_bucket_are_listed_and_restored_from_without_a_request_that_changes_anything() {
    let server = S3Server::start();
    server.make_bucket("backups");
    let proxy = Proxy::before(server.address());
    let to = Where::Bucket(server, proxy);
    is_read_and_restored(&to);
    let Where::Bucket(_, proxy) = &to else { unreachable!() };
    assert!(proxy.seen("GET ") > 0);
    for method in ["PUT ", "POST ", "DELETE "] {
        assert_eq!(proxy.seen(method), 0, "{method}");
    }
}

#[test]
fn devices_in_swift_are_listed_and_restored_from_by_a_user_who_may_only_read() {
    let server = SwiftServer::start();
    server.make_container("backups");
    server.let_read("backups", READER[0].1);
    is_read_and_restored(&Where::Container(server));
}

#[test]
fn encrypted_devices_are_listed_without_a_key_and_verified_and_restored_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let (key, public) = new_key(folder.path(), "key");
    let to = Where::Disk(folder.path().join("fleet"));
    back_up("shop-1", 3, &to, &format!("encrypt_to = [\"{public}\"]\n"));
    let server = reader(&to, "");
    let found = wait_until("why it has no name", || {
        let found = fleet(&server);
        found.first().is_some_and(|it| it["unread"].is_string()).then_some(found)
    });
    assert_eq!((&found[0]["device"], &found[0]["name"]), (&"shop-1".into(), &Value::Null));
    let path = format!("fleet/{}/backups", found[0]["id"]);
    let backups = server.admin().get(&path).with_status(200).json()["backups"].take();
    assert_eq!((&backups[0]["encrypted"], &backups[0]["kind"]), (&true.into(), &"full".into()));
    let id = backups[0]["id"].as_str().unwrap();
    let restored = folder.path().join("restored.db");
    let (file, target) = (key.to_str().unwrap(), restored.to_str().unwrap());
    for (command, more) in
        [("verify", &[][..]), ("drill", &[][..]), ("restore", &["--to", target][..])]
    {
        let arguments = [&[command, "--from", "all/shop-1", id][..], more].concat();
        let refused = server.run(&arguments);
        assert!(
            !refused.status.success() && stderr_of(&refused).contains("no key was given"),
            "{command}: {}",
            stderr_of(&refused)
        );
        assert!(!restored.exists());
        server.run_ok(&[&arguments[..], &["--identity", file]].concat());
    }
    assert_eq!(rows(&restored), 3);
}

#[test]
fn a_silent_device_is_red_until_it_is_retired_and_a_hostile_one_harms_only_itself() {
    let folder = tempfile::tempdir().unwrap();
    let to = Where::Disk(folder.path().to_owned());
    back_up("shop-1", 1, &to, "");
    // A file by the name of an archive, in the folder of a device and of nothing that its manifest could say.
    let own = folder.path().join("shop-1/archives");
    let other = folder.path().join("evil/archives");
    let project = std::fs::read_dir(&own).unwrap().next().unwrap().unwrap().path();
    let instance = std::fs::read_dir(&project).unwrap().next().unwrap().unwrap().path();
    let taken = std::fs::read_dir(&instance).unwrap().next().unwrap().unwrap().path();
    let forged = other.join("stolen").join(instance.file_name().unwrap());
    std::fs::create_dir_all(&forged).unwrap();
    let archive = std::fs::read(&taken).unwrap();
    write_file(&forged.join(taken.file_name().unwrap()), archive);
    let server = reader(&to, "silent_after = \"1 s\"\n");
    let found = wait_until("the fleet", || {
        let found = fleet(&server);
        let known = found.len() == 2 && found.iter().all(|it| it["silent"] == true);
        known.then_some(found)
    });
    let forged = found.iter().find(|it| it["device"] == "evil").unwrap();
    assert_eq!((&forged["name"], &forged["project_id"]), (&Value::Null, &"stolen".into()));
    wait_until("why it has no name", || {
        let found = fleet(&server);
        let why = found.iter().find(|it| it["device"] == "evil").unwrap()["unread"].clone();
        why.as_str().map(|why| assert!(why.contains("another project or instance"), "{why}"))
    });
    let status = server.run(&["status"]);
    let text = String::from_utf8(status.stdout).unwrap();
    assert_eq!(status.status.code(), Some(7), "{text}");
    assert!(text.contains("no new backup of 2 in the fleet"), "{text}");
    assert!(text.contains("shop of shop-1 in all"), "{text}");
    let shown = String::from_utf8(server.run_ok(&["fleet", "--silent"]).stdout).unwrap();
    assert_eq!(shown.matches("SILENT").count(), 2, "{shown}");
    let config = std::fs::read_to_string(server.config()).unwrap();
    let retired = "silent_after = \"1 s\"\nretired = [\"shop-1\", \"evil\"]\n";
    write_file(server.config(), config.replace("silent_after = \"1 s\"\n", retired));
    let pid = i32::try_from(server.pid().unwrap()).unwrap();
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(pid).unwrap(),
        rustix::process::Signal::HUP,
    )
    .unwrap();
    wait_until("nobody to be silent", || {
        fleet(&server).iter().all(|it| it["silent"] == false).then_some(())
    });
    let health = server.admin().get("health?all_projects=true").json()["health"].take();
    assert!(!health["problems"].to_string().contains("device_silent"), "{health}");
}
