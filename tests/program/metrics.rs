//! What is shipped for Prometheus and Grafana, checked with `promtool` against the metrics of a real server.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rusqlite::Connection;

use crate::support::{TestServer, id_of, wait_until};

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// `promtool` of the machine, or the one that tests/run.sh fetched.
fn promtool() -> Command {
    let fetched = repository().join("target/tools/bin/promtool");
    Command::new(if fetched.exists() { fetched } else { PathBuf::from("promtool") })
}

/// Runs it, and fails the test unless it finds no fault.
#[track_caller]
fn assert_no_fault(command: &mut Command, input: &str) {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("promtool: tests/run.sh fetches it");
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
}

/// The metrics that a text names.
fn named(text: &str) -> BTreeSet<&str> {
    let word = |it: char| it.is_ascii_lowercase() || it == '_';
    text.split(|it| !word(it)).filter(|it| it.starts_with("coffer_")).collect()
}

#[test]
fn the_alert_rules_say_what_their_tests_expect() {
    let folder = repository().join("packaging/prometheus");
    let mut check = promtool();
    assert_no_fault(check.current_dir(&folder).args(["check", "rules", "coffer.rules.yml"]), "");
    let mut test = promtool();
    assert_no_fault(test.current_dir(&folder).args(["test", "rules", "coffer.rules.test.yml"]), "");
}

#[test]
fn prometheus_finds_no_fault_in_the_metrics_and_rules_and_dashboard_name_only_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop.db");
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE row(data BLOB)").unwrap();
    std::fs::create_dir(folder.path().join("nas")).unwrap();
    let server = TestServer::builder()
        .instance_sqlite("shop", &path)
        .toml("schedule = \"monthly 1 04:00\"\ncopies = [\"nas\"]")
        .toml(&format!(
            "[[places]]\nname = \"nas\"\ntype = \"disk\"\nsame_disk = true\npath = {:?}",
            folder.path().join("nas")
        ))
        .start();
    let client = server.admin();
    let made = client.full("shop");
    wait_until("the copy", || {
        let shown = client.get("/metrics").with_status(200).text();
        let proven = "coffer_place_copies{place=\"nas\",state=\"proven\"} 1";
        shown.contains(proven).then_some(())
    });
    client.ask_for_drill(id_of(&made));
    client.drilled(id_of(&made));
    // One that is damaged, so that there is a problem.
    crate::support::damage(&crate::support::archive_of(&made));
    assert_eq!(server.run(&["verify", id_of(&made)]).status.code(), Some(4));
    let text = client.get("/metrics").with_status(200).text();
    assert_no_fault(promtool().args(["check", "metrics"]), &text);

    let shown: BTreeSet<&str> =
        text.lines().filter_map(|it| it.strip_prefix("# HELP ")?.split(' ').next()).collect();
    let again = client.full("shop");
    let healed = client.get("/metrics").with_status(200).text();
    let shown: BTreeSet<&str> = shown
        .into_iter()
        .chain(healed.lines().filter_map(|it| it.strip_prefix("# HELP ")?.split(' ').next()))
        .collect();
    for file in ["packaging/prometheus/coffer.rules.yml", "packaging/grafana/coffer.json"] {
        let file = std::fs::read_to_string(repository().join(file)).unwrap();
        let unknown: Vec<_> = named(&file).difference(&shown).copied().collect();
        assert!(unknown.is_empty(), "{unknown:?} is not in\n{text}");
    }
    let dashboard = std::fs::read(repository().join("packaging/grafana/coffer.json")).unwrap();
    let dashboard: serde_json::Value = serde_json::from_slice(&dashboard).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let ids: BTreeSet<_> = panels.iter().map(|it| it["id"].as_u64()).collect();
    assert_eq!(ids.len(), panels.len(), "each panel has an id of its own");
    assert_ne!(id_of(&again), id_of(&made));
}
