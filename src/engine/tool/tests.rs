//! Programs run with a clean environment, end when they should, and are quoted without their secrets.

use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::{Duration, Instant};

use super::{Secret, SecretFile, Tool, ToolError};
use crate::domain::Cancel;
use crate::engine::EngineError;

fn shell(script: &str) -> Tool {
    Tool::new(Path::new("/bin/sh")).args(["-c", script])
}

fn secret(text: &str) -> Secret {
    Secret::from_bytes(text.as_bytes().to_vec()).unwrap()
}

/// Whether a process with this argument exists.
fn runs(mark: &str) -> bool {
    std::fs::read_dir("/proc").unwrap().flatten().any(|entry| {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        line.windows(mark.len()).any(|part| part == mark.as_bytes())
    })
}

/// Waits for the end of a process that was killed: it is listed until it has had the processor once more.
fn is_gone(mark: &str) -> bool {
    let begun = Instant::now();
    while runs(mark) {
        if begun.elapsed() > Duration::from_secs(60) {
            return false;
        }
        std::thread::yield_now();
    }
    true
}

#[test]
fn a_failure_shows_the_last_lines_without_the_password() {
    let hidden = secret("top\nsecret line");
    let failed = shell("echo \"$PASS\" >&2; seq 1 100 >&2; echo \"no: $PASS\" >&2; exit 3")
        .secret_env("PASS", &hidden)
        .run(&Cancel::default())
        .unwrap_err();
    let said = failed.to_string();
    assert!(said.contains("exit status: 3") && said.contains("no: [password]"), "{said}");
    assert!(said.contains("100") && !said.contains("90"), "{said}");
    assert!(!said.contains("secret line") && !format!("{hidden:?}").contains("top"), "{said}");
}

#[test]
fn a_program_that_is_killed_or_fails_is_an_error_though_it_wrote_something() {
    for (script, word) in [("echo half; kill -9 $$", "signal"), ("echo half; exit 1", "status: 1")]
    {
        let mut stream = shell(script).stream(&Cancel::default()).unwrap();
        let mut read = String::new();
        stream.read_to_string(&mut read).unwrap();
        assert_eq!(read, "half\n");
        let said = stream.finish().unwrap_err().to_string();
        assert!(said.contains(word), "{said}");
    }
}

#[test]
fn a_program_that_cannot_be_run_is_distinguished_from_one_that_fails() {
    let failed = shell("exec /nowhere/at-all").run(&Cancel::default()).unwrap_err();
    assert!(matches!(&failed, ToolError::Start { .. }), "{failed}");
    assert!(failed.to_string().contains("cannot be run"), "{failed}");
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let mut server = shell("exec /nowhere/at-all").start_server(&log, &Cancel::default()).unwrap();
    let ended = server.wait_until_up(Duration::from_secs(60), || Ok(false)).unwrap_err();
    assert!(matches!(ended, EngineError::Tool(ToolError::Start { .. })), "{ended}");
}

#[test]
fn a_process_left_behind_does_not_keep_the_reader_waiting() {
    let mut stream = shell("echo half; sleep 987652 & exit 1").stream(&Cancel::default()).unwrap();
    let mut read = String::new();
    stream.read_to_string(&mut read).unwrap();
    assert_eq!(read, "half\n");
    let said = stream.finish().unwrap_err().to_string();
    assert!(said.contains("status: 1") && is_gone("987652"), "{said}");
}

#[test]
fn cancelling_ends_the_program_and_what_it_started() {
    let cancel = Cancel::default();
    let mut stream = shell("sleep 987654 & sleep 987653; true").stream(&cancel).unwrap();
    cancel.cancel();
    let mut read = Vec::new();
    assert!(matches!(stream.read_up_to(10, &mut read), Err(ToolError::Cancelled)));
    drop(stream);
    assert!(is_gone("987653") && is_gone("987654"));
}

#[test]
fn a_program_that_takes_too_long_is_killed() {
    let late = shell("echo waiting >&2; exec sleep 987655").timeout(Duration::from_millis(300));
    let said = late.output(&Cancel::default()).unwrap_err();
    assert!(matches!(&said, ToolError::TimedOut { output, .. } if output == "waiting"), "{said}");
    assert!(!runs("987655"));
}

#[test]
fn a_program_that_refuses_root_sees_another_user() {
    let id = Tool::new(Path::new("/usr/bin/id")).arg("-u").hide_root();
    assert_ne!(id.output(&Cancel::default()).unwrap(), b"0\n");
}

#[test]
fn a_program_reads_bytes_on_its_standard_input() {
    let tool = shell("cat").stdin_bytes(b"one\ntwo").unwrap();
    assert_eq!(tool.output(&Cancel::default()).unwrap(), b"one\ntwo");
}

#[test]
fn a_secret_file_can_be_read_by_a_child_until_it_is_dropped() {
    let file = SecretFile::new(b"[client]\npassword=\"x\"\n").unwrap();
    let read = shell("cat \"$0\"").arg(file.path()).output(&Cancel::default()).unwrap();
    assert_eq!(read, b"[client]\npassword=\"x\"\n");
    let mode = std::fs::metadata(file.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let (path, is) = (file.path(), std::fs::metadata(file.path()).unwrap().ino());
    drop(file);
    // Another thread's file may have got the number of its descriptor.
    assert!(std::fs::metadata(path).map_or(true, |other| other.ino() != is));
}
