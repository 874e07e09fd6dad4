//! Dumps loaded into a running server: only databases that it does not have yet.

use super::client::{Client, quoted_name, quoted_text};
use super::dumps::{Dumps, making};
use super::facts::Facts;
use super::fault;
use super::options::Options;
use crate::domain::{Cancel, FailureCode};
use crate::engine::{EngineError, Placed, Staged};

/// Dumps that have come whole, and a server that has none of their databases.
#[derive(Debug)]
pub(super) struct IntoServer {
    options: Options,
    client: Client,
    dumps: Dumps,
    cancel: Cancel,
}

impl IntoServer {
    /// Looks whether the server has one of the databases already.
    pub(super) fn prepare(
        options: Options,
        dumps: Dumps,
        cancel: Cancel,
    ) -> Result<Self, EngineError> {
        let client = Client::of(&options, &cancel)?;
        Facts::ask(&client, &options, &cancel)?;
        let it = Self { options, client, dumps, cancel };
        it.none_is_there()?;
        Ok(it)
    }

    fn none_is_there(&self) -> Result<(), EngineError> {
        let names: Vec<String> = self.dumps.names().into_iter().map(quoted_text).collect();
        if names.is_empty() {
            return Err(EngineError::archive("there is no database in the archive"));
        }
        let sql = format!(
            "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE BINARY SCHEMA_NAME IN ({})",
            names.join(", ")
        );
        let there: Vec<String> =
            self.client.ask(&sql, &self.cancel)?.into_iter().flatten().collect();
        if there.is_empty() {
            return Ok(());
        }
        Err(EngineError::known(
            FailureCode::TargetOccupied,
            format!(
                "{} has {} already, and a restore never replaces anything: drop or rename what is there, or \
                 restore to a path",
                self.options.shown(),
                there.join(", ")
            ),
        ))
    }

    /// Makes each database and loads its dump. `made`: those that exist because of this restore.
    fn load(&self, made: &mut Vec<String>) -> Result<(), EngineError> {
        let shown = self.options.shown();
        for dump in self.dumps.databases() {
            let (name, mut file) = dump?;
            let what = format!("loading {name:?} into {shown}");
            self.client
                .work(&making(&mut file)?, &self.cancel)
                .map_err(|error| refused(fault::explain(error, &what), name))?;
            made.push(name.to_owned());
            self.client.run(file, &self.cancel).map_err(|error| fault::explain(error, &what))?;
        }
        Ok(())
    }

    /// Takes away what a failed restore made. Says what is left, if that fails too.
    fn undo(&self, made: &[String]) -> Option<String> {
        let cancel = Cancel::default();
        let drops = made.iter().map(|name| format!("DROP DATABASE {};", quoted_name(name)));
        let failed: Vec<String> =
            drops.filter(|sql| self.client.work(sql, &cancel).is_err()).collect();
        (!failed.is_empty()).then(|| failed.join(" "))
    }
}

/// Somebody else made the database in the meantime, or whoever restores may not make any.
fn refused(error: EngineError, name: &str) -> EngineError {
    match error {
        EngineError::Known { message, .. } if message.contains("database exists") => {
            EngineError::known(
                FailureCode::TargetOccupied,
                format!("{message}; {name:?} was made while this restore ran"),
            )
        }
        EngineError::Known { code: FailureCode::SourceDenied, message } => EngineError::known(
            FailureCode::TargetDenied,
            format!(
                "{message}; the account needs the right to make databases and all that is in them"
            ),
        ),
        other => other,
    }
}

impl Staged for IntoServer {
    fn check(&self) -> Option<&str> {
        None
    }

    fn place(self: Box<Self>) -> Result<Placed, EngineError> {
        self.none_is_there()?;
        let mut made = Vec::new();
        if let Err(error) = self.load(&mut made) {
            return Err(match (self.undo(&made), error) {
                (Some(left), EngineError::Known { code, message }) => EngineError::known(
                    code,
                    format!(
                        "{message}; what it had made could not be taken away again, do so: {left}"
                    ),
                ),
                (_, error) => error,
            });
        }
        let names = self.dumps.names().join(", ");
        Ok(Placed::In(format!(
            "{}: {names}. Accounts are as they were; those of the backup are in the archive's accounts.sql",
            self.options.shown()
        )))
    }
}
