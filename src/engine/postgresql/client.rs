//! PostgreSQL's client tools, connected to one server.

use std::time::Duration;

use serde::de::DeserializeOwned;

use super::faults::{classify, sqlstate, without_sqlstate};
use super::login::{DEFAULT_DATABASE, Login};
use super::programs::Programs;
use crate::domain::Cancel;
use crate::engine::tool::{Tool, ToolError};
use crate::engine::{EngineError, Result};

/// How long a query about the server may take.
const QUERY_TIMEOUT: Duration = Duration::from_secs(12);

/// The tools, and the server they connect to.
#[derive(Debug, Clone)]
pub(super) struct Client {
    pub(super) login: Login,
    pub(super) programs: Programs,
    pub(super) cancel: Cancel,
}

/// Statements that the server refused.
#[derive(Debug)]
pub(super) struct Refused {
    /// The SQLSTATE.
    pub(super) state: String,
    pub(super) error: EngineError,
}

impl Client {
    pub(super) fn in_database(&self, name: &str) -> Self {
        Self { login: self.login.in_database(name), ..self.clone() }
    }

    /// `psql` for Coffer's own statements: no startup file, bare output, stops at the first error.
    pub(super) fn psql(&self) -> Result<Tool> {
        let tool = self.login.apply_env(Tool::new(&self.programs.psql()?));
        let tool = tool.args(["-X", "-A", "-t", "-q", "-w", "-v", "ON_ERROR_STOP=1"]);
        // An error of a private server is judged by its SQLSTATE.
        let tool = if self.login.private { tool.args(["-v", "VERBOSITY=verbose"]) } else { tool };
        // Whatever encoding the database has, or sets for its sessions.
        Ok(tool.env("PGCLIENTENCODING", "UTF8"))
    }

    /// The client tool `name`, for a server of version `major`.
    pub(super) fn tool(&self, name: &str, major: u32) -> Result<Tool> {
        Ok(self.login.apply_env(Tool::new(&self.programs.client(name, major)?)))
    }

    /// The tool that dumps a server of version `major`.
    pub(super) fn dumper(&self, name: &str, major: u32) -> Result<Tool> {
        Ok(self.login.apply_env(Tool::new(&self.programs.dumper(name, major)?)))
    }

    /// Connects to the default database if its own cannot be reached: it may be the lost one that a restore brings back.
    pub(super) fn in_present_database(self) -> Self {
        let answers = |client: &Self| client.execute("SELECT 1").is_ok();
        if answers(&self) {
            return self;
        }
        let other = self.in_database(DEFAULT_DATABASE);
        if answers(&other) { other } else { self }
    }

    /// Runs a query that returns one JSON value.
    pub(super) fn query<T: DeserializeOwned>(&self, sql: &str) -> Result<T> {
        let psql = self.psql()?.args(["-c", sql]).timeout(QUERY_TIMEOUT);
        let answer = psql.output(&self.cancel).map_err(|error| self.classify(error))?;
        serde_json::from_slice(&answer).map_err(|error| ToolError::answer("psql", &error).into())
    }

    /// Runs a query that returns a JSON list of names, or null.
    pub(super) fn query_names(&self, sql: &str) -> Result<Vec<String>> {
        Ok(self.query::<Option<Vec<String>>>(sql)?.unwrap_or_default())
    }

    pub(super) fn execute(&self, sql: &str) -> Result<()> {
        let psql = self.psql()?.args(["-c", sql]);
        psql.run(&self.cancel).map_err(|error| self.classify(error))
    }

    /// Runs statements that the server may refuse: then with the reason as it names it in every language.
    pub(super) fn attempt(&self, sql: &str) -> Result<Option<Refused>> {
        let psql = self.psql()?.args(["-v", "VERBOSITY=verbose", "-c", sql]);
        let Err(error) = psql.run(&self.cancel) else { return Ok(None) };
        let Some(state) = sqlstate(error.output()).map(str::to_owned) else {
            return Err(self.classify(error));
        };
        let error = error.map_output(|output| without_sqlstate(output, &state));
        Ok(Some(Refused { state, error: self.classify(error) }))
    }

    /// What a tool's error means for this server.
    pub(super) fn classify(&self, error: impl Into<EngineError>) -> EngineError {
        classify(error.into(), &self.login)
    }
}
