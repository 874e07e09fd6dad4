//! What the tests of this file have in common: sources in TOML, folders of tools, and looks at processes.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::server::MariaDb;
use super::support::write_file;

/// The source that asks this server as root, with further keys.
pub(crate) fn source(server: &MariaDb, more: &str) -> String {
    let socket = Value::from(server.socket().to_str().unwrap());
    format!("{{ socket = {socket}, user = \"root\"{more} }}")
}

/// Where an archive lies.
pub(crate) fn archive_of(backup: &Value) -> PathBuf {
    PathBuf::from(backup["locationRef"].as_str().unwrap().strip_prefix("file://").unwrap())
}

/// A backup's id.
pub(crate) fn id_of(backup: &Value) -> &str {
    backup["id"].as_str().unwrap()
}

/// How large an archive is.
pub(crate) fn size_of(backup: &Value) -> u64 {
    backup["size_bytes"].as_u64().unwrap()
}

/// A folder with the database's tools, of which `name` is this script instead. In it `$real` is the tool.
pub(crate) fn tools_with(folder: &Path, name: &str, script: &str) -> PathBuf {
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
        .unwrap_or_else(|| panic!("{program} is not installed: tests/run.sh sees to it"))
}

/// The processes whose command line holds all of these words.
pub(crate) fn processes_with(words: &[&str]) -> Vec<u32> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Ok(id) = entry.file_name().to_string_lossy().parse::<u32>() else { continue };
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        // Not the programs that only start it.
        let starts = line.starts_with("setpriv") || line.starts_with("/bin/sh");
        if !starts && words.iter().all(|word| line.contains(word)) {
            found.push(id);
        }
    }
    found
}

/// Runs a shell script in a folder, to its good end.
#[track_caller]
pub(crate) fn shell(script: &str, folder: &Path) -> String {
    let output = Command::new("bash")
        .args(["-euo", "pipefail", "-c", script])
        .current_dir(folder)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}\n{said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
