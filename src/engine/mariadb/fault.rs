//! What the tools' messages mean.

use crate::domain::FailureCode;
use crate::engine::EngineError;
use crate::engine::tool::ToolError;

/// Texts of the server and its tools, what they mean, and what to do. The first that is found counts.
const MEANINGS: &[(&[&str], FailureCode, &str)] = &[
    (
        &["no space left on device", "errcode: 28", "errno: 28", "disk full"],
        FailureCode::DiskFull,
        "make room there and try again",
    ),
    (
        &[
            "page corruption detected",
            "page is corrupted",
            "is marked as crashed",
            "incorrect key file",
            "incorrect information in file",
            "is corrupted",
            "corrupted page",
            "try to repair it",
            "checksum mismatch",
        ],
        FailureCode::SourceDamaged,
        "the server's own files are damaged: look at them with mariadb-check, and restore an earlier backup",
    ),
    (
        &[
            "access denied",
            "command denied",
            "you need (at least one of)",
            "is not allowed to connect",
        ],
        FailureCode::SourceDenied,
        "",
    ),
    (
        &["ssl connection error", "tls/ssl error", "ssl is required", "certificate verif"],
        FailureCode::SourceDenied,
        "correct source.tls, source.ca_file, source.cert_file and source.key_file",
    ),
    (&["unknown database"], FailureCode::SourceMissing, "correct source.database, or create it"),
    (
        &[
            "lost connection",
            "server has gone away",
            "server shutdown in progress",
            "connection was killed",
        ],
        FailureCode::SourceMissing,
        "the connection was lost in the middle: look in the server's log for why it stopped",
    ),
    (
        &["can't connect to", "unknown mysql server host", "unknown server host", "unknown host"],
        FailureCode::SourceMissing,
        "start the server, or correct source.url or source.socket",
    ),
    (
        &["lock wait timeout"],
        FailureCode::SourceLocked,
        "a long statement holds what the backup needs: end it and try again",
    ),
    (
        &["alter table or optimize table", "table definition has changed"],
        FailureCode::SourceChanged,
        "tables were altered while they were copied: try again",
    ),
    (
        &["permission denied", "errcode: 13", "errno: 13"],
        FailureCode::SourceDenied,
        "give the user that runs Coffer the right to read the server's files",
    ),
];

/// A tool's failure with the server named, in the lines that tell something, and with what to do next.
pub(super) fn explain(error: ToolError, server: &str) -> EngineError {
    let (code, next) = meaning(error.said());
    let told = match &error {
        ToolError::Cancelled | ToolError::Start { .. } => return error.explain(code, next),
        ToolError::Failed { name, status, said } => {
            format!("{name} ended with {status}; it said: {}", telling(said))
        }
        ToolError::Late { name, seconds, said } => {
            format!("{name} did not end within {seconds} s; {}", telling(said))
        }
    };
    let mut message = format!("{server}: {told}");
    if !next.is_empty() {
        message = format!("{message}; {next}");
    }
    EngineError::known(code, message)
}

/// The same for a failure that somebody else has put into words already.
pub(super) fn reconsider(error: EngineError, server: &str) -> EngineError {
    match error {
        EngineError::Known { code: FailureCode::Tool, message } => {
            let (code, next) = meaning(&message);
            let next = if next.is_empty() { String::new() } else { format!("; {next}") };
            EngineError::known(code, format!("{server}: {message}{next}"))
        }
        other => other,
    }
}

/// The kind of a failure, and what to do next.
fn meaning(said: &str) -> (FailureCode, &'static str) {
    let said = said.to_lowercase();
    let found = MEANINGS.iter().find(|(texts, _, _)| texts.iter().any(|text| said.contains(text)));
    found.map_or((FailureCode::Tool, ""), |(_, code, next)| (*code, *next))
}

/// The lines that say what went wrong; all of them if none does.
pub(super) fn telling(said: &str) -> String {
    const SIGNS: [&str; 6] = ["error", "fail", "denied", "corrupt", "can't", "cannot"];
    let told: Vec<&str> = said
        .lines()
        .filter(|line| {
            let line = line.to_lowercase();
            SIGNS.iter().any(|sign| line.contains(sign))
        })
        .collect();
    if told.is_empty() { said.to_owned() } else { told.join("\n") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_server_and_tools_have_their_kinds() {
        for (said, code) in [
            (
                "ERROR 1045 (28000): Access denied for user 'a'@'b' (using password: YES)",
                FailureCode::SourceDenied,
            ),
            (
                "[00] 2026-01-01 00:00:00 Failed to connect to MariaDB server: Access denied for user 'x'",
                FailureCode::SourceDenied,
            ),
            (
                "ERROR 1227 (42000): Access denied; you need (at least one of) the RELOAD privilege(s)",
                FailureCode::SourceDenied,
            ),
            (
                "mariadb-dump: Error 2013: Lost connection to server during query when dumping table `a`",
                FailureCode::SourceMissing,
            ),
            (
                "ERROR 2002 (HY000): Can't connect to local server through socket '/s' (2)",
                FailureCode::SourceMissing,
            ),
            ("ERROR 2005 (HY000): Unknown server host 'db' (-2)", FailureCode::SourceMissing),
            ("ERROR 1049 (42000): Unknown database 'shop'", FailureCode::SourceMissing),
            (
                "[01] Error: Database page corruption detected at page 7, retrying...",
                FailureCode::SourceDamaged,
            ),
            (
                "mariadb-dump: Error 145: Table './shop/m' is marked as crashed and should be repaired",
                FailureCode::SourceDamaged,
            ),
            (
                "mysqld: Error writing file 'x' (Errcode: 28 \"No space left on device\")",
                FailureCode::DiskFull,
            ),
            (
                "ERROR 2026 (HY000): SSL connection error: unknown error number",
                FailureCode::SourceDenied,
            ),
            (
                "Can't open file './shop/a.ibd' (errno: 13 \"Permission denied\")",
                FailureCode::SourceDenied,
            ),
            ("ERROR 1205 (HY000): Lock wait timeout exceeded", FailureCode::SourceLocked),
            ("Segmentation fault", FailureCode::Tool),
        ] {
            assert_eq!(meaning(said).0, code, "{said}");
        }
    }

    #[test]
    fn of_a_chatty_tool_the_telling_lines_are_kept() {
        let said =
            "[00] Acquiring BACKUP LOCKS...\n[01] Copying ./a.ibd\n[00] FATAL ERROR: no\n[00] Bye";
        assert_eq!(telling(said), "[00] FATAL ERROR: no");
        assert_eq!(telling("one\ntwo"), "one\ntwo");
    }
}
