//! What the messages of the server and its tools mean, and what to do about them.

use crate::domain::FailureCode;
use crate::engine::EngineError;
use crate::engine::tool::{Rule, find_rule, rules, says_any};

const RULES: &[Rule] = rules! {
    DiskFull: "no space left on device", "errcode: 28", "errno: 28", "disk full" =>
        "make room there and try again";
    Tool:
        "encryption plugin", "encryption key", "cannot be decrypted", "decryption failed", "key_management" =>
        "the tables are encrypted: give the user that runs Coffer the right to read the keys that the server's \
         encryption plugin names, or set method = \"logical\"";
    Internal: "input/output error", "errcode: 5 ", "errno: 5 " => "look for disk errors in the system log";
    SourceDamaged:
        "page corruption detected", "page is corrupted", "is marked as crashed", "incorrect key file",
        "incorrect information in file", "is corrupted", "corrupted page", "try to repair it",
        "checksum mismatch" =>
        "the server's own files are damaged: check them with mariadb-check, and restore an earlier backup";
    SourceDenied:
        "access denied", "command denied", "you need (at least one of)", "is not allowed to connect" => "";
    SourceDenied: "init_connect command failed" =>
        "correct the server's init_connect, or GRANT CONNECTION ADMIN ON *.* to the account, which makes the server \
         pass over it";
    SourceDenied: "you must set password", "password has expired" =>
        "set a new password for the account, and write it to source.password_file";
    SourceInvalid: "max_join_size rows" =>
        "the server's max_join_size forbids to read all rows of a table: run SET GLOBAL sql_big_selects = 1";
    SourceDenied: "ssl connection error", "tls/ssl error", "ssl is required", "certificate verif" =>
        "correct source.tls, source.ca_file, source.cert_file and source.key_file";
    SourceMissing: "unknown database" => "correct source.database, or create it";
    SourceMissing:
        "lost connection", "server has gone away", "server shutdown in progress", "connection was killed" =>
        "the connection was lost: look in the server's log for the reason";
    SourceMissing:
        "can't connect to", "unknown mysql server host", "unknown server host", "unknown host" =>
        "start the server, or correct source.url or source.socket";
    SourceLocked: "lock wait timeout" =>
        "a long statement holds a lock that the backup needs: end it and try again";
    SourceChanged: "alter table or optimize table", "table definition has changed" =>
        "tables were altered while they were copied: try again";
    SourceDenied: "permission denied", "errcode: 13", "errno: 13" =>
        "give the user that runs Coffer the right to read the server's files";
};

/// What the target of a restore says when a database is created.
const CREATE_RULES: &[Rule] = rules! {
    TargetOccupied: "database exists" => "the database was created while this restore ran";
    TargetDenied:
        "access denied", "command denied", "you need (at least one of)", "is not allowed to connect" =>
        "the account needs the right to create databases and everything in them";
};

/// Gives a tool's error its kind and advice. `context` says which server or what was tried.
pub(super) fn classify(error: impl Into<EngineError>, context: &str) -> EngineError {
    classify_by(&[RULES], error.into(), context)
}

/// The same for a failure to create a database at the target of a restore.
pub(super) fn classify_create(error: impl Into<EngineError>, context: &str) -> EngineError {
    classify_by(&[CREATE_RULES, RULES], error.into(), context)
}

fn classify_by(tables: &[&[Rule]], error: EngineError, context: &str) -> EngineError {
    let EngineError::Tool(tool) = error else { return error };
    let rule = tables.iter().find_map(|rules| find_rule(rules, &tool));
    let (code, advice) = rule.map_or((FailureCode::Tool, ""), |rule| (rule.code, rule.advice));
    EngineError::from_tool(&tool.map_output(error_lines), code, context, advice)
}

/// The lines of a tool's output that report errors; all lines if none does.
pub(super) fn error_lines(output: &str) -> String {
    const SIGNS: [&str; 6] = ["error", "fail", "denied", "corrupt", "can't", "cannot"];
    let is_error = |line: &&str| says_any(&line.to_lowercase(), &SIGNS);
    let lines: Vec<&str> = output.lines().filter(is_error).collect();
    if lines.is_empty() { output.to_owned() } else { lines.join("\n") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::FailureCode::{SourceLocked, TargetDenied, TargetOccupied};
    use crate::engine::tool::ToolError;

    #[test]
    fn errors_of_creating_a_database_are_those_of_the_target() {
        for (output, code) in [
            ("ERROR 1007 (HY000): Can't create database 'a'; database exists", TargetOccupied),
            ("ERROR 1044 (42000): Access denied for user 'a'@'b' to database 'c'", TargetDenied),
            ("ERROR 1205 (HY000): Lock wait timeout exceeded", SourceLocked),
        ] {
            let error = classify_create(ToolError::answer("mariadb", output), "loading");
            let failure = error.failure().unwrap();
            assert_eq!(failure.code, code, "{failure}");
            assert!(failure.message.starts_with("loading: "), "{failure}");
        }
    }
}
