//! The command line client, connected to one server.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::faults::classify;
use super::login::Login;
use super::options::Options;
use super::programs::{Maker, maker, version_text};
use crate::domain::Cancel;
use crate::engine::tool::{Tool, ToolError};
use crate::engine::{EngineError, Result};

pub(super) type Row = Vec<String>;

/// Whatever the server sets for every session: names are asked for, and answered, in backquotes, and an answer is complete.
const OWN_SESSION: &str = "--init-command=SET SESSION sql_mode='', sql_big_selects=1, \
     sql_select_limit=18446744073709551615 /*M!100101 , max_statement_time=0 */";

const QUERY_TIMEOUT: Duration = Duration::from_secs(10);

/// A private server's socket, relative to its data directory, in which its programs run: an absolute path may be
/// too long for a socket.
pub(super) const PRIVATE_SOCKET: &str = "coffer.sock";

/// What a session needs to load a dump of anything that a server may hold. A row or table that was made while checks
/// were off is data; a table's folder outside of the data directory is the original's; a table whose engine is missing
/// is refused, and not made empty with another.
pub(super) const SETTINGS: &str = "SET SESSION innodb_strict_mode=0, check_constraint_checks=0, \
     max_statement_time=0, max_heap_table_size=4294967296, \
     sql_mode=CONCAT(@@sql_mode, ',NO_DIR_IN_CREATE,NO_ENGINE_SUBSTITUTION')";

#[derive(Debug)]
enum Connection {
    /// To the server of the configuration.
    Login(Login),
    /// To the private server on this data directory, where root needs no password.
    Private(PathBuf),
}

#[derive(Debug)]
pub(super) struct Client {
    program: PathBuf,
    connection: Connection,
    shown: String,
    pub(super) maker: Maker,
    pub(super) cancel: Cancel,
}

impl Client {
    pub(super) fn new(options: &Options, cancel: &Cancel) -> Result<Self> {
        let program = options.programs().client()?;
        let maker = maker(&version_text(&program, cancel)?);
        let connection = Connection::Login(Login::new(options, maker)?);
        Ok(Self { program, connection, shown: options.shown(), maker, cancel: cancel.clone() })
    }

    pub(super) fn private(program: PathBuf, data: &Path, cancel: &Cancel) -> Self {
        Self {
            program,
            connection: Connection::Private(data.to_owned()),
            shown: "the private server".to_owned(),
            maker: Maker::MariaDb,
            cancel: cancel.clone(),
        }
    }

    fn tool(&self) -> Tool {
        let tool = Tool::new(&self.program);
        let tool = match &self.connection {
            Connection::Login(login) => login.apply(tool),
            Connection::Private(data) => tool
                .args(["--no-defaults", "--protocol=socket", "--user=root"])
                .option("--socket=", PRIVATE_SOCKET)
                .current_dir(data),
        };
        tool.args(["--batch", "--skip-column-names", "--default-character-set=utf8mb4"])
            .args(["--connect-timeout=5", OWN_SESSION])
    }

    /// Runs short queries and returns the rows of all of them.
    pub(super) fn query(&self, sql: &str) -> Result<Vec<Row>> {
        let tool = self.tool().option("--execute=", sql).timeout(QUERY_TIMEOUT);
        let answer = tool.output(&self.cancel).map_err(|error| classify(error, &self.shown))?;
        Ok(rows(&answer))
    }

    pub(super) fn is_up(&self) -> Result<bool> {
        self.tool().arg("--execute=SELECT 1").timeout(QUERY_TIMEOUT).succeeds(&self.cancel)
    }

    /// Runs statements that may take any time, and returns their rows.
    pub(super) fn execute(&self, sql: &str) -> Result<Vec<Row>, ToolError> {
        Ok(rows(&self.tool().option("--execute=", sql).output(&self.cancel)?))
    }

    /// Runs all statements of a file, also after one that the server refuses; `messages` gets the errors. The client's
    /// own commands (`\!`, `source`…) are disabled: the file comes from an archive.
    pub(super) fn run_script(&self, script: File, messages: File) -> Result<(), ToolError> {
        let tool = match self.connection {
            Connection::Private(_) => self.tool().option("--init-command=", SETTINGS),
            Connection::Login(_) => self.tool(),
        };
        tool.args(["--force", "--skip-reconnect", "--binary-mode", "--local-infile=0"])
            .arg("--max-allowed-packet=1G")
            .stdin(script)
            .messages(messages)
            .run(&self.cancel)
    }

    /// Does `work` while the server holds the locks that `sql` takes.
    pub(super) fn while_locked<T>(&self, sql: &str, work: impl FnOnce() -> T) -> Result<T> {
        let failed = |error: ToolError| classify(error, &self.shown);
        let pipe = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC);
        let (input, statements) =
            pipe.map_err(|error| EngineError::io("making", "a pipe".as_ref(), error))?;
        let mut statements = File::from(statements);
        let tool = self.tool().arg("--unbuffered").stdin(input.into());
        let mut stream = tool.stream(&self.cancel).map_err(failed)?;
        // If this fails the client has ended, and says why.
        let _written = writeln!(statements, "{sql};\nSELECT 'locked';");
        let mut answer = Vec::new();
        stream.read_up_to(b"locked\n".len(), &mut answer).map_err(failed)?;
        let done = (answer == b"locked\n").then(work);
        drop(statements);
        stream.finish().map_err(failed)?;
        done.ok_or_else(|| failed(ToolError::answer("the client", "no locks")))
    }
}

/// The rows of an answer in batch mode: a line each, with tabs between the fields.
fn rows(answer: &[u8]) -> Vec<Row> {
    let text = String::from_utf8_lossy(answer);
    text.lines().map(|line| line.split('\t').map(unescaped).collect()).collect()
}

/// A field without the escapes of batch mode.
fn unescaped(field: &str) -> String {
    let mut text = String::with_capacity(field.len());
    let mut letters = field.chars();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            text.push(letter);
            continue;
        }
        text.push(match letters.next() {
            Some('n') => '\n',
            Some('t') => '\t',
            Some('0') => '\0',
            Some(other) => other,
            None => '\\',
        });
    }
    text
}

pub(super) fn quoted_name(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A text quoted for SQL, in any `sql_mode`.
pub(super) fn quoted_text(text: &str) -> String {
    if text.is_empty() {
        return "''".to_owned();
    }
    format!("CONVERT(X'{}' USING utf8mb4)", hex::encode(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_unescaped() {
        assert_eq!(
            rows(b"a\\tb\tc\\nd\\\\e\n\tNULL\n"),
            [vec!["a\tb", "c\nd\\e"], vec!["", "NULL"]]
        );
    }

    #[test]
    fn names_and_texts_cannot_end_their_quotes() {
        assert_eq!(quoted_name("a`b"), "`a``b`");
        assert_eq!(quoted_text("a'b"), "CONVERT(X'612762' USING utf8mb4)");
    }
}
