//! A server with one tree, and what is done with it.

use std::fs::File;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::listing::{Listing, listing};
use crate::support::{Builder, Client, TestServer, wait_until};

/// The instance's name.
pub(crate) const TREE: &str = "tree";

pub(crate) struct House {
    pub(crate) server: TestServer,
    pub(crate) tree: PathBuf,
    pub(crate) folder: tempfile::TempDir,
}

impl House {
    /// A server for the tree that `plant` makes.
    pub(crate) fn new(plant: impl FnOnce(&Path)) -> Self {
        Self::with(|builder| builder, plant)
    }

    /// The same with more settings.
    pub(crate) fn with(set: impl FnOnce(Builder) -> Builder, plant: impl FnOnce(&Path)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let tree = folder.path().join("source");
        std::fs::create_dir(&tree).unwrap();
        plant(&tree);
        let server = set(TestServer::builder().instance_directory(TREE, &tree)).start();
        Self { server, tree, folder }
    }

    pub(crate) fn client(&self) -> Client {
        self.server.by_admin()
    }

    pub(crate) fn full(&self) -> Value {
        self.client().full(TREE)
    }

    pub(crate) fn incremental(&self) -> Value {
        self.client().incremental(TREE)
    }

    /// What `coffer restore` makes of this backup, at a new place.
    #[track_caller]
    pub(crate) fn restored(&self, backup: &Value) -> PathBuf {
        let target = self.folder.path().join(format!("restored {}", id(backup)));
        let to = target.to_str().unwrap();
        finished(&mut self.server.command(&["restore", id(backup), "--to", to]));
        target
    }

    #[track_caller]
    pub(crate) fn restored_listing(&self, backup: &Value) -> Listing {
        let target = self.restored(backup);
        let found = listing(&target);
        std::fs::remove_dir_all(&target).unwrap();
        found
    }

    /// What `tar` makes of a full archive, at a new place.
    #[track_caller]
    pub(crate) fn unpacked(&self, archive: &Path) -> PathBuf {
        let target = self.folder.path().join("unpacked");
        std::fs::create_dir(&target).unwrap();
        let mut tar = Command::new("tar");
        tar.args(["--zstd", "--xattrs", "--xattrs-include=*", "-xpf"]).arg(archive);
        finished(tar.arg("-C").arg(&target));
        target.join("data")
    }
}

/// Runs it to a good end.
#[track_caller]
pub(crate) fn finished(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}\n{}", String::from_utf8_lossy(&output.stderr));
    output
}

pub(crate) fn id(backup: &Value) -> &str {
    backup["id"].as_str().unwrap()
}

pub(crate) fn archive_of(backup: &Value) -> PathBuf {
    PathBuf::from(backup["locationRef"].as_str().unwrap().strip_prefix("file://").unwrap())
}

/// The manifest, read with nothing but `zstd` and `tar`.
#[track_caller]
pub(crate) fn manifest_of(backup: &Value) -> Value {
    let script = "zstd -dc \"$1\" | tar -xOf - .coffer/manifest.json";
    let mut shell = Command::new("bash");
    shell.args(["-euo", "pipefail", "-c", script, "bash"]).arg(archive_of(backup));
    serde_json::from_slice(&finished(&mut shell).stdout).unwrap()
}

/// Waits until the filesystem's clock has gone on so far that what is in the tree now counts as settled.
pub(crate) fn settle(folder: &Path) {
    let now = || {
        let probe = folder.join("clock");
        drop(File::options().write(true).create_new(true).open(&probe).unwrap());
        let found = probe.metadata().unwrap();
        std::fs::remove_file(&probe).unwrap();
        found.ctime() * 1_000_000_000 + found.ctime_nsec()
    };
    let begun = now();
    wait_until("the clock to go on", || (now() > begun + 60_000_000).then_some(()));
}
