//! Loading dumps into a server: the private one of a new cluster, or one that runs.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead as _, BufReader, ErrorKind, Seek as _, Write as _};
use std::path::Path;

use tempfile::NamedTempFile;

use super::client::Client;
use super::cluster::{Cluster, DUMPS, ROLES, SERVER};
use super::logical::{check_tool, file_name, statements_name};
use super::login::{DEFAULT_DATABASE, literal, quoted};
use super::refused::{Refusal, RefusedDatabase, TO_THE_END, objects, tells_of_refusals};
use super::roles::{Existing, RoleScript, as_one_text};
use super::second_try;
use super::verdict::of_dump;
use crate::domain::{Cancel, CheckLevel, FailureCode, LeftOut};
use crate::engine::tool::{Tool, ToolError, says_any};
use crate::engine::{EngineError, Result};

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
const MOST_MESSAGES: usize = 64 << 20;

/// How often what was refused is tried again, as long as each time less of it is refused.
const MOST_TRIES: usize = 4;

/// In the line of an event trigger, or of its comment, in a dump's table of contents.
const EVENT_TRIGGER: &str = " EVENT TRIGGER ";

/// How many of the last lines of a failure are shown.
const SHOWN_LINES: usize = 8;

const DATABASES: &str = "SELECT json_agg(datname) FROM pg_database";

/// A database that is loaded.
#[derive(Clone, Copy)]
pub(super) struct Loaded<'a> {
    pub(super) folder: &'a Path,
    pub(super) cluster: &'a Cluster,
    pub(super) name: &'a str,
    /// Connected to it.
    pub(super) client: &'a Client,
}

/// Loads the dumps in a folder into a server.
#[derive(Debug)]
pub(super) struct DumpLoader {
    pub(super) client: Client,
}

impl DumpLoader {
    /// Checks that `pg_restore` can read the dumps.
    pub(super) fn check(&self, folder: &Path, cluster: &Cluster, level: CheckLevel) -> Result<()> {
        let program = self.client.programs.client("pg_restore", cluster.major)?;
        if level == CheckLevel::Off {
            return Ok(());
        }
        for name in &cluster.databases {
            let tool = check_tool(Tool::new(&program), open_dump(folder, name)?, level);
            tool.run(&self.client.cancel).map_err(of_dump)?;
        }
        Ok(())
    }

    /// Fails if the server already has one of the databases. Returns the names of all that it has.
    pub(super) fn require_absent(&self, folder: &Path, cluster: &Cluster) -> Result<Vec<String>> {
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

    /// Loads everything into a server that has nothing yet. Returns what it refused.
    pub(super) fn load_into_new(&self, folder: &Path, cluster: &Cluster) -> Result<Vec<LeftOut>> {
        let (_, mut refused) = self.create_roles(folder, Existing::Update)?;
        for name in &cluster.databases {
            refused.extend(self.load_database(folder, cluster, name)?);
        }
        for statement in server_statements(folder)? {
            let made = self.execute_text(&self.client, &statement);
            refused.extend(refusal(made, || shown(&statement))?);
        }
        for (name, rights) in &cluster.rights {
            self.order_rights(name, rights)?;
        }
        Ok(refused)
    }

    /// Gives the rights to a database, which its dump has granted, the order that they had.
    fn order_rights(&self, name: &str, rights: &str) -> Result<()> {
        let rights = format!("{}::pg_catalog.aclitem[]", literal(rights));
        self.client.execute(&format!(
            "UPDATE pg_catalog.pg_database SET datacl = {rights} WHERE datname = {} \
             AND datacl @> {rights} AND datacl <@ {rights}",
            literal(name)
        ))
    }

    /// Loads the databases that do not exist yet into a running server, and returns their names. Adds to `left_out`
    /// what could not be created. After a failure, the server is as it was before.
    pub(super) fn load_into_running(
        &self,
        folder: &Path,
        cluster: &Cluster,
        left_out: &mut Vec<LeftOut>,
    ) -> Result<Vec<String>> {
        let existing = self.require_absent(folder, cluster)?;
        let (roles, refused) = self.create_roles(folder, Existing::Keep)?;
        left_out.extend(refused);
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
        let of_server = server_statements(folder)?;
        left_out.extend(of_server.iter().map(|statement| {
            let why = "a restore into a running server changes nothing of the server itself";
            LeftOut::new(shown(statement), why)
        }));
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

    /// Creates the roles that do not exist yet, with their settings. Returns their quoted names, and what was refused.
    fn create_roles(
        &self,
        folder: &Path,
        existing: Existing,
    ) -> Result<(Vec<String>, Vec<LeftOut>)> {
        let path = folder.join(ROLES);
        let text =
            std::fs::read(&path).map_err(|error| EngineError::io("reading", &path, error))?;
        let names =
            self.client.query_names("SELECT json_agg(quote_ident(rolname)) FROM pg_roles")?;
        let script = RoleScript::filter(&text, &names, existing);
        let psql =
            self.client.psql()?.args(["-f", "-", "-1"]).stdin_bytes(&script.as_one_text())?;
        let mut refused = Vec::new();
        match psql.run(&self.client.cancel).map_err(|error| self.denied_by_target(error)) {
            Ok(()) => {}
            Err(error) if is_refusal(&error) => {
                // One of the statements: each by itself.
                for statement in script.statements() {
                    let made = self.execute_text(&self.client, statement.as_bytes());
                    refused.extend(refusal(made, || without_password(&statement))?);
                }
            }
            Err(error) => return Err(error),
        }
        Ok((script.created, refused))
    }

    /// Creates a database, with its properties, and loads its dump. Returns what the server refused. The two that every
    /// new cluster has are created again: only so they get their owner, rights and settings.
    fn load_database(&self, folder: &Path, cluster: &Cluster, name: &str) -> Result<Vec<LeftOut>> {
        let again = self.client.login.private && [DEFAULT_DATABASE, TEMPLATE].contains(&name);
        let client = match name {
            TEMPLATE if again => self.client.in_database(DEFAULT_DATABASE),
            _ => self.client.clone(),
        };
        let triggers = self.event_triggers(folder, cluster, name)?;
        let restore = |client: &Client| -> Result<Tool> {
            let tool = client.tool("pg_restore", cluster.major)?;
            let tool = triggers.iter().fold(tool, |it, (others, _)| use_list(it, others));
            // Verbose, it names the entry of what was refused.
            let tool = tool.args(["--no-password", "--no-tablespaces", "--create", "--verbose"]);
            let tool = tool.option("--dbname=", client.login.connection_string());
            Ok(tool.stdin(open_dump(folder, name)?))
        };
        let clean: &[&str] = if again { &["--clean", "--if-exists"] } else { &[] };
        let first = run_restore(restore(&client)?.args(clean.iter().copied()), &client)?;
        let refused = match (RefusedDatabase::find(&first.messages), &first.ended) {
            (Some(database), Err(ToolError::Failed { .. })) => {
                let same = create_otherwise(&client, name, database)?;
                let second = run_restore(restore(&client)?, &client)?;
                // The second attempt is refused the database because it exists; the first says why it did not.
                let why = objects(&first.messages, name).into_iter().take(usize::from(!same));
                why.chain(self.refused_by(second, name)?.into_iter().skip(1)).collect()
            }
            _ => self.refused_by(first, name)?,
        };
        let refused = self.try_again(folder, cluster, name, refused)?;
        let mut refused: Vec<LeftOut> = refused.into_iter().map(|it| it.object).collect();
        let more = self.execute_statements(folder, name);
        refused.extend(refusal(more, || format!("what no dump of database {name} holds"))?);
        if let Some((_, list)) = &triggers {
            let client = self.client.in_database(name);
            let tool =
                use_list(client.tool("pg_restore", cluster.major)?, list).arg("--no-password");
            let tool = tool.option("--dbname=", client.login.connection_string());
            let attempt = run_restore(tool.stdin(open_dump(folder, name)?), &client)?;
            refused.extend(self.refused_by(attempt, name)?.into_iter().map(|it| it.object));
        }
        Ok(refused)
    }

    /// Loads what was refused once more, now that all the rest is there. Returns what is refused again, with the first
    /// reason, and what is not as it was for the sake of rows.
    fn try_again(
        &self,
        folder: &Path,
        cluster: &Cluster,
        name: &str,
        mut refused: Vec<Refusal>,
    ) -> Result<Vec<Refusal>> {
        if refused.iter().all(|it| it.entry.is_none()) {
            return Ok(refused);
        }
        let program = self.client.programs.client("pg_restore", cluster.major)?;
        let list = Tool::new(&program).arg("--list").stdin(open_dump(folder, name)?);
        let list = list.output(&self.client.cancel)?;
        let client = second_try::with_own_path(&self.client.in_database(name))?;
        let loaded = Loaded { folder, cluster, name, client: &client };
        for _ in 0..MOST_TRIES {
            let Some((tried, lines)) = second_try::lines_of(&list, &refused) else { break };
            let again = self.refused_by(load_lines(loaded, &lines)?, name)?;
            let again: BTreeSet<u32> = again.iter().filter_map(|it| it.entry).collect();
            let before = refused.len();
            refused.retain(|it| {
                it.entry.is_none_or(|entry| again.contains(&entry) || !tried.contains(&entry))
            });
            if refused.len() == before {
                break;
            }
        }
        self.rows_first(loaded, &list, refused)
    }

    /// The table of contents of a dump that holds event triggers, in two parts: everything else, and those. They come
    /// last, or one that raises an error would refuse what comes after it.
    pub(super) fn event_triggers(
        &self,
        folder: &Path,
        cluster: &Cluster,
        name: &str,
    ) -> Result<Option<(NamedTempFile, NamedTempFile)>> {
        let program = self.client.programs.client("pg_restore", cluster.major)?;
        let tool = Tool::new(&program).args(["--list", "--create"]).stdin(open_dump(folder, name)?);
        let list = tool.output(&self.client.cancel)?;
        let is_trigger = |line: &&[u8]| String::from_utf8_lossy(line).contains(EVENT_TRIGGER);
        let lines = list.split_inclusive(|byte| *byte == b'\n');
        let (triggers, others): (Vec<&[u8]>, Vec<&[u8]>) = lines.partition(is_trigger);
        if triggers.is_empty() {
            return Ok(None);
        }
        Ok(Some((written(&others)?, written(&triggers)?)))
    }

    /// What the server refused, if the tool came to the end of the dump.
    pub(super) fn refused_by(&self, attempt: Attempt, name: &str) -> Result<Vec<Refusal>> {
        let Attempt { messages, ended } = attempt;
        match ended {
            Ok(()) => Ok(Vec::new()),
            Err(ToolError::Failed { .. })
                if messages.contains(TO_THE_END) && !says_any(&messages, &NOT_OF_AN_OBJECT) =>
            {
                Ok(objects(&messages, name))
            }
            Err(error) => {
                let last = messages.lines().rev().take(SHOWN_LINES).collect::<Vec<_>>();
                let last = last.into_iter().rev().collect::<Vec<_>>().join("\n");
                Err(self.denied_by_target(error.map_output(|_| last)))
            }
        }
    }

    /// Executes what a dump by a role that was no superuser left out.
    fn execute_statements(&self, folder: &Path, name: &str) -> Result<()> {
        let path = folder.join(DUMPS).join(statements_name(name));
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(EngineError::io("reading", &path, error)),
        };
        self.execute_text(&self.client.in_database(name), &text)
    }

    /// Executes statements from an archive.
    fn execute_text(&self, client: &Client, text: &[u8]) -> Result<()> {
        let psql = client.psql()?.args(["-f", "-"]).stdin_bytes(&as_one_text(text))?;
        psql.run(&client.cancel).map_err(|error| self.denied_by_target(error))
    }

    /// Whether it is the database that every server has, and its dump is empty.
    fn is_empty_default(&self, folder: &Path, cluster: &Cluster, name: &str) -> Result<bool> {
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

/// Creates a database whose own statement was refused. Returns whether it is as it was: otherwise this machine lacks
/// what the database sorts text by, and its content can be had all the same.
pub(super) fn create_otherwise(
    client: &Client,
    name: &str,
    refused: RefusedDatabase<'_>,
) -> Result<bool> {
    if let Some(statement) = refused.for_older_server()
        && client.execute(&statement).is_ok()
    {
        return Ok(true);
    }
    client.execute(&format!(
        "CREATE DATABASE {} TEMPLATE template0 ENCODING {} LOCALE 'C'",
        quoted(name),
        literal(refused.encoding)
    ))?;
    Ok(false)
}

/// A list of what of a dump is to be loaded.
pub(super) fn written(lines: &[&[u8]]) -> Result<NamedTempFile> {
    let written = NamedTempFile::new().and_then(|mut file| {
        file.write_all(&lines.concat())?;
        Ok(file)
    });
    written.map_err(|error| EngineError::target("writing a list in", &std::env::temp_dir(), error))
}

/// Makes `pg_restore` load only what a list names.
pub(super) fn use_list(tool: Tool, list: &NamedTempFile) -> Tool {
    tool.option("--use-list=", list.path())
}

/// A run of `pg_restore` that has ended.
pub(super) struct Attempt {
    messages: String,
    ended: Result<(), ToolError>,
}

pub(super) fn run_restore(tool: Tool, client: &Client) -> Result<Attempt> {
    let broken =
        |error| EngineError::target("reading the messages in", &std::env::temp_dir(), error);
    let mut file = tempfile::tempfile().map_err(broken)?;
    let ended = tool.messages(file.try_clone().map_err(broken)?).run(&client.cancel);
    file.rewind().map_err(broken)?;
    let mut messages = String::new();
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line).map_err(broken)? > 0 {
        let text = String::from_utf8_lossy(&line);
        if tells_of_refusals(&text) && (messages.len() < MOST_MESSAGES || text.contains(TO_THE_END))
        {
            messages.push_str(&text);
        }
        line.clear();
    }
    Ok(Attempt { messages, ended })
}

/// Loads what these lines of the table of contents name, with the database's own search path.
pub(super) fn load_lines(loaded: Loaded<'_>, lines: &[u8]) -> Result<Attempt> {
    let Loaded { folder, cluster, name, client } = loaded;
    let path = folder.join(DUMPS).join(file_name(name));
    let lines = written(&[lines])?;
    let attempt = second_try::without_path(&path, || {
        let tool = use_list(client.tool("pg_restore", cluster.major)?, &lines);
        let tool = tool.args(["--no-password", "--no-tablespaces", "--verbose"]);
        let tool = tool.option("--dbname=", client.login.connection_string());
        run_restore(tool.stdin(open_dump(folder, name)?), client)
    });
    attempt.map_err(|error| EngineError::io("opening", &path, error))?
}

/// The statements about the server itself.
fn server_statements(folder: &Path) -> Result<Vec<Vec<u8>>> {
    let path = folder.join(SERVER);
    match std::fs::read(&path) {
        Ok(text) => {
            let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
            Ok(lines.map(<[u8]>::to_vec).collect())
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(EngineError::io("reading", &path, error)),
    }
}

/// Whether the server refused a statement, and did not deny all of them.
pub(super) fn is_refusal(error: &EngineError) -> bool {
    match error {
        EngineError::Tool(ToolError::Failed { output, .. }) => !says_any(output, &NOT_OF_AN_OBJECT),
        EngineError::Known { code, .. } => *code == FailureCode::Tool,
        _ => false,
    }
}

/// A statement about a role, without its password.
fn without_password(statement: &str) -> String {
    let open = statement.split_once(" PASSWORD ").map_or(statement, |(before, _)| before);
    open.trim().trim_end_matches(';').to_owned()
}

fn shown(statement: &[u8]) -> String {
    String::from_utf8_lossy(statement).trim_end_matches(';').to_owned()
}

/// If a statement failed, and not because the work was cancelled: that as something that was left out.
fn refusal(ended: Result<()>, what: impl FnOnce() -> String) -> Result<Option<LeftOut>> {
    match ended {
        Ok(()) => Ok(None),
        Err(EngineError::Cancelled) => Err(EngineError::Cancelled),
        Err(error) => Ok(Some(LeftOut::new(what(), error.to_string()))),
    }
}

pub(super) fn open_dump(folder: &Path, database: &str) -> Result<File> {
    let path = folder.join(DUMPS).join(file_name(database));
    File::open(&path).map_err(|error| EngineError::unread(&path, error))
}
