//! Dumps loaded into a running server: only databases that it does not have yet.

use super::client::{Client, quoted_name, quoted_text};
use super::dumps::Dumps;
use super::facts::Facts;
use super::faults::classify_create;
use super::nested_views;
use super::options::Options;
use super::script::run_all;
use crate::domain::{Cancel, FailureCode, LeftOut};
use crate::engine::{EngineError, Placed, Result, Staged};

/// Complete dumps, and a server that has none of their databases.
#[derive(Debug)]
pub(super) struct IntoServer {
    shown: String,
    client: Client,
    dumps: Dumps,
}

impl IntoServer {
    /// Fails if the server already has one of the databases.
    pub(super) fn prepare(options: &Options, dumps: Dumps, cancel: &Cancel) -> Result<Self> {
        let client = Client::new(options, cancel)?;
        Facts::query(&client, options)?;
        let load = Self { shown: options.shown(), client, dumps };
        load.require_absent()?;
        Ok(load)
    }

    fn require_absent(&self) -> Result<()> {
        let names: Vec<String> = self.dumps.names().iter().map(|name| quoted_text(name)).collect();
        if names.is_empty() {
            return Err(EngineError::archive("there is no database in the archive"));
        }
        let sql = format!(
            "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE BINARY SCHEMA_NAME IN ({})",
            names.join(", ")
        );
        let existing: Vec<String> = self.client.query(&sql)?.into_iter().flatten().collect();
        if existing.is_empty() {
            return Ok(());
        }
        Err(EngineError::known(
            FailureCode::TargetOccupied,
            format!(
                "{} already has {}, and a restore never replaces anything: drop or rename it, or restore to \
                 a path",
                self.shown,
                existing.join(", ")
            ),
        ))
    }

    /// Creates each database and loads its dump, and then the views of all. `created` gets the databases that exist
    /// because of this. Returns what the server refused.
    fn load(&self, created: &mut Vec<String>) -> Result<Vec<LeftOut>> {
        let context = |name: &str| format!("loading {name:?} into {}", self.shown);
        for name in self.dumps.names() {
            self.client
                .execute(&self.dumps.create_statement(name)?)
                .map_err(|error| classify_create(error, &context(name)))?;
            created.push(name.clone());
        }
        let mut refused = run_all(&self.client, &self.dumps.databases())?;
        refused.extend(nested_views::make(&self.client, &self.dumps.views())?);
        Ok(refused.into_iter().flat_map(|(_, statements)| statements).collect())
    }

    /// Drops what a failed restore created, also after the job was cancelled. Returns the statements that failed.
    fn undo(&mut self, created: &[String]) -> Option<String> {
        self.client.cancel = Cancel::default();
        let drops = created.iter().map(|name| format!("DROP DATABASE {};", quoted_name(name)));
        let failed: Vec<String> = drops.filter(|sql| self.client.execute(sql).is_err()).collect();
        (!failed.is_empty()).then(|| failed.join(" "))
    }
}

impl Staged for IntoServer {
    fn check(&self) -> Option<&str> {
        None
    }

    fn place(mut self: Box<Self>, left_out: &mut Vec<LeftOut>) -> Result<Placed> {
        self.require_absent()?;
        let mut created = Vec::new();
        match self.load(&mut created) {
            Ok(refused) => left_out.extend(refused),
            Err(error) => {
                return Err(match (self.undo(&created), error.failure()) {
                    (Some(left), Some(failure)) => EngineError::known(
                        failure.code,
                        format!(
                            "{error}; what it had created could not be dropped, so run: {left}"
                        ),
                    ),
                    _ => error,
                });
            }
        }
        let names = self.dumps.names().join(", ");
        Ok(Placed::In(format!(
            "{}: {names}. Accounts, plugins and time zones were not changed; those of the backup are in the archive's accounts.sql \
             and server.sql",
            self.shown
        )))
    }
}
