//! The command line as scripts rely on it: exit codes, JSON, refusals, and plain text where there is no
//! terminal.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use rstest::rstest;
use rusqlite::Connection;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::support::{TestServer, names_in, wait_until, write_file};

const UNKNOWN: &str = "01920000-0000-7000-8000-000000000000";

/// Runs the program with these arguments only.
fn coffer(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_coffer"));
    command.args(arguments).stdin(Stdio::null()).env_remove("RUST_LOG");
    command.output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[track_caller]
fn assert_ends(output: &Output, code: i32) {
    assert_eq!(output.status.code(), Some(code), "{}{}", out(output), err(output));
}

/// No escapes of colours and cursors, and no progress bars.
#[track_caller]
fn assert_plain(output: &Output) {
    for text in [out(output), err(output)] {
        assert!(!text.contains(['\u{1b}', '\r', '█']), "not plain: {text:?}");
    }
}

#[rstest]
#[case::itself(&[], &["serve", "demo", "restore", "verify", "drill", "export", "catalog", "token", "doctor", "Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 damaged"])]
#[case::serve(&["serve"], &["--config"])]
#[case::demo(&["demo"], &["--keep", "--size-mib"])]
#[case::restore(&["restore"], &["--archive", "--to", "--check", "--json", "--config"])]
#[case::verify(&["verify"], &["--archive", "--json", "--config"])]
#[case::drill(&["drill"], &["--archive", "--in", "--json", "--config"])]
#[case::consolidate(&["consolidate"], &["BACKUP", "--wait", "--json", "--config"])]
#[case::restore_undo(&["restore", "undo"], &["PATH", "--even-if-open", "--json", "--config"])]
#[case::restore_forget(&["restore", "forget"], &["PATH", "--json", "--config"])]
#[case::restore_list(&["restore", "list"], &["FOLDER", "--json", "--config"])]
#[case::export(&["export"], &["--archive", "--to", "--json", "--config"])]
#[case::list(&["list"], &["--instance", "--limit", "--json", "--config"])]
#[case::show(&["show"], &["latest:INSTANCE", "--json", "--config"])]
#[case::status(&["status"], &["--json", "--config"])]
#[case::healthcheck(&["healthcheck"], &["--json", "--config"])]
#[case::backup(&["backup"], &["--incremental", "--wait", "--name", "--json", "--config"])]
#[case::delete(&["delete"], &["--with-incrementals", "--json", "--config"])]
#[case::catalog(&["catalog"], &["rebuild"])]
#[case::rebuild(&["catalog", "rebuild"], &["--json", "--config"])]
#[case::token(&["token"], &["new"])]
#[case::token_new(&["token", "new"], &["--name", "--project", "--role", "--json"])]
#[case::doctor(&["doctor"], &["--json", "--config"])]
#[case::completions(&["completions"], &["bash", "zsh", "fish"])]
fn every_command_has_help(#[case] command: &[&str], #[case] words: &[&str]) {
    let output = coffer(&[command, &["--help"]].concat());
    assert_ends(&output, 0);
    assert_plain(&output);
    assert_eq!(err(&output), "");
    for word in words {
        assert!(out(&output).contains(word), "does not mention {word}:\n{}", out(&output));
    }
}

#[test]
fn the_version_is_that_of_the_package() {
    let output = coffer(&["--version"]);
    assert_ends(&output, 0);
    assert_eq!(out(&output).trim(), concat!("coffer ", env!("CARGO_PKG_VERSION")));
}

#[rstest]
#[case::nothing(&[])]
#[case::no_such_command(&["frobnicate"])]
#[case::no_such_option(&["serve", "--frobnicate"])]
#[case::restore_what(&["restore", "--to", "/nowhere"])]
#[case::restore_to_where(&["restore", UNKNOWN])]
#[case::restore_both(&["restore", UNKNOWN, "--archive", "x", "--to", "/nowhere"])]
#[case::no_id(&["verify", ""])]
#[case::no_instance(&["verify", "latest:"])]
#[case::drill_what(&["drill"])]
#[case::drill_both(&["drill", UNKNOWN, "--archive", "x"])]
#[case::no_level(&["restore", UNKNOWN, "--to", "/nowhere", "--check", "very"])]
#[case::nameless_token(&["token", "new"])]
#[case::bad_name(&["token", "new", "--name", "a:b"])]
#[case::bad_role(&["token", "new", "--name", "a", "--role", "king"])]
#[case::bad_project(&["token", "new", "--name", "a", "--project", "../x"])]
#[case::no_configuration(&["verify", UNKNOWN, "--config", "/nowhere/coffer.toml"])]
fn a_wrong_command_line_ends_with_2(#[case] arguments: &[&str]) {
    let output = coffer(arguments);
    assert_ends(&output, 2);
    assert_plain(&output);
    assert!(!err(&output).is_empty() && out(&output).is_empty(), "{}", out(&output));
}

#[test]
fn a_wrong_configuration_ends_with_2_and_names_the_key() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("coffer.toml");
    write_file(&config, "data_dir = \"/nowhere\"\n[server]\nlisten_on = \"x\"\n");
    for command in [&["serve"][..], &["verify", UNKNOWN], &["doctor"]] {
        let output = coffer(&[command, &["--config", config.to_str().unwrap()]].concat());
        assert_ends(&output, 2);
        let text = err(&output) + &out(&output);
        assert!(text.contains("listen_on"), "{text}");
    }
    // The keys of a source are checked by its engine.
    let instance = "name = \"shop\"\nproject_id = \"p\"\nengine = \"sqlite\"";
    let data = folder.path().join("data");
    write_file(
        &config,
        format!(
            "data_dir = {data:?}\n[[instances]]\n{instance}\nsource = {{ path = \"shop.db\" }}\n"
        ),
    );
    let output = coffer(&["serve", "--config", config.to_str().unwrap()]);
    assert_ends(&output, 2);
    assert!(err(&output).contains("source.path"), "{}", err(&output));
}

#[test]
fn an_error_of_a_command_that_reports_as_json_is_json() {
    let fixture = Fixture::new();
    for (arguments, code) in [
        (&["verify", UNKNOWN, "--json"][..], 3),
        (&["show", "no such name", "--json"], 3),
        (&["restore", "--archive", "/nowhere/x.tar.zst", "--to", "/nowhere/y", "--json"], 3),
        (&["backup", "shop", "--json"], 1),
    ] {
        let output = fixture.run(arguments);
        assert_ends(&output, code);
        let error: Value = serde_json::from_str(&err(&output)).unwrap();
        assert_eq!(error["exit_code"], code);
        assert!(error["error"].as_str().is_some_and(|it| it.len() > 10), "{error}");
    }
}

/// A server with a chain of three backups, and the database that the last one restores to.
struct Fixture {
    server: TestServer,
    database: PathBuf,
    chain: Vec<Value>,
    _folder: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("source.db");
        let sql = |sql: &str| Connection::open(&database).unwrap().execute_batch(sql).unwrap();
        sql("CREATE TABLE row(data BLOB);
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400)
             INSERT INTO row SELECT randomblob(5000) FROM n;");
        let server = TestServer::builder().instance_sqlite("shop", &database).start();
        let mut chain = vec![server.admin().full("shop")];
        for share in [7, 9] {
            sql(&format!("UPDATE row SET data = randomblob(5000) WHERE rowid % {share} = 0"));
            chain.push(server.admin().incremental("shop"));
        }
        Self { server, database, chain, _folder: folder }
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let output = self.server.command(arguments).output().unwrap();
        assert_plain(&output);
        output
    }

    fn id(&self, number: usize) -> &str {
        self.chain[number]["id"].as_str().unwrap()
    }

    fn archive(&self, number: usize) -> &str {
        self.chain[number]["locationRef"].as_str().unwrap().strip_prefix("file://").unwrap()
    }

    /// A path that does not exist.
    fn target(&self, name: &str) -> String {
        self.server.folder().join(name).to_str().unwrap().to_owned()
    }

    fn assert_is_the_source(&self, path: &str) {
        assert!(std::fs::read(path).unwrap() == std::fs::read(&self.database).unwrap());
    }
}

#[track_caller]
fn report(output: &Output) -> Value {
    assert_ends(output, 0);
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|reason| panic!("{reason}: {}", out(output)))
}

#[test]
fn reports_are_text_for_people_and_json_for_scripts() {
    let mut fixture = Fixture::new();
    let id = fixture.id(2).to_owned();
    let chain = json!([fixture.id(0), fixture.id(1), fixture.id(2)]);
    for (command, targets) in [
        ("verify", None),
        ("drill", None),
        ("restore", Some(["a.db", "b.db"])),
        ("export", Some(["a.zst", "b.zst"])),
    ] {
        for (form, name) in ["text", "json"].into_iter().zip(targets.unwrap_or_default()) {
            let to = fixture.target(name);
            let mut arguments = vec![command, &id];
            arguments.extend((!name.is_empty()).then_some(["--to", &to]).into_iter().flatten());
            arguments.extend((form == "json").then_some("--json"));
            let output = fixture.run(&arguments);
            assert_eq!(err(&output), "");
            if form == "json" {
                let report = report(&output);
                assert_eq!(report["backup"], id, "{report:#}");
                assert!(report.get("chain").is_none_or(|it| *it == chain), "{report:#}");
            } else {
                assert_ends(&output, 0);
                assert!(out(&output).contains(&id), "{}", out(&output));
            }
        }
    }
    fixture.assert_is_the_source(&fixture.target("a.db"));
    fixture.assert_is_the_source(&fixture.target("b.db"));
    let doctor: Value = serde_json::from_slice(&fixture.run(&["doctor", "--json"]).stdout).unwrap();
    assert!(doctor.is_object() || doctor.is_array(), "{doctor:#}");

    fixture.server.terminate();
    let rebuilt = report(&fixture.run(&["catalog", "rebuild", "--json"]));
    let counted = ["archives", "imported", "instances", "unusable"].map(|key| &rebuilt[key]);
    assert_eq!(counted, [&json!(3), &json!(0), &json!(0), &json!([])]);
    let lost = rebuilt["not_brought_back"].as_str().unwrap();
    assert!(lost.contains("quotas") && lost.contains("tokens made at run time"), "{lost}");
    let output = fixture.run(&["catalog", "rebuild"]);
    assert_ends(&output, 0);
    assert!(out(&output).contains("3 archives"), "{}", out(&output));
    fixture.server.restart();
}

#[rstest]
fn an_existing_file_or_folder_is_never_replaced(#[values("restore", "export")] command: &str) {
    let fixture = Fixture::new();
    let to = fixture.target("taken.tar.zst");
    write_file(Path::new(&to), "precious");
    let output = fixture.run(&[command, fixture.id(0), "--to", &to]);
    assert_ends(&output, 1);
    assert!(err(&output).contains(&to), "{}", err(&output));
    assert_eq!(std::fs::read_to_string(&to).unwrap(), "precious");
    let folder = fixture.target("folder.tar.zst");
    std::fs::create_dir(&folder).unwrap();
    write_file(&Path::new(&folder).join("precious"), "precious");
    assert_ends(&fixture.run(&[command, fixture.id(0), "--to", &folder]), 1);
    assert_eq!(names_in(Path::new(&folder)), ["precious"]);
    assert_eq!(names_in(fixture.server.folder()).len(), 4, "something is left over");
}

#[rstest]
#[case(&[0, 1, 2])]
#[case(&[2, 0, 1])]
#[case(&[1, 2, 0])]
fn the_archives_of_a_chain_may_be_named_in_any_order(#[case] order: &[usize]) {
    let fixture = Fixture::new();
    let to = fixture.target("restored.db");
    let mut arguments = vec!["restore", "--to", &to, "--json", "--archive"];
    arguments.extend(order.iter().map(|number| fixture.archive(*number)));
    assert_eq!(report(&fixture.run(&arguments))["backup"], fixture.id(2));
    fixture.assert_is_the_source(&to);
    // Or each with its own option.
    let other = fixture.target("other.db");
    let mut arguments = vec!["restore", "--to", &other];
    arguments.extend(order.iter().flat_map(|number| ["--archive", fixture.archive(*number)]));
    assert_ends(&fixture.run(&arguments), 0);
    fixture.assert_is_the_source(&other);
}

#[test]
fn an_incomplete_chain_names_the_missing_archive() {
    let fixture = Fixture::new();
    let to = fixture.target("restored.db");
    let arguments = ["restore", "--to", &to, "--archive", fixture.archive(2), fixture.archive(0)];
    let output = fixture.run(&arguments);
    assert_ends(&output, 1);
    assert!(err(&output).contains(fixture.id(1)), "{}", err(&output));
    assert!(!Path::new(&to).exists());
}

#[test]
fn a_missing_backup_or_archive_ends_with_3() {
    let fixture = Fixture::new();
    let to = fixture.target("restored");
    for arguments in [
        &["verify", UNKNOWN][..],
        &["verify", "--archive", "/nowhere/x.tar.zst"],
        &["drill", UNKNOWN],
        &["drill", "--archive", "/nowhere/x.tar.zst"],
        &["restore", UNKNOWN, "--to", &to],
        &["restore", "--archive", "/nowhere/x.tar.zst", "--to", &to],
        &["export", UNKNOWN, "--to", &to],
    ] {
        let output = fixture.run(arguments);
        assert_ends(&output, 3);
        let named = err(&output);
        assert!(named.contains(UNKNOWN) || named.contains("/nowhere/x.tar.zst"), "{named}");
    }
    assert!(!Path::new(&to).exists());
}

#[test]
fn a_damaged_archive_ends_with_4() {
    let fixture = Fixture::new();
    let (bad, to) = (fixture.target("bad.tar.zst"), fixture.target("restored"));
    let mut bytes = std::fs::read(fixture.archive(0)).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    write_file(Path::new(&bad), bytes);
    write_file(Path::new(&fixture.target("no.tar.zst")), "no archive");
    for bad in [&bad, &fixture.target("no.tar.zst")] {
        for arguments in [
            &["verify", "--archive", bad][..],
            &["drill", "--archive", bad],
            &["restore", "--archive", bad, "--to", &to],
            &["export", "--archive", bad, "--to", &to],
        ] {
            let output = fixture.run(arguments);
            assert_ends(&output, 4);
            assert_eq!(out(&output), "");
            assert!(!Path::new(&to).exists(), "{arguments:?} left something");
        }
    }
}

/// Runs a command and sends it SIGINT as soon as it reads `archive`.
fn interrupted(mut command: Command, archive: &Path) -> Output {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let open_files = format!("/proc/{}/fd", child.id());
    wait_until("the archive to be opened", || {
        let mut files = std::fs::read_dir(&open_files).ok()?.flatten();
        files.any(|it| std::fs::read_link(it.path()).is_ok_and(|it| it == archive)).then_some(())
    });
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn an_interrupted_command_ends_with_1_and_leaves_nothing_behind() {
    let source = tempfile::tempdir().unwrap();
    let mut file = File::create_new(source.path().join("large")).unwrap();
    for _ in 0..24 {
        file.write_all(&b"a line that repeats\n".repeat(1 << 20)).unwrap();
    }
    let server = TestServer::builder().instance_directory("large", source.path()).start();
    let backup = server.admin().full("large");
    let id = backup["id"].as_str().unwrap();
    let archive = backup["locationRef"].as_str().unwrap().strip_prefix("file://").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("target");
    for command in ["verify", "export", "restore", "drill"] {
        let mut arguments = vec![command, id];
        match command {
            "drill" => arguments.extend(["--in", folder.path().to_str().unwrap()]),
            "verify" => {}
            _ => arguments.extend(["--to", to.to_str().unwrap()]),
        }
        let output = interrupted(server.command(&arguments), Path::new(archive));
        assert_ends(&output, 1);
        assert_eq!(out(&output), "");
        assert!(err(&output).contains("interrupted"), "{command}: {}", err(&output));
        assert_eq!(names_in(folder.path()), [""; 0], "{command}");
    }
    // Nothing was recorded of the backup.
    let after = server.admin().backup(id);
    assert_eq!(
        (&after["status"], &after["verified_at"]),
        (&backup["status"], &backup["verified_at"])
    );
}

#[test]
fn a_directory_without_a_catalog_ends_with_1_and_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("coffer.toml");
    write_file(&config, format!("data_dir = \"{}\"\n", folder.path().join("data").display()));
    for command in ["verify", "drill"] {
        let output = coffer(&[command, UNKNOWN, "--config", config.to_str().unwrap()]);
        assert_ends(&output, 1);
        assert!(err(&output).contains("data_dir"), "{}", err(&output));
    }
    assert!(!folder.path().join("data").exists(), "a command that only reads made it");
}

#[rstest]
fn a_new_token_is_shown_once_and_its_lines_are_a_configuration(
    #[values(false, true)] as_json: bool,
) {
    let arguments =
        ["token", "new", "--name", "Zoë \"z\"", "--project", "project-a", "--role", "admin"];
    let output = coffer(&[&arguments, &["--json"][..usize::from(as_json)]].concat());
    assert_ends(&output, 0);
    let (secret, lines) = if as_json {
        let report = report(&output);
        let entry = &report["entry"];
        let lines = format!(
            "[[auth.tokens]]\nname = {}\nproject_id = {}\nroles = {}\nsha256 = {}\n",
            entry["name"], entry["project_id"], entry["roles"], entry["sha256"]
        );
        (report["token"].as_str().unwrap().to_owned(), lines)
    } else {
        let text = out(&output);
        let (head, lines) = text.split_once("[[auth.tokens]]").unwrap();
        let secret = head.lines().map(str::trim).find(|it| it.len() > 40 && !it.contains(' '));
        (secret.unwrap().to_owned(), format!("[[auth.tokens]]{lines}"))
    };
    assert!(!lines.contains(&secret));
    let server = TestServer::builder().toml(&lines).start();
    let client = server.anonymous().with_token(&secret);
    client.get("backups?all_projects=true").with_status(200);
    let again = coffer(&arguments);
    assert!(!out(&again).contains(&secret), "two tokens with one secret");
}

#[test]
fn a_closed_pipe_is_no_error() {
    let script =
        format!("{} --help | head -n 1; echo \"${{PIPESTATUS[0]}}\"", env!("CARGO_BIN_EXE_coffer"));
    let output = Command::new("bash").args(["-c", &script]).output().unwrap();
    assert!(out(&output).ends_with("\n0\n"), "{}", out(&output));
    assert_eq!(err(&output), "");
}
