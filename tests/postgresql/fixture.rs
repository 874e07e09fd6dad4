//! Shared by the tests of PostgreSQL: Coffer for a server, and folders of tools with one replaced.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use super::postgres::{Postgres, SUPERUSER, bin};
use super::support::{Builder, TestServer, write_file};

/// The instance's name.
pub(crate) const NAME: &str = "shop";

/// Coffer with this server as its instance, with further keys of the source.
pub(crate) fn coffer_for(server: &Postgres, more: &str) -> Builder {
    TestServer::builder().instance_of(NAME, "postgresql", &source(server, more), "quick")
}

/// The source, as TOML.
pub(crate) fn source(server: &Postgres, more: &str) -> String {
    let folder = server.folder().to_str().unwrap();
    let user = if more.contains("user =") { "" } else { ", user = \"postgres\"" };
    let comma = if more.is_empty() { "" } else { ", " };
    assert_eq!(SUPERUSER, "postgres");
    format!("{{ socket = {folder:?}{user}{comma}{more} }}")
}

/// A folder with the tools of PostgreSQL, of which `name` is replaced by this bash script; `real` is the tool
/// itself.
pub(crate) fn tools_with(name: &str, script: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    for entry in std::fs::read_dir(bin()).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name() != name {
            symlink(entry.path(), folder.path().join(entry.file_name())).unwrap();
        }
    }
    let path = folder.path().join(name);
    let real = bin().join(name);
    let version = "case \"$1\" in --version) real --version; exit;; esac";
    let text =
        format!("#!/bin/bash\nreal() {{ {} \"$@\"; }}\n{version}\n{script}\n", real.display());
    write_file(&path, text);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

/// The key of a source that names such a folder.
pub(crate) fn tools_key(folder: &Path) -> String {
    format!("tools = {:?}", folder.to_str().unwrap())
}

/// A server on what `coffer restore` makes of this backup.
pub(crate) fn start_restored(coffer: &TestServer, row: &Value) -> Postgres {
    let restored = coffer.restored(row);
    // The server's user must be able to get there.
    let open = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(coffer.folder(), open).unwrap();
    Postgres::on(&restored.join("pgdata"))
}
