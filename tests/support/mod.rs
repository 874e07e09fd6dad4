//! What integration tests share: a real server, a client for it, and the programs around them.
//!
//! A test file includes it with `mod support;`. The server is the built program with a configuration of its
//! own, a temporary data directory and a free port. Dropping a [`TestServer`] fails the test if something was
//! left behind.

#![allow(dead_code, unused_imports, reason = "each test file uses a part of this")]

mod backup;
mod builder;
mod client;
mod control_group;
mod disk;
mod log;
mod process;
mod readers;
mod server;
mod sqlite_shell;
mod staging;

use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, Instant};

pub(crate) use backup::{
    archive_of, damage, damage_index, id_of, manifest_of, restore_text, size_of,
};
pub(crate) use builder::Builder;
pub(crate) use client::{Answer, Client};
pub(crate) use control_group::{ControlGroup, UnitLimits};
pub(crate) use disk::Disk;
pub(crate) use log::Log;
pub(crate) use process::{
    bash, children_of, contains, is_in_a_command_line, is_in_an_environment, processes_with,
    run_script, stderr_of, succeed,
};
pub(crate) use readers::Readers;
pub(crate) use server::TestServer;
pub(crate) use sqlite_shell::SqliteShell;
pub(crate) use staging::MONTHLY;

/// The project of instances and tokens unless a test names another.
pub(crate) const PROJECT: &str = "project-a";

/// The user `nobody`, without rights of its own.
pub(crate) const UNPRIVILEGED: u32 = 65534;

/// How long a test waits for anything. Only a test that fails waits so long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Waits a moment, to poll something that gives no signal.
pub(crate) fn pause() {
    let (_sender, never) = mpsc::channel::<()>();
    let moment = Duration::from_millis(20);
    assert!(never.recv_timeout(moment).is_err(), "the sender sends nothing");
}

/// Polls until there is an answer; fails the test, naming `what`, after [`PATIENCE`].
#[track_caller]
pub(crate) fn wait_until<T>(what: &str, mut poll: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = poll() {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} for {what}");
        pause();
    }
}

/// Writes a file with this content.
pub(crate) fn write_file(path: &Path, content: impl AsRef<[u8]>) {
    #[expect(clippy::disallowed_methods, reason = "a test's own files need not survive a crash")]
    std::fs::write(path, content).unwrap();
}

/// Every file below a folder; none if the folder does not exist.
pub(crate) fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            files.extend(files_below(&entry.path()));
        } else {
            files.push(entry.path());
        }
    }
    files
}

/// The names in a folder, sorted; none if the folder does not exist.
pub(crate) fn names_in(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}
