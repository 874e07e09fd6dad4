//! `coffer demo`: it succeeds, reports what it proved, and leaves nothing behind.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

/// `coffer demo --size-mib 8` with its temporary data in `folder`.
fn demo(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_coffer"));
    command.args(["demo", "--size-mib", "8"]).env("TMPDIR", folder).stdin(Stdio::null());
    // These must not reach the demo's server.
    command.env("COFFER__SERVER__LISTEN", "127.0.0.1:1").env("RUST_LOG", "off");
    command
}

/// A server that the demo left running. Dropped, it is killed.
struct KeptServer(Pid);

impl Drop for KeptServer {
    fn drop(&mut self) {
        // It may have exited already.
        kill_process(self.0, Signal::KILL).ok();
    }
}

/// `coffer doctor` on what the demo left in `kept`.
fn doctor(kept: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_coffer"));
    command
        .args(["doctor", "--config"])
        .arg(kept.join("coffer.toml"))
        .output()
        .expect("the program starts")
}

/// The archive of the newest backup below `folder`: ids sort by time.
fn newest_archive(folder: &Path) -> PathBuf {
    let entries = folder.read_dir().expect("the folder exists");
    let paths = entries.map(|entry| entry.expect("the folder can be read").path());
    let entry = paths.max().expect("there is an archive");
    if entry.is_dir() { newest_archive(&entry) } else { entry }
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = folder.read_dir().expect("the folder exists");
    let names = entries.map(|entry| entry.expect("the folder can be read").file_name());
    names.map(|name| name.to_string_lossy().into_owned()).collect()
}

fn shown(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!("{}\n{}", String::from_utf8_lossy(out), String::from_utf8_lossy(err))
}

/// The process id that a line of the report names behind `word`.
fn pid_behind(report: &str, word: &str) -> Pid {
    let (_before, after) = report.split_once(word).expect("the report names a process");
    let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok().and_then(Pid::from_raw).expect("its number")
}

#[test]
fn the_demo_proves_three_restored_points_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let output = demo(folder.path()).output().unwrap();
    let report = shown(&output);
    assert_eq!(output.status.code(), Some(0), "{report}");
    for (point, kind) in [("1", "full"), ("2", "incremental"), ("3", "incremental")] {
        let line = |word: &str| {
            report
                .lines()
                .any(|line| line.split_whitespace().next() == Some(point) && line.contains(word))
        };
        assert!(line(kind), "{report}");
        assert!(line("rows equal"), "{report}");
    }
    assert!(report.contains("All 3 restored points hold exactly what was committed"), "{report}");
    assert!(report.lines().count() < 60, "{report}");
    assert!(!report.contains('\u{1b}'), "no colours or bars where there is no terminal");
    assert_eq!(names_in(folder.path()), [""; 0]);
    assert!(test_kill_process(pid_behind(&report, "process ")).is_err(), "the server still runs");
}

#[test]
fn with_keep_it_leaves_a_running_server_in_which_the_doctor_finds_a_lost_archive() {
    let folder = tempfile::tempdir().unwrap();
    let output = demo(folder.path()).arg("--keep").output().unwrap();
    let report = shown(&output);
    assert_eq!(output.status.code(), Some(0), "{report}");
    let server = KeptServer(pid_behind(&report, "kill "));
    test_kill_process(server.0).unwrap();
    let kept = folder.path().join(names_in(folder.path()).first().unwrap());
    let database = rusqlite::Connection::open(kept.join("shop/shop.db")).unwrap();
    let total: i64 =
        database.query_row("SELECT SUM(balance) FROM accounts", [], |row| row.get(0)).unwrap();
    assert_eq!(total, 1_000_000);

    let healthy = doctor(&kept);
    assert_eq!(healthy.status.code(), Some(0), "{}", shown(&healthy));
    assert!(shown(&healthy).contains("runs on this data directory"), "{}", shown(&healthy));
    assert!(shown(&healthy).contains("3 backups, schema version"), "{}", shown(&healthy));

    let archive = newest_archive(&kept.join("data/archives"));
    std::fs::remove_file(&archive).unwrap();
    let damaged = doctor(&kept);
    assert_eq!(damaged.status.code(), Some(1), "{}", shown(&damaged));
    let name = archive.file_name().unwrap().to_str().unwrap();
    let (id, _ending) = name.split_once('.').unwrap();
    assert!(shown(&damaged).contains(&format!("length: {id}")), "{}", shown(&damaged));
}

#[test]
fn an_interrupted_demo_removes_everything_it_made() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = demo(folder.path())
        .arg("--keep")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut report = String::new();
    while !report.contains("Backups over the API") {
        assert_ne!(lines.read_line(&mut report).unwrap(), 0, "{report}");
    }
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    lines.read_to_string(&mut report).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1), "{report}");
    assert_eq!(names_in(folder.path()), [""; 0], "{report}");
    assert!(test_kill_process(pid_behind(&report, "process ")).is_err(), "the server still runs");
}

#[test]
fn weeks_in_a_time_lapse_show_what_is_kept_one_failure_its_alert_and_the_status() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_coffer"));
    command.args(["demo", "--weeks", "3"]).env("TMPDIR", folder.path()).stdin(Stdio::null());
    let output = command.output().unwrap();
    let report = shown(&output);
    assert_eq!(output.status.code(), Some(0), "{report}");
    let alerts: Vec<&str> = report.lines().filter(|it| it.contains("  alert: shop: ")).collect();
    let [began, ended] = alerts.as_slice() else { panic!("{report}") };
    assert!(began.contains("the backup failed") && ended.contains("over"), "{alerts:?}");
    for text in [
        "coffer retention preview shop",
        "0 backups would be deleted",
        "coffer status\nSafe: nothing is wrong, 1 instance backed up.",
        "The oldest restore point, of ",
        "rows are what was committed then.",
    ] {
        assert!(report.contains(text), "{text}: {report}");
    }
    assert!(report.lines().count() < 60, "{report}");
    assert_eq!(names_in(folder.path()), [""; 0]);
}
