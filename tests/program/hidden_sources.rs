//! Sources that the service of systemd does not see: its unit gives it other mounts than a shell has. Needs root, as
//! mounting does.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use rusqlite::Connection;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::{Log, write_file};

/// A command of the shell, in mounts of its own, with the program as `$0` and the configuration as `$1`.
fn in_other_mounts(script: &str, config: &Path) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-euc", script]);
    command.arg(env!("CARGO_BIN_EXE_coffer")).arg(config).stdin(Stdio::null());
    command.env("COFFER__SERVER__LISTEN", "127.0.0.1:0");
    command
}

fn configuration(folder: &Path, engine: &str, path: &Path) -> PathBuf {
    let config = folder.join("coffer.toml");
    let data = folder.join("data");
    write_file(
        &config,
        format!(
            "data_dir = {data:?}\n[[instances]]\nname = \"shop\"\nproject_id = \"a\"\nengine = \"{engine}\"\n\
             source = {{ path = {path:?} }}\n"
        ),
    );
    config
}

/// What a report says of the instance and is a problem, with the advice.
fn problems(output: &Output) -> String {
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let all = report["findings"].as_array().unwrap().iter();
    let of_shop = all.filter(|it| it["check"] == "instance shop" && it["level"] == "problem");
    of_shop.map(|it| it.to_string() + "\n").collect()
}

#[test]
fn a_home_that_the_unit_hides_is_named_with_the_line_that_shows_it() {
    let folder = tempfile::tempdir().unwrap();
    // As systemd does it for ProtectHome=yes; its folder is below /run. The program may be in a home itself.
    let covered = "exec 9<\"$0\"; mount -t tmpfs none \"${1%/*}/run\" && mkdir -p \"${1%/*}/run/systemd/inaccessible/dir\" && \
        mount --bind \"${1%/*}/run/systemd/inaccessible/dir\" /home && exec /proc/self/fd/9 doctor --json --config \"$1\"";
    std::fs::create_dir(folder.path().join("run")).unwrap();
    for engine in ["sqlite", "directory"] {
        let config = configuration(folder.path(), engine, Path::new("/home/ada/shop"));
        let plain = Command::new(env!("CARGO_BIN_EXE_coffer"))
            .args(["doctor", "--json", "--config"])
            .arg(&config)
            .output()
            .unwrap();
        assert!(!problems(&plain).contains("ProtectHome"), "{engine}: {}", problems(&plain));
        let hidden = problems(&in_other_mounts(covered, &config).output().unwrap());
        for part in ["/home/ada/shop", "ProtectHome=read-only", "systemctl edit coffer"] {
            assert!(hidden.contains(part), "{engine}: {part}: {hidden}");
        }
    }
}

/// Ends the server at the end of a test.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let id = self.0.id().cast_signed();
        kill_process(Pid::from_raw(id).unwrap(), Signal::TERM).ok();
        self.0.wait().ok();
    }
}

/// A server that this script starts, once it answers.
fn serve(script: &str, config: &Path) -> Server {
    let mut running = in_other_mounts(script, config).stderr(Stdio::piped()).spawn().unwrap();
    let log = Log::default();
    log.follow(running.stderr.take().unwrap());
    let server = Server(running);
    assert!(log.wait_for("listening on http://", 0).is_some(), "{}", log.text());
    server
}

/// A folder `source` with a database in it.
fn shop_in(folder: &Path) -> PathBuf {
    let source = folder.join("source");
    std::fs::create_dir(&source).unwrap();
    let database = source.join("shop.db");
    Connection::open(&database).unwrap().execute_batch("CREATE TABLE item(name)").unwrap();
    database
}

fn problems_of(config: &Path) -> String {
    let mut doctor = Command::new(env!("CARGO_BIN_EXE_coffer"));
    problems(&doctor.args(["doctor", "--json", "--config"]).arg(config).output().unwrap())
}

#[test]
fn a_source_that_only_the_shell_sees_is_a_problem_while_the_service_runs() {
    let folder = tempfile::Builder::new().tempdir_in("/var/tmp").unwrap();
    let database = shop_in(folder.path());
    let config = configuration(folder.path(), "sqlite", &database);
    let doctor = || problems_of(&config);
    assert_eq!(doctor(), "", "no server runs");
    let server = serve("exec \"$0\" serve --config \"$1\"", &config);
    assert_eq!(doctor(), "", "it sees the source");
    drop(server);
    let hides = "mount -t tmpfs none \"${1%/*}/source\" && exec \"$0\" serve --config \"$1\"";
    let _server = serve(hides, &config);
    let found = doctor();
    for part in ["shop.db", "does not see it", "PrivateTmp=no"] {
        assert!(found.contains(part), "{part}: {found}");
    }
}

#[test]
fn a_source_that_root_reads_and_the_user_of_the_service_does_not_is_a_problem_while_it_runs() {
    let folder = tempfile::Builder::new().tempdir_in("/var/tmp").unwrap();
    let database = shop_in(folder.path());
    let config = configuration(folder.path(), "sqlite", &database);
    let run = |program: &str, arguments: &[&str]| {
        assert!(Command::new(program).args(arguments).status().unwrap().success());
    };
    let [folder_name, source_name] =
        [folder.path(), database.parent().unwrap()].map(|it| it.to_str().unwrap());
    run("chown", &["-R", "4242:4243", folder_name]);
    run("chmod", &["755", folder_name]);
    run("chown", &["-R", "root:4244", source_name]);
    run("chmod", &["-R", "u=rwX,g=rX,o=", source_name]);
    let found_by_doctor = |groups: &str| {
        // The program may be in the home of root.
        let script = format!(
            "exec 9<\"$0\"; exec setpriv --reuid 4242 --regid 4243 {groups} /proc/self/fd/9 serve --config \"$1\""
        );
        let _server = serve(&script, &config);
        problems_of(&config)
    };
    let found = found_by_doctor("--clear-groups");
    for part in ["as user 4242, may not read it", "SupplementaryGroups=4244", "u:4242:rX"] {
        assert!(found.contains(part), "{part}: {found}");
    }
    assert_eq!(found_by_doctor("--groups 4244"), "", "its group may");
    // Who reads a database in WAL mode writes beside it: root can, and the user of the service cannot.
    Connection::open(&database).unwrap().execute_batch("PRAGMA journal_mode = wal").unwrap();
    let found = found_by_doctor("--groups 4244");
    for part in ["shop.db", "-shm", "4242", "its backups fail until this works"] {
        assert!(found.contains(part), "{part}: {found}");
    }
    run("chmod", &["-R", "g+rwX", source_name]);
    run("chmod", &["g+s", source_name]);
    assert_eq!(found_by_doctor("--groups 4244"), "", "its group may write there");
}
