//! The layers of the configuration: defaults, file, environment.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;
use std::process::Command;

use crate::support::write_file;

/// The exit code and the report of `coffer doctor` with this file and these variables.
fn doctor(file: &str, variables: &[(&str, &OsStr)]) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("test.toml");
    write_file(&config, file);
    let mut doctor = Command::new(env!("CARGO_BIN_EXE_coffer"));
    doctor.args(["doctor", "--json", "--config"]).arg(config).envs(variables.iter().copied());
    let output = doctor.output().unwrap();
    let (report, error) = (output.stdout, output.stderr);
    let text = [report, error].map(|it| String::from_utf8_lossy(&it).into_owned()).concat();
    (output.status.code(), text)
}

#[test]
fn the_environment_wins_over_the_file_and_the_own_catalog_is_in_the_final_data_dir() {
    let folder = tempfile::tempdir().unwrap();
    let wins = folder.path().join("B");
    let file = "data_dir = \"/nowhere/a\"\n[executor]\nworkers = 0\n";
    let (code, report) = doctor(
        file,
        &[
            ("COFFER__DATA_DIR", wins.as_os_str()),
            ("COFFER__EXECUTOR__WORKERS", "2".as_ref()),
            ("COFFER__QUOTA__BACKUPS", "-1".as_ref()),
            ("COFFER_URL", "http://127.0.0.1:8779".as_ref()),
        ],
    );
    assert_eq!(code, Some(0), "{report}");
    assert!(report.contains(wins.to_str().unwrap()) && !report.contains("/nowhere"), "{report}");
    assert!(report.contains("coffer-catalog"), "{report}");
    assert_eq!(doctor(file, &[]).0, Some(2));
}

#[test]
fn a_folder_is_no_configuration() {
    let mut doctor = Command::new(env!("CARGO_BIN_EXE_coffer"));
    let output = doctor.args(["doctor", "--config"]).arg(Path::new("/")).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn an_unknown_variable_is_refused_and_a_list_cannot_come_from_the_environment() {
    for name in ["COFFER__SERVER__LISEN", "COFFER__SERVER", "COFFER__DATADIR", "COFFER__"] {
        let (code, report) = doctor("", &[(name, "1".as_ref())]);
        assert!(code == Some(2) && report.contains(name), "{report}");
    }
    for name in ["COFFER__INSTANCES", "COFFER__AUTH__TOKENS", "COFFER__INSTANCES[0]__NAME"] {
        let (code, report) = doctor("", &[(name, "x".as_ref())]);
        assert!(code == Some(2) && report.contains(name), "{report}");
        assert!(report.contains("only the configuration file"), "{report}");
    }
}

#[test]
fn a_wrong_value_in_a_variable_names_the_environment() {
    let two = [("COFFER__EXECUTOR__WORKERS", "two".as_ref())];
    let (code, report) = doctor("[executor]\nworkers = 2", &two);
    assert_eq!(code, Some(2));
    assert!(report.contains("executor.workers") && report.contains("the environment"), "{report}");
    assert!(!report.contains("test.toml"), "{report}");
}

#[test]
fn a_variable_that_is_not_utf8_is_refused() {
    let bytes = OsString::from_vec(vec![b'/', 0xff]);
    let (code, report) = doctor("", &[("COFFER__DATA_DIR", &bytes)]);
    assert!(code == Some(2) && report.contains("COFFER__DATA_DIR is not UTF-8"), "{report}");
}
