//! A real server for integration tests, and what a test wants to do with it.
//!
//! A test file takes it in with `#[cfg(test)] mod support;`. The server is the built binary with a
//! configuration of its own, a temporary data directory and a free port. When a [`TestServer`] goes
//! out of scope, the test fails on whatever it leaves behind: see [`TestServer`].

#![allow(dead_code, unused_imports, reason = "each test file uses a part of this")]

mod builder;
mod client;
mod log;
mod server;
mod shell;

use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::Value;

pub(crate) use builder::Builder;
pub(crate) use client::{Answer, Client};
pub(crate) use log::Log;
pub(crate) use server::TestServer;
pub(crate) use shell::Shell;

/// The project of instances and tokens when a test does not care.
pub(crate) const PROJECT: &str = "project-a";

/// The user `nobody`, who owns nothing and has no rights of its own.
pub(crate) const UNPRIVILEGED: u32 = 65534;

/// How long anything may take before a test gives up on it; only a fault makes a test wait so long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Waits a moment before looking again at something that gives no signal.
pub(crate) fn pause() {
    let (_sender, never) = mpsc::channel::<()>();
    let moment = Duration::from_millis(20);
    assert!(never.recv_timeout(moment).is_err(), "nobody sends");
}

/// Looks until there is an answer; fails the test, naming `what`, after [`PATIENCE`].
pub(crate) fn wait_until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = look() {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} in vain: {what}");
        pause();
    }
}

/// A whole file with this content.
pub(crate) fn write_file(path: &Path, content: impl AsRef<[u8]>) {
    #[expect(clippy::disallowed_methods, reason = "a test's own files need not survive a crash")]
    std::fs::write(path, content).unwrap();
}

/// Where the archive of this backup's row lies.
#[track_caller]
pub(crate) fn archive_of(backup: &Value) -> PathBuf {
    PathBuf::from(backup["locationRef"].as_str().unwrap().strip_prefix("file://").unwrap())
}

/// The names in a folder, sorted; none if there is no such folder.
pub(crate) fn names_in(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}
