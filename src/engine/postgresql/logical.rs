//! A logical dump: `pg_dumpall --roles-only`, and `pg_dump` for each database.
//!
//! Each database is consistent as of the moment its own dump began; different databases are of different
//! moments. Coffer compresses the archive, so the dumps are not compressed.

use std::time::{Duration, Instant};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::client::Session;
use super::cluster::{CLUSTER_FILE, Cluster, DUMPS, ROLES};
use super::options::Method;
use super::server_info::{Database, ServerInfo};
use crate::domain::{CheckLevel, FailureCode};
use crate::engine::pour::{pour_bytes, pour_folder};
use crate::engine::spool::Spool;
use crate::engine::tool::Tool;
use crate::engine::{DumpFacts, DumpRequest, EngineError, Intake};

/// The databases to dump.
pub(super) fn selected(session: &Session, info: &ServerInfo) -> Result<Vec<Database>, EngineError> {
    let named = &session.databases;
    let exists = |name: &String| info.databases.iter().any(|it| it.name == *name);
    if let Some(missing) = named.iter().find(|name| !exists(name)) {
        return Err(EngineError::known(
            FailureCode::SourceMissing,
            format!("the server at {} has no database {missing:?}", session.server.shown()),
        ));
    }
    let select = |it: &&Database| if named.is_empty() { it.open } else { named.contains(&it.name) };
    Ok(info.databases.iter().filter(select).cloned().collect())
}

/// Dumps roles and databases.
pub(super) fn dump(
    session: &Session,
    request: &DumpRequest<'_>,
    intake: &mut dyn Intake,
) -> Result<DumpFacts, EngineError> {
    let info = ServerInfo::query(&session.client)?;
    let databases = selected(session, &info)?;
    intake.announce(databases.iter().map(|it| it.bytes).sum())?;
    let mut cluster = Cluster::of(&info, Method::Logical);
    cluster.databases = databases.into_iter().map(|it| it.name).collect();
    pour_folder("", intake)?;
    pour_bytes(CLUSTER_FILE, &cluster.to_json(), intake)?;
    pour_folder(DUMPS, intake)?;
    let mut dumper =
        Dumper { session, request, intake, major: info.major(), check_time: Duration::ZERO };
    for name in &cluster.databases {
        dumper.database(name)?;
    }
    dumper.roles(info.superuser)?;
    let check_time = dumper.check_time;
    let mut facts = info.facts();
    facts.insert("method".to_owned(), Value::from("logical"));
    facts.insert("databases".to_owned(), Value::from(cluster.databases));
    facts.insert("role_passwords".to_owned(), Value::from(info.superuser));
    Ok(DumpFacts {
        version: info.short_version().to_owned(),
        facts,
        check: (request.check != CheckLevel::Off).then(|| check_name(request.check).to_owned()),
        check_ms: check_time.as_millis().try_into().unwrap_or_default(),
        ..DumpFacts::default()
    })
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
    major: u32,
    check_time: Duration,
}

impl Dumper<'_> {
    fn database(&mut self, name: &str) -> Result<(), EngineError> {
        let client = self.session.client.in_database(name);
        let tool = client
            .tool("pg_dump", self.major)?
            .args(["--format=custom", "--compress=0", "--no-password", "--no-sync"])
            .args(self.session.server.extra_args.iter().cloned());
        let mut spool = self.spool(tool)?;
        if self.request.check != CheckLevel::Off {
            let stopwatch = Instant::now();
            let pg_restore = Tool::new(&client.programs.client("pg_restore", self.major)?);
            let tool = check_tool(pg_restore, spool.reopened()?, self.request.check);
            tool.run(self.request.cancel)?;
            self.check_time += stopwatch.elapsed();
        }
        spool.pour(&format!("{DUMPS}/{}", file_name(name)), self.intake)
    }

    fn roles(&mut self, with_passwords: bool) -> Result<(), EngineError> {
        let client = &self.session.client;
        let mut tool = client.tool("pg_dumpall", self.major)?;
        tool = tool.args(["--roles-only", "--no-password", "--no-sync"]);
        if !with_passwords {
            // Only a superuser may read the passwords' hashes.
            tool = tool.arg("--no-role-passwords");
        }
        let tool = tool.option("--database=", client.login.connection_string());
        self.spool(tool)?.pour(ROLES, self.intake)
    }

    fn spool(&self, tool: Tool) -> Result<Spool, EngineError> {
        Spool::of(tool, self.request.scratch, self.request.cancel)
            .map_err(|error| self.session.client.classify(error))
    }
}

/// The file name of a database's dump: everything but ASCII letters, digits, `_` and `-` is percent-encoded.
pub(super) fn file_name(database: &str) -> String {
    const ENCODED: AsciiSet = NON_ALPHANUMERIC.remove(b'_').remove(b'-');
    format!("{}.dump", utf8_percent_encode(database, &ENCODED))
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
