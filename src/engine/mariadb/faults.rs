//! What the messages of the server and its tools mean, and what to do about them.

use crate::domain::FailureCode;
use crate::engine::EngineError;
use crate::engine::tool::{Rule, ToolError, find_rule, rules, says_any};

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

/// Errors of a server by their numbers, and words of the rules that mean them: a server with another `lc_messages` says
/// them in its own language.
const NUMBERS: [(&[u32], &str); 9] = [
    (&[1044, 1045, 1142, 1143, 1227, 1370, 1410, 1698], "access denied"),
    (&[1820, 1862], "password has expired"),
    (&[1104], "max_join_size rows"),
    (&[1049], "unknown database"),
    (&[1007], "database exists"),
    (&[1053], "server shutdown in progress"),
    (&[1927], "connection was killed"),
    (&[1205], "lock wait timeout"),
    (&[1412], "table definition has changed"),
];

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
    let meant = words_of_number(tool.output()).map(|words| ToolError::answer("", words));
    let rule = tables
        .iter()
        .find_map(|rules| find_rule(rules, &tool).or_else(|| find_rule(rules, meant.as_ref()?)));
    let (code, advice) = rule.map_or((FailureCode::Tool, ""), |rule| (rule.code, rule.advice));
    EngineError::from_tool(&tool.map_output(error_lines), code, context, advice)
}

/// `ERROR 1045 (28000): …`, `Got error: 1045: …`, or `Couldn't execute '…': … (1142)`.
fn words_of_number(output: &str) -> Option<&'static str> {
    let has = |number: &u32| {
        let shapes =
            [format!("ERROR {number} ("), format!("error: {number}: "), format!("({number})")];
        shapes.iter().any(|it| output.contains(it))
    };
    NUMBERS.iter().find(|(numbers, _)| numbers.iter().any(has)).map(|(_, words)| *words)
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
    use crate::domain::FailureCode::{
        SourceDenied, SourceLocked, TargetDenied, TargetOccupied, Tool,
    };

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

    #[test]
    fn errors_in_another_language_are_known_by_their_numbers() {
        for (output, code) in [
            ("ERROR 1045 (28000): Zugriff verweigert für Benutzer 'a'@'b'", SourceDenied),
            (
                "mariadb-dump: Got error: 1045: \"Acceso denegado\" when trying to connect",
                SourceDenied,
            ),
            ("mariadb-dump: Couldn't execute 'SHOW X': Befehl abgelehnt (1142)", SourceDenied),
            (
                "ERROR 1205 (HY000): Beim Warten auf eine Sperre wurde das Limit überschritten",
                SourceLocked,
            ),
            ("ERROR 1064 (42000): Fehler in der Syntax bei '1045'", Tool),
        ] {
            let error = classify(ToolError::answer("mariadb", output), "asking");
            assert_eq!(error.failure().unwrap().code, code, "{output}");
        }
    }
}
