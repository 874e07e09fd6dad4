//! A logical dump: `pg_dumpall --roles-only`, and `pg_dump` for each database, also for templates.
//!
//! Each database is consistent as of the moment its own dump began; different databases are of different
//! moments. Coffer compresses the archive, so the dumps are not compressed.

use std::time::{Duration, Instant};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::cluster::{CLUSTER_FILE, Cluster, DUMPS, ROLES, SERVER};
use super::options::Method;
use super::server_info::{Database, ServerInfo};
use super::server_objects;
use super::session::Session;
use super::settings::{SettingsEntry, no_settings};
use super::unseen::Unseen;
use crate::domain::{CheckLevel, FailureCode, LeftOut};
use crate::engine::pour::{pour_bytes, pour_folder};
use crate::engine::spool::Spool;
use crate::engine::tool::Tool;
use crate::engine::{DumpFacts, DumpRequest, EngineError, Intake, Result};

/// Which databases a dump holds.
#[derive(Debug, Default)]
pub(super) struct Selection {
    pub(super) dumped: Vec<Database>,
    /// Those that accept no connections.
    closed: Vec<Database>,
    /// Templates that the role may not connect to.
    denied: Vec<Database>,
    /// The source names none.
    of_all: bool,
}

impl Selection {
    /// The databases that the source names; without any, all.
    pub(super) fn of(session: &Session, info: &ServerInfo) -> Result<Self> {
        let named = &session.databases;
        let exists = |name: &String| info.databases.iter().any(|it| it.name == *name);
        if let Some(missing) = named.iter().find(|name| !exists(name)) {
            return Err(EngineError::known(
                FailureCode::SourceMissing,
                format!("the server at {} has no database {missing:?}", session.server.shown()),
            ));
        }
        let mut selection = Self { of_all: named.is_empty(), ..Self::default() };
        for database in info.databases.iter().cloned() {
            if !named.is_empty() {
                if named.contains(&database.name) {
                    selection.dumped.push(database);
                }
            } else if !database.dumped {
            } else if database.closed {
                selection.closed.push(database);
            } else if database.template && !database.admits {
                selection.denied.push(database);
            } else {
                selection.dumped.push(database);
            }
        }
        Ok(selection)
    }

    /// What of the server a dump does not hold.
    pub(super) fn left_out(&self, info: &ServerInfo) -> Vec<LeftOut> {
        let mut list = Vec::new();
        let mut add = |what: String, why: &str| list.push(LeftOut::new(what, why));
        for database in &self.closed {
            add(
                format!("the content of database {}", database.name),
                "it accepts no connections; a restore creates it empty, and method = \"physical\" holds it",
            );
        }
        for database in &self.denied {
            let why = format!("the role {} may not connect to this template", info.role);
            add(format!("database {}", database.name), &why);
        }
        for space in info.tablespaces.values() {
            add(format!("tablespace {}", space.name), "everything is restored to the default one");
        }
        if !info.reads_passwords {
            add("passwords of roles".to_owned(), "the role may not read pg_authid");
        }
        for name in info.invalid().filter(|_| self.of_all) {
            let why =
                "an interrupted DROP DATABASE left it so that nothing can connect to it: drop it";
            add(format!("database {name}"), why);
        }
        for it in &info.prepared {
            add(format!("the changes of prepared transaction {it}"), "it has not committed them");
        }
        for name in &info.origins {
            let why = "a dump holds no progress of replication: create it again where it is needed";
            add(format!("replication origin {name}"), why);
        }
        list.extend(info.left_out());
        list
    }
}

pub(super) fn dump(
    session: &Session,
    info: &ServerInfo,
    request: &DumpRequest<'_>,
    intake: &mut dyn Intake,
) -> Result<DumpFacts> {
    let selection = Selection::of(session, info)?;
    intake.announce(selection.dumped.iter().map(|it| it.bytes).sum())?;
    let mut cluster = Cluster::of(info, Method::Logical);
    let with_rights = selection.dumped.iter().chain(&selection.closed);
    let rights = with_rights.filter_map(|it| Some((it.name.clone(), it.acl.clone()?)));
    cluster.rights = rights.collect();
    cluster.databases = selection.dumped.iter().map(|it| it.name.clone()).collect();
    pour_folder("", intake)?;
    pour_bytes(CLUSTER_FILE, &cluster.to_json(), intake)?;
    pour_folder(DUMPS, intake)?;
    let left_out = selection.left_out(info);
    let mut dumper =
        Dumper { session, request, intake, info, check_time: Duration::ZERO, left_out };
    for name in &cluster.databases {
        dumper.database(name)?;
    }
    dumper.roles()?;
    dumper.server(&selection)?;
    dumper.settings()?;
    let Dumper { check_time, left_out, .. } = dumper;
    let mut facts = info.facts();
    facts.insert("method".to_owned(), Value::from("logical"));
    facts.insert("databases".to_owned(), Value::from(cluster.databases));
    facts.insert("role_passwords".to_owned(), Value::from(info.reads_passwords));
    let mut facts = DumpFacts {
        version: info.short_version().to_owned(),
        facts,
        check: (request.check != CheckLevel::Off).then(|| check_name(request.check).to_owned()),
        check_ms: check_time.as_millis().try_into().unwrap_or_default(),
        ..DumpFacts::default()
    };
    for it in left_out {
        facts.leave_out(it.what, it.why);
    }
    Ok(facts)
}

/// The name of a dump's check in reports.
pub(super) const fn check_name(level: CheckLevel) -> &'static str {
    match level {
        CheckLevel::Full => "pg_restore",
        CheckLevel::Off | CheckLevel::Quick => "pg_restore -l",
    }
}

/// Makes `pg_restore` read a dump's table of contents or, for the full check, all of the dump.
pub(super) fn check_tool(pg_restore: Tool, dump: std::fs::File, level: CheckLevel) -> Tool {
    let tool = pg_restore.stdin(dump);
    match level {
        CheckLevel::Full => tool.args(["--file", "-"]),
        CheckLevel::Off | CheckLevel::Quick => tool.arg("--list"),
    }
}

struct Dumper<'a> {
    session: &'a Session,
    request: &'a DumpRequest<'a>,
    intake: &'a mut dyn Intake,
    info: &'a ServerInfo,
    check_time: Duration,
    left_out: Vec<LeftOut>,
}

impl Dumper<'_> {
    fn database(&mut self, name: &str) -> Result<()> {
        let client = self.session.client.in_database(name);
        let tool = client
            .dumper("pg_dump", self.info.major())?
            // A tablespace of the whole database would have to exist where it is restored.
            .args(["--format=custom", "--compress=0", "--no-tablespaces"])
            .args(["--no-password", "--no-sync"])
            // Whatever encoding the role or the database sets for sessions.
            .option("--encoding=", self.info.encoding_of(name))
            .args(self.session.server.extra_args.iter().cloned());
        let mut spool = self.spool(tool)?;
        if self.request.check != CheckLevel::Off {
            let stopwatch = Instant::now();
            let pg_restore = Tool::new(&client.programs.client("pg_restore", self.info.major())?);
            let tool = check_tool(pg_restore, spool.reopened()?, self.request.check);
            tool.run(self.request.cancel)?;
            self.check_time += stopwatch.elapsed();
        }
        spool.pour(&format!("{DUMPS}/{}", file_name(name)), self.intake)?;
        let unseen = Unseen::query(&client, name, self.info)?;
        self.left_out.extend(unseen.left_out);
        if unseen.statements.is_empty() {
            return Ok(());
        }
        let path = format!("{DUMPS}/{}", statements_name(name));
        pour_bytes(&path, unseen.statements.as_bytes(), self.intake)
    }

    fn server(&mut self, selection: &Selection) -> Result<()> {
        let closed: Vec<&str> = selection.closed.iter().map(|it| it.name.as_str()).collect();
        let statements = server_objects::statements(&self.session.client, &closed)?;
        if statements.is_empty() {
            return Ok(());
        }
        pour_bytes(SERVER, (statements.join("\n") + "\n").as_bytes(), self.intake)
    }

    fn settings(&mut self) -> Result<()> {
        let Some(files) = self.info.settings(&self.session.client)? else {
            self.left_out.push(no_settings(&self.info.role));
            return Ok(());
        };
        for entry in SettingsEntry::all(&files) {
            match entry {
                SettingsEntry::Folder(path) => pour_folder(&path, self.intake)?,
                SettingsEntry::File(path, content) => pour_bytes(&path, content, self.intake)?,
            }
        }
        Ok(())
    }

    fn roles(&mut self) -> Result<()> {
        let client = &self.session.client;
        let mut tool = client.dumper("pg_dumpall", self.info.major())?;
        tool = tool.args(["--roles-only", "--no-password", "--no-sync", "--encoding=UTF8"]);
        if !self.info.reads_passwords {
            tool = tool.arg("--no-role-passwords");
        }
        let tool = tool.option("--database=", client.login.connection_string());
        self.spool(tool)?.pour(ROLES, self.intake)
    }

    fn spool(&self, tool: Tool) -> Result<Spool> {
        Spool::of(tool, self.request.scratch, self.request.cancel)
            .map_err(|error| self.session.client.classify(error))
    }
}

/// The file name of a database's dump: everything but ASCII letters, digits, `_` and `-` is percent-encoded.
pub(super) fn file_name(database: &str) -> String {
    encoded(database) + ".dump"
}

/// The file name of what is to be executed after the dump was loaded.
pub(super) fn statements_name(database: &str) -> String {
    encoded(database) + ".sql"
}

fn encoded(database: &str) -> String {
    const ENCODED: AsciiSet = NON_ALPHANUMERIC.remove(b'_').remove(b'-');
    utf8_percent_encode(database, &ENCODED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_of_any_name_has_a_file_name() {
        assert_eq!(file_name("shop_2"), "shop_2.dump");
        assert_eq!(file_name("../a b.ü"), "%2E%2E%2Fa%20b%2E%C3%BC.dump");
    }
}
