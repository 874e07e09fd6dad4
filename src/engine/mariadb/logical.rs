//! A logical dump: each database, the views of all, the accounts, and what the server knows beside them.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;

use super::client::{Client, SETTINGS, quoted_name};
use super::database_file::{ACCOUNTS, DATABASES, SERVER, VIEWS, path_in};
use super::facts::{Facts, databases, table_bytes};
use super::faults::classify;
use super::left_out::Inventory;
use super::login::Login;
use super::options::Options;
use super::probe::connect;
use super::programs::{Maker, maker, series, version_text};
use super::server_objects::TIME_ZONE_TABLES;
use super::{accounts, server_objects};
use crate::domain::{CheckLevel, FailureCode, LeftOut, num};
use crate::engine::pour::{pour_bytes, pour_folder};
use crate::engine::spool::{self, Spool};
use crate::engine::tool::Tool;
use crate::engine::{DumpFacts, DumpRequest, EngineError, Intake, Result};

/// Options for the programs of both makers. A single transaction makes InnoDB tables consistent and blocks nobody.
/// Without the date, two dumps of the same data are equal. Locks around the rows of a table would forbid defaults that
/// use a sequence.
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
    "--skip-add-locks",
];

/// More options for MySQL's program. A version that does not know one of them ignores it.
const MYSQL_ARGUMENTS: [&str; 3] =
    ["--loose-set-gtid-purged=OFF", "--loose-no-tablespaces", "--loose-column-statistics=0"];

/// The release since which the history of versioned tables can be dumped and loaded.
const HISTORY_SINCE: (u32, u32) = (10, 11);

/// The first database of a dump begins within this many bytes.
const MAX_HEAD: usize = 64 << 10;

/// The last line of a complete dump.
const END: &str = "\n-- Dump completed";

/// Where that line is searched for: in the last bytes.
const END_BYTES: i64 = 512;

/// Dumps every database, or the one that the source names. The members come in the order of their paths.
pub(super) fn dump(
    options: &Options,
    request: &DumpRequest<'_>,
    intake: &mut dyn Intake,
) -> Result<DumpFacts> {
    let (client, facts) = connect(options, request.cancel)?;
    let names = databases(&client, options)?;
    let inventory = Inventory::query(&client, &facts, options)?;
    intake.announce(table_bytes(&client, options)?)?;
    let of_server = options.server.database.is_none();
    if of_server {
        pour_bytes(ACCOUNTS, accounts::statements(&client, &facts)?.as_bytes(), intake)?;
    }
    pour_folder(DATABASES, intake)?;
    let dumper = Dumper::new(options, request, &facts, &inventory)?;
    let mut views = Vec::new();
    for name in &names {
        let of_database = dumper.dump(name, intake)?;
        views.extend(of_database.map(|views| (name, views)));
    }
    if of_server {
        dumper.dump_server(&client, &facts, intake)?;
    }
    if !views.is_empty() {
        pour_folder(VIEWS, intake)?;
    }
    for (name, views) in views {
        pour_bytes(&path_in(VIEWS, name), &views, intake)?;
    }
    let mut kept = facts.for_manifest();
    kept.insert("databases".to_owned(), names.into());
    let history = dumper.without_history();
    let mut found = DumpFacts {
        version: facts.version,
        facts: kept,
        check: (request.check != CheckLevel::Off).then(|| "dump_completed".to_owned()),
        ..DumpFacts::default()
    };
    for LeftOut { what, why } in history.into_iter().chain(inventory.left_out) {
        found.leave_out(what, why);
    }
    Ok(found)
}

struct Dumper<'a> {
    program: PathBuf,
    arguments: Vec<String>,
    login: Login,
    options: &'a Options,
    request: &'a DumpRequest<'a>,
    inventory: &'a Inventory,
    /// What is put before everything else that a dump does in its session.
    settings: String,
    /// Whether the history of rows is dumped.
    history: bool,
}

impl<'a> Dumper<'a> {
    fn new(
        options: &'a Options,
        request: &'a DumpRequest<'a>,
        facts: &Facts,
        inventory: &'a Inventory,
    ) -> Result<Self> {
        let program = options.programs().dumper()?;
        let version = version_text(&program, request.cancel)?;
        let maker = maker(&version);
        let knows_history = |version: &str| series(version) >= Some(HISTORY_SINCE);
        let history = maker == Maker::MariaDb
            && facts.is_mariadb()
            && knows_history(&version)
            && knows_history(&facts.version);
        let of_maker = if maker == Maker::MySql { &MYSQL_ARGUMENTS[..] } else { &[] };
        let mut arguments: Vec<String> =
            ARGUMENTS.iter().chain(of_maker).map(|it| (*it).to_owned()).collect();
        arguments.extend(options.server.extra_args.iter().cloned());
        let login = Login::new(options, maker)?;
        let settings =
            if facts.is_mariadb() { format!("\n/*M! {SETTINGS} */;\n") } else { String::new() };
        Ok(Self { program, arguments, login, options, request, inventory, settings, history })
    }

    fn dumps_history(&self, database: &str) -> bool {
        self.history && !self.inventory.by_transaction.contains(database)
    }

    /// The tables whose history is not dumped.
    fn without_history(&self) -> Vec<LeftOut> {
        let why = if self.history {
            "mariadb-dump cannot dump it while a table of the database keeps its history by transactions"
        } else {
            "only mariadb-dump and a server of MariaDB 10.11 or later can dump it"
        };
        let tables = self.inventory.versioned.iter();
        let without = tables.filter(|(database, _)| !self.dumps_history(database));
        without.map(|(of, name)| LeftOut::new(format!("the history of {of}.{name}"), why)).collect()
    }

    /// Runs the program to its end.
    fn spool(&self, shown: &str, arguments: &[&str]) -> Result<Spool> {
        let tool = self.login.apply(Tool::new(&self.program)).args(self.arguments.clone());
        let spool = Spool::of(tool.args(arguments), self.request.scratch, self.request.cancel)
            .map_err(|error| classify(error, shown))?;
        if is_complete(spool.reopened()?)
            .map_err(|error| spool::scratch(self.request.scratch, error))?
        {
            return Ok(spool);
        }
        Err(EngineError::known(
            FailureCode::Tool,
            format!(
                "{shown}: {} succeeded, but its output is cut off: the line {:?} is missing at its end",
                self.program.display(),
                END.trim()
            ),
        ))
    }

    /// Dumps one database to its end, and then passes it on without its views, which are returned.
    fn dump(&self, database: &str, intake: &mut dyn Intake) -> Result<Option<Vec<u8>>> {
        let prefix = format!("{database}.");
        let broken = self.inventory.broken_views.iter().filter(|it| it.starts_with(&prefix));
        let ignored: Vec<String> = broken.map(|view| format!("--ignore-table={view}")).collect();
        let mut arguments: Vec<&str> = ignored.iter().map(String::as_str).collect();
        if self.dumps_history(database) {
            arguments.push("--dump-history");
        }
        arguments.extend(["--databases", "--", database]);
        let shown = format!("dumping {database:?} of {}", self.options.shown());
        let mut spool = self.spool(&shown, &arguments)?;
        let marker = format!("\n--\n-- Current Database: {}\n--\n", quoted_name(database));
        let head = spool.read(0, MAX_HEAD)?;
        let Some(begin) = find(&head, marker.as_bytes()) else {
            spool.pour(&path_in(DATABASES, database), intake)?;
            return Ok(None);
        };
        let mut views = None;
        if self.inventory.with_views.contains(database)
            && let Some(at) =
                spool.find_last(marker.as_bytes())?.filter(|at| *at > num::to_u64(begin))
        {
            let mut text = head.get(..begin).unwrap_or_default().to_vec();
            text.extend_from_slice(self.settings.as_bytes());
            text.extend(spool.read(at, usize::MAX)?);
            views = Some(text);
            spool.shorten(at)?;
        }
        let (settings, begin) = (self.settings.as_bytes(), num::to_u64(begin));
        spool.pour_with(settings, begin, &path_in(DATABASES, database), intake)?;
        Ok(views)
    }

    /// Dumps what the server knows beside its databases.
    fn dump_server(&self, client: &Client, facts: &Facts, intake: &mut dyn Intake) -> Result<()> {
        let mut text = server_objects::statements(client, facts)?.into_bytes();
        if server_objects::has_time_zones(client)? {
            let mut arguments = vec![
                "--no-create-info",
                "--replace",
                "--skip-routines",
                "--skip-events",
                "--skip-triggers",
                "--",
            ];
            arguments.extend(TIME_ZONE_TABLES);
            let spool = self.spool("dumping the time zones", &arguments)?;
            text.extend_from_slice(b"USE mysql;\n");
            text.extend(spool.read(0, usize::MAX)?);
        }
        if text.is_empty() { Ok(()) } else { pour_bytes(SERVER, &text, intake) }
    }
}

/// Where `wanted` begins.
fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|it| it == wanted)
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
