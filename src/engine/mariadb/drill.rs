//! Drills: a server started on the restored data directory, every table checked and counted.

use std::path::Path;

use super::Brand;
use super::copied_settings::{has_keys, needed_options};
use super::faults::error_lines;
use super::partition_engine::of_missing_engine;
use super::private_server::PrivateServer;
use super::programs::Programs;
use super::tables::{self, Examined};
use crate::domain::FailureCode;
use crate::engine::tool::{Rule, ToolError, find_rule, read_end, rules, says_any};
use crate::engine::{DrillReport, DrillRequest, EngineError, Result};

/// How many bytes at the end of a log are searched for errors, and how many lines a report shows.
const LOG_TAIL: u64 = 256 << 10;
const MAX_LINES: usize = 5;

/// Errors that say nothing of the data.
const MACHINE_RULES: &[Rule] = rules! {
    DiskFull: "no space left", "error number 28", "errcode: 28" => "";
    Tool:
        "permission denied", "cannot allocate memory", "unknown variable", "unknown option",
        "unsupported redo log format", "incorrect definition of table", "downgrade", "encryption", "decrypt", "upgrade", "lock wait timeout",
        "too many open files", "input/output error", "read-only file system", "interrupted", "not loaded", "can't open shared library" =>
        "this machine and not the data is the reason";
};

/// What a server says of data that is wrong. Whatever else stops a drill is no evidence.
const DAMAGE: [&str; 19] = [
    "corrupt",
    "crashed",
    "checksum",
    "assertion",
    "incorrect",
    "was not found",
    "not exist",
    "doesn't exist",
    "missing",
    "damaged",
    "can't find",
    "cannot find",
    "cannot open",
    "invalid",
    "mismatch",
    "in the future",
    "of a different size",
    "wrong",
    "error number 2.",
];

const NO_KEYS: &str = "the tables are encrypted, and their keys cannot be read here: give the user that runs Coffer \
     the right to read them; nothing is known of the data without them";

pub(super) fn drill(brand: Brand, request: &DrillRequest<'_>) -> Result<DrillReport> {
    let programs = Programs::of(brand, request.source);
    let log = request.scratch.join("server.log");
    let mut arguments = vec!["--skip-grant-tables".to_owned()];
    arguments.extend(needed_options(request.restored));
    let server = PrivateServer::start(&programs, request.restored, &log, arguments, request.cancel)
        .map_err(|error| not_running(error, &log))?;
    let report = examine(&server, request, &log)?;
    server.stop().map_err(|error| not_running(error.into(), &log))?;
    Ok(report)
}

fn examine(server: &PrivateServer, request: &DrillRequest<'_>, log: &Path) -> Result<DrillReport> {
    let failed = |error: ToolError, what: &str| {
        let (context, text) = if server.process.has_ended() {
            (format!("the server ended over {what}"), errors_in(log, &error))
        } else {
            (what.to_owned(), error_lines(error.output()))
        };
        judged(error, &context, &text)
    };
    let version = tables::version(&server.client).map_err(|error| failed(error, "its version"))?;
    if has_keys(request.restored) {
        let sql = "SELECT COUNT(*) FROM information_schema.PLUGINS WHERE PLUGIN_TYPE = 'ENCRYPTION' \
                   AND PLUGIN_STATUS = 'ACTIVE'";
        let active = server.client.execute(sql).map_err(|error| failed(error, "its plugins"))?;
        if active.into_iter().flatten().any(|count| count == "0") {
            return Err(EngineError::known(FailureCode::Tool, NO_KEYS));
        }
    }
    let mut report = DrillReport {
        version,
        check: "CHECK TABLE EXTENDED, rows counted by table and by index".to_owned(),
        ..DrillReport::default()
    };
    let tables =
        tables::list(&server.client).map_err(|error| failed(error, "the list of tables"))?;
    let mut unchecked = Vec::new();
    for table in tables {
        if request.cancel.is_cancelled() {
            return Err(EngineError::Cancelled);
        }
        let examined = table.examine(&server.client).and_then(|examined| match &examined {
            Examined::Damaged(problem) => {
                let other = of_missing_engine(&server.client, request.restored, problem)?;
                Ok(other.unwrap_or(examined))
            }
            _ => Ok(examined),
        });
        match examined {
            Err(error) => return Err(failed(error, &table.shown())),
            Ok(Examined::Damaged(problem)) => {
                return Err(damaged(&format!("{}: {problem}", table.shown())));
            }
            // The server's own tables are checked, but not counted.
            Ok(Examined::Rows(rows)) if !table.is_system() => report.count(table.shown(), rows),
            Ok(Examined::Unchecked(why)) => unchecked.push(format!("{}: {why}", table.shown())),
            Ok(Examined::Rows(_) | Examined::Elsewhere) => {}
        }
    }
    if !unchecked.is_empty() {
        let more = unchecked.len().saturating_sub(MAX_LINES);
        unchecked.truncate(MAX_LINES);
        unchecked.extend((more > 0).then(|| format!("{more} more")));
        report.check = format!("{} (which could not check {})", report.check, unchecked.join("; "));
    }
    Ok(report)
}

fn damaged(problem: &str) -> EngineError {
    EngineError::archive(format!("the restored data is damaged: {problem}"))
}

/// The server did not start, or did not stop in order.
fn not_running(error: EngineError, log: &Path) -> EngineError {
    let EngineError::Tool(error) = error else { return error };
    let text = errors_in(log, &error);
    judged(error, "the drill's server", &text)
}

/// What stopped a drill: damage only if the server's own words say so.
fn judged(error: ToolError, context: &str, text: &str) -> EngineError {
    if matches!(error, ToolError::Cancelled | ToolError::Start { .. }) {
        return error.into();
    }
    let error = error.map_output(|_| text.to_owned());
    let words = text.to_lowercase();
    match find_rule(MACHINE_RULES, &error) {
        Some(rule) => EngineError::from_tool(&error, rule.code, context, rule.advice),
        None if says_any(&words, &DAMAGE) => damaged(&format!("{context}: {text}")),
        None => EngineError::from_tool(
            &error,
            FailureCode::Tool,
            context,
            "the data was not shown to be wrong",
        ),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_words_about_the_data_are_damage() {
        let code = |text: &str| {
            let error = ToolError::answer("mariadbd", text);
            judged(error, "the drill's server", text).failure().unwrap().code
        };
        for text in [
            "[ERROR] InnoDB: Database page corruption on disk",
            "InnoDB: Failing assertion: page_no < 7",
            "InnoDB: The Auto-extending data file './ibdata1' is of a different size 153 pages",
            "[ERROR] InnoDB: Operating system error number 2 in a file operation.\n[ERROR] InnoDB: File ./ibdata1 was not found",
            "ERROR 145 (HY000): Table './a/b' is marked as crashed and should be repaired",
        ] {
            assert_eq!(code(text), FailureCode::ArchiveDamaged, "{text}");
        }
        for text in [
            "mariadbd ended with signal: 9 (SIGKILL)",
            "mariadbd did not end within 600 s",
            "ERROR 1205 (HY000): Lock wait timeout exceeded",
            "[ERROR] mariadbd: unknown variable 'x=1'",
            "[ERROR] Incorrect definition of table mysql.event: expected column 'sql_mode' at position 14",
            "[ERROR] InnoDB: Cannot open './ibdata1': Input/output error",
            "ERROR 2013 (HY000): Lost connection to server during query",
        ] {
            assert_eq!(code(text), FailureCode::Tool, "{text}");
        }
        assert_eq!(code("Error writing: No space left on device"), FailureCode::DiskFull);
    }
}
