//! Coffer beside a PostgreSQL server, and tools that misbehave on purpose.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;
use tempfile::TempDir;

use super::postgres::{Postgres, SUPERUSER, bin};
use super::support::{Builder, TestServer, write_file};

/// The instance's name.
pub(crate) const NAME: &str = "shop";

/// Coffer with one instance, which is this server, by these further keys of its source.
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

/// The id of a row.
pub(crate) fn id_of(row: &Value) -> &str {
    row["id"].as_str().unwrap()
}

/// How large a backup's archive is.
pub(crate) fn size_of(row: &Value) -> u64 {
    row["size_bytes"].as_u64().unwrap()
}

/// Where a backup's archive is.
pub(crate) fn archive_of(row: &Value) -> PathBuf {
    PathBuf::from(row["locationRef"].as_str().unwrap().strip_prefix("file://").unwrap())
}

/// A folder with every tool of PostgreSQL, in which one is another: a script of bash, in which `real` is
/// the tool itself.
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

/// What a command said, for messages.
pub(crate) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Processes started by this one and not ended yet.
pub(crate) fn children_of(id: u32) -> Vec<String> {
    let mut found = Vec::new();
    for task in std::fs::read_dir(format!("/proc/{id}/task")).unwrap().flatten() {
        let children = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
        found.extend(children.split_whitespace().map(str::to_owned));
    }
    found
}

/// A server on what `coffer restore` makes of this backup.
pub(crate) fn started(coffer: &TestServer, row: &Value) -> Postgres {
    let restored = coffer.restored(row);
    // The server's user must be able to get there.
    let open = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(coffer.folder(), open).unwrap();
    Postgres::on(&restored.join("pgdata"))
}
