//! What a server reports about itself before it is backed up.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use serde_json::Value;

use super::advice::create_account;
use super::client::{Client, Row, quoted_text};
use super::options::Options;
use crate::domain::FailureCode;
use crate::engine::server_source::Tls;
use crate::engine::{EngineError, Result};

/// In the order of [`Facts::parse`]. MySQL knows all of them too.
const QUERIES: &str = "SELECT 'facts', VERSION(), @@version_comment, @@hostname, @@datadir, \
     IFNULL(@@log_bin_basename, ''), CURRENT_USER(), @@lower_case_table_names, @@character_set_server; \
     SHOW GLOBAL STATUS LIKE 'Innodb_checkpoint_age'; SHOW GLOBAL STATUS LIKE 'Uptime'; SHOW SESSION STATUS LIKE 'Ssl_cipher'; SHOW GRANTS";

/// The databases that every server creates itself. Compared with case: `Sys` is a user's database.
const SYSTEM: &str = "('information_schema', 'performance_schema', 'mysql', 'sys')";

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) version: String,
    pub(super) comment: String,
    pub(super) hostname: String,
    pub(super) datadir: PathBuf,
    /// The path of its binary logs without their numbers; empty if it writes none.
    pub(super) binlog: PathBuf,
    /// The account that Coffer is logged in as: `name@host`.
    pub(super) user: String,
    /// How much of its redo log is not in its files yet.
    pub(super) redo_bytes: u64,
    /// How long it has run.
    uptime_s: u64,
    pub(super) grants: Vec<String>,
    /// Empty if the connection is not encrypted.
    pub(super) cipher: String,
    pub(super) lower_case: String,
    pub(super) charset: String,
}

/// Space for what the server writes during the copy, and for preparing it.
const EXTRA_SPACE: u64 = 16 << 20;

/// Times in whole seconds may differ by so much although nothing happened.
const INACCURACY_S: u64 = 2;

impl Facts {
    /// How much space a physical copy of so many bytes needs while it is prepared.
    pub(super) const fn staging_bytes(&self, bytes: u64) -> u64 {
        bytes.saturating_add(self.redo_bytes).saturating_add(EXTRA_SPACE)
    }

    /// Asks the server. If it denies access, the error says how to create an account.
    pub(super) fn query(client: &Client, options: &Options) -> Result<Self> {
        let answer = client.query(QUERIES).map_err(|error| with_account_advice(error, options))?;
        let facts = Self::parse(&answer).ok_or_else(|| {
            EngineError::known(
                FailureCode::SourceInvalid,
                format!("{} does not answer like MariaDB or MySQL", options.shown()),
            )
        })?;
        facts.require_encryption(options)?;
        Ok(facts)
    }

    /// MariaDB's tools continue without encryption if the server has none, unless they verify its certificate.
    fn require_encryption(&self, options: &Options) -> Result<()> {
        if !self.cipher.is_empty() || matches!(options.server.tls, Tls::Off | Tls::Prefer) {
            return Ok(());
        }
        Err(EngineError::known(
            FailureCode::SourceDenied,
            format!(
                "{} does not encrypt the connection, as source.tls demands: set ssl_cert and ssl_key there, or \
                 change source.tls",
                options.shown()
            ),
        ))
    }

    /// Whether the server answers and was not started again since these facts were `asked`.
    pub(super) fn are_of_same_start(&self, client: &Client, asked: Instant) -> Result<bool> {
        let answer = client.query("SHOW GLOBAL STATUS LIKE 'Uptime'")?;
        let uptime_s = answer.first().and_then(|row| row.get(1)?.parse::<u64>().ok());
        let expected = self.uptime_s.saturating_add(asked.elapsed().as_secs());
        Ok(uptime_s.is_none_or(|it| it.saturating_add(INACCURACY_S) >= expected))
    }

    fn parse(answer: &[Row]) -> Option<Self> {
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
                [name, value] if name == "Uptime" => found.uptime_s = value.parse().unwrap_or(0),
                [name, value] if name == "Ssl_cipher" => found.cipher.clone_from(value),
                [grant] if grant.starts_with("GRANT ") => found.grants.push(grant.clone()),
                _ => {}
            }
        }
        Some(found)
    }

    /// Whether its names of tables are in small letters, however statements write them.
    pub(super) fn ignores_case(&self) -> bool {
        self.lower_case != "0"
    }

    pub(super) fn is_mariadb(&self) -> bool {
        self.version.contains("MariaDB") || self.comment.contains("MariaDB")
    }

    pub(super) fn for_manifest(&self) -> BTreeMap<String, Value> {
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

fn with_account_advice(error: EngineError, options: &Options) -> EngineError {
    match error {
        EngineError::Known { code: FailureCode::SourceDenied, message } => EngineError::known(
            FailureCode::SourceDenied,
            format!("{message}. {}", create_account(options)),
        ),
        other => other,
    }
}

/// The condition that no row of `information_schema.TABLES` is of a table for whose size the server asks another server,
/// which may not answer. It looks at the condition before it opens a table, since that is about names only.
pub(super) fn near(client: &Client, options: &Options) -> Result<String> {
    const NAME: &str = "CONCAT(TABLE_SCHEMA, '/', TABLE_NAME)";
    let condition = condition("TABLE_SCHEMA", options);
    let rows = client.query(&format!(
        "SELECT {NAME} FROM information_schema.TABLES WHERE {condition} AND ENGINE = 'FEDERATED'"
    ))?;
    let far: Vec<String> = rows.into_iter().flatten().map(|name| quoted_text(&name)).collect();
    if far.is_empty() {
        return Ok("TRUE".to_owned());
    }
    Ok(format!("{NAME} NOT IN ({})", far.join(", ")))
}

/// The approximate size of the tables in the databases that are backed up.
pub(super) fn table_bytes(client: &Client, options: &Options) -> Result<u64> {
    let (condition, near) = (condition("TABLE_SCHEMA", options), near(client, options)?);
    let sql = format!(
        "SELECT IFNULL(SUM(DATA_LENGTH), 0) FROM information_schema.TABLES WHERE {condition} AND {near}"
    );
    let answer = client.query(&sql)?;
    let bytes = answer.first().and_then(|row| row.first()).and_then(|it| it.parse().ok());
    Ok(bytes.unwrap_or(0))
}

pub(super) fn databases(client: &Client, options: &Options) -> Result<Vec<String>> {
    let condition = condition("SCHEMA_NAME", options);
    let sql = format!("SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE {condition}");
    let answer = client.query(&sql)?;
    let mut names: Vec<String> = answer.into_iter().flatten().collect();
    names.sort();
    if let (Some(name), true) = (&options.server.database, names.is_empty()) {
        return Err(EngineError::known(
            FailureCode::SourceMissing,
            format!(
                "{} has no database {name:?} that this account can see: correct source.database, or grant \
                 the right to read it",
                options.shown()
            ),
        ));
    }
    Ok(names)
}

/// That `column` names a database which is backed up. `lost+found` and other folders in the data directory are shown as
/// databases too, with a prefix.
pub(super) fn condition(column: &str, options: &Options) -> String {
    match &options.server.database {
        Some(name) => format!("BINARY {column} = {}", quoted_text(name)),
        None => format!("BINARY {column} NOT IN {SYSTEM} AND {column} NOT LIKE '#mysql50#%'"),
    }
}
