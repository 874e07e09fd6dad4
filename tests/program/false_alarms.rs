//! A drill that goes wrong by itself costs nothing: its backup is not called damaged, restores, and is what the
//! next incremental is built on.

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::servers::mariadb::MariaDb;
use crate::servers::postgres::{self, Postgres, write_program};
use crate::servers::redis::RedisServer;
use crate::support::{Builder, Disk, TestServer, id_of, wait_until, write_file};

/// What the program of the private server does in a drill.
const FAULTS: [&str; 5] = ["killed", "refuses", "hangs", "old", "missing"];

/// A folder of tools, in which the server's program does what a file says.
struct Tools {
    folder: tempfile::TempDir,
    program: String,
    real: PathBuf,
}

impl Tools {
    fn new(program: &str, others: &[&str], places: &[PathBuf]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        let find = |name: &str| {
            let found = places.iter().map(|place| place.join(name)).find(|path| path.exists());
            found.unwrap_or_else(|| panic!("{name} is not installed: tests/run.sh installs it"))
        };
        for other in others {
            symlink(find(other), folder.path().join(other)).unwrap();
        }
        let tools = Self { folder, program: program.to_owned(), real: find(program) };
        tools.mend();
        tools
    }

    fn program(&self) -> PathBuf {
        self.folder.path().join(&self.program)
    }

    fn mend(&self) {
        self.write("exec real \"$@\"");
    }

    fn write(&self, script: &str) {
        let script = script.replace("real", self.real.to_str().unwrap());
        std::fs::remove_file(self.program()).unwrap_or_default();
        write_program(&self.program(), &format!("#!/bin/bash\n{script}\n"));
    }

    /// From now on the program has this fault.
    fn break_it(&self, fault: &str) {
        let run = match fault {
            "missing" => return std::fs::remove_file(self.program()).unwrap(),
            "killed" => "kill -9 $$",
            "refuses" => "echo 'FATAL: could not map memory' >&2; exit 1",
            "old" => "echo \"Can't handle RDB format version 99\"; exit 1",
            _ => "exec sleep 600",
        };
        let version = if fault == "old" {
            "echo 'server (X) Ver 1.2.3-MariaDB v=1.2.3'"
        } else {
            "real \"$@\""
        };
        self.write(&format!("case \"$*\" in *--version*) {version}; exit;; esac\n{run}"));
    }

    /// The key of a source that names the folder.
    fn key(&self) -> String {
        format!("tools = {:?}", self.folder.path())
    }
}

/// Drills with each fault, and then uses the backup.
fn assert_no_fault_costs_anything(builder: Builder, tools: &Tools, change: impl Fn()) {
    let server =
        builder.setting("executor.drill_limit_s", "8").allow_warning("inconclusive").start();
    let client = server.admin();
    let full = client.full("shop");
    let mut drills = Vec::new();
    for fault in FAULTS {
        tools.break_it(fault);
        client.ask_for_drill(id_of(&full));
        let row = wait_until("the drill to end", || {
            let row = client.backup(id_of(&full));
            (row["next_drill"].is_null() && drills.last() != Some(&row["drill"])).then_some(row)
        });
        assert_eq!(row["drill"]["status"], "inconclusive", "{fault}: {row:#}");
        assert_eq!((&row["failure"], &row["status"]), (&Value::Null, &json!("COMPLETED")));
        assert_ne!(row["verify_level"], "restored");
        drills.push(row["drill"].clone());
    }
    tools.mend();
    server.restored(&full);
    change();
    let next = client.incremental("shop");
    assert_eq!((&next["kind"], &next["parent_id"]), (&json!("incremental"), &full["id"]));
    server.assert_tmp_is_empty();
}

fn system() -> Vec<PathBuf> {
    ["/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin"].map(PathBuf::from).to_vec()
}

fn redis_tools() -> Tools {
    Tools::new("redis-server", &["redis-cli", "redis-check-rdb"], &system())
}

fn with_redis(redis: &RedisServer, tools: &Tools) -> Builder {
    let source = format!("{{ socket = {:?}, {} }}", redis.socket(), tools.key());
    TestServer::builder().instance_of("shop", "redis", &source, "quick")
}

#[test]
fn a_drill_of_redis_that_goes_wrong_by_itself_costs_nothing() {
    let redis = RedisServer::start();
    redis.connect().run(&["SET", "a", "1"]);
    let tools = redis_tools();
    assert_no_fault_costs_anything(with_redis(&redis, &tools), &tools, || {
        redis.connect().run(&["SET", "b", "2"]);
    });
}

#[test]
fn a_drill_of_postgresql_that_goes_wrong_by_itself_costs_nothing() {
    let server = Postgres::new();
    server.sql("postgres", "CREATE TABLE item(id int); INSERT INTO item VALUES (1)");
    let bin = postgres::bin();
    let others: Vec<String> = std::fs::read_dir(&bin)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "postgres")
        .collect();
    let others: Vec<&str> = others.iter().map(String::as_str).collect();
    let tools = Tools::new("postgres", &others, &[bin]);
    let source = format!(
        "{{ socket = {:?}, user = \"postgres\", {} }}",
        server.folder().to_str().unwrap(),
        tools.key()
    );
    let builder = TestServer::builder().instance_of("shop", "postgresql", &source, "quick");
    assert_no_fault_costs_anything(builder, &tools, || {
        server.sql("postgres", "INSERT INTO item VALUES (2)");
    });
}

#[test]
fn a_drill_of_mariadb_that_goes_wrong_by_itself_costs_nothing() {
    let server = MariaDb::start();
    server.sql("CREATE DATABASE d; CREATE TABLE d.item(id INT); INSERT INTO d.item VALUES (1)");
    let others = ["mariadb", "mariadb-backup", "mariadb-dump", "mariadb-install-db"];
    let tools = Tools::new("mariadbd", &others, &system());
    let source = format!(
        "{{ socket = {:?}, user = \"root\", {} }}",
        server.socket().to_str().unwrap(),
        tools.key()
    );
    let builder = TestServer::builder().instance_of("shop", "mariadb", &source, "quick");
    assert_no_fault_costs_anything(builder, &tools, || {
        server.sql("INSERT INTO d.item VALUES (2)");
    });
}

#[test]
fn a_drill_that_a_stop_cancels_is_made_again_and_passes() {
    let redis = RedisServer::start();
    redis.connect().run(&["SET", "a", "1"]);
    let tools = redis_tools();
    let mut server = with_redis(&redis, &tools).start();
    let client = server.admin();
    let full = client.full("shop");
    tools.break_it("hangs");
    client.ask_for_drill(id_of(&full));
    wait_until("the drill to run", || {
        (client.backup(id_of(&full))["next_drill"] == "running").then_some(())
    });
    server.terminate();
    tools.mend();
    server.restart();
    let client = server.admin();
    let row = client.drilled(id_of(&full));
    assert_eq!((&row["drill"]["status"], &row["failure"]), (&json!("passed"), &Value::Null));
    redis.connect().run(&["SET", "b", "2"]);
    assert_eq!(client.incremental("shop")["parent_id"], full["id"]);
}

#[test]
fn backups_and_deletes_do_not_wait_for_a_drill_that_hangs() {
    let redis = RedisServer::start();
    redis.connect().run(&["SET", "a", "1"]);
    let tools = redis_tools();
    let server = with_redis(&redis, &tools).start();
    let client = server.admin();
    let full = client.full("shop");
    tools.break_it("hangs");
    client.ask_for_drill(id_of(&full));
    let drill = || client.backup(id_of(&full))["next_drill"].take();
    wait_until("the drill to run", || (drill() == "running").then_some(()));
    redis.connect().run(&["SET", "b", "2"]);
    let next = client.incremental("shop");
    assert_eq!(next["parent_id"], full["id"]);
    client.delete(&format!("backups/{}", id_of(&next))).with_status(202);
    client.wait_until_gone(id_of(&next));
    assert_eq!(drill(), "running");
    client.delete(&format!("backups/{}", id_of(&full))).with_status(202);
    client.wait_until_gone(id_of(&full));
}

/// A server over one tree of 4 MiB, with its data on a disk of 16 MiB.
fn on_a_small_disk(source: &Path) -> (TestServer, Disk) {
    let mut noise = vec![0; 4 << 20];
    getrandom::fill(&mut noise).unwrap();
    write_file(&source.join("file"), noise);
    let disk = Disk::mounted(16);
    let server = TestServer::builder()
        .instance_directory("shop", source)
        .setting("storage.headroom_mib", "1")
        .data_dir(&disk.path().join("data"))
        .allow_warning("inconclusive")
        .allow_warning("is not recorded beside it")
        .start();
    (server, disk)
}

#[test]
fn a_drill_without_room_or_without_its_folder_costs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (mut server, disk) = on_a_small_disk(folder.path());
    let client = server.admin();
    let full = client.full("shop");
    disk.fill(3 << 20);
    client.ask_for_drill(id_of(&full));
    let row = client.drilled(id_of(&full));
    assert_eq!(row["drill"]["failure"]["code"], "disk_full", "{row:#}");
    assert_eq!((&row["drill"]["status"], &row["failure"]), (&json!("inconclusive"), &Value::Null));
    disk.empty();

    std::fs::remove_dir(server.data_dir().join("tmp")).unwrap();
    client.ask_for_drill(id_of(&full));
    let row = wait_until("the drill without a folder", || {
        let row = client.backup(id_of(&full));
        (row["drill"]["failure"]["code"] == "storage").then_some(row)
    });
    assert_eq!((&row["drill"]["status"], &row["failure"]), (&json!("inconclusive"), &Value::Null));
    server.restart();
    let status = server.run(&["status"]);
    let status = String::from_utf8_lossy(&status.stdout);
    assert!(status.contains("inconclusive ") && !status.contains("FAILED "), "{status}");
    let to = folder.path().join("restored");
    server.run_ok(&["restore", id_of(&full), "--to", to.to_str().unwrap()]);
    std::fs::remove_dir_all(to).unwrap();
    let next = server.admin().incremental("shop");
    assert_eq!((&next["kind"], &next["parent_id"]), (&json!("incremental"), &full["id"]));
    // Before its disk goes.
    drop(server);
}
