//! The commands about backups: list, show, status, backup, delete. They ask the server, and read the catalog
//! where none runs.

use std::os::unix::net::UnixListener;
use std::process::Output;

use rstest::rstest;
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::support::{PROJECT, TestServer, archive_of, id_of, wait_until, write_file};

/// A server with two instances; the first has a full backup and an incremental one.
struct Fixture {
    server: TestServer,
    full: Value,
    incremental: Value,
    folder: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = |name: &str| {
            let path = folder.path().join(name);
            Connection::open(&path).unwrap().execute_batch("CREATE TABLE row(data BLOB)").unwrap();
            path
        };
        let (shop, library) = (database("shop.db"), database("library.db"));
        let server = TestServer::builder()
            .instance_sqlite("shop", &shop)
            .instance_sqlite("library", &library)
            .token("root", PROJECT, &["admin"])
            .start();
        let full = server.admin().full("shop");
        Connection::open(&shop).unwrap().execute_batch("CREATE TABLE more(data BLOB)").unwrap();
        let incremental = server.admin().incremental("shop");
        Self { server, full, incremental, folder }
    }

    /// Runs a command that asks the server, as a user elsewhere would.
    fn ask(&self, arguments: &[&str]) -> Output {
        let mut command = self.server.command(arguments);
        command
            .env("COFFER_URL", self.server.base())
            .env("COFFER_TOKEN", self.server.secret("root"))
            .env("COFFER_PROJECT", PROJECT);
        command.output().unwrap()
    }

    /// Runs a command that reads the catalog: it knows of no server.
    fn read(&self, arguments: &[&str]) -> Output {
        self.server.command(arguments).output().unwrap()
    }
}

/// What `coffer status` says of what is not safe.
#[track_caller]
fn not_safe(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(7), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[track_caller]
fn text(output: &Output, code: i32) -> String {
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{out}{err}");
    if code == 0 { out.into_owned() } else { err.into_owned() }
}

#[track_caller]
fn report(output: &Output) -> Value {
    serde_json::from_str(&text(output, 0)).unwrap()
}

#[test]
fn the_server_and_the_catalog_list_and_show_the_same_backups() {
    let mut fixture = Fixture::new();
    let asked = report(&fixture.ask(&["list", "--json"]));
    let ids: Vec<_> = asked["backups"].as_array().unwrap().iter().map(id_of).collect();
    assert_eq!(ids, [id_of(&fixture.incremental), id_of(&fixture.full)], "newest first");
    assert_eq!(asked["backups"][0]["instance_name"], "shop");
    let shown = report(&fixture.ask(&["show", id_of(&fixture.full), "--json"]));
    assert_eq!(shown["locationRef"], fixture.full["locationRef"]);

    assert_eq!(report(&fixture.read(&["list", "--json"])), asked);
    assert_eq!(report(&fixture.read(&["show", id_of(&fixture.full), "--json"])), shown);
    fixture.server.terminate();
    assert_eq!(report(&fixture.read(&["list", "--json"])), asked);
    fixture.server.restart();
}

#[test]
fn a_list_for_people_has_a_line_for_each_backup_and_can_be_narrowed_to_an_instance() {
    let fixture = Fixture::new();
    let listed = text(&fixture.ask(&["list"]), 0);
    let lines: Vec<_> = listed.lines().collect();
    assert!(lines[0].starts_with("ID") && lines.len() == 3, "{listed}");
    assert!(
        lines[1].contains(id_of(&fixture.incremental)) && lines[1].contains("incremental"),
        "{listed}"
    );
    assert!(lines[2].contains("shop") && lines[2].contains("COMPLETED"), "{listed}");
    let cut = text(&fixture.ask(&["list", "--limit", "1"]), 0);
    assert!(cut.lines().count() == 3 && cut.contains("1 older"), "{cut}");
    let empty = text(&fixture.ask(&["list", "--instance", "library"]), 0);
    assert!(empty.contains("no backups"), "{empty}");
    let unknown = text(&fixture.ask(&["list", "--instance", "nowhere"]), 3);
    assert!(unknown.contains("nowhere") && unknown.contains(fixture.server.base()), "{unknown}");
}

#[rstest]
#[case::asked(true)]
#[case::read(false)]
fn a_backup_may_be_named_by_the_beginning_of_its_id_its_name_or_as_the_latest(#[case] asked: bool) {
    let fixture = Fixture::new();
    let run = |arguments: &[&str]| {
        if asked { fixture.ask(arguments) } else { fixture.read(arguments) }
    };
    let (full, incremental) = (id_of(&fixture.full), id_of(&fixture.incremental));
    let name = fixture.full["name"].as_str().unwrap();
    let unique: String = full.chars().take(30).collect();
    for (selector, expected) in [(full, full), (&unique, full), ("latest:shop", incremental)] {
        assert_eq!(report(&run(&["show", selector, "--json"]))["id"], expected, "{selector}");
    }
    if fixture.incremental["name"] != name {
        assert_eq!(report(&run(&["show", name, "--json"]))["id"], full);
    }
    for selector in ["latest:library", "no such name", "ffffffff"] {
        let error = text(&run(&["show", selector]), 3);
        assert!(error.contains("catalog") || error.contains(fixture.server.base()), "{error}");
    }
    let beginning: String = full.chars().take(4).collect();
    let ambiguous = text(&run(&["show", &beginning]), 2);
    assert!(ambiguous.contains(full) && ambiguous.contains(incremental), "{ambiguous}");
}

#[test]
fn a_backup_is_asked_for_and_waited_for() {
    let fixture = Fixture::new();
    let made =
        report(&fixture.ask(&["backup", "library", "--wait", "--name", "by hand", "--json"]));
    assert_eq!((&made["status"], &made["name"]), (&json!("COMPLETED"), &json!("by hand")));
    let shown = text(&fixture.ask(&["backup", "library", "--incremental", "--wait"]), 0);
    assert!(shown.contains("COMPLETED") && shown.contains("incremental"), "{shown}");
    let error = text(&fixture.ask(&["backup", "nowhere"]), 3);
    assert!(error.contains("nowhere"), "{error}");
    let status = text(&fixture.ask(&["status"]), 0);
    assert!(status.contains("Safe") && status.contains("library"), "{status}");
}

#[test]
fn a_backup_that_others_are_built_on_is_deleted_with_them_only_when_that_is_said() {
    let fixture = Fixture::new();
    let (full, incremental) = (id_of(&fixture.full), id_of(&fixture.incremental));
    let error = text(&fixture.ask(&["delete", full]), 2);
    assert!(error.contains("--with-incrementals") && error.contains("1 incremental"), "{error}");
    assert_eq!(fixture.server.admin().get(&format!("backups/{full}")).status, 200);
    let report = report(&fixture.ask(&["delete", full, "--with-incrementals", "--json"]));
    assert_eq!(report, json!({"deleted": full, "also_deleted": [incremental]}));
    fixture.server.admin().wait_until_gone(full);
    let gone = text(&fixture.ask(&["show", full]), 3);
    assert!(gone.contains(full) && gone.contains(fixture.server.base()), "{gone}");
}

#[test]
fn what_changes_something_needs_a_server_and_says_so() {
    let mut fixture = Fixture::new();
    fixture.server.terminate();
    for arguments in [&["backup", "shop"][..], &["delete", "latest:shop"]] {
        let error = text(&fixture.read(arguments), 1);
        assert!(error.contains("no server answers"), "{error}");
    }
    // Nobody ever asked for a backup of `library`.
    let status = not_safe(&fixture.read(&["status"]));
    assert!(status.contains("no server answers") && status.contains("not backed up"), "{status}");
    fixture.server.restart();
}

#[test]
fn the_configuration_may_be_named_before_or_after_the_command() {
    let fixture = Fixture::new();
    let config = fixture.server.config().to_str().unwrap();
    let run = |arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_coffer"));
        command.args(arguments).env_remove("RUST_LOG").output().unwrap()
    };
    let after = report(&run(&["list", "--json", "--config", config]));
    assert_eq!(report(&run(&["--config", config, "list", "--json"])), after);
}

#[test]
fn a_deleted_backup_is_brought_back_by_its_id_by_the_beginning_of_that_or_as_the_latest() {
    let fixture = Fixture::new();
    let (full, client) = (id_of(&fixture.full), fixture.server.admin());
    let beginning: String = full.chars().take(20).collect();
    for selector in [full, beginning.as_str(), "latest:shop"] {
        client.delete(&format!("backups/{full}")).with_status(202);
        let back = wait_until("the archives to be in the trash", || {
            let output = fixture.read(&["undelete", selector, "--json"]);
            (output.status.code() == Some(0)).then(|| report(&output))
        });
        let mut ids = back["undeleted"].as_array().unwrap().clone();
        ids.sort_by_key(ToString::to_string);
        assert_eq!(ids, [json!(full), json!(id_of(&fixture.incremental))]);
        assert_eq!(client.get(&format!("backups/{full}")).status, 200);
    }
    let error = text(&fixture.read(&["undelete", "latest:shop"]), 3);
    assert!(error.contains("the trash"), "{error}");
}

#[test]
fn a_backup_is_shown_with_what_is_not_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let tree = folder.path().join("tree");
    std::fs::create_dir(&tree).unwrap();
    let socket = UnixListener::bind(tree.join("a.socket")).unwrap();
    let server = TestServer::builder().instance_directory("tree", &tree).start();
    let made = server.admin().full("tree");
    assert_eq!(made["left_out"].as_array().map(Vec::len), Some(1), "{made:#}");
    let shown = text(&server.run(&["show", id_of(&made)]), 0);
    assert!(shown.contains("a.socket") && shown.contains("1 thing"), "{shown}");
    drop(socket);
}

#[test]
fn an_error_is_json_where_a_report_would_be_also_for_a_wrong_command_line() {
    for arguments in [&["show", "--json"][..], &["list", "--json", "--limit", "few"]] {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_coffer"));
        let error = text(&command.args(arguments).output().unwrap(), 2);
        let error: Value = serde_json::from_str(&error).unwrap();
        assert_eq!(error["exit_code"], 2);
        assert!(
            error["error"].as_str().unwrap().contains("Usage: coffer")
                || error["error"].as_str().unwrap().contains("--limit"),
            "{error}"
        );
    }
}

#[test]
fn archive_files_are_verified_without_a_word_about_configuration() {
    let fixture = Fixture::new();
    let archive = archive_of(&fixture.full);
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_coffer"));
    let output = command.args(["verify", "--archive"]).arg(archive).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

/// Changes a byte in the middle of an archive.
fn damage(archive: &std::path::Path) {
    let mut bytes = std::fs::read(archive).unwrap();
    let middle = bytes.len() / 3;
    bytes[middle] ^= 1;
    // Published archives are read-only, so the file is replaced.
    std::fs::remove_file(archive).unwrap();
    write_file(archive, bytes);
}

#[test]
fn known_damage_is_shown_by_list_show_status_and_doctor() {
    let fixture = Fixture::new();
    damage(&archive_of(&fixture.full));
    text(&fixture.read(&["verify", id_of(&fixture.full)]), 4);

    for run in [Fixture::ask, Fixture::read] {
        let listed = text(&run(&fixture, &["list"]), 0);
        let line = |backup: &Value| listed.lines().find(|it| it.contains(id_of(backup))).unwrap();
        assert!(line(&fixture.full).contains("DAMAGED"), "{listed}");
        assert!(line(&fixture.incremental).contains("built on a damaged backup"), "{listed}");
        let listed = report(&run(&fixture, &["list", "--json"]));
        for backup in listed["backups"].as_array().unwrap() {
            assert_eq!(backup["bad_backup"], fixture.full["id"]);
        }
        let shown = text(&run(&fixture, &["show", id_of(&fixture.incremental)]), 0);
        assert!(shown.contains("built on a damaged backup"), "{shown}");
        let status = not_safe(&run(&fixture, &["status"]));
        assert!(status.contains("0 and 1 damaged or missing"), "{status}");
        assert!(status.contains("critical") && status.contains("CRITICAL"), "{status}");
        let report = run(&fixture, &["status", "--json"]);
        assert_eq!(report.status.code(), Some(7));
        let report: Value = serde_json::from_slice(&report.stdout).unwrap();
        let kinds: Vec<_> =
            report["problems"].as_array().unwrap().iter().map(|it| &it["kind"]).collect();
        assert_eq!(kinds, ["damaged", "no_backup"], "{report:#}");
    }
    let doctor = fixture.read(&["doctor"]);
    let found = String::from_utf8_lossy(&doctor.stdout);
    assert_eq!(doctor.status.code(), Some(1), "{found}");
    let known = format!("1 backup known to be damaged: {}", id_of(&fixture.full));
    assert!(found.contains(&known), "{found}");
    assert!(found.contains(&format!("built on a damaged backup: {}", id_of(&fixture.incremental))));
}

#[test]
fn output_that_cannot_be_written_ends_with_1() {
    let fixture = Fixture::new();
    for arguments in [
        &["list"][..],
        &["show", id_of(&fixture.full), "--json"],
        &["status"],
        &["verify", id_of(&fixture.full)],
        &["token", "new", "--name", "ci"],
    ] {
        let mut command = fixture.server.command(arguments);
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let output = command.stdout(full).stderr(std::process::Stdio::piped()).spawn().unwrap();
        let said = text(&output.wait_with_output().unwrap(), 1);
        assert!(said.contains("No space left on device"), "{arguments:?}: {said}");
    }
}

#[test]
fn a_token_that_nobody_read_is_an_error() {
    let fixture = Fixture::new();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = fixture.server.command(&["token", "new", "--name", "ci"]);
    let output = command.stdout(writer).stderr(std::process::Stdio::piped()).spawn().unwrap();
    let said = text(&output.wait_with_output().unwrap(), 1);
    assert!(said.contains("make another"), "{said}");
}

#[test]
fn a_failure_is_said_once_with_its_exit_code_and_stdout_is_a_report_or_nothing() {
    let mut fixture = Fixture::new();
    fixture.server.allow_warning(" failed: ");
    std::fs::remove_file(fixture.folder.path().join("library.db")).unwrap();
    let said = text(&fixture.ask(&["backup", "library", "--wait"]), 1);
    assert_eq!(said.matches("does not exist").count(), 1, "{said}");
    let output = fixture.ask(&["backup", "library", "--wait", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let failed: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&failed["status"], &failed["failure"]["code"]),
        (&json!("FAILED"), &json!("source_missing"))
    );
    let error: Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!(error["exit_code"], 1);

    let said = text(&fixture.read(&["verify", id_of(&failed)]), 1);
    assert_eq!(said.matches("it is FAILED").count(), 1, "{said}");
    crate::support::damage(&archive_of(&fixture.full));
    for _known in [false, true] {
        let said = text(&fixture.read(&["verify", id_of(&fixture.full)]), 4);
        assert_eq!(said.matches("damaged").count(), 1, "{said}");
        let twice = format!("backup {}", id_of(&fixture.full));
        assert_eq!(said.matches(&twice).count(), 1, "{said}");
    }
    // Warnings of what is known before go to stderr.
    let to = fixture.folder.path().join("salvaged");
    let to = ["restore", id_of(&fixture.full), "--json", "--salvage", "--to", to.to_str().unwrap()];
    let output = fixture.read(&to);
    assert_eq!(output.status.code(), Some(6), "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(report["lost"].is_array(), "{report:#}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("was reported as damaged"));
}
