//! Using a restored data directory: a server started on it, every table checked and counted.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

use super::Brand;
use super::fault;
use super::options::programs_for;
use super::private_server::{PrivateServer, Running};
use super::tables::{self, Examined, Table};
use crate::domain::FailureCode;
use crate::engine::tool::ToolError;
use crate::engine::{DrillOrder, DrillReport, EngineError, Refused};

/// What a copy says of how its server was set up.
const SETTINGS: &str = "backup-my.cnf";

/// The settings without which a server does not start on the files.
const NEEDED: [&str; 3] = ["innodb_page_size", "innodb_data_file_path", "innodb_undo_tablespaces"];

/// How much of the end of a log is looked at.
const LOG_END: u64 = 256 << 10;

/// How many of its lines a report shows.
const SHOWN: usize = 5;

/// Signs in a server's log that it is not the data's fault that it did not start.
const NOT_THE_DATA: [&str; 8] = [
    "permission denied",
    "cannot allocate memory",
    "unknown variable",
    "unknown option",
    "unsupported redo log format",
    "downgrade",
    "encryption",
    "upgrade",
];

/// Starts a server on `order.restored` and reads all of it.
pub(super) fn drill(brand: Brand, order: &DrillOrder<'_>) -> Result<DrillReport, EngineError> {
    let programs = programs_for(brand, order.source);
    let log = order.scratch.join("server.log");
    let mut more = vec!["--skip-grant-tables".to_owned()];
    more.extend(settings(order.restored));
    let server = PrivateServer {
        server: programs.server()?,
        client: programs.client()?,
        data: order.restored.to_owned(),
        log: log.clone(),
        more,
    };
    let running = server.start(order.cancel).map_err(|error| not_started(error, &log))?;
    let report = examine(&running, order, &log)?;
    running.stop().map_err(|error| not_started(error, &log))?;
    Ok(report)
}

fn examine(
    running: &Running,
    order: &DrillOrder<'_>,
    log: &Path,
) -> Result<DrillReport, EngineError> {
    let ended = |error: ToolError, what: &str| match error {
        ToolError::Cancelled => Refused.into(),
        error if running.servant.has_ended() => {
            damaged(&format!("the server ended over {what}: {}", errors_in(log, &error)))
        }
        error => damaged(&format!("{what}: {}", fault::telling(error.said()))),
    };
    let version = tables::version(&running.client, order.cancel)
        .map_err(|error| ended(error, "its version"))?;
    let mut report = DrillReport {
        version,
        check: "CHECK TABLE EXTENDED, rows counted by table and by index".to_owned(),
        ..DrillReport::default()
    };
    let all = tables::all(&running.client, order.cancel)
        .map_err(|error| ended(error, "the list of tables"))?;
    for table in all {
        if order.cancel.is_cancelled() {
            return Err(Refused.into());
        }
        match table.examine(&running.client, order.cancel) {
            Err(error) => return Err(ended(error, &table.shown())),
            Ok(Examined::Damaged(what)) => {
                return Err(damaged(&format!("{}: {what}", table.shown())));
            }
            Ok(Examined::Rows(rows)) => count(&mut report, &table, rows),
            Ok(Examined::NotHere) => {}
        }
    }
    Ok(report)
}

/// The server's own tables are checked, and not counted among the user's.
fn count(report: &mut DrillReport, table: &Table, rows: u64) {
    if !table.is_system() {
        report.count(table.shown(), rows);
    }
}

fn damaged(what: &str) -> EngineError {
    EngineError::archive(format!("the restored server does not hold up: {what}"))
}

/// The server did not come up, or did not end well.
fn not_started(error: ToolError, log: &Path) -> EngineError {
    if matches!(error, ToolError::Cancelled | ToolError::Start { .. }) {
        return error.into();
    }
    let said = errors_in(log, &error);
    let lower = said.to_lowercase();
    if lower.contains("no space left") || lower.contains("error number 28") {
        return EngineError::known(FailureCode::DiskFull, format!("the drill's server: {said}"));
    }
    if NOT_THE_DATA.iter().any(|sign| lower.contains(sign)) {
        return EngineError::known(
            FailureCode::Tool,
            format!("the drill's server does not start on this machine: {said}"),
        );
    }
    damaged(&said)
}

/// The lines of a server's log that tell of errors; without any, what the program said last.
fn errors_in(log: &Path, error: &ToolError) -> String {
    let mut end = Vec::new();
    let read = File::open(log).and_then(|mut file| {
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(LOG_END)))?;
        file.take(LOG_END).read_to_end(&mut end)
    });
    let text = String::from_utf8_lossy(&end);
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| line.contains("[ERROR]") || line.contains("Assertion"))
        .take(SHOWN)
        .collect();
    if read.is_err() || lines.is_empty() { error.to_string() } else { lines.join("\n") }
}

/// The options that fit the files, as far as a copy says; from an archive, and so only those that are known
/// and name nothing outside of it.
fn settings(restored: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(restored.join(SETTINGS)).unwrap_or_default();
    let plain = |value: &str| {
        value.chars().all(|letter| letter.is_ascii_alphanumeric() || ":;._-".contains(letter))
    };
    text.lines()
        .filter_map(|line| line.split_once('='))
        .filter(|(name, value)| NEEDED.contains(name) && plain(value))
        .map(|(name, value)| format!("--{}={value}", name.replace('_', "-")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_copys_settings_those_that_fit_its_files_are_taken() {
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
