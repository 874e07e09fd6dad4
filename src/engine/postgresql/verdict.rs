//! What the words of a private server and of its checks show: that the data is damaged, or only that something
//! stopped the drill.

use crate::domain::FailureCode;
use crate::engine::EngineError;
use crate::engine::tool::{ToolError, says_any};

/// What shows damage: the SQLSTATE of an error, beside the error's severity as psql and the server's log show it
/// (internal error, data or index corrupted, a file of the data missing), and that the WAL is too short.
const DAMAGE: [&str; 7] = [
    "ERROR:  XX00",
    "ERROR:  58P01",
    "XX000 FATAL",
    "XX000 PANIC",
    "XX001 FATAL",
    "58P01 FATAL",
    "WAL ends before",
];

/// The same for a check that also calls functions of the user's own: those can fail with an internal error.
const PROVEN: [&str; 3] = ["XX001", "XX002", "58P01"];

/// What a server says if this machine, and not the data, is the reason.
const MACHINE: [&str; 15] = [
    "shared memory",
    "semaphore",
    "No space left",
    "Input/output error",
    "Cannot allocate memory",
    "could not bind",
    "could not create any Unix-domain sockets",
    "incompatible with operating system",
    "incompatible with server",
    "is not recognized by setlocale",
    "could not access file",
    "could not load library",
    "resource manager with ID",
    "terminated by signal 9",
    "execution of the PostgreSQL server is not permitted",
];

/// The error for what a server or a check said.
pub(super) fn of_server(message: &str) -> EngineError {
    if says_any(message, &DAMAGE) && !says_any(message, &MACHINE) {
        return damaged(message);
    }
    EngineError::known(
        FailureCode::Tool,
        format!("{message}; this stopped the drill, and shows no damage of the data"),
    )
}

/// Whether a finding of `pg_amcheck` shows damage: it is not an error but what it found in a table, or an error that
/// only damage causes.
pub(super) fn is_damage(finding: &str) -> bool {
    !finding.trim_start().starts_with("ERROR:")
        || (says_any(finding, &PROVEN) && !says_any(finding, &MACHINE))
}

/// What `pg_restore` says of a dump that is not as `pg_dump` wrote it. Whatever else ends it is no evidence: it is too
/// old, was killed, or the disk does not give the bytes.
const BAD_DUMP: [&str; 9] = [
    "does not appear to be a valid",
    "could not read from input file: end of file",
    "unexpected end of file",
    "unexpected block ID",
    "unexpected data offset flag",
    "did not find magic string",
    "could not uncompress data",
    "could not decompress data",
    "orrupt",
];

/// What it means that `pg_restore` cannot read a dump.
pub(super) fn of_dump(error: ToolError) -> EngineError {
    if matches!(error, ToolError::Failed { .. }) && says_any(error.output(), &BAD_DUMP) {
        return EngineError::archive(error.to_string());
    }
    error.into()
}

/// The error for damage that was found.
pub(super) fn damaged(what: &str) -> EngineError {
    EngineError::archive(format!("the restored data is damaged: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_shows_damage_is_called_damage() {
        let code = |text: &str| of_server(text).failure().unwrap().code;
        for text in [
            "XX000 PANIC:  could not locate a valid checkpoint record",
            "ERROR:  XX001: invalid page in block 2 of relation base/5/16390",
            "ERROR:  58P01: could not open file \"base/5/16390\": No such file or directory",
            "55000 FATAL:  WAL ends before end of online backup",
        ] {
            assert_eq!(code(text), FailureCode::ArchiveDamaged, "{text}");
        }
        for text in [
            "XX000 FATAL:  could not create shared memory segment",
            "ERROR:  58P01: could not access file \"$libdir/postgis-3\": No such file",
            "ERROR:  55P03: canceling statement due to lock timeout",
            "ERROR:  P0001: changes only by the release process",
            "server process (PID 7) was terminated by signal 9: Killed",
        ] {
            assert_eq!(code(text), FailureCode::Tool, "{text}");
        }
    }

    #[test]
    fn an_index_whose_function_fails_is_not_a_damaged_index() {
        assert!(is_damage("    ERROR:  XX002: item order invariant violated for index \"i\""));
        assert!(is_damage("    line pointer redirection to item at offset 21 exceeds maximum"));
        assert!(!is_damage("    ERROR:  42P01: relation \"rate\" does not exist"));
        assert!(!is_damage("    ERROR:  XX000: the function wants its own settings"));
    }
}
