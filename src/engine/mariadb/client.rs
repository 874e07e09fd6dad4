//! Asking a server through the command line client.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::fault;
use super::login::Login;
use super::options::Options;
use super::programs::{Maker, maker, version_text};
use crate::domain::Cancel;
use crate::engine::EngineError;
use crate::engine::tool::{Tool, ToolError};

/// A row of an answer.
pub(super) type Row = Vec<String>;

/// How long a short question may take.
const ANSWER_WAIT: Duration = Duration::from_secs(10);

/// The name of a private server's socket, in its data directory. The programs are run in that folder: a
/// whole path may be longer than the system takes for a socket.
pub(super) const PRIVATE_SOCKET: &str = "coffer.sock";

#[derive(Debug)]
enum Way {
    /// The server of the configuration.
    Login(Login),
    /// A server of our own, on this data directory, where root has no password.
    Private(PathBuf),
}

/// Somebody who asks a server.
#[derive(Debug)]
pub(super) struct Client {
    program: PathBuf,
    way: Way,
    shown: String,
    pub(super) maker: Maker,
}

impl Client {
    /// Asks the server of the configuration.
    pub(super) fn of(options: &Options, cancel: &Cancel) -> Result<Self, EngineError> {
        let program = options.programs().client()?;
        let maker = maker(&version_text(&program, cancel)?);
        let way = Way::Login(Login::new(options, maker)?);
        Ok(Self { program, way, shown: options.shown(), maker })
    }

    /// Asks a server of our own.
    pub(super) fn of_private(program: PathBuf, data: &Path) -> Self {
        Self {
            program,
            way: Way::Private(data.to_owned()),
            shown: "the private server".to_owned(),
            maker: Maker::MariaDb,
        }
    }

    fn tool(&self) -> Tool {
        let tool = Tool::new(&self.program);
        let tool = match &self.way {
            Way::Login(login) => login.give_to(tool),
            Way::Private(data) => tool
                .args(["--no-defaults", "--protocol=socket", "--user=root"])
                .arg(format!("--socket={PRIVATE_SOCKET}"))
                .folder(data),
        };
        tool.args(["--batch", "--skip-column-names", "--default-character-set=utf8mb4"])
            .arg("--connect-timeout=5")
    }

    /// The rows that short statements give, one behind the other.
    pub(super) fn ask(&self, sql: &str, cancel: &Cancel) -> Result<Vec<Row>, EngineError> {
        let asked = self.tool().arg(format!("--execute={sql}")).within(ANSWER_WAIT);
        let answer = asked.output(cancel).map_err(|error| fault::explain(error, &self.shown))?;
        Ok(rows(&answer))
    }

    /// The same for statements that may take as long as they need.
    pub(super) fn work(&self, sql: &str, cancel: &Cancel) -> Result<Vec<Row>, ToolError> {
        let answer = self.tool().arg(format!("--execute={sql}")).output(cancel)?;
        Ok(rows(&answer))
    }

    /// Runs the statements of a file, and stops at the first error. What the client itself could be told to
    /// do (`\!`, `source`…) is not done: the file comes out of an archive.
    pub(super) fn run(&self, script: File, cancel: &Cancel) -> Result<(), ToolError> {
        self.tool()
            .args(["--binary-mode", "--local-infile=0", "--max-allowed-packet=1G"])
            .input(script)
            .run(cancel)
    }
}

/// The rows of an answer in batch mode: a line each, tabs between the fields.
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
        match letters.next() {
            Some('n') => text.push('\n'),
            Some('t') => text.push('\t'),
            Some('0') => text.push('\0'),
            Some(other) => text.push(other),
            None => text.push('\\'),
        }
    }
    text
}

/// A name between backquotes.
pub(super) fn quoted_name(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A text between quotes, for any `sql_mode`.
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
    fn fields_come_back_as_they_were() {
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
