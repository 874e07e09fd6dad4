//! A logical dump: `pg_dumpall --roles-only`, and `pg_dump` for each database.
//!
//! Each database is consistent in itself, as of the moment its own dump began; two databases are not of
//! one moment. Coffer compresses, so the dumps do not.

use std::ffi::OsString;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::cluster::{CLUSTER_FILE, Cluster, DUMPS, ROLES};
use super::faults;
use super::look::{Database, ServerLook};
use super::options::Method;
use super::session::Session;
use crate::domain::{Cancel, CheckLevel, EntryKind, FailureCode};
use crate::engine::own_entry::own_entry;
use crate::engine::spool::{Spool, pour};
use crate::engine::tool::Tool;
use crate::engine::{DumpFacts, DumpOrder, EngineError, Intake};

/// The databases that are to be dumped.
pub(super) fn wanted(session: &Session, look: &ServerLook) -> Result<Vec<Database>, EngineError> {
    let named = &session.options.databases;
    let is_there = |name: &String| look.databases.iter().any(|it| it.name == *name);
    if let Some(missing) = named.iter().find(|name| !is_there(name)) {
        return Err(EngineError::known(
            FailureCode::SourceMissing,
            format!("the server at {} has no database {missing:?}", session.shown),
        ));
    }
    let wants = |it: &&Database| if named.is_empty() { it.open } else { named.contains(&it.name) };
    Ok(look.databases.iter().filter(wants).cloned().collect())
}

/// Dumps roles and databases.
pub(super) fn dump(
    session: &Session,
    order: &DumpOrder<'_>,
    intake: &mut dyn Intake,
) -> Result<DumpFacts, EngineError> {
    let look = session.look(order.cancel)?;
    let databases = wanted(session, &look)?;
    intake.expect(databases.iter().map(|it| it.bytes).sum())?;
    let mut cluster = Cluster::of(&look, Method::Logical);
    cluster.databases = databases.iter().map(|it| it.name.clone()).collect();
    let mut dumping =
        Dumping { session, order, intake, major: look.major(), checked: Duration::ZERO };
    dumping.folder("")?;
    dumping.note(&cluster.to_json())?;
    dumping.folder(DUMPS)?;
    for name in &cluster.databases {
        dumping.database(name)?;
    }
    dumping.roles(look.superuser)?;
    let checked = dumping.checked;
    let mut facts = look.facts();
    facts.insert("method".to_owned(), Value::from("logical"));
    facts.insert("databases".to_owned(), Value::from(cluster.databases));
    facts.insert("role_passwords".to_owned(), Value::from(look.superuser));
    Ok(DumpFacts {
        version: look.short_version().to_owned(),
        facts,
        check: (order.check != CheckLevel::Off).then(|| check_name(order.check).to_owned()),
        check_ms: checked.as_millis().try_into().unwrap_or_default(),
        ..DumpFacts::default()
    })
}

/// How a dump's check is called.
pub(super) const fn check_name(level: CheckLevel) -> &'static str {
    match level {
        CheckLevel::Full => "pg_restore",
        CheckLevel::Off | CheckLevel::Quick => "pg_restore -l",
    }
}

/// Has `pg_restore` read the table of contents of a dump; for the full check, all of its data too.
pub(super) fn check(
    program: &Path,
    dump: std::fs::File,
    level: CheckLevel,
    cancel: &Cancel,
) -> Result<(), EngineError> {
    let tool = Tool::new(program).input(dump);
    let tool = match level {
        CheckLevel::Off => return Ok(()),
        CheckLevel::Quick => tool.arg("--list"),
        CheckLevel::Full => tool.args(["--file", "-"]),
    };
    Ok(tool.run(cancel)?)
}

struct Dumping<'a> {
    session: &'a Session,
    order: &'a DumpOrder<'a>,
    intake: &'a mut dyn Intake,
    major: u32,
    checked: Duration,
}

impl Dumping<'_> {
    fn database(&mut self, name: &str) -> Result<(), EngineError> {
        let session = self.session;
        let toolbox = &session.toolbox;
        let login = session.login.in_database(name);
        let tool = login
            .dress(Tool::new(&toolbox.client("pg_dump", self.major)?))
            .args(["--format=custom", "--compress=0", "--no-password", "--no-sync"])
            .args(session.extra_args.iter().map(OsString::from));
        let mut spool = self.spooled(tool)?;
        let stopwatch = Instant::now();
        let program = toolbox.client("pg_restore", self.major)?;
        check(&program, spool.reopened()?, self.order.check, self.order.cancel)?;
        self.checked += stopwatch.elapsed();
        spool.pour(&format!("{DUMPS}/{}", file_name(name)), self.intake)
    }

    fn roles(&mut self, with_passwords: bool) -> Result<(), EngineError> {
        let session = self.session;
        let program = session.toolbox.client("pg_dumpall", self.major)?;
        let tool = session.login.dress(Tool::new(&program));
        let tool = tool.args(["--roles-only", "--no-password", "--no-sync"]);
        // Only a superuser may read the passwords' hashes.
        let tool = if with_passwords { tool } else { tool.arg("--no-role-passwords") };
        let tool = tool.arg(format!("--database={}", session.login.connection()));
        self.spooled(tool)?.pour(ROLES, self.intake)
    }

    fn spooled(&self, tool: Tool) -> Result<Spool, EngineError> {
        let stream = tool.stream(self.order.cancel).map_err(EngineError::from);
        stream
            .and_then(|stream| Spool::of(stream, self.order.scratch))
            .map_err(|error| faults::sorted(error, &self.session.login))
    }

    fn folder(&mut self, path: &str) -> Result<(), EngineError> {
        let entry = own_entry(path, EntryKind::Directory)?;
        self.intake.entry(&entry, false)?;
        Ok(())
    }

    fn note(&mut self, content: &[u8]) -> Result<(), EngineError> {
        let size = u64::try_from(content.len()).unwrap_or_default();
        let entry = own_entry(CLUSTER_FILE, EntryKind::File { size, extents: None })?;
        let mut content = content;
        pour(&entry, &mut content, self.intake, |_| ()).map_err(|failed| {
            failed.explain(|error| EngineError::io("reading", "".as_ref(), error))
        })
    }
}

/// What the dump of this database is called: a name with slashes or of other letters is no trouble.
pub(super) fn file_name(database: &str) -> String {
    let mut name = database.bytes().fold(String::new(), |mut name, byte| {
        if byte.is_ascii_alphanumeric() || b"_-".contains(&byte) {
            name.push(char::from(byte));
        } else {
            name.push('%');
            name.push_str(&hex::encode_upper([byte]));
        }
        name
    });
    name.push_str(".dump");
    name
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
