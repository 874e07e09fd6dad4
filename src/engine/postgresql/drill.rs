//! Drills: a server started on the restored cluster, `pg_amcheck`, and every table read.

use std::os::unix::fs::symlink;
use std::path::Path;

use serde::Deserialize;

use super::cluster::{Cluster, DATA_FOLDER, TABLESPACES};
use super::private_server::{Launch, PrivateServer};
use super::programs::Programs;
use super::row_counts;
use super::second_try;
use super::verdict::{damaged, is_damage};
use crate::domain::FailureCode;
use crate::engine::tool::ToolError;
use crate::engine::{DrillReport, DrillRequest, EngineError, Result};

/// The first version that has `pg_amcheck`.
const HAS_AMCHECK: u32 = 14;

/// With what `pg_amcheck` ends if it ran to its end and found something.
const FOUND: i32 = 2;

/// The SQLSTATE of an index that is not in order.
const INDEX_CORRUPTED: &str = "XX002";

/// How many findings of `pg_amcheck` a message shows.
const MAX_FINDINGS: usize = 3;

/// Opens every database, so that all are checked.
const OPEN: &str = "UPDATE pg_catalog.pg_database SET datallowconn = true
    WHERE NOT datallowconn AND datname <> 'template0'";

/// Run in each database before anything is checked: what the user's own triggers and open transactions forbid or hold
/// locked must not decide the verdict.
const PREPARE: &str = "SELECT format('ROLLBACK PREPARED %L', gid) FROM pg_catalog.pg_prepared_xacts
    WHERE database = current_database() \\gexec
UPDATE pg_catalog.pg_event_trigger SET evtenabled = 'D';
SELECT 'ALTER EXTENSION amcheck UPDATE' FROM pg_catalog.pg_extension WHERE extname = 'amcheck' \\gexec
";

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

pub(super) fn drill(request: &DrillRequest<'_>) -> Result<DrillReport> {
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
fn detach(restored: &Path, data: &Path, cluster: &Cluster) -> Result<()> {
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
                let message = format!(
                    "making the link to a tablespace, {}: {error}; this stopped the drill, and shows no damage",
                    link.display()
                );
                EngineError::known(FailureCode::Tool, message)
            })?;
    }
    Ok(())
}

fn examine(server: &PrivateServer, cluster: &Cluster) -> Result<DrillReport> {
    server.client.execute(OPEN)?;
    let contents: Contents = server.client.query(QUERY)?;
    let mut report = DrillReport {
        version: contents.version.split_whitespace().next().unwrap_or_default().to_owned(),
        ..DrillReport::default()
    };
    for name in &contents.databases {
        let psql = server.client.in_database(name).psql()?.args(["-f", "-"]);
        psql.stdin_bytes(PREPARE.as_bytes())?.run(&server.client.cancel)?;
    }
    let mut checks = Vec::new();
    if contents.amcheck && cluster.major >= HAS_AMCHECK {
        checks.extend(amcheck(server, &contents.databases, cluster.major)?);
    }
    for name in &contents.databases {
        // To read a table, the server may call functions of its indexes, which find by this path what they use.
        let client = second_try::with_own_path(&server.client.in_database(name))?;
        row_counts::tables(&client, name, &mut report)?;
    }
    checks.push("rows by table and by index".to_owned());
    report.check = checks.join(", ");
    Ok(report)
}

/// Runs PostgreSQL's check of every table and B-tree, and returns what was checked. Nothing if the tool is not
/// installed; on Debian, it is part of the server's package.
fn amcheck(server: &PrivateServer, databases: &[String], major: u32) -> Result<Option<String>> {
    let Ok(tool) = server.client.tool("pg_amcheck", major) else { return Ok(None) };
    let tool = tool.args([
        "--all",
        "--install-missing",
        "--heapallindexed",
        "--parent-check",
        "--no-password",
        // With the SQLSTATE of each error.
        "--verbose",
    ]);
    let tool = tool.option("--maintenance-db=", server.client.login.connection_string());
    let mut stream = tool.stream(&server.client.cancel)?;
    let mut output = Vec::new();
    let ended = stream.read_up_to(1 << 20, &mut output).and_then(|()| {
        // The tool waits until somebody reads the rest.
        std::io::copy(&mut stream, &mut std::io::sink()).map(drop).unwrap_or_default();
        stream.finish()
    });
    let (damage, unchecked): (Vec<_>, Vec<_>) =
        findings(&String::from_utf8_lossy(&output)).into_iter().partition(|it| is_damage(&it.said));
    if !damage.is_empty() {
        let order = damage.iter().all(|it| it.said.contains(INDEX_CORRUPTED));
        if order && sorts_differently(server, databases, major)? {
            return Err(EngineError::known(
                FailureCode::Tool,
                format!(
                    "this machine's collations have other versions than the server's, and sort text in another \
                     order, so its indexes cannot be checked here: {}",
                    listed(&damage)
                ),
            ));
        }
        return Err(damaged(&format!("pg_amcheck found: {}", listed(&damage))));
    }
    match ended {
        Err(ToolError::Failed { status, .. })
            if status.code() == Some(FOUND) && !unchecked.is_empty() => {}
        ended => ended?,
    }
    let checked = "pg_amcheck --heapallindexed --parent-check";
    Ok(Some(match unchecked.len() {
        0 => checked.to_owned(),
        _ => format!("{checked} (which could not check {})", listed(&unchecked)),
    }))
}

/// Whether a collation has another version here than when an index was sorted by it.
fn sorts_differently(server: &PrivateServer, databases: &[String], major: u32) -> Result<bool> {
    let of_database = if major >= 15 {
        " OR EXISTS (SELECT FROM pg_database WHERE datname = current_database()
            AND datcollversion <> pg_database_collation_actual_version(oid))"
    } else {
        ""
    };
    let query = format!(
        "SELECT to_json(EXISTS (SELECT FROM pg_collation \
         WHERE collversion <> pg_collation_actual_version(oid)){of_database})"
    );
    for name in databases {
        if server.client.in_database(name).query(&query)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What `pg_amcheck` says of a table or an index.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    what: String,
    said: String,
}

/// The findings in the tool's output: the name of a table or index, and what is wrong with it on indented lines.
fn findings(output: &str) -> Vec<Finding> {
    let mut found: Vec<Finding> = Vec::new();
    for line in output.lines().filter(|line| !line.trim().is_empty()) {
        match found.last_mut() {
            Some(finding) if line.starts_with(' ') => {
                finding.said.push_str(line.trim());
                finding.said.push(' ');
            }
            _ if line.starts_with("heap table ") || line.starts_with("btree index ") => {
                let what = line.trim_end_matches(':').to_owned();
                found.push(Finding { what, said: String::new() });
            }
            _ => {}
        }
    }
    found
}

fn listed(findings: &[Finding]) -> String {
    let shown = findings.iter().take(MAX_FINDINGS).map(|Finding { what, said }| {
        let said = said.split_once(" LOCATION:").map_or(said.as_str(), |(said, _)| said);
        format!("{what}: {}", said.trim_start_matches("ERROR:").trim())
    });
    let more = match findings.len().saturating_sub(MAX_FINDINGS) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    shown.collect::<Vec<_>>().join("; ") + &more
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_findings_of_amcheck_are_read_from_its_output() {
        let found = findings(
            "heap table \"a.b.c\", block 1, offset 2:\n    xmin precedes\n\
             btree index \"a.b.i\":\n    ERROR:  XX002: high key\n    LOCATION:  x\n",
        );
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].what, "heap table \"a.b.c\", block 1, offset 2");
        assert_eq!(found[1].said, "ERROR:  XX002: high key LOCATION:  x ");
    }
}
