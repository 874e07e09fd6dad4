//! The damage, and the three ways back from it.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};

use crate::cli::CommandError;

use super::backups::Point;
use super::client::Api;
use super::interrupt::Interrupt;
use super::ledger::{self, Ledger};
use super::server::this_program;
use super::stage::{INSTANCE, PROJECT, Stage};
use super::{compare, failed, tools};

const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A point that was restored.
#[derive(Debug)]
pub(super) struct Restored {
    /// By what.
    pub(super) by: &'static str,
    /// To where.
    pub(super) file: PathBuf,
    /// How long it took.
    pub(super) took: Duration,
}

/// What a restored point was found to be.
#[derive(Debug)]
pub(super) struct Proof {
    /// The number of the last transaction in it.
    pub(super) transactions: i64,
    /// Rows that equal what was committed: all of them.
    pub(super) rows: u64,
}

/// Overwrites the database with garbage, makes sure that it is one no more, and deletes it.
/// Gives what SQLite says of it.
pub(super) fn destroy(database: &Path) -> Result<String, CommandError> {
    let doing = || format!("destroying {}", database.display());
    overwrite(database).map_err(failed(doing()))?;
    let complaint = match open(database).and_then(|file| ledger::number_in(&file)) {
        Err(error) => error.to_string(),
        Ok(_readable) => return Err(failed(doing())("SQLite can still read it")),
    };
    for ending in ["", "-wal", "-shm"] {
        let mut name = database.as_os_str().to_owned();
        name.push(ending);
        match std::fs::remove_file(&name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(failed(doing())(error));
            }
            Ok(()) | Err(_) => {}
        }
    }
    Ok(complaint)
}

fn overwrite(database: &Path) -> io::Result<()> {
    let mut file = File::options().write(true).open(database)?;
    let mut left = file.metadata()?.len();
    let garbage = b"NOT A DATABASE ANY MORE. ".repeat(1 << 12);
    while left > 0 {
        let length = garbage.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        file.write_all(garbage.get(..length).unwrap_or(&garbage))?;
        left = left.saturating_sub(u64::try_from(length).unwrap_or(u64::MAX));
    }
    file.sync_all()
}

/// Restores a point: the full backup without Coffer where the tools are there, the second into a new
/// instance over the API, the newest to where the database was.
pub(super) fn restore(
    point: &Point,
    stage: &Stage,
    api: &Api,
    interrupt: &Interrupt,
) -> Result<Restored, CommandError> {
    let start = Instant::now();
    let (by, file) = match point.number {
        1 if tools::are_installed() => ("zstd | tar", by_tools(point, stage)?),
        1 => {
            let to = stage.path("restored-1.db");
            ("coffer restore", by_command(point, stage, &to)?)
        }
        2 => ("POST instances", by_api(point, stage, api, interrupt)?),
        _ => ("coffer restore", by_command(point, stage, stage.database())?),
    };
    Ok(Restored { by, file, took: start.elapsed() })
}

fn by_tools(point: &Point, stage: &Stage) -> Result<PathBuf, CommandError> {
    let url = point.backup.location.as_deref().unwrap_or_default();
    let archive = tools::path_of(url)
        .ok_or_else(|| CommandError::Failed(format!("the backup's location is {url:?}")))?;
    let folder = stage.path("restored-1");
    tools::unpack(&archive, &folder)?;
    Ok(folder.join("data").join("shop.db"))
}

fn by_command(point: &Point, stage: &Stage, to: &Path) -> Result<PathBuf, CommandError> {
    let mut command = this_program(&["restore", &point.backup.id, "--to"])?;
    command.arg(to).arg("--config").arg(stage.config_file());
    let ended = command.output().map_err(failed("starting coffer restore"))?;
    if !ended.status.success() {
        let words = String::from_utf8_lossy(&ended.stderr).trim().to_owned();
        let text = format!("coffer restore ended with {}: {words}", ended.status);
        return Err(if ended.status.code() == Some(4) {
            CommandError::Damaged(text)
        } else {
            CommandError::Failed(text)
        });
    }
    Ok(to.to_owned())
}

fn by_api(
    point: &Point,
    stage: &Stage,
    api: &Api,
    interrupt: &Interrupt,
) -> Result<PathBuf, CommandError> {
    let name = format!("{INSTANCE}-{}", point.number);
    let id = api.restore(&point.backup.id, &name)?.id;
    loop {
        let instance = api.instance(&id)?;
        match instance.status.as_str() {
            "ACTIVE" => break,
            "BUILD" => interrupt.pause(LOOK_EVERY)?,
            status => {
                let why = instance.fault.map_or_else(String::new, |it| format!(": {}", it.message));
                return Err(CommandError::Failed(format!("the restore {id} is {status}{why}")));
            }
        }
    }
    let folder = stage.data_dir().join("restored").join(PROJECT).join(&id);
    Ok(folder.join(format!("{name}.db")))
}

/// Proves that a restored database holds what was committed at the moment of its backup: SQLite finds
/// no fault in it, the total is right, its number lies between those before and after the backup, and
/// every row equals that of a database that was brought to this number by the writer's own rules.
pub(super) fn prove(
    point: &Point,
    restored: &Restored,
    reference: &mut Ledger,
) -> Result<Proof, CommandError> {
    let file = restored.file.display();
    let wrong = |what: String| {
        CommandError::Damaged(format!("point {} restored to {file}: {what}", point.number))
    };
    let unreadable = |error: rusqlite::Error| wrong(format!("it cannot be read: {error}"));
    let database = open(&restored.file).map_err(unreadable)?;
    let integrity: String =
        database.query_row("PRAGMA integrity_check", [], |row| row.get(0)).map_err(unreadable)?;
    if integrity != "ok" {
        return Err(wrong(format!("integrity_check says {integrity}")));
    }
    let total = ledger::total_in(&database).map_err(unreadable)?;
    if total != reference.total() {
        let should = reference.total();
        return Err(wrong(format!("the accounts hold {total} together, and not {should}")));
    }
    let transactions = ledger::number_in(&database).map_err(unreadable)?;
    if !(point.earliest..=point.latest).contains(&transactions) {
        return Err(wrong(format!(
            "it ends with transaction {transactions}; the backup was made between {} and {}",
            point.earliest, point.latest
        )));
    }
    reference.advance_to(transactions).map_err(failed("writing the database to compare with"))?;
    let rows = compare::rows(&database, reference.database())
        .map_err(|difference| wrong(difference.to_string()))?;
    Ok(Proof { transactions, rows })
}

/// Opens a database that must be there.
fn open(file: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(file, flags)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::demo::client::BackupView;
    use crate::cli::demo::ledger::Plan;

    const SMALL: Plan = Plan { accounts: 20, documents: 30 };

    /// What a backup asked for after transaction 5 and finished before transaction 10 may restore to.
    fn point() -> Point {
        let backup = BackupView {
            id: String::new(),
            status: "COMPLETED".to_owned(),
            kind: None,
            progress: None,
            size_bytes: None,
            source_bytes: None,
            location: None,
            failure: None,
        };
        let (took, longest_commit) = (Duration::ZERO, Duration::ZERO);
        Point { number: 1, backup, took, earliest: 5, latest: 9, commits: 4, longest_commit }
    }

    /// Proves a database after `number` transactions to which `change` was done.
    fn proof_of(number: i64, change: &str) -> Result<Proof, CommandError> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("restored.db");
        let mut made = Ledger::create(&file, &SMALL, &mut |_| Ok(())).unwrap();
        made.advance_to(number).unwrap();
        made.database().execute_batch(change).unwrap();
        drop(made);
        let mut reference = Ledger::reference(&folder.path().join("expected.db"), &SMALL).unwrap();
        let restored = Restored { by: "", file, took: Duration::ZERO };
        prove(&point(), &restored, &mut reference)
    }

    fn damage(number: i64, change: &str) -> String {
        let error = proof_of(number, change).unwrap_err();
        assert!(matches!(error, CommandError::Damaged(_)), "{error}");
        error.to_string()
    }

    #[test]
    fn a_restore_that_holds_what_was_committed_is_proven() {
        let proof = proof_of(7, "").unwrap();
        assert_eq!((proof.transactions, proof.rows), (7, 20 + 7 + 30 + 1));
    }

    #[test]
    fn a_restore_with_one_other_value_is_damage() {
        let text = damage(7, "UPDATE documents SET body = body || '.' WHERE id = 3");
        assert!(text.contains("table documents, row 3: body"), "{text}");
        let text = damage(7, "UPDATE accounts SET balance = balance - 1 WHERE id = 1");
        assert!(text.contains("19999"), "{text}");
    }

    #[test]
    fn a_restore_of_another_moment_is_damage() {
        for number in [4, 10] {
            let text = damage(number, "");
            assert!(text.contains("between 5 and 9"), "{text}");
        }
    }

    #[test]
    fn a_restore_that_lost_a_transaction_is_damage_even_if_the_total_is_right() {
        let text = damage(6, "UPDATE progress SET transactions = 7");
        assert!(text.contains("was committed as") || text.contains("lacks row"), "{text}");
    }

    #[test]
    fn a_destroyed_database_is_gone_and_was_unreadable_before() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("shop.db");
        let mut made = Ledger::create(&file, &SMALL, &mut |_| Ok(())).unwrap();
        made.commit_next().unwrap();
        drop(made);
        assert_eq!(destroy(&file).unwrap(), "file is not a database");
        assert_eq!(folder.path().read_dir().unwrap().count(), 0);
    }
}
