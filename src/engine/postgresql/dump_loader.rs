//! Loading dumps: into a new cluster, by a private server, or into a running server.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::path::Path;

use super::client::Client;
use super::cluster::{CLUSTER_FILE, ClosedDatabase, Cluster, DATA_FOLDER, DUMPS, ROLES};
use super::logical::{check_tool, file_name, statements_name};
use super::login::{literal, quoted};
use super::private_server::{Launch, PrivateServer};
use super::programs::{Programs, version_of};
use super::refused::{TO_THE_END, objects};
use super::roles::{Existing, RoleScript, as_one_text};
use crate::domain::{Cancel, CheckLevel, FailureCode, LeftOut};
use crate::engine::EngineError;
use crate::engine::tool::{Tool, ToolError, says_any};

/// The database that every new cluster has.
const DEFAULT_DATABASE: &str = "postgres";

/// The template of new databases, which every server has too.
const TEMPLATE: &str = "template1";

/// Errors that are not about the object that is being created: nothing after it can be created either.
const NOT_OF_AN_OBJECT: [&str; 4] = [
    "No space left on device",
    "Disk quota exceeded",
    "server closed the connection",
    "terminating connection",
];

/// How many bytes of messages are read: far more than a person does.
const MOST_MESSAGES: u64 = 64 << 20;

/// How many of the last lines of a failure are shown.
const SHOWN_LINES: usize = 8;

const DATABASES: &str = "SELECT json_agg(datname) FROM pg_database";

/// Loads the dumps in a folder into a server.
#[derive(Debug)]
pub(super) struct DumpLoader {
    pub(super) client: Client,
}

/// Makes a new cluster in `folder` from the dumps there, and removes the dumps. Returns what could not be created.
pub(super) fn make_cluster(
    folder: &Path,
    cluster: &Cluster,
    programs: &Programs,
    cancel: &Cancel,
) -> Result<Vec<LeftOut>, EngineError> {
    let initdb = programs.server_for_dumps("initdb", cluster.major)?;
    let major = version_of(&initdb)?;
    let data = folder.join(DATA_FOLDER);
    run_initdb(&initdb, &data, cluster, cancel)?;
    let launch = Launch { data: &data, major, role: &cluster.bootstrap_role, scratch: folder };
    let server = PrivateServer::start(&launch, programs, cancel)?;
    let loader = DumpLoader { client: server.client.clone() };
    let result = loader.load_into_new(folder, cluster);
    let refused = result.map_err(|error| server.explain_if_ended(error))?;
    server.stop()?;
    let failed = |error| EngineError::target("finishing", folder, error);
    std::fs::remove_dir_all(folder.join(DUMPS)).map_err(failed)?;
    std::fs::remove_file(folder.join(ROLES)).map_err(failed)?;
    let cluster = Cluster {
        major,
        databases: Vec::new(),
        rights: BTreeMap::new(),
        closed: Vec::new(),
        refused: refused.clone(),
        ..cluster.clone()
    };
    overwrite(&folder.join(CLUSTER_FILE), &cluster.to_json()).map_err(failed)?;
    let opened = File::open(folder).map_err(failed)?;
    rustix::fs::syncfs(&opened).map_err(|error| failed(error.into()))?;
    Ok(refused)
}

/// Initialises a cluster like the original. Only its owner can log in, whatever the default is.
fn run_initdb(
    initdb: &Path,
    data: &Path,
    cluster: &Cluster,
    cancel: &Cancel,
) -> Result<(), EngineError> {
    let mut tool = Tool::new(initdb)
        .arg("-D")
        .arg(data)
        .option("--username=", &cluster.bootstrap_role)
        .option("--encoding=", &cluster.encoding)
        .option("--lc-collate=", &cluster.collate)
        .option("--lc-ctype=", &cluster.ctype)
        .arg(format!("--wal-segsize={}", (cluster.wal_segment_size >> 20).max(1)))
        .args(["--auth-local=peer", "--auth-host=scram-sha-256", "--no-sync"])
        .hide_root();
    if cluster.data_checksums {
        tool = tool.arg("--data-checksums");
    }
    let advice = "initdb could not create the new cluster: if a locale is missing, install it";
    let run = tool.run(cancel);
    run.map_err(|error| EngineError::from_tool(&error, FailureCode::Tool, "", advice))
}

fn overwrite(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let mut file = std::fs::OpenOptions::new().write(true).truncate(true).open(path)?;
    std::io::Write::write_all(&mut file, content)
}

impl DumpLoader {
    /// Checks that `pg_restore` can read the dumps.
    pub(super) fn check(
        &self,
        folder: &Path,
        cluster: &Cluster,
        level: CheckLevel,
    ) -> Result<(), EngineError> {
        let program = self.client.programs.client("pg_restore", cluster.major)?;
        if level == CheckLevel::Off {
            return Ok(());
        }
        for name in &cluster.databases {
            let tool = check_tool(Tool::new(&program), open_dump(folder, name)?, level);
            tool.run(&self.client.cancel).map_err(|error| match error {
                ToolError::Failed { .. } => EngineError::archive(error.to_string()),
                other => other.into(),
            })?;
        }
        Ok(())
    }

    /// Fails if the server already has one of the databases. Returns the names of all that it has.
    pub(super) fn require_absent(
        &self,
        folder: &Path,
        cluster: &Cluster,
    ) -> Result<Vec<String>, EngineError> {
        let existing = self.client.query_names(DATABASES)?;
        for name in &cluster.databases {
            let is_template = name == TEMPLATE;
            if existing.contains(name)
                && !is_template
                && !self.is_empty_default(folder, cluster, name)?
            {
                return Err(EngineError::known(
                    FailureCode::TargetOccupied,
                    format!(
                        "the server already has a database {name:?}, and a restore never replaces \
                         anything: rename it, or restore to a path"
                    ),
                ));
            }
        }
        Ok(existing)
    }

    fn load_into_new(&self, folder: &Path, cluster: &Cluster) -> Result<Vec<LeftOut>, EngineError> {
        self.create_roles(folder, Existing::Update)?;
        let mut refused = Vec::new();
        for name in &cluster.databases {
            refused.extend(self.load_database(folder, cluster, name)?);
        }
        for database in &cluster.closed {
            let created = self.create_closed(database);
            refused.extend(refusal(created, || format!("database {}", database.name))?);
        }
        for (name, rights) in &cluster.rights {
            self.order_rights(name, rights)?;
        }
        Ok(refused)
    }

    /// Gives the rights to a database, which its dump has granted, the order that they had.
    fn order_rights(&self, name: &str, rights: &str) -> Result<(), EngineError> {
        let rights = format!("{}::pg_catalog.aclitem[]", literal(rights));
        self.client.execute(&format!(
            "UPDATE pg_catalog.pg_database SET datacl = {rights} WHERE datname = {} \
             AND datacl @> {rights} AND datacl <@ {rights}",
            literal(name)
        ))
    }

    /// Creates a database that accepts no connections, so that its content was not dumped.
    fn create_closed(&self, database: &ClosedDatabase) -> Result<(), EngineError> {
        let name = quoted(&database.name);
        self.client.execute(&format!(
            "CREATE DATABASE {name} TEMPLATE template0 OWNER {} ENCODING {} LC_COLLATE {} LC_CTYPE {}",
            quoted(&database.owner),
            literal(&database.encoding),
            literal(&database.collate),
            literal(&database.ctype)
        ))?;
        self.client.execute(&format!(
            "ALTER DATABASE {name} WITH ALLOW_CONNECTIONS false IS_TEMPLATE {}",
            database.template
        ))
    }

    /// Loads the databases that do not exist yet into a running server, and returns their names. Adds to `left_out`
    /// what could not be created. After a failure, the server is as it was before.
    pub(super) fn load_into_running(
        &self,
        folder: &Path,
        cluster: &Cluster,
        left_out: &mut Vec<LeftOut>,
    ) -> Result<Vec<String>, EngineError> {
        let existing = self.require_absent(folder, cluster)?;
        let roles = self.create_roles(folder, Existing::Keep)?;
        let mut created: Vec<String> = Vec::new();
        for name in cluster.databases.iter().filter(|name| !existing.contains(name)) {
            created.push(name.clone());
            match self.load_database(folder, cluster, name) {
                Ok(refused) => left_out.extend(refused),
                Err(error) => {
                    self.undo(&created, &roles);
                    return Err(error);
                }
            }
        }
        if cluster.databases.iter().any(|name| name == TEMPLATE) {
            let why = "the server has one of its own, which a restore does not change";
            left_out.extend(
                (!self.is_empty_default(folder, cluster, TEMPLATE)?)
                    .then(|| LeftOut::new("the content of template1", why)),
            );
        }
        Ok(created)
    }

    /// Drops what this restore created, also after the job was cancelled.
    fn undo(&self, databases: &[String], roles: &[String]) {
        let client = Client { cancel: Cancel::default(), ..self.client.clone() };
        let drops =
            databases.iter().map(|name| format!("DROP DATABASE IF EXISTS {}", quoted(name)));
        for sql in drops.chain(roles.iter().map(|role| format!("DROP ROLE IF EXISTS {role}"))) {
            if let Err(error) = client.execute(&sql) {
                log::warn!("cleaning up after a failed restore: {sql} failed: {error}");
            }
        }
    }

    /// Creates the roles that do not exist yet, with their settings. Returns their quoted names.
    fn create_roles(&self, folder: &Path, existing: Existing) -> Result<Vec<String>, EngineError> {
        let path = folder.join(ROLES);
        let text =
            std::fs::read(&path).map_err(|error| EngineError::io("reading", &path, error))?;
        let names =
            self.client.query_names("SELECT json_agg(quote_ident(rolname)) FROM pg_roles")?;
        let script = RoleScript::filter(&text, &names, existing);
        let psql =
            self.client.psql()?.args(["-f", "-", "-1"]).stdin_bytes(&script.as_one_text())?;
        psql.run(&self.client.cancel).map_err(|error| self.denied_by_target(error))?;
        Ok(script.created)
    }

    /// Creates a database, with its properties, and loads its dump. Returns what the server refused. The two that every new cluster has are created
    /// again: only so they get their owner, rights and settings.
    fn load_database(
        &self,
        folder: &Path,
        cluster: &Cluster,
        name: &str,
    ) -> Result<Vec<LeftOut>, EngineError> {
        let again = self.client.login.private && [DEFAULT_DATABASE, TEMPLATE].contains(&name);
        let client = match name {
            TEMPLATE if again => self.client.in_database(DEFAULT_DATABASE),
            _ => self.client.clone(),
        };
        let broken =
            |error| EngineError::target("reading the messages in", &std::env::temp_dir(), error);
        let mut messages = tempfile::tempfile().map_err(broken)?;
        let tool = client
            .tool("pg_restore", cluster.major)?
            .args(["--no-password", "--no-tablespaces", "--create"])
            .args(["--clean", "--if-exists"].iter().take(if again { 2 } else { 0 }).copied())
            .option("--dbname=", client.login.connection_string())
            .stdin(open_dump(folder, name)?)
            .messages(messages.try_clone().map_err(broken)?);
        let ended = tool.run(&self.client.cancel);
        let mut text = Vec::new();
        messages
            .rewind()
            .and_then(|()| messages.take(MOST_MESSAGES).read_to_end(&mut text))
            .map_err(broken)?;
        let text = String::from_utf8_lossy(&text);
        let mut refused = match ended {
            Ok(()) => Vec::new(),
            Err(ToolError::Failed { .. })
                if text.contains(TO_THE_END) && !says_any(&text, &NOT_OF_AN_OBJECT) =>
            {
                objects(&text, name)
            }
            Err(error) => {
                let last = text.lines().rev().take(SHOWN_LINES).collect::<Vec<_>>();
                let last = last.into_iter().rev().collect::<Vec<_>>().join("\n");
                return Err(self.denied_by_target(error.map_output(|_| last)));
            }
        };
        let more = self.execute_statements(folder, name);
        refused.extend(refusal(more, || format!("what no dump of database {name} holds"))?);
        Ok(refused)
    }

    /// Executes what a dump by a role that was no superuser left out.
    fn execute_statements(&self, folder: &Path, name: &str) -> Result<(), EngineError> {
        let path = folder.join(DUMPS).join(statements_name(name));
        let text = match std::fs::read(&path) {
            Ok(text) => as_one_text(&text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(EngineError::io("reading", &path, error)),
        };
        let psql = self.client.in_database(name).psql()?.args(["-f", "-"]).stdin_bytes(&text)?;
        psql.run(&self.client.cancel).map_err(|error| self.denied_by_target(error))
    }

    /// Whether it is the database that every server has, and its dump is empty.
    fn is_empty_default(
        &self,
        folder: &Path,
        cluster: &Cluster,
        name: &str,
    ) -> Result<bool, EngineError> {
        if ![DEFAULT_DATABASE, TEMPLATE].contains(&name) {
            return Ok(false);
        }
        let program = self.client.programs.client("pg_restore", cluster.major)?;
        let list = check_tool(Tool::new(&program), open_dump(folder, name)?, CheckLevel::Quick);
        let list = list.output(&self.client.cancel)?;
        Ok(list.split(|byte| *byte == b'\n').all(|line| line.is_empty() || line.starts_with(b";")))
    }

    /// Classifies an error. Here, what denies access is the target.
    fn denied_by_target(&self, error: ToolError) -> EngineError {
        match self.client.classify(error) {
            EngineError::Known { code: FailureCode::SourceDenied, message } => {
                EngineError::known(FailureCode::TargetDenied, message)
            }
            other => other,
        }
    }
}

/// If a statement failed, and not because the work was cancelled: that as something that was left out.
fn refusal(
    ended: Result<(), EngineError>,
    what: impl FnOnce() -> String,
) -> Result<Option<LeftOut>, EngineError> {
    match ended {
        Ok(()) => Ok(None),
        Err(EngineError::Cancelled) => Err(EngineError::Cancelled),
        Err(error) => Ok(Some(LeftOut::new(what(), error.to_string()))),
    }
}

fn open_dump(folder: &Path, database: &str) -> Result<File, EngineError> {
    let path = folder.join(DUMPS).join(file_name(database));
    File::open(&path).map_err(|error| {
        EngineError::archive(format!("the dump {} cannot be read: {error}", path.display()))
    })
}
