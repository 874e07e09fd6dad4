//! What a server tells of itself before it is backed up.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;

use super::client::{Client, Row};
use super::options::Options;
use super::rights;
use crate::domain::{Cancel, FailureCode};
use crate::engine::EngineError;
use crate::engine::server_source::Tls;

/// In the order of [`Facts::of`]. MySQL knows all of them too.
const QUESTIONS: &str = "SELECT 'facts', VERSION(), @@version_comment, @@hostname, @@datadir, \
     IFNULL(@@log_bin_basename, ''), CURRENT_USER(), @@lower_case_table_names, @@character_set_server; \
     SHOW GLOBAL STATUS LIKE 'Innodb_checkpoint_age'; SHOW SESSION STATUS LIKE 'Ssl_cipher'; SHOW GRANTS";

/// The databases that every server has and makes itself. Compared byte by byte: `Sys` is somebody's own.
pub(super) const SYSTEM: &str = "('information_schema', 'performance_schema', 'mysql', 'sys')";

/// A server's answers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) version: String,
    pub(super) comment: String,
    pub(super) hostname: String,
    pub(super) datadir: PathBuf,
    /// Where its binary logs lie, without their numbers; empty: it writes none.
    pub(super) binlog: PathBuf,
    /// The account it took whoever asks for, as `name@host`.
    pub(super) user: String,
    /// How many bytes of its redo log are not yet in its files.
    pub(super) redo_bytes: u64,
    pub(super) grants: Vec<String>,
    /// How the connection is encrypted; empty: it is not.
    pub(super) cipher: String,
    pub(super) lower_case: String,
    pub(super) charset: String,
}

impl Facts {
    /// Asks the server. That it refuses whoever asks is told with the statement that mends it.
    pub(super) fn ask(
        client: &Client,
        options: &Options,
        cancel: &Cancel,
    ) -> Result<Self, EngineError> {
        let answer = client.ask(QUESTIONS, cancel).map_err(|error| denied(error, options))?;
        let found = Self::of(&answer).ok_or_else(|| {
            EngineError::known(
                FailureCode::SourceInvalid,
                format!("{} does not answer as MariaDB or MySQL does", options.shown()),
            )
        })?;
        found.is_protected(options)?;
        Ok(found)
    }

    /// MariaDB's tools go on without encryption where the server has none, unless they verify its certificate.
    fn is_protected(&self, options: &Options) -> Result<(), EngineError> {
        if !self.cipher.is_empty() || matches!(options.server.tls, Tls::Off | Tls::Prefer) {
            return Ok(());
        }
        Err(EngineError::known(
            FailureCode::SourceDenied,
            format!(
                "{} does not encrypt the connection, as source.tls asks for: set ssl_cert and ssl_key there, or \
                 change source.tls",
                options.shown()
            ),
        ))
    }

    fn of(answer: &[Row]) -> Option<Self> {
        let mut found = Self::default();
        let row = answer.iter().find(|row| row.first().is_some_and(|it| it == "facts"))?;
        let mut fields = row.iter().skip(1).cloned();
        found.version = fields.next()?;
        found.comment = fields.next()?;
        found.hostname = fields.next()?;
        found.datadir = fields.next()?.into();
        found.binlog = fields.next()?.into();
        found.user = fields.next()?;
        found.lower_case = fields.next()?;
        found.charset = fields.next()?;
        for row in answer {
            match row.as_slice() {
                [name, value] if name == "Innodb_checkpoint_age" => {
                    found.redo_bytes = value.parse().unwrap_or(0);
                }
                [name, value] if name == "Ssl_cipher" => found.cipher.clone_from(value),
                [grant] if grant.starts_with("GRANT ") => found.grants.push(grant.clone()),
                _ => {}
            }
        }
        Some(found)
    }

    /// Whether it is MariaDB and not MySQL.
    pub(super) fn is_mariadb(&self) -> bool {
        self.version.contains("MariaDB") || self.comment.contains("MariaDB")
    }

    /// What the manifest keeps.
    pub(super) fn kept(&self) -> BTreeMap<String, Value> {
        [
            ("version_comment", &self.comment),
            ("hostname", &self.hostname),
            ("lower_case_table_names", &self.lower_case),
            ("character_set_server", &self.charset),
        ]
        .map(|(name, value)| (name.to_owned(), Value::from(value.as_str())))
        .into()
    }
}

fn denied(error: EngineError, options: &Options) -> EngineError {
    match error {
        EngineError::Known { code: FailureCode::SourceDenied, message } => EngineError::known(
            FailureCode::SourceDenied,
            format!("{message}. {}", rights::how_to_let_in(options)),
        ),
        other => other,
    }
}

/// About how many bytes the tables of all databases hold, or of the one that `source` names.
pub(super) fn table_bytes(
    client: &Client,
    options: &Options,
    cancel: &Cancel,
) -> Result<u64, EngineError> {
    let which = which(options);
    let sql = format!(
        "SELECT IFNULL(SUM(DATA_LENGTH), 0) FROM information_schema.TABLES \
         WHERE BINARY TABLE_SCHEMA {which}"
    );
    let answer = client.ask(&sql, cancel)?;
    let bytes = answer.first().and_then(|row| row.first()).and_then(|it| it.parse().ok());
    Ok(bytes.unwrap_or(0))
}

/// The databases that are backed up, in the order of their names' bytes.
pub(super) fn databases(
    client: &Client,
    options: &Options,
    cancel: &Cancel,
) -> Result<Vec<String>, EngineError> {
    let which = which(options);
    let sql = format!(
        "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE BINARY SCHEMA_NAME {which}"
    );
    let answer = client.ask(&sql, cancel)?;
    let mut names: Vec<String> = answer.into_iter().flatten().collect();
    names.sort();
    if let (Some(name), true) = (&options.server.database, names.is_empty()) {
        return Err(EngineError::known(
            FailureCode::SourceMissing,
            format!(
                "{} has no database {name:?}, or does not show it: correct source.database, or grant \
                 the right to read it",
                options.shown()
            ),
        ));
    }
    Ok(names)
}

fn which(options: &Options) -> String {
    options.server.database.as_ref().map_or_else(
        || format!("NOT IN {SYSTEM}"),
        |name| format!("= {}", super::client::quoted_text(name)),
    )
}
