//! A server with a tree as its instance.

use std::fs::File;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::listing::{Listing, listing};
use crate::support::{Builder, Client, TestServer, id_of, succeed, wait_until};

/// The instance's name.
pub(crate) const TREE: &str = "tree";

pub(crate) struct Fixture {
    pub(crate) server: TestServer,
    pub(crate) tree: PathBuf,
    pub(crate) folder: tempfile::TempDir,
}

impl Fixture {
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

    /// A server for a tree on the filesystem of `place`.
    pub(crate) fn within(place: &Path, plant: impl FnOnce(&Path)) -> Self {
        let folder = tempfile::tempdir_in(place).unwrap();
        let tree = folder.path().join("source");
        std::fs::create_dir(&tree).unwrap();
        plant(&tree);
        let server = TestServer::builder().instance_directory(TREE, &tree).start();
        Self { server, tree, folder }
    }

    pub(crate) fn client(&self) -> Client {
        self.server.admin()
    }

    pub(crate) fn full(&self) -> Value {
        self.client().full(TREE)
    }

    pub(crate) fn incremental(&self) -> Value {
        self.client().incremental(TREE)
    }

    /// Restores this backup with the command, to a new folder.
    #[track_caller]
    pub(crate) fn restored(&self, backup: &Value) -> PathBuf {
        let target = self.folder.path().join(format!("restored {}", id_of(backup)));
        let to = target.to_str().unwrap();
        self.server.run_ok(&["restore", id_of(backup), "--to", to]);
        target
    }

    #[track_caller]
    pub(crate) fn restored_listing(&self, backup: &Value) -> Listing {
        let target = self.restored(backup);
        let found = listing(&target);
        std::fs::remove_dir_all(&target).unwrap();
        found
    }

    /// Unpacks a full archive with `tar`, to a new folder.
    #[track_caller]
    pub(crate) fn unpacked(&self, archive: &Path) -> PathBuf {
        let target = self.folder.path().join("unpacked");
        std::fs::create_dir(&target).unwrap();
        let mut tar = Command::new("tar");
        tar.args(["--zstd", "--xattrs", "--xattrs-include=*", "-xpf"]).arg(archive);
        succeed(tar.arg("-C").arg(&target));
        target.join("data")
    }
}

/// Waits until the clock of the filesystem is so far ahead that the tree's last change counts as old.
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
