//! Using a restored cluster: started by its own server, checked by `pg_amcheck`, every table read twice.

use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::Value;

use super::cluster::{Cluster, DATA_FOLDER, TABLESPACES};
use super::count;
use super::options::tools_of;
use super::private::{Plan, Private, blamed};
use super::toolbox::Toolbox;
use crate::domain::{Cancel, FailureCode};
use crate::engine::tool::Tool;
use crate::engine::{DrillOrder, DrillReport, EngineError};

/// Since which version PostgreSQL has `pg_amcheck`.
const HAS_AMCHECK: u32 = 14;

/// How much of what `pg_amcheck` found is shown, in lines.
const SHOWN: usize = 6;

/// Starts a server on what was restored and reads all of it.
pub(super) fn drill(order: &DrillOrder<'_>) -> Result<DrillReport, EngineError> {
    let cluster = Cluster::read(order.restored)?;
    let toolbox = Toolbox::new(tools_of(order.source));
    let data = order.restored.join(DATA_FOLDER);
    // Before anything is changed: it may be that there is nothing to start it with.
    toolbox.server("postgres", cluster.major)?;
    on_its_own(order.restored, &data, &cluster)?;
    let plan = Plan {
        data: &data,
        major: cluster.major,
        role: &cluster.bootstrap_role,
        scratch: order.scratch,
    };
    let private = Private::start(&plan, &toolbox, order.cancel)?;
    let report = look_through(&private, &toolbox, &cluster, order.cancel);
    let report = report.map_err(|error| match error {
        // What the server or a tool said that had to do with its data.
        EngineError::Known { code: FailureCode::Tool, .. } => private.explain(error),
        other => other,
    })?;
    private.stop()?;
    Ok(report)
}

/// Takes away what ties a data directory to the server it was copied from: its settings, its primary, its
/// tablespaces' places.
fn on_its_own(restored: &Path, data: &Path, cluster: &Cluster) -> Result<(), EngineError> {
    for name in ["standby.signal", "recovery.signal", "postgresql.auto.conf", "postmaster.pid"] {
        let path = data.join(name);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(EngineError::target("removing", &path, error));
            }
            Ok(()) | Err(_) => {}
        }
    }
    let home = std::path::absolute(restored)
        .map_err(|error| EngineError::target("looking at", restored, error))?;
    for oid in &cluster.tablespaces {
        let oid = oid.to_string();
        let link = data.join("pg_tblspc").join(&oid);
        std::fs::remove_file(&link)
            .and_then(|()| symlink(home.join(TABLESPACES).join(&oid), &link))
            .map_err(|error| {
                EngineError::archive(format!("the tablespace {}: {error}", link.display()))
            })?;
    }
    Ok(())
}

fn look_through(
    private: &Private,
    toolbox: &Toolbox,
    cluster: &Cluster,
    cancel: &Cancel,
) -> Result<DrillReport, EngineError> {
    let login = &private.login;
    let version = login.ask(
        toolbox,
        "SELECT json_build_object('version', current_setting('server_version'), 'databases', \
         (SELECT json_agg(datname ORDER BY datname) FROM pg_database \
         WHERE datallowconn AND datconnlimit <> -2))",
        cancel,
    )?;
    let text = version.get("version").and_then(Value::as_str).unwrap_or_default();
    let mut report = DrillReport {
        version: text.split_whitespace().next().unwrap_or_default().to_owned(),
        ..DrillReport::default()
    };
    let mut checks = Vec::new();
    if cluster.major >= HAS_AMCHECK && amcheck(private, toolbox, cluster.major, cancel)? {
        checks.push("pg_amcheck --heapallindexed --parent-check");
    }
    let databases = version.get("databases").and_then(Value::as_array);
    for name in databases.map(Vec::as_slice).unwrap_or_default().iter().filter_map(Value::as_str) {
        count::tables(&login.in_database(name), toolbox, name, &mut report, cancel)?;
    }
    checks.push("rows by table and by index");
    report.check = checks.join(", ");
    Ok(report)
}

/// PostgreSQL's check of every table and B-tree. Says whether it could be made: the extension is a part of
/// the server's package on Debian, but not everywhere.
fn amcheck(
    private: &Private,
    toolbox: &Toolbox,
    major: u32,
    cancel: &Cancel,
) -> Result<bool, EngineError> {
    let there = private.login.ask(
        toolbox,
        "SELECT to_json(EXISTS (SELECT FROM pg_available_extensions WHERE name = 'amcheck'))",
        cancel,
    )?;
    let Ok(program) = toolbox.client("pg_amcheck", major) else { return Ok(false) };
    if there != Value::Bool(true) {
        return Ok(false);
    }
    let tool = private.login.dress(Tool::new(&program)).args([
        "--all",
        "--maintenance-db=template1",
        "--install-missing",
        "--heapallindexed",
        "--parent-check",
        "--no-password",
    ]);
    let mut stream = tool.stream(cancel)?;
    let mut found = Vec::new();
    let read = stream.read_up_to(1 << 20, &mut found);
    // What is behind that is as bad, and its writer must get rid of it.
    let read = read.and_then(|()| {
        std::io::copy(&mut stream, &mut std::io::sink()).map(drop).unwrap_or_default();
        stream.finish()
    });
    let found = String::from_utf8_lossy(&found);
    let lines: Vec<&str> = found.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    match read {
        Ok(()) => Ok(true),
        Err(_) if !lines.is_empty() => Err(blamed(&format!(
            "pg_amcheck found: {}",
            lines.get(..SHOWN.min(lines.len())).unwrap_or_default().join(" ")
        ))),
        Err(error) => Err(error.into()),
    }
}
