//! The damage, and three ways to restore.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::cli::doctor::find_tool;
use crate::cli::error::{CommandError, Result, failed};
use crate::cli::terminal::say;
use crate::domain::InstanceStatus;
use crate::wire::{CreateInstance, RestorePoint};

use super::compare;
use super::ledger::{self, Ledger};
use super::server::this_program;
use super::tour::{Point, TIMEOUT, Tour};
use super::workspace::{CONFIG, DATABASE, INSTANCE, PROJECT, Workspace};

/// Overwrites the database with garbage, makes sure that SQLite cannot read it, and deletes it. Returns
/// what SQLite says about it.
pub(super) fn destroy(database: &Path) -> Result<String> {
    let doing = || failed(format!("destroying {}", database.display()));
    let mut file = File::options().write(true).open(database).map_err(doing())?;
    let length = file.metadata().map_err(doing())?.len();
    io::copy(&mut io::repeat(b'?').take(length), &mut file).map_err(doing())?;
    let Err(complaint) = compare::open(database).and_then(|it| ledger::transactions_in(&it)) else {
        return Err(failed("the database was overwritten")("SQLite can still read it"));
    };
    // SQLite has removed the -wal and -shm files when the writer closed the database.
    fs::remove_file(database).map_err(failed(format!("removing {}", database.display())))?;
    Ok(complaint.to_string())
}

impl Tour<'_> {
    /// Restores each point and compares it with what was committed.
    pub(super) fn restore_all(&self, points: &[Point]) -> Result<()> {
        let expected = self.workspace.path("expected.db");
        let mut reference = Ledger::create(&expected, self.documents, self.interrupt)?;
        say("Restores, each compared with what the writer had committed at that moment:");
        say("  point  by                  took  transactions  integrity       total  rows");
        for point in points {
            self.interrupt.check()?;
            let start = Instant::now();
            let (by, file) = self.restore(point)?;
            let (number, took, shown) = (point.number, start.elapsed(), file.display());
            let proof = compare::prove(&file, &point.possible, &mut reference);
            let (transactions, rows) = proof.map_err(|it| {
                CommandError::Damaged(format!("point {number} restored to {shown}: {it}"))
            })?;
            say(format_args!(
                "  {number:<6} {by:<14} {:>7.2} s  {transactions:>12}         ok   unchanged  {rows} rows equal\n         in {shown}",
                took.as_secs_f64(),
            ));
        }
        if !tools_are_installed() {
            say("  (With zstd and tar installed, a full backup needs no Coffer to be restored.)");
        }
        drop(reference);
        fs::remove_file(&expected).map_err(failed(format!("removing {}", expected.display())))
    }

    /// Restores a point: the full backup without Coffer where the tools are installed, the second into a new
    /// instance over the API, the newest to where the database was. Returns by what, and the restored file.
    fn restore(&self, point: &Point) -> Result<(&'static str, PathBuf)> {
        Ok(match point.number {
            1 if tools_are_installed() => ("zstd | tar", with_tools(point, self.workspace)?),
            1 => ("coffer restore", self.with_coffer(point, "restored-1.db")?),
            2 => ("POST instances", self.over_the_api(point)?),
            _ => ("coffer restore", self.with_coffer(point, DATABASE)?),
        })
    }

    fn with_coffer(&self, point: &Point, to: &str) -> Result<PathBuf> {
        let to = self.workspace.path(to);
        let mut command = this_program(&["restore", &point.id.to_string(), "--to"])?;
        command.arg(&to).arg("--config").arg(self.workspace.path(CONFIG));
        run("coffer restore", command)?;
        Ok(to)
    }

    fn over_the_api(&self, point: &Point) -> Result<PathBuf> {
        let name = format!("{INSTANCE}-{}", point.number);
        let request = CreateInstance {
            name: name.clone(),
            flavor_ref: None,
            volume: None,
            datastore: None,
            restore_point: RestorePoint { backup_ref: point.id },
        };
        let id = self.client.restore_to_new_instance(request)?.id;
        self.interrupt.wait_for("the restore", TIMEOUT, || {
            let instance = self.client.instance(id)?;
            match instance.status {
                InstanceStatus::Active => Ok(Some(())),
                InstanceStatus::Build => Ok(None),
                status => {
                    let why = instance.fault.map(|it| it.message).unwrap_or_default();
                    Err(failed(format!("the restore {id} is {}", status.as_str()))(why))
                }
            }
        })?;
        Ok(self.workspace.path(&format!("data/restored/{PROJECT}/{id}/{name}.db")))
    }
}

/// Whether a full backup can be restored without Coffer here.
fn tools_are_installed() -> bool {
    ["zstd", "tar"].iter().all(|name| find_tool(name).is_some())
}

fn with_tools(point: &Point, workspace: &Workspace) -> Result<PathBuf> {
    let folder = workspace.path("restored-1");
    fs::create_dir(&folder).map_err(failed(format!("making {}", folder.display())))?;
    let mut shell = Command::new("sh");
    shell.args(["-c", "zstd -q -dc -- \"$0\" | tar -xf - -C \"$1\""]);
    shell.arg(&point.archive).arg(&folder).stdin(Stdio::null());
    run("zstd | tar", shell)?;
    Ok(folder.join("data/shop.db"))
}

/// Runs a restore. What it reports is shown only if it fails.
fn run(what: &str, mut command: Command) -> Result<()> {
    let output = command.output().map_err(failed(format!("starting {what}")))?;
    if output.status.success() {
        return Ok(());
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    Err(CommandError::Damaged(format!("{what}: {}: {}", output.status, complaint.trim())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::interrupt::Interrupt;
    use crate::domain::BackupId;

    #[test]
    fn an_archive_that_does_not_unpack_is_an_error_with_the_tools_message() {
        let workspace = Workspace::create(2).unwrap();
        let (id, archive) = (BackupId::generate(), PathBuf::from("/nowhere/none.tar.zst"));
        let point = Point { number: 1, id, archive, possible: 0..=0 };
        let error = with_tools(&point, &workspace).unwrap_err();
        assert!(error.to_string().contains("none.tar.zst"), "{error}");
    }

    #[test]
    fn a_destroyed_database_is_gone_and_was_unreadable_before() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("shop.db");
        let mut ledger = Ledger::create(&file, 30, &Interrupt::listen().unwrap()).unwrap();
        ledger.advance_to(1).unwrap();
        drop(ledger);
        assert_eq!(destroy(&file).unwrap(), "file is not a database");
        assert_eq!(folder.path().read_dir().unwrap().count(), 0);
    }
}
