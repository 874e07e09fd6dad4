//! A logical dump: each database, the views of all, the accounts, and what the server knows beside them. The
//! databases are of one moment, as far as their tables are of InnoDB.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver};

use super::client::{Client, SETTINGS};
use super::database_file::{ACCOUNTS, DATABASES, SERVER, VIEWS, path_in};
use super::dumps::IGNORES_CASE;
use super::facts::{Facts, databases, table_bytes};
use super::faults::classify;
use super::left_out::{Inventory, settings_files};
use super::login::Login;
use super::options::Options;
use super::programs::{Maker, maker, series, version_text};
use super::sections::{self, END, MOST_WAITING, SectionError, ends_completely};
use super::server_objects::TIME_ZONE_TABLES;
use super::{accounts, floats, sequences, server_objects};
use crate::domain::{CheckLevel, FailureCode, LeftOut};
use crate::engine::pour::{pour_bytes, pour_folder};
use crate::engine::spool::Spool;
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

/// Dumps every database, or the one that the source names. The members come in the order of their paths.
pub(super) fn dump(
    options: &Options,
    (client, facts): (&Client, &Facts),
    request: &DumpRequest<'_>,
    intake: &mut dyn Intake,
) -> Result<DumpFacts> {
    let names = databases(client, options)?;
    let inventory = Inventory::query(client, facts, options)?;
    intake.announce(table_bytes(client, options)?)?;
    let of_server = options.server.database.is_none();
    if of_server {
        pour_bytes(ACCOUNTS, accounts::statements(client, facts)?.as_bytes(), intake)?;
    }
    pour_folder(DATABASES, intake)?;
    let dumper = Dumper::new(options, request, facts, &inventory)?;
    let mut views = Vec::new();
    for together in dumper.runs(&names) {
        dumper.dump(together, intake, &mut views)?;
    }
    if of_server {
        dumper.dump_server(client, facts, intake)?;
    }
    let views = with_sequences(&names, views, &sequences::set_back(client, facts, options)?);
    if !views.is_empty() {
        pour_folder(VIEWS, intake)?;
    }
    for (name, views) in views {
        pour_bytes(&path_in(VIEWS, &name), &views, intake)?;
    }
    let mut kept = facts.for_manifest();
    let mut left_out = dumper.without_history();
    if dumper.runs(&names).len() > 1 {
        let why =
            "a table keeps its history by transactions, so that each database is dumped by itself";
        left_out.push(LeftOut::new("one moment for all databases", why));
    }
    left_out.extend(settings_files(client, facts)?);
    left_out.extend(floats::rounded(client, facts, options, floats::Rows::All)?);
    left_out.extend(inventory.left_out);
    kept.insert("databases".to_owned(), names.into());
    let mut found = DumpFacts {
        version: facts.version.clone(),
        facts: kept,
        check: (request.check != CheckLevel::Off).then(|| "dump_completed".to_owned()),
        ..DumpFacts::default()
    };
    for LeftOut { what, why, .. } in left_out {
        found.leave_out(what, why);
    }
    Ok(found)
}

/// The scripts that are run once everything else is there: the views of each database, and its sequences that are set back.
fn with_sequences(
    names: &[String],
    views: Vec<(String, Vec<u8>)>,
    sequences: &[(String, String)],
) -> Vec<(String, Vec<u8>)> {
    let mut scripts: BTreeMap<String, Vec<u8>> = views.into_iter().collect();
    for (database, statement) in sequences {
        scripts.entry(database.clone()).or_default().extend_from_slice(statement.as_bytes());
    }
    // In the order of their paths.
    names.iter().filter_map(|name| scripts.remove_entry(name)).collect()
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
        // By which the databases are told apart.
        arguments.push("--comments".to_owned());
        let login = Login::new(options, maker)?;
        let mut settings =
            if facts.is_mariadb() { format!("\n/*M! {SETTINGS} */;\n") } else { String::new() };
        if facts.ignores_case() {
            settings += &["\n", IGNORES_CASE, "\n"].concat();
        }
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

    fn tool(&self, arguments: &[&str]) -> Tool {
        let tool = self.login.apply(Tool::new(&self.program)).args(self.arguments.clone());
        tool.args(arguments)
    }

    /// The databases that one run of the program dumps, and so as of one moment. It dumps the history of all its tables
    /// or of none.
    fn runs<'names>(&self, names: &'names [String]) -> Vec<&'names [String]> {
        let together = if self.history && !self.inventory.by_transaction.is_empty() {
            1
        } else {
            names.len().max(1)
        };
        names.chunks(together).collect()
    }

    /// Dumps databases as of one moment, and passes each on without its views, which are added to `views`.
    fn dump(
        &self,
        databases: &[String],
        intake: &mut dyn Intake,
        views: &mut Vec<(String, Vec<u8>)>,
    ) -> Result<()> {
        let broken = self.inventory.broken_views.iter();
        let ignored: Vec<String> = broken.map(|view| format!("--ignore-table={view}")).collect();
        let mut arguments: Vec<&str> = ignored.iter().map(String::as_str).collect();
        if databases.iter().all(|it| self.dumps_history(it)) {
            arguments.push("--dump-history");
        }
        arguments.extend(["--databases", "--"]);
        arguments.extend(databases.iter().map(String::as_str));
        let shown = format!("dumping {databases:?} of {}", self.options.shown());
        let failed = |error: EngineError| classify(error, &shown);
        let tool = self.tool(&arguments);
        let cancel = self.request.cancel.child();
        let mut stream = tool.stream(&cancel).map_err(|error| failed(error.into()))?;
        let (sender, sections) = mpsc::sync_channel(MOST_WAITING);
        let (scratch, from) = (self.request.scratch, &mut stream);
        let (read, archived) = std::thread::scope(|scope| {
            let reader = std::thread::Builder::new().name("dump".to_owned());
            let reader = reader
                .spawn_scoped(scope, move || sections::send(from, databases, scratch, &sender))
                .map_err(|error| EngineError::io("starting", "a thread".as_ref(), error))?;
            let archived = self.archive(databases, sections, intake, views);
            if archived.is_err() {
                cancel.cancel();
            }
            Ok::<_, EngineError>((reader.join().expect("reading does not panic"), archived))
        })?;
        archived?;
        match read {
            Ok(complete) => {
                stream.finish().map_err(|error| failed(error.into()))?;
                if complete { Ok(()) } else { Err(self.cut_off(&shown)) }
            }
            Err(SectionError::Read(error)) => Err(failed(stream.explain(error))),
            Err(SectionError::Copy(error)) => Err(error),
            Err(SectionError::Unwanted) => Err(self.cut_off(&shown)),
        }
    }

    /// The first section is the beginning of the dump; then come the databases, and their views.
    fn archive(
        &self,
        databases: &[String],
        sections: Receiver<Spool>,
        intake: &mut dyn Intake,
        views: &mut Vec<(String, Vec<u8>)>,
    ) -> Result<()> {
        let mut sections = sections.into_iter();
        let Some(head) = sections.next() else { return Ok(()) };
        let mut before = head.read()?;
        before.extend_from_slice(self.settings.as_bytes());
        for (name, section) in databases.iter().zip(sections.by_ref()) {
            section.pour_after(&before, &path_in(DATABASES, name), intake)?;
        }
        for (name, section) in databases.iter().zip(sections) {
            if self.inventory.with_views.contains(name) {
                views.push((name.clone(), [&before[..], &section.read()?].concat()));
            }
        }
        Ok(())
    }

    fn cut_off(&self, shown: &str) -> EngineError {
        EngineError::known(
            FailureCode::Tool,
            format!(
                "{shown}: {} succeeded, but its output is cut off: the line {:?} is missing at its end",
                self.program.display(),
                END.trim()
            ),
        )
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
            let shown = "dumping the time zones";
            let spool = Spool::of(self.tool(&arguments), self.request.scratch, self.request.cancel);
            let dump = spool.map_err(|error| classify(error, shown))?.read()?;
            if !ends_completely(&dump) {
                return Err(self.cut_off(shown));
            }
            text.extend_from_slice(b"USE mysql;\n");
            text.extend(dump);
        }
        if text.is_empty() { Ok(()) } else { pour_bytes(SERVER, &text, intake) }
    }
}
