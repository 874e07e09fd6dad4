//! The sources, tried with the rights of the server that runs, as its backups will. Root reads, and writes beside a database, what
//! the server's user may not; and a database server may know that user and not root.

use std::fs::File;
use std::path;
use std::process::Stdio;

use serde::Deserialize;

use crate::config::Config;

use super::finding::{Finding, Level};
use super::service_view::ServiceView;

/// The part of a report that is read again.
#[derive(Debug, Deserialize)]
struct Report {
    findings: Vec<Finding>,
}

/// What this program finds of the sources as the server's user; `None` where it cannot be run as that user, or where the
/// server has the rights of this one.
pub(super) fn findings(
    service: &ServiceView,
    config: &Config,
    verbose: bool,
) -> Option<Vec<Finding>> {
    let mut command = service.command()?;
    // That user need not reach the program by its path, and may run it all the same.
    let program = File::open("/proc/self/exe").ok()?;
    command.args(["/proc/self/fd/0", "doctor", "--json", "--sources"]);
    if verbose {
        command.arg("--verbose");
    }
    if let Some(file) = &config.file {
        command.arg("--config").arg(path::absolute(file).ok()?);
    }
    let output = command.stdin(program).stderr(Stdio::null()).output().ok()?;
    let report: Report = serde_json::from_slice(&output.stdout).ok()?;
    // Whatever it says of the configuration is not about a source: it may not read that file.
    let is_whole = !report.findings.iter().any(is_of_configuration);
    is_whole.then_some(report.findings)
}

fn is_of_configuration(finding: &Finding) -> bool {
    finding.check == "configuration" && finding.level == Level::Problem
}
