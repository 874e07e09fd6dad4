//! Drills: a server started on the restored data directory, every table checked and counted.

use std::path::Path;

use super::Brand;
use super::faults::error_lines;
use super::private_server::PrivateServer;
use super::programs::Programs;
use super::tables::{self, Examined};
use crate::engine::tool::{Rule, ToolError, find_rule, read_end, rules};
use crate::engine::{DrillReport, DrillRequest, EngineError};

/// The settings of the original server, as the copying tool wrote them.
const SETTINGS: &str = "backup-my.cnf";

/// The settings without which a server does not start on the files.
const NEEDED: [&str; 3] = ["innodb_page_size", "innodb_data_file_path", "innodb_undo_tablespaces"];

/// How many bytes at the end of a log are searched for errors, and how many lines a report shows.
const LOG_TAIL: u64 = 256 << 10;
const MAX_LINES: usize = 5;

/// Errors in a server's log that are not the data's fault.
const MACHINE_RULES: &[Rule] = rules! {
    DiskFull: "no space left", "error number 28" => "";
    Tool:
        "permission denied", "cannot allocate memory", "unknown variable", "unknown option",
        "unsupported redo log format", "downgrade", "encryption", "upgrade" =>
        "this machine and not the data is the reason";
};

pub(super) fn drill(brand: Brand, request: &DrillRequest<'_>) -> Result<DrillReport, EngineError> {
    let programs = Programs::of(brand, request.source);
    let log = request.scratch.join("server.log");
    let mut arguments = vec!["--skip-grant-tables".to_owned()];
    arguments.extend(settings(request.restored));
    let server = PrivateServer::start(&programs, request.restored, &log, arguments, request.cancel)
        .map_err(|error| not_running(error, &log))?;
    let report = examine(&server, request, &log)?;
    server.stop().map_err(|error| not_running(error.into(), &log))?;
    Ok(report)
}

fn examine(
    server: &PrivateServer,
    request: &DrillRequest<'_>,
    log: &Path,
) -> Result<DrillReport, EngineError> {
    let failed = |error: ToolError, what: &str| match error {
        ToolError::Cancelled | ToolError::Start { .. } => error.into(),
        error if server.process.has_ended() => {
            damaged(&format!("the server ended over {what}: {}", errors_in(log, &error)))
        }
        error => damaged(&format!("{what}: {}", error_lines(error.output()))),
    };
    let version = tables::version(&server.client).map_err(|error| failed(error, "its version"))?;
    let mut report = DrillReport {
        version,
        check: "CHECK TABLE EXTENDED, rows counted by table and by index".to_owned(),
        ..DrillReport::default()
    };
    let tables =
        tables::list(&server.client).map_err(|error| failed(error, "the list of tables"))?;
    for table in tables {
        if request.cancel.is_cancelled() {
            return Err(EngineError::Cancelled);
        }
        match table.examine(&server.client) {
            Err(error) => return Err(failed(error, &table.shown())),
            Ok(Examined::Damaged(problem)) => {
                return Err(damaged(&format!("{}: {problem}", table.shown())));
            }
            // The server's own tables are checked, but not counted.
            Ok(Examined::Rows(rows)) if !table.is_system() => report.count(table.shown(), rows),
            Ok(Examined::Rows(_) | Examined::Elsewhere) => {}
        }
    }
    Ok(report)
}

fn damaged(problem: &str) -> EngineError {
    EngineError::archive(format!("the restored data is damaged: {problem}"))
}

/// The server did not start, or did not stop in order.
fn not_running(error: EngineError, log: &Path) -> EngineError {
    let error = match error {
        EngineError::Tool(error) if !matches!(error, ToolError::Start { .. }) => error,
        other => return other,
    };
    let errors = errors_in(log, &error);
    let error = error.map_output(|_| errors.clone());
    match find_rule(MACHINE_RULES, &error) {
        Some(rule) => EngineError::from_tool(&error, rule.code, "the drill's server", rule.advice),
        None => damaged(&errors),
    }
}

/// The error lines in a server's log; if there are none, the error itself.
fn errors_in(log: &Path, error: &ToolError) -> String {
    let end = read_end(log, LOG_TAIL).unwrap_or_default();
    let text = String::from_utf8_lossy(&end);
    let is_error = |line: &&str| line.contains("[ERROR]") || line.contains("Assertion");
    let lines: Vec<&str> = text.lines().filter(is_error).take(MAX_LINES).collect();
    if lines.is_empty() { error.to_string() } else { lines.join("\n") }
}

/// The server options that a copy needs. The file comes from an archive, so only known settings are used, and none
/// with a path.
fn settings(restored: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(restored.join(SETTINGS)).unwrap_or_default();
    let is_plain = |value: &str| {
        value.chars().all(|letter| letter.is_ascii_alphanumeric() || ":;._-".contains(letter))
    };
    text.lines()
        .filter_map(|line| line.split_once('='))
        .filter(|(name, value)| NEEDED.contains(name) && is_plain(value))
        .map(|(name, value)| format!("--{}={value}", name.replace('_', "-")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_needed_settings_without_a_path_are_used() {
        let folder = tempfile::tempdir().unwrap();
        #[expect(clippy::disallowed_methods, reason = "a test's own file")]
        std::fs::write(
            folder.path().join(SETTINGS),
            "[mysqld]\ninnodb_page_size=8192\ninnodb_data_file_path=ibdata1:12M:autoextend\n\
             innodb_undo_tablespaces=/etc\nplugin_load=evil.so\n",
        )
        .unwrap();
        assert_eq!(
            settings(folder.path()),
            ["--innodb-page-size=8192", "--innodb-data-file-path=ibdata1:12M:autoextend"]
        );
        assert_eq!(settings(Path::new("/nowhere")), [""; 0]);
    }
}
