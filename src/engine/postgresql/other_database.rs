//! Loading the dump of a database into one of another name, which is empty.

use std::path::Path;

use tempfile::NamedTempFile;

use super::cluster::Cluster;
use super::dump_loader::{
    DumpLoader, create_otherwise, is_refusal, open_dump, run_restore, use_list, written,
};
use super::refused::RefusedDatabase;
use crate::domain::LeftOut;
use crate::engine::tool::Tool;
use crate::engine::{EngineError, Result};

impl DumpLoader {
    /// Creates a database as a backup's one was, with another name. Returns what of it could not be had here.
    pub(super) fn create_as(
        &self,
        folder: &Path,
        cluster: &Cluster,
        from: &str,
        name: &str,
    ) -> Result<Option<LeftOut>> {
        let program = self.client.programs.client("pg_restore", cluster.major)?;
        let tool = || {
            Ok::<_, EngineError>(
                Tool::new(&program).stdin(open_dump(folder, from)?).arg("--create"),
            )
        };
        let list = tool()?.arg("--list").output(&self.client.cancel)?;
        // `3350; 1262 16404 DATABASE - shop clerk`
        let is_database = |line: &&[u8]| {
            line.split(|byte| *byte == b' ').nth(3).is_some_and(|it| it == b"DATABASE")
        };
        let lines =
            list.split_inclusive(|byte| *byte == b'\n').filter(is_database).collect::<Vec<_>>();
        let list = written(&lines)?;
        let script = use_list(tool()?, &list).args(["--file", "-"]).output(&self.client.cancel)?;
        let script = String::from_utf8_lossy(&script);
        let found = script.lines().find_map(|line| RefusedDatabase::of(line)?.renamed(name));
        let Some(statement) = found else {
            return Err(EngineError::archive(format!(
                "the dump of database {from} does not say how it was made"
            )));
        };
        let made = self.client.execute(&statement);
        let (Err(error), Some(refused)) = (made, RefusedDatabase::of(&statement)) else {
            return Ok(None);
        };
        if !is_refusal(&error) {
            return Err(error);
        }
        let same = create_otherwise(&self.client, name, refused)?;
        Ok((!same)
            .then(|| LeftOut::new(format!("the locale of database {from}"), error.to_string())))
    }

    /// Loads what is in a database into another one, which is empty. There everything belongs to the role that loads it.
    pub(super) fn load_content(
        &self,
        folder: &Path,
        cluster: &Cluster,
        from: &str,
        name: &str,
    ) -> Result<Vec<LeftOut>> {
        let client = self.client.in_database(name);
        let load = |list: Option<&NamedTempFile>| -> Result<Vec<LeftOut>> {
            let tool = client.tool("pg_restore", cluster.major)?;
            let tool = list.into_iter().fold(tool, use_list);
            let tool = tool.args(["--no-password", "--no-tablespaces", "--no-owner"]);
            // Nothing connects from there to another server by itself.
            let tool = tool.args(["--no-privileges", "--no-subscriptions", "--no-publications"]);
            let tool = tool.option("--dbname=", client.login.connection_string());
            let refused =
                self.refused_by(run_restore(tool.stdin(open_dump(folder, from)?), &client)?, from)?;
            Ok(refused.into_iter().map(|it| it.object).collect())
        };
        let triggers = self.event_triggers(folder, cluster, from)?;
        let Some((others, triggers)) = &triggers else { return load(None) };
        let mut refused = load(Some(others))?;
        refused.extend(load(Some(triggers))?);
        Ok(refused)
    }
}
