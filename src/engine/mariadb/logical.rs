//! A dump of each database, and the accounts.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};

use super::accounts;
use super::database_file::{ACCOUNTS, FOLDER, path_of};
use super::facts::{databases, table_bytes};
use super::fault;
use super::login::Login;
use super::options::Options;
use super::probe::{Reached, reach};
use super::programs::{Maker, maker, version_text};
use crate::domain::{CheckLevel, EntryKind, FailureCode};
use crate::engine::own_entry::own_entry;
use crate::engine::spool::{self, Spool};
use crate::engine::tool::Tool;
use crate::engine::{DumpFacts, DumpOrder, EngineError, Intake};

/// What both makers' programs are asked for. In one transaction: tables of InnoDB are as they were at one
/// moment, and nobody waits. With no date, so that two dumps of the same data are the same.
const ASKED: [&str; 10] = [
    "--single-transaction",
    "--quick",
    "--routines",
    "--events",
    "--triggers",
    "--hex-blob",
    "--default-character-set=utf8mb4",
    "--max-allowed-packet=1G",
    "--skip-dump-date",
    "--databases",
];

/// What MySQL's is asked for besides. Versions that do not know one of these pass over it.
const ASKED_OF_MYSQL: [&str; 3] =
    ["--loose-set-gtid-purged=OFF", "--loose-no-tablespaces", "--loose-column-statistics=0"];

/// What a dump ends with if it is whole.
const END: &str = "\n-- Dump completed";

/// How much of the end of a dump is looked at.
const END_BYTES: i64 = 512;

/// Dumps every database, or the one that the source names.
pub(super) fn dump(
    options: &Options,
    order: &DumpOrder<'_>,
    intake: &mut dyn Intake,
) -> Result<DumpFacts, EngineError> {
    let Reached { client, facts } = reach(options, order.cancel)?;
    let names = databases(&client, options, order.cancel)?;
    intake.expect(table_bytes(&client, options, order.cancel)?)?;
    if options.server.database.is_none() {
        let text = accounts::statements(&client, &facts, order.cancel)?;
        let entry = own_entry(ACCOUNTS, EntryKind::File { size: length(&text), extents: None })?;
        spool::pour(&entry, &mut text.as_bytes(), intake, |_| ())
            .map_err(|failed| failed.explain(|error| spool::scratch(order.scratch, error)))?;
    }
    intake.entry(&own_entry(FOLDER, EntryKind::Directory)?, false)?;
    let dumper = Dumper::new(options, order)?;
    for name in &names {
        dumper.pour(name, intake)?;
    }
    let mut kept = facts.kept();
    kept.insert("databases".to_owned(), names.into());
    Ok(DumpFacts {
        version: facts.version,
        facts: kept,
        check: (order.check != CheckLevel::Off).then(|| "dump_completed".to_owned()),
        ..DumpFacts::default()
    })
}

struct Dumper<'a> {
    program: std::path::PathBuf,
    maker: Maker,
    login: Login,
    options: &'a Options,
    order: &'a DumpOrder<'a>,
}

impl<'a> Dumper<'a> {
    fn new(options: &'a Options, order: &'a DumpOrder<'a>) -> Result<Self, EngineError> {
        let program = options.programs().dumper()?;
        let maker = maker(&version_text(&program, order.cancel)?);
        let login = Login::new(options, maker)?;
        Ok(Self { program, maker, login, options, order })
    }

    /// Dumps one database to its end, and then pours it.
    fn pour(&self, database: &str, intake: &mut dyn Intake) -> Result<(), EngineError> {
        let mut tool = self.login.give_to(Tool::new(&self.program)).args(ASKED);
        if self.maker == Maker::MySql {
            tool = tool.args(ASKED_OF_MYSQL);
        }
        let tool = tool.args(self.options.server.extra_args.clone()).args(["--", database]);
        let shown = format!("dumping {database:?} of {}", self.options.shown());
        let stream =
            tool.stream(self.order.cancel).map_err(|error| fault::explain(error, &shown))?;
        let mut spool = Spool::of(stream, self.order.scratch)
            .map_err(|error| fault::reconsider(error, &shown))?;
        if !is_whole(spool.reopened()?)
            .map_err(|error| spool::scratch(self.order.scratch, error))?
        {
            return Err(EngineError::known(
                FailureCode::Tool,
                format!(
                    "{shown}: {} ended well and yet its output is cut off: the line {:?} is not at its end",
                    self.program.display(),
                    END.trim()
                ),
            ));
        }
        spool.pour(&path_of(database), intake)
    }
}

fn is_whole(mut dump: File) -> std::io::Result<bool> {
    let mut end = Vec::new();
    let length = i64::try_from(dump.metadata()?.len()).unwrap_or(i64::MAX);
    dump.seek(SeekFrom::End(-length.min(END_BYTES)))?;
    dump.take(END_BYTES.unsigned_abs()).read_to_end(&mut end)?;
    Ok(String::from_utf8_lossy(&end).contains(END))
}

fn length(text: &str) -> u64 {
    u64::try_from(text.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_dump_is_whole_when_its_last_line_says_so() {
        let whole = |text: &str| {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(text.as_bytes()).unwrap();
            is_whole(file).unwrap()
        };
        assert!(whole("CREATE TABLE a;\n\n-- Dump completed\n"));
        assert!(whole(&format!("{}\n-- Dump completed on 2026-01-01\n", "x".repeat(5000))));
        assert!(!whole(""));
        assert!(!whole("-- Dump completed"));
        assert!(!whole(&format!("\n-- Dump completed{}", "x".repeat(5000))));
    }
}
