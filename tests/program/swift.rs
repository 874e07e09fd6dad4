//! Copies in OpenStack Swift: from a short configuration to a proven copy, and from that to a restored database.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use rusqlite::Connection;
use serde_json::Value;

use crate::servers::proxy::Proxy;
use crate::servers::swift::{LOGIN, SwiftServer};
use crate::support::{TestServer, id_of, stderr_of, wait_until, write_file};

#[test]
fn a_short_configuration_makes_proven_copies_in_swift_and_they_alone_are_enough_to_restore() {
    let store = SwiftServer::start();
    store.make_container("backups");
    let folder = tempfile::tempdir().unwrap();
    let (path, login) = (folder.path().join("shop.db"), folder.path().join("login"));
    let add =
        "CREATE TABLE IF NOT EXISTS row(data BLOB); INSERT INTO row VALUES (randomblob(3000));";
    let change = || Connection::open(&path).unwrap().execute_batch(add).unwrap();
    change();
    write_file(&login, LOGIN.map(|(name, value)| format!("export {name}={value}\n")).concat());
    std::fs::set_permissions(&login, Permissions::from_mode(0o600)).unwrap();
    let config = format!(
        "[[instances]]\nname = \"shop\"\nproject_id = \"{}\"\nengine = \"sqlite\"\nsource = {{ path = {path:?} }}\n\
         copies = [\"offsite\"]\n[[places]]\nname = \"offsite\"\ntype = \"swift\"\nauth_url = \"{}\"\n\
         container = \"backups\"\nprefix = \"shop-1\"\ncredentials_file = {login:?}\n",
        crate::support::PROJECT,
        store.auth_url()
    );
    assert!(config.lines().count() < 15, "with the line for data_dir");
    let server = TestServer::builder().toml(&config).start();
    let full = server.admin().full("shop");
    change();
    let incremental = server.admin().incremental("shop");
    for backup in [&full, &incremental] {
        let id = id_of(backup);
        let copy = wait_until("the copy to be proven", || {
            let copy = server.admin().backup(id)["copies"][0].take();
            (copy["state"] == "proven").then_some(copy)
        });
        assert_eq!((&copy["place"], &copy["proven_by"]), (&"offsite".into(), &"read_back".into()));
    }
    let doctor = String::from_utf8(server.run(&["doctor"]).stdout).unwrap();
    assert!(doctor.contains("holds 2 archives; listing, writing, reading"), "{doctor}");
    assert!(!server.log().text().contains("AUTH_ftk"), "a token is a secret");

    // A machine that has nothing but a login.
    let empty = folder.path().join("empty.toml");
    write_file(&empty, format!("data_dir = {:?}\n", folder.path().join("empty")));
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_coffer"));
        command.args(arguments).arg("--config").arg(&empty);
        command.envs(LOGIN).env("ST_AUTH", store.auth_url());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", stderr_of(&output));
        output.stdout
    };
    let from = "swift://backups/shop-1";
    let listed: Value = serde_json::from_slice(&run(&["list", "--from", from, "--json"])).unwrap();
    assert_eq!(listed["backups"][0]["id"], incremental["id"], "{listed:#}");
    assert_eq!(listed["backups"][1]["id"], full["id"], "{listed:#}");
    for (selector, expected) in [("latest:shop", 2), (id_of(&full), 1)] {
        let to = folder.path().join(format!("restored-{expected}.db"));
        run(&["restore", "--from", from, selector, "--to", to.to_str().unwrap()]);
        let count = Connection::open(&to).unwrap();
        let count = count.query_row("SELECT count(*) FROM row", [], |row| row.get::<_, u32>(0));
        assert_eq!(count.unwrap(), expected);
    }
}

#[test]
fn a_copy_in_swift_goes_on_where_it_stopped_after_a_kill() {
    let store = SwiftServer::start();
    store.make_container("backups");
    let proxy = Proxy::before(store.address());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("files");
    std::fs::create_dir(&path).unwrap();
    let mut content = vec![0; 20 << 20];
    getrandom::fill(&mut content).unwrap();
    write_file(&path.join("random"), &content);
    // The second of three parts does not get through.
    proxy.hold(Some("/00002"));
    let place = format!(
        "[[places]]\nname = \"offsite\"\ntype = \"swift\"\nauth_url = \"{}/auth/v1.0\"\ncontainer = \"backups\"\n",
        proxy.base()
    );
    let builder = TestServer::builder().instance_directory("files", &path);
    let builder = builder.toml("copies = [\"offsite\"]").toml(&place);
    let builder = LOGIN.iter().fold(builder, |builder, (name, value)| builder.env(name, value));
    let mut server = builder.start();
    let backup = server.admin().full("files");
    let copy = |server: &TestServer| server.admin().backup(id_of(&backup))["copies"][0].take();
    wait_until("the first part to arrive", || {
        (copy(&server)["progress"].as_f64().unwrap() > 0.0).then_some(())
    });
    server.kill();
    proxy.hold(None);
    server.restart();
    wait_until("the copy", || (copy(&server)["state"] == "proven").then_some(()));
    assert_eq!(proxy.seen("/00001"), 1, "the first part was sent once");
    let objects = store.objects("backups");
    let count = |part: &str| objects.iter().filter(|it| it.contains(part)).count();
    assert_eq!((count("archives/"), count("segments/"), count("uploads/")), (1, 3, 0));
}
