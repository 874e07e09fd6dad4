//! Drills: a server started on the restored cluster, `pg_amcheck`, and every table read.

use std::os::unix::fs::symlink;
use std::path::Path;

use serde::Deserialize;

use super::cluster::{Cluster, DATA_FOLDER, TABLESPACES};
use super::private_server::{Launch, PrivateServer, blame};
use super::programs::Programs;
use super::row_counts;
use crate::engine::tool::ToolError;
use crate::engine::{DrillReport, DrillRequest, EngineError};

/// The first version that has `pg_amcheck`.
const HAS_AMCHECK: u32 = 14;

/// How many lines of what `pg_amcheck` found a message shows.
const MAX_FINDINGS: usize = 6;

const QUERY: &str = "SELECT json_build_object(
  'version', current_setting('server_version'),
  'amcheck', EXISTS (SELECT FROM pg_available_extensions WHERE name = 'amcheck'),
  'databases', (SELECT json_agg(datname ORDER BY datname) FROM pg_database
                WHERE datallowconn AND datconnlimit <> -2))";

#[derive(Debug, Deserialize)]
struct Contents {
    version: String,
    amcheck: bool,
    databases: Vec<String>,
}

pub(super) fn drill(request: &DrillRequest<'_>) -> Result<DrillReport, EngineError> {
    let cluster = Cluster::read(request.restored)?;
    let programs = Programs::of(request.source);
    let data = request.restored.join(DATA_FOLDER);
    // Before anything is changed: there may be no program to start it with.
    programs.server("postgres", cluster.major)?;
    detach(request.restored, &data, &cluster)?;
    let launch = Launch {
        data: &data,
        major: cluster.major,
        role: &cluster.bootstrap_role,
        scratch: request.scratch,
    };
    let server = PrivateServer::start(&launch, &programs, request.cancel)?;
    let report = examine(&server, &cluster).map_err(|error| server.explain(error))?;
    server.stop()?;
    Ok(report)
}

/// Removes what ties a data directory to the original server: its settings, its primary, and the paths of its
/// tablespaces.
fn detach(restored: &Path, data: &Path, cluster: &Cluster) -> Result<(), EngineError> {
    for name in ["standby.signal", "recovery.signal", "postgresql.auto.conf", "postmaster.pid"] {
        let path = data.join(name);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(EngineError::target("removing", &path, error));
            }
            Ok(()) | Err(_) => {}
        }
    }
    let restored = std::path::absolute(restored)
        .map_err(|error| EngineError::target("resolving", restored, error))?;
    for oid in &cluster.tablespaces {
        let oid = oid.to_string();
        let link = data.join("pg_tblspc").join(&oid);
        std::fs::remove_file(&link)
            .and_then(|()| symlink(restored.join(TABLESPACES).join(&oid), &link))
            .map_err(|error| {
                EngineError::archive(format!("the tablespace {}: {error}", link.display()))
            })?;
    }
    Ok(())
}

fn examine(server: &PrivateServer, cluster: &Cluster) -> Result<DrillReport, EngineError> {
    let contents: Contents = serde_json::from_value(server.client.query(QUERY)?)
        .map_err(|error| ToolError::answer("the server", &error))?;
    let mut report = DrillReport {
        version: contents.version.split_whitespace().next().unwrap_or_default().to_owned(),
        ..DrillReport::default()
    };
    let mut checks = Vec::new();
    if contents.amcheck && cluster.major >= HAS_AMCHECK && amcheck(server, cluster.major)? {
        checks.push("pg_amcheck --heapallindexed --parent-check");
    }
    for name in &contents.databases {
        row_counts::tables(&server.client.in_database(name), name, &mut report)?;
    }
    checks.push("rows by table and by index");
    report.check = checks.join(", ");
    Ok(report)
}

/// Runs PostgreSQL's check of every table and B-tree. False if the tool is not installed; on Debian, it is part
/// of the server's package.
fn amcheck(server: &PrivateServer, major: u32) -> Result<bool, EngineError> {
    let Ok(tool) = server.client.tool("pg_amcheck", major) else { return Ok(false) };
    let tool = tool.args([
        "--all",
        "--maintenance-db=template1",
        "--install-missing",
        "--heapallindexed",
        "--parent-check",
        "--no-password",
    ]);
    let mut stream = tool.stream(&server.client.cancel)?;
    let mut output = Vec::new();
    let ended = stream.read_up_to(1 << 20, &mut output).and_then(|()| {
        // The tool waits until somebody reads the rest.
        std::io::copy(&mut stream, &mut std::io::sink()).map(drop).unwrap_or_default();
        stream.finish()
    });
    let output = String::from_utf8_lossy(&output);
    let lines = output.lines().map(str::trim).filter(|line| !line.is_empty());
    let findings: Vec<&str> = lines.take(MAX_FINDINGS).collect();
    match ended {
        Ok(()) => Ok(true),
        Err(ToolError::Failed { .. }) if !findings.is_empty() => {
            Err(blame(&format!("pg_amcheck found: {}", findings.join(" "))))
        }
        Err(error) => Err(error.into()),
    }
}
