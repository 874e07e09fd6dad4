//! A logical dump: each database, and the accounts.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};

use super::accounts;
use super::database_file::{ACCOUNTS, FOLDER, path_of};
use super::facts::{databases, table_bytes};
use super::faults::classify;
use super::login::Login;
use super::options::Options;
use super::probe::connect;
use super::programs::{Maker, maker, version_text};
use crate::domain::{CheckLevel, FailureCode};
use crate::engine::pour::{pour_bytes, pour_folder};
use crate::engine::spool::{self, Spool};
use crate::engine::tool::Tool;
use crate::engine::{DumpFacts, DumpRequest, EngineError, Intake};

/// Options for the programs of both makers. A single transaction makes InnoDB tables consistent and blocks nobody.
/// Without the date, two dumps of the same data are equal.
const ARGUMENTS: [&str; 10] = [
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

/// More options for MySQL's program. A version that does not know one of them ignores it.
const MYSQL_ARGUMENTS: [&str; 3] =
    ["--loose-set-gtid-purged=OFF", "--loose-no-tablespaces", "--loose-column-statistics=0"];

/// The last line of a complete dump.
const END: &str = "\n-- Dump completed";

/// Where that line is searched for: in the last bytes.
const END_BYTES: i64 = 512;

/// Dumps every database, or the one that the source names.
pub(super) fn dump(
    options: &Options,
    request: &DumpRequest<'_>,
    intake: &mut dyn Intake,
) -> Result<DumpFacts, EngineError> {
    let (client, facts) = connect(options, request.cancel)?;
    let names = databases(&client, options)?;
    intake.announce(table_bytes(&client, options)?)?;
    if options.server.database.is_none() {
        pour_bytes(ACCOUNTS, accounts::statements(&client, &facts)?.as_bytes(), intake)?;
    }
    pour_folder(FOLDER, intake)?;
    let dumper = Dumper::new(options, request)?;
    for name in &names {
        dumper.dump(name, intake)?;
    }
    let mut kept = facts.for_manifest();
    kept.insert("databases".to_owned(), names.into());
    Ok(DumpFacts {
        version: facts.version,
        facts: kept,
        check: (request.check != CheckLevel::Off).then(|| "dump_completed".to_owned()),
        ..DumpFacts::default()
    })
}

struct Dumper<'a> {
    program: std::path::PathBuf,
    maker: Maker,
    login: Login,
    options: &'a Options,
    request: &'a DumpRequest<'a>,
}

impl<'a> Dumper<'a> {
    fn new(options: &'a Options, request: &'a DumpRequest<'a>) -> Result<Self, EngineError> {
        let program = options.programs().dumper()?;
        let maker = maker(&version_text(&program, request.cancel)?);
        let login = Login::new(options, maker)?;
        Ok(Self { program, maker, login, options, request })
    }

    /// Dumps one database to its end, and then passes it on.
    fn dump(&self, database: &str, intake: &mut dyn Intake) -> Result<(), EngineError> {
        let mut tool = self.login.apply(Tool::new(&self.program)).args(ARGUMENTS);
        if self.maker == Maker::MySql {
            tool = tool.args(MYSQL_ARGUMENTS);
        }
        let tool = tool.args(self.options.server.extra_args.clone()).args(["--", database]);
        let shown = format!("dumping {database:?} of {}", self.options.shown());
        let mut spool = Spool::of(tool, self.request.scratch, self.request.cancel)
            .map_err(|error| classify(error, &shown))?;
        if !is_complete(spool.reopened()?)
            .map_err(|error| spool::scratch(self.request.scratch, error))?
        {
            return Err(EngineError::known(
                FailureCode::Tool,
                format!(
                    "{shown}: {} succeeded, but its output is cut off: the line {:?} is missing at its end",
                    self.program.display(),
                    END.trim()
                ),
            ));
        }
        spool.pour(&path_of(database), intake)
    }
}

fn is_complete(mut dump: File) -> std::io::Result<bool> {
    let mut end = Vec::new();
    let length = i64::try_from(dump.metadata()?.len()).unwrap_or(i64::MAX);
    dump.seek(SeekFrom::End(-length.min(END_BYTES)))?;
    dump.take(END_BYTES.unsigned_abs()).read_to_end(&mut end)?;
    Ok(String::from_utf8_lossy(&end).contains(END))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_dump_is_complete_if_its_last_line_says_so() {
        let complete = |text: &str| {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(text.as_bytes()).unwrap();
            is_complete(file).unwrap()
        };
        assert!(complete("CREATE TABLE a;\n\n-- Dump completed\n"));
        assert!(complete(&format!("{}\n-- Dump completed on 2026-01-01\n", "x".repeat(5000))));
        assert!(!complete(""));
        assert!(!complete("-- Dump completed"));
        assert!(!complete(&format!("\n-- Dump completed{}", "x".repeat(5000))));
    }
}
