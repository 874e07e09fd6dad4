//! The commands in README and its pages, from their own text: each block is run here, or stands in a list with the
//! reason.

use std::path::Path;
use std::process::Stdio;

use rusqlite::Connection;

use crate::support::{Builder, TestServer, archive_of, bash, id_of, wait_until, write_file};

/// Blocks that are run here, by the page and their beginning.
const RUN: &[(&str, &str)] = &[
    ("README.md", "coffer restore latest:shop --to /srv/shop/restored.db"),
    ("README.md", "tar --zstd -xf"),
    ("packaging/doc/api.md", "TOKEN="),
    ("packaging/doc/engines/directory.md", "coffer restore latest:uploads"),
    ("packaging/doc/engines/sqlite.md", "coffer restore latest:shop"),
    ("packaging/doc/restoring.md", "coffer restore latest:shop --in-place"),
    ("packaging/doc/restoring.md", "coffer drill BACKUP_ID"),
];

/// Blocks that are not, and why.
const NOT_RUN: &[(&str, &str, &str)] = &[
    ("README.md", "cargo run --release -- demo", "tests/program/demo.rs runs the demo"),
    ("README.md", "cargo install cargo-deb", "changes the machine; tests/run.sh makes the package"),
    ("README.md", "sudo coffer doctor", "needs systemd; tests/debian/first_backup.sh"),
    ("README.md", "sudo coffer backup shop --wait", "needs systemd; tests/debian/first_backup.sh"),
    ("README.md", "cargo build --release", "the program under test was built"),
    ("README.md", "mkdir ~/coffer", "tests/program/quick_start.rs"),
    ("README.md", "coffer doctor", "tests/program/quick_start.rs"),
    ("README.md", "coffer backup shop --wait", "tests/program/quick_start.rs"),
    ("README.md", "systemctl stop coffer", "tests/program/burned.rs; tests/debian/burned.sh"),
    ("packaging/doc/api.md", "alias os=", "a client from PyPI; tests/clients has its calls"),
    (
        "packaging/doc/api.md",
        "coffer user add",
        "its words are in the place of names; tests/clients",
    ),
    (
        "packaging/doc/api.md",
        "openstack service create",
        "for a Keystone; tests/clients runs them in a real one",
    ),
    (
        "packaging/doc/api.md",
        "openstack --os-cloud",
        "a client from PyPI; tests/clients signs in by this file",
    ),
    ("packaging/doc/copies.md", "coffer list --from s3", "a bucket; tests/program/copies.rs"),
    (
        "packaging/doc/copies.md",
        "coffer catalog take-over",
        "a new machine; tests/program/owners.rs",
    ),
    ("packaging/doc/copies.md", "coffer key new", "typed from paper; tests/program/encryption.rs"),
    (
        "packaging/doc/configuration.md",
        "#!/bin/sh -e",
        "needs certbot and systemd; tests/program/tls reloads renewed files",
    ),
    ("packaging/doc/engines/mariadb.md", "coffer restore", "a server; tests/program/mariadb"),
    ("packaging/doc/engines/postgresql.md", "coffer restore", "a server; tests/program/postgresql"),
    (
        "packaging/doc/container.md",
        "cargo build --release",
        "needs a registry of images; tests/debian/container.sh builds and runs the image",
    ),
    ("packaging/doc/packages.md", "echo 'coffer coffer/", "tests/debian/remove_and_purge.sh"),
    ("packaging/doc/packages.md", "rustup target add", "tests/run.sh --static"),
    ("packaging/doc/engines/redis.md", "coffer restore", "a server; tests/program/redis"),
];

/// The blocks of commands of a page.
fn blocks(page: &str) -> Vec<String> {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(page)).unwrap();
    let blocks = text.split("```sh\n").skip(1).map(|it| it.split_once("```").unwrap().0);
    blocks.map(str::to_owned).collect()
}

fn pages() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages = vec!["README.md".to_owned()];
    for folder in ["packaging/doc", "packaging/doc/engines"] {
        let paths = root.join(folder).read_dir().unwrap().map(|it| it.unwrap().path());
        for page in paths.filter(|it| it.extension().is_some_and(|it| it == "md")) {
            pages.push(page.strip_prefix(root).unwrap().to_str().unwrap().to_owned());
        }
    }
    pages
}

#[test]
fn each_block_of_commands_is_run_or_listed_with_the_reason() {
    let mut listed: Vec<(&str, &str)> = RUN.to_vec();
    listed.extend(NOT_RUN.iter().map(|(page, start, _why)| (*page, *start)));
    for page in pages() {
        for block in blocks(&page) {
            let at = listed.iter().position(|(of, start)| *of == page && block.starts_with(start));
            let at =
                at.unwrap_or_else(|| panic!("{page}: this is neither run nor listed:\n{block}"));
            listed.remove(at);
        }
    }
    assert_eq!(listed, [("", ""); 0], "no page has these any more");
}

/// A server with what the pages speak of: `shop` and `uploads`, backed up.
struct Fixture {
    server: TestServer,
    home: tempfile::TempDir,
    full: serde_json::Value,
    incremental: serde_json::Value,
}

impl Fixture {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let (shop, web) = (home.path().join("srv/shop"), home.path().join("srv/web/uploads"));
        std::fs::create_dir_all(&shop).unwrap();
        std::fs::create_dir_all(&web).unwrap();
        write_file(&web.join("photo"), "a photo");
        let shop = shop.join("shop.db");
        let sql = |text: &str| Connection::open(&shop).unwrap().execute_batch(text).unwrap();
        sql("CREATE TABLE item(name); INSERT INTO item VALUES ('lamp')");
        let server = Builder::default()
            .project("default")
            .no_tokens()
            .instance_sqlite("shop", &shop)
            .instance_directory("uploads", &web)
            .start();
        let client = server.admin().in_project("default");
        let full = client.full("shop");
        sql("INSERT INTO item VALUES ('chair')");
        let incremental = client.incremental("shop");
        client.full("uploads");
        Self { server, home, full, incremental }
    }

    /// What stands in the page for the reader's own.
    fn with_own_names(&self, block: &str) -> String {
        let id = self.server.admin().in_project("default").instance_id("shop");
        let archive = |backup| archive_of(backup).to_str().unwrap().to_owned();
        let srv = self.home.path().join("srv");
        block
            .replace("FULL.tar.zst", &archive(&self.full))
            .replace("INCREMENTAL.incr.zst", &archive(&self.incremental))
            .replace("BACKUP_ID.tar.zst", &archive(&self.full))
            .replace("BACKUP_ID", id_of(&self.full))
            .replace("INSTANCE_ID", &id)
            .replace("/srv/", &format!("{}/", srv.display()))
            .replace("~/coffer/data", self.server.data_dir().to_str().unwrap())
            .replace("http://127.0.0.1:8779", self.server.base())
            .replace("curl -s ", "curl -sS --fail ")
    }

    /// Runs the blocks of a page in order, in one shell.
    fn run(&self, page: &str) -> String {
        let run =
            |block: &String| RUN.iter().any(|(of, start)| *of == page && block.starts_with(start));
        let mut script = String::new();
        if page != "packaging/doc/api.md" {
            // Other pages go on with what this one sets.
            let api = blocks("packaging/doc/api.md").remove(0);
            script += api.split_once("\n\n").unwrap().0;
            script.push('\n');
        }
        blocks(page).iter().filter(|it| run(it)).for_each(|it| script += it);
        let script = self.with_own_names(&script);
        let path = std::env::var("PATH").unwrap();
        let programs = Path::new(env!("CARGO_BIN_EXE_coffer")).parent().unwrap();
        let mut shell = bash(&script, self.home.path());
        shell.env("PATH", format!("{}:{path}", programs.display())).stdin(Stdio::null());
        shell.env("COFFER_CONFIG", self.server.config()).env("COFFER__CATALOG__BACKUP", "false");
        let output = shell.output().unwrap();
        let shown = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{page}:\n{script}\n{shown}\n{errors}");
        shown
    }

    fn items(&self, file: &str) -> i64 {
        let database = Connection::open(self.home.path().join("srv/shop").join(file)).unwrap();
        database.query_row("SELECT count(*) FROM item", [], |row| row.get(0)).unwrap()
    }
}

#[test]
fn the_commands_of_the_pages_do_what_the_pages_say() {
    let fixture = Fixture::new();
    fixture.run("README.md");
    assert_eq!((fixture.items("restored.db"), fixture.items("from-files.db")), (2, 2));
    assert!(fixture.home.path().join("data").exists(), "tar's");
    std::fs::remove_file(fixture.home.path().join("srv/shop/restored.db")).unwrap();

    fixture.run("packaging/doc/engines/sqlite.md");
    assert_eq!((fixture.items("restored.db"), fixture.items("shop.db")), (2, 2));
    fixture.server.run_ok(&[
        "restore",
        "forget",
        fixture.home.path().join("srv/shop/shop.db").to_str().unwrap(),
    ]);

    fixture.run("packaging/doc/engines/directory.md");
    for folder in ["restored", "uploads"] {
        let photo = fixture.home.path().join("srv/web").join(folder).join("photo");
        assert_eq!(std::fs::read_to_string(photo).unwrap(), "a photo");
    }

    fixture.run("packaging/doc/restoring.md");
    assert_eq!(fixture.items("shop.db"), 2);

    let shown = fixture.run("packaging/doc/api.md");
    assert!(shown.contains("\"uploads\"") && shown.contains("\"first\""), "{shown}");
    let client = fixture.server.admin().in_project("default");
    wait_until("the backup and the drill that were asked for", || {
        let first =
            client.all("backups", "backups").into_iter().find(|it| it["name"] == "first")?;
        let drilled = client.backup(id_of(&fixture.full))["next_drill"].is_null();
        (first["status"] == "COMPLETED" && drilled).then_some(())
    });
}
