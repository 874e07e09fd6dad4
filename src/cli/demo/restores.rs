//! The damage, and three ways to restore.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use percent_encoding::percent_decode_str;

use crate::cli::doctor::find_tool;
use crate::cli::error::{CommandError, failed};
use crate::cli::interrupt::Interrupt;
use crate::client::Client;
use crate::domain::InstanceStatus;
use crate::wire::{CreateInstance, RestorePoint};

use super::backups::Point;
use super::server::this_program;
use super::workspace::{INSTANCE, PROJECT, Workspace};
use super::{compare, ledger};

const TIMEOUT: Duration = Duration::from_secs(3600);

/// Overwrites the database with garbage, makes sure that SQLite cannot read it, and deletes it. Returns
/// what SQLite says about it.
pub(super) fn destroy(database: &Path) -> Result<String, CommandError> {
    let doing = || failed(format!("destroying {}", database.display()));
    let mut file = File::options().write(true).open(database).map_err(doing())?;
    let length = file.metadata().map_err(doing())?.len();
    io::copy(&mut io::repeat(b'?').take(length), &mut file).map_err(doing())?;
    let answer = compare::open(database).and_then(|it| ledger::transactions_in(&it));
    let Err(complaint) = answer else {
        let text = "the database was overwritten, and SQLite can still read it";
        return Err(CommandError::Failed(text.to_owned()));
    };
    // SQLite has removed the -wal and -shm files when the writer closed the database.
    fs::remove_file(database).map_err(doing())?;
    Ok(complaint.to_string())
}

/// Restores a point: the full backup without Coffer where the tools are installed, the second into a new
/// instance over the API, the newest to where the database was. Returns by what, and the restored file.
pub(super) fn restore(
    point: &Point,
    workspace: &Workspace,
    client: &Client,
    interrupt: &Interrupt,
) -> Result<(&'static str, PathBuf), CommandError> {
    let restored = match point.number {
        1 if tools_are_installed() => ("zstd | tar", with_tools(point, workspace)?),
        2 => ("POST instances", over_the_api(point, workspace, client, interrupt)?),
        number => {
            let newest = number > 1;
            let file = if newest { workspace.database() } else { workspace.path("restored-1.db") };
            with_coffer(point, workspace, &file)?;
            ("coffer restore", file)
        }
    };
    Ok(restored)
}

/// Whether a full backup can be restored without Coffer here.
pub(super) fn tools_are_installed() -> bool {
    ["zstd", "tar"].iter().all(|name| find_tool(name).is_some())
}

/// The file that the API's `file://` URL names.
pub(super) fn archive_of(point: &Point) -> Result<PathBuf, CommandError> {
    let url = &point.location;
    let path = url.strip_prefix("file://").map(|path| percent_decode_str(path).decode_utf8());
    match path {
        Some(Ok(path)) => Ok(PathBuf::from(path.into_owned())),
        _ => Err(CommandError::Failed(format!("the backup's location is {url:?}"))),
    }
}

/// `zstd -dc ARCHIVE | tar -xf - -C FOLDER`.
fn with_tools(point: &Point, workspace: &Workspace) -> Result<PathBuf, CommandError> {
    let (archive, folder) = (archive_of(point)?, workspace.path("restored-1"));
    let doing = || failed(format!("zstd -dc {} | tar -xf -", archive.display()));
    fs::create_dir(&folder).map_err(doing())?;
    let mut zstd = Command::new("zstd");
    zstd.args(["-q", "-dc", "--"]).arg(&archive).stdin(Stdio::null());
    let mut zstd = zstd.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(doing())?;
    let stream = zstd.stdout.take().map_or_else(Stdio::null, Stdio::from);
    let tar = Command::new("tar").args(["-xf", "-", "-C"]).arg(&folder).stdin(stream).output();
    // Without a reader zstd exits, so this does not wait forever if tar did not start.
    let zstd = zstd.wait_with_output().map_err(doing())?;
    let tar = tar.map_err(doing())?;
    require_success("zstd", zstd.status, &zstd.stderr)?;
    require_success("tar", tar.status, &tar.stderr)?;
    Ok(folder.join("data/shop.db"))
}

fn with_coffer(point: &Point, workspace: &Workspace, to: &Path) -> Result<(), CommandError> {
    let mut command = this_program(&["restore", &point.id.to_string(), "--to"])?;
    command.arg(to).arg("--config").arg(workspace.config_file());
    let output = command.output().map_err(failed("starting coffer restore"))?;
    match require_success("coffer restore", output.status, &output.stderr) {
        Err(CommandError::Damaged(text)) if output.status.code() != Some(4) => {
            Err(CommandError::Failed(text))
        }
        result => result,
    }
}

fn require_success(tool: &str, status: ExitStatus, stderr: &[u8]) -> Result<(), CommandError> {
    if status.success() {
        return Ok(());
    }
    let complaint = String::from_utf8_lossy(stderr);
    Err(CommandError::Damaged(format!("{tool}: {status}: {}", complaint.trim())))
}

fn over_the_api(
    point: &Point,
    workspace: &Workspace,
    client: &Client,
    interrupt: &Interrupt,
) -> Result<PathBuf, CommandError> {
    let name = format!("{INSTANCE}-{}", point.number);
    let request = CreateInstance {
        name: name.clone(),
        flavor_ref: None,
        volume: None,
        datastore: None,
        restore_point: RestorePoint { backup_ref: point.id },
    };
    let id = client.create_instance(request)?.id;
    interrupt.wait_for("the restore", TIMEOUT, || {
        let instance = client.instance(id)?;
        match instance.status {
            InstanceStatus::Active => Ok(Some(())),
            InstanceStatus::Build => Ok(None),
            status => {
                let status = status.as_str();
                let why = instance.fault.map(|it| it.message).unwrap_or_default();
                Err(CommandError::Failed(format!("the restore {id} is {status}: {why}")))
            }
        }
    })?;
    Ok(workspace
        .path("data/restored")
        .join(PROJECT)
        .join(id.to_string())
        .join(format!("{name}.db")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::demo::ledger::{Ledger, Purpose};
    use crate::domain::BackupId;

    fn point(location: &str) -> Point {
        let (id, location) = (BackupId::generate(), location.to_owned());
        Point { number: 1, id, location, possible: 0..=0 }
    }

    #[test]
    fn a_file_url_gives_its_path() {
        let path = |url: &str| archive_of(&point(url)).ok();
        let expected = Some(PathBuf::from("/a/b c/é.tar.zst"));
        assert_eq!(path("file:///a/b%20c/%C3%A9.tar.zst"), expected);
        for bad in ["http://a/b", "/a", "file:///%ff"] {
            assert_eq!(path(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_archive_that_does_not_unpack_is_an_error_with_the_tools_message() {
        let workspace = Workspace::create(2).unwrap();
        let error = with_tools(&point("file:///nowhere/none.tar.zst"), &workspace).unwrap_err();
        assert!(error.to_string().contains("none.tar.zst"), "{error}");
    }

    #[test]
    fn a_destroyed_database_is_gone_and_was_unreadable_before() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("shop.db");
        let interrupt = Interrupt::listen().unwrap();
        let mut ledger = Ledger::create(&file, Purpose::Live, 30, &interrupt).unwrap();
        ledger.advance_to(1).unwrap();
        drop(ledger);
        assert_eq!(destroy(&file).unwrap(), "file is not a database");
        assert_eq!(folder.path().read_dir().unwrap().count(), 0);
    }
}
