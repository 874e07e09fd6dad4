//! README's quick start, typed into a shell word for word, by a user without privileges in an empty home directory.

use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::{Log, UNPRIVILEGED, succeed};

/// The blocks of commands of README's quick start, without the one that builds the program.
fn blocks() -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(path).unwrap();
    let (_, section) = readme.split_once("## Your first backup\n").unwrap();
    let (section, _) = section.split_once("\n## See it\n").unwrap();
    let mut blocks = section.split("```sh\n").skip(1).map(|it| it.split_once("```").unwrap().0);
    assert!(blocks.next().unwrap().starts_with("cargo build --release\nexport PATH="));
    blocks.map(str::to_owned).collect()
}

#[test]
fn the_quick_start_of_the_readme_works_word_for_word() {
    let home = tempfile::tempdir().unwrap();
    let programs = tempfile::tempdir().unwrap();
    for folder in [home.path(), programs.path()] {
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    // The build's folder may be root's; another process copies, so that nothing here holds the program open.
    succeed(Command::new("cp").arg(env!("CARGO_BIN_EXE_coffer")).arg(programs.path()));
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut shell = Command::new("bash");
    shell.arg("-eu").current_dir(home.path()).env_clear().env("HOME", home.path());
    // A test cannot have the usual port for itself.
    shell.env("COFFER__SERVER__LISTEN", free.to_string());
    shell.env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", programs.path().display()));
    if rustix::process::geteuid().is_root() {
        chown(home.path(), Some(UNPRIVILEGED), Some(UNPRIVILEGED)).unwrap();
        shell.uid(UNPRIVILEGED).gid(UNPRIVILEGED);
    }
    let mut running =
        shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let log = Log::default();
    log.follow(running.stderr.take().unwrap());
    let mut keyboard = running.stdin.take().unwrap();
    for block in blocks() {
        keyboard.write_all(block.as_bytes()).unwrap();
        if block.contains("coffer serve &") {
            let listening = log.wait_for("listening on http://", 0);
            assert!(listening.is_some(), "{}", log.text());
        }
    }
    // The shell ends with what it started, and the first command that fails ends it.
    keyboard.write_all(b"wait\n").unwrap();
    drop(keyboard);
    let output = running.wait_with_output().unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{shown}\n{}", log.text());
    assert!(shown.ends_with("lamp\nchair\n"), "{shown}");
    for part in ["0 problems", "is COMPLETED", "checked", "was restored and used"] {
        assert!(shown.contains(part), "{part}: {shown}\n{}", log.text());
    }
    assert!(!log.text().contains("warning") && !log.text().contains("WARN"), "{}", log.text());
}
