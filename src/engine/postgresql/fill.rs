//! Dumps into a server: one of our own on a new data directory, or one that runs.

use std::fs::File;
use std::path::Path;

use serde_json::Value;

use super::cluster::{CLUSTER_FILE, Cluster, DATA_FOLDER, DUMPS, ROLES};
use super::faults;
use super::logical::{check, file_name};
use super::login::{Login, quoted};
use super::private::{Plan, Private};
use super::roles;
use super::toolbox::{Toolbox, version_of};
use crate::domain::{Cancel, CheckLevel, FailureCode};
use crate::engine::EngineError;
use crate::engine::tool::Tool;

/// The database that every new cluster has. Its dump goes into the one that is there.
const ALWAYS_THERE: &str = "postgres";

/// A server that is to be filled.
#[derive(Debug)]
pub(super) struct Filling {
    login: Login,
    toolbox: Toolbox,
    cancel: Cancel,
}

/// Makes a new cluster in `folder` of the dumps that lie there, and removes them.
pub(super) fn new_cluster(
    folder: &Path,
    cluster: &Cluster,
    toolbox: &Toolbox,
    cancel: &Cancel,
) -> Result<(), EngineError> {
    let initdb = toolbox.any_server("initdb", cluster.major)?;
    let major = version_of(&initdb)?;
    let data = folder.join(DATA_FOLDER);
    initialise(&initdb, &data, cluster, cancel)?;
    let plan = Plan { data: &data, major, role: &cluster.bootstrap_role, scratch: folder };
    let private = Private::start(&plan, toolbox, cancel)?;
    let login = private.login.clone();
    let filling = Filling::of(login, toolbox.clone(), cancel.clone());
    filling.fill_new(folder, cluster).map_err(|error| private.unless_alive(error))?;
    private.stop()?;
    let failed = |error| EngineError::target("finishing", folder, error);
    std::fs::remove_dir_all(folder.join(DUMPS)).map_err(failed)?;
    std::fs::remove_file(folder.join(ROLES)).map_err(failed)?;
    let now = Cluster { major, databases: Vec::new(), ..cluster.clone() };
    replace(&folder.join(CLUSTER_FILE), &now.to_json()).map_err(failed)?;
    let opened = File::open(folder).map_err(failed)?;
    rustix::fs::syncfs(&opened).map_err(|error| failed(error.into()))
}

/// `initdb`, as the original was made. It lets nobody in but its owner, whatever the default is.
fn initialise(
    initdb: &Path,
    data: &Path,
    cluster: &Cluster,
    cancel: &Cancel,
) -> Result<(), EngineError> {
    let mut tool = Tool::new(initdb)
        .arg("-D")
        .arg(data)
        .arg(format!("--username={}", cluster.bootstrap_role))
        .arg(format!("--encoding={}", cluster.encoding))
        .arg(format!("--lc-collate={}", cluster.collate))
        .arg(format!("--lc-ctype={}", cluster.ctype))
        .arg(format!("--wal-segsize={}", (cluster.wal_segment_size >> 20).max(1)))
        .args(["--auth-local=peer", "--auth-host=scram-sha-256", "--no-sync"])
        .as_ordinary_user();
    if cluster.data_checksums {
        tool = tool.arg("--data-checksums");
    }
    tool.run(cancel).map_err(|error| {
        error.explain(
            FailureCode::Tool,
            "initdb could not make the new cluster: if a locale is missing, install it",
        )
    })
}

fn replace(path: &Path, content: &[u8]) -> std::io::Result<()> {
    std::io::Write::write_all(
        &mut std::fs::OpenOptions::new().write(true).truncate(true).open(path)?,
        content,
    )
}

impl Filling {
    /// Of the server that `login` leads into.
    pub(super) const fn of(login: Login, toolbox: Toolbox, cancel: Cancel) -> Self {
        Self { login, toolbox, cancel }
    }

    /// Whether `pg_restore` can read the dumps.
    pub(super) fn check(
        &self,
        folder: &Path,
        cluster: &Cluster,
        level: CheckLevel,
    ) -> Result<(), EngineError> {
        let program = self.toolbox.client("pg_restore", cluster.major)?;
        for name in &cluster.databases {
            check(&program, opened(folder, name)?, level, &self.cancel)
                .map_err(|error| EngineError::archive(error.to_string()))?;
        }
        Ok(())
    }

    /// Says no if a database of the dumps is in the server already.
    pub(super) fn refuse_occupied(
        &self,
        folder: &Path,
        cluster: &Cluster,
    ) -> Result<(), EngineError> {
        let there = self.names("SELECT json_agg(datname) FROM pg_database")?;
        for name in &cluster.databases {
            if there.contains(name) && !self.is_left_out(folder, cluster, name)? {
                return Err(EngineError::known(
                    FailureCode::TargetOccupied,
                    format!(
                        "the server already has a database {name:?}, and a restore never replaces \
                         anything: rename it, or restore to a path"
                    ),
                ));
            }
        }
        Ok(())
    }

    /// Fills a new cluster.
    fn fill_new(&self, folder: &Path, cluster: &Cluster) -> Result<(), EngineError> {
        self.make_roles(folder, true)?;
        for name in &cluster.databases {
            self.database(folder, cluster, name, name != ALWAYS_THERE)?;
        }
        Ok(())
    }

    /// Fills a running server with what is not there yet, or leaves it as it was. The names of the databases.
    pub(super) fn fill_server(
        &self,
        folder: &Path,
        cluster: &Cluster,
    ) -> Result<Vec<String>, EngineError> {
        self.refuse_occupied(folder, cluster)?;
        let there = self.names("SELECT json_agg(datname) FROM pg_database")?;
        let roles = self.make_roles(folder, false)?;
        let mut made: Vec<String> = Vec::new();
        for name in cluster.databases.iter().filter(|name| !there.contains(name)) {
            made.push(name.clone());
            if let Err(error) = self.database(folder, cluster, name, true) {
                self.undo(&made, &roles);
                return Err(error);
            }
        }
        Ok(made)
    }

    /// Takes back what this restore made.
    fn undo(&self, databases: &[String], roles: &[String]) {
        // Also after the job was cancelled.
        let go = Cancel::default();
        let drops =
            databases.iter().map(|name| format!("DROP DATABASE IF EXISTS {}", quoted(name)));
        for sql in drops.chain(roles.iter().map(|role| format!("DROP ROLE IF EXISTS {role}"))) {
            if let Err(error) = self.login.tell(&self.toolbox, &sql, &go) {
                log::warn!("after a restore that failed, {sql} failed too: {error}");
            }
        }
    }

    /// The roles that are not there yet, with what belongs to them; their quoted names.
    fn make_roles(&self, folder: &Path, new: bool) -> Result<Vec<String>, EngineError> {
        let path = folder.join(ROLES);
        let text =
            std::fs::read(&path).map_err(|error| EngineError::io("reading", &path, error))?;
        let there = self.names("SELECT json_agg(quote_ident(rolname)) FROM pg_roles")?;
        let script = roles::without(&text, &there, new);
        let mut file = tempfile::tempfile_in(folder)
            .map_err(|error| EngineError::target("writing in", folder, error))?;
        std::io::Write::write_all(&mut file, &roles::sent_as_it_is(&script.text))
            .and_then(|()| std::io::Seek::rewind(&mut file))
            .map_err(|error| EngineError::target("writing in", folder, error))?;
        let psql = self.login.psql(&self.toolbox)?.args(["-f", "-"]).arg("-1").input(file);
        psql.run(&self.cancel)
            .map_err(|error| refused(faults::sorted(error.into(), &self.login)))?;
        Ok(script.made)
    }

    fn database(
        &self,
        folder: &Path,
        cluster: &Cluster,
        name: &str,
        create: bool,
    ) -> Result<(), EngineError> {
        let program = self.toolbox.client("pg_restore", cluster.major)?;
        let login = if create { self.login.clone() } else { self.login.in_database(name) };
        let tool = login
            .dress(Tool::new(&program))
            .args(["--exit-on-error", "--no-password", "--no-tablespaces"])
            .arg(format!("--dbname={}", login.connection()))
            .input(opened(folder, name)?);
        let tool = if create { tool.arg("--create") } else { tool };
        tool.run(&self.cancel).map_err(|error| refused(faults::sorted(error.into(), &login)))
    }

    /// Whether it is the database that every server has, with nothing in its dump.
    fn is_left_out(
        &self,
        folder: &Path,
        cluster: &Cluster,
        name: &str,
    ) -> Result<bool, EngineError> {
        if name != ALWAYS_THERE {
            return Ok(false);
        }
        let program = self.toolbox.client("pg_restore", cluster.major)?;
        let list = Tool::new(&program).arg("--list").input(opened(folder, name)?);
        let list = list.output(&self.cancel)?;
        Ok(list.split(|byte| *byte == b'\n').all(|line| line.is_empty() || line.starts_with(b";")))
    }

    fn names(&self, sql: &str) -> Result<Vec<String>, EngineError> {
        let answer: Value = self.login.ask(&self.toolbox, sql, &self.cancel)?;
        let names = answer.as_array().map(Vec::as_slice).unwrap_or_default();
        Ok(names.iter().filter_map(Value::as_str).map(str::to_owned).collect())
    }
}

/// What a source denies is denied by the target here.
fn refused(error: EngineError) -> EngineError {
    match error {
        EngineError::Known { code: FailureCode::SourceDenied, message } => {
            EngineError::known(FailureCode::TargetDenied, message)
        }
        other => other,
    }
}

/// The dump of a database.
fn opened(folder: &Path, database: &str) -> Result<File, EngineError> {
    let path = folder.join(DUMPS).join(file_name(database));
    File::open(&path).map_err(|error| {
        EngineError::archive(format!("the dump {} cannot be read: {error}", path.display()))
    })
}
