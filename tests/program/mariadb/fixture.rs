//! Shared by the tests of MariaDB: sources as TOML, and folders of tools with one replaced.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::server::MariaDb;
use crate::support::write_file;

/// The source that connects to this server as root, with further keys.
pub(crate) fn source(server: &MariaDb, more: &str) -> String {
    let socket = Value::from(server.socket().to_str().unwrap());
    format!("{{ socket = {socket}, user = \"root\"{more} }}")
}

/// A folder with the tools of MariaDB, of which `name` is replaced by this script; `$real` is the tool itself.
pub(crate) fn tools_replacing(folder: &Path, name: &str, script: &str) -> PathBuf {
    let tools = folder.join(format!("tools-with-{name}"));
    std::fs::create_dir(&tools).unwrap();
    for tool in ["mariadb", "mariadb-backup", "mariadb-dump", "mariadbd", "mariadb-install-db"] {
        let real = which(tool);
        if tool == name {
            let path = tools.join(tool);
            write_file(&path, format!("#!/bin/sh\nreal='{}'\n{script}\n", real.display()));
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        } else {
            symlink(real, tools.join(tool)).unwrap();
        }
    }
    tools
}

fn which(program: &str) -> PathBuf {
    ["/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin"]
        .iter()
        .map(|folder| Path::new(folder).join(program))
        .find(|path| path.exists())
        .unwrap_or_else(|| panic!("{program} is not installed: tests/run.sh installs it"))
}
