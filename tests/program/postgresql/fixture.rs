//! Shared by the tests of PostgreSQL: Coffer for a server, and folders of tools with one replaced.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::Value;

pub(crate) use super::postgres::tools_replacing;
use super::postgres::{Postgres, SUPERUSER};
use crate::support::{Builder, TestServer};

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

/// The key of a source that names such a folder.
pub(crate) fn tools_key(folder: &Path) -> String {
    format!("tools = {:?}", folder.to_str().unwrap())
}

/// A server on what `coffer restore` makes of this backup.
pub(crate) fn start_restored(coffer: &TestServer, row: &Value) -> Postgres {
    start_restored_with(coffer, row, "")
}

/// The same with further settings.
pub(crate) fn start_restored_with(coffer: &TestServer, row: &Value, settings: &str) -> Postgres {
    let restored = coffer.restored(row);
    // The server's user must be able to get there.
    let open = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(coffer.folder(), open).unwrap();
    Postgres::on_with(&restored.join("pgdata"), settings)
}
