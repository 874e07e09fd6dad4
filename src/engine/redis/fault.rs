//! What the client's messages mean to whoever asked for the backup.

use super::options::Server;
use crate::domain::FailureCode;
use crate::engine::EngineError;
use crate::engine::tool::ToolError;

/// Words in what `redis-cli` says, what kind of failure they tell of, and what to do. The first that fits.
const MEANINGS: &[(&str, FailureCode, &str)] = &[
    (
        "certificate",
        FailureCode::SourceDenied,
        "name the authority that signed the server's certificate as source.ca_file, and Coffer's own \
         certificate as cert_file and key_file if the server asks for one",
    ),
    (
        "SSL",
        FailureCode::SourceDenied,
        "look whether this port of the server speaks TLS, and which certificates it asks for",
    ),
    (
        "Permission denied",
        FailureCode::SourceDenied,
        "let Coffer's user open the socket: add it to the group that owns it (on Debian `adduser coffer \
         redis`) and set unixsocketperm 770 in redis.conf",
    ),
    (
        "Could not connect",
        FailureCode::SourceMissing,
        "start the server, or correct source.url or source.socket",
    ),
    (
        "max number of clients",
        FailureCode::SourceLocked,
        "raise maxclients in redis.conf, or end clients that are not needed",
    ),
    (
        "WRONGPASS",
        FailureCode::SourceDenied,
        "correct source.user and the password in source.password_file",
    ),
    ("invalid password", FailureCode::SourceDenied, "correct the password in source.password_file"),
    (
        "NOAUTH",
        FailureCode::SourceDenied,
        "name source.password_file, and source.user if it has one",
    ),
    ("AUTH failed", FailureCode::SourceDenied, "correct source.user and source.password_file"),
    ("protected mode", FailureCode::SourceDenied, "give the server a password, or use its socket"),
    ("LOADING", FailureCode::SourceLocked, "wait until the server has loaded its data"),
    (
        "NOMASTERLINK",
        FailureCode::SourceLocked,
        "this replica has lost its master: wait until it has caught up, or back up the master",
    ),
    (
        "Error reading",
        FailureCode::Tool,
        "the server or the connection went away in the middle: look into the server's log (a replica's \
         output buffer limit, a failed fork, a restart) and back up again",
    ),
    (
        "I/O error",
        FailureCode::Tool,
        "the connection was lost: look into the server's log; one that asks for a certificate of Coffer's own \
         (cert_file, key_file) ends it like this too",
    ),
];

/// Puts `error`, met while asking `server`, into words.
pub(super) fn explain(server: &Server, error: ToolError) -> EngineError {
    match error {
        ToolError::Late { .. } => error.explain(
            FailureCode::SourceMissing,
            &format!(
                "{} does not answer: look whether the server hangs, and whether TLS is on at one end only",
                server.at.shown()
            ),
        ),
        other => reworded(server, other.into()),
    }
}

/// The same for an error that was a tool's and is one of an engine's already.
pub(super) fn reworded(server: &Server, error: EngineError) -> EngineError {
    match error {
        EngineError::Known { code: FailureCode::Tool, message } => means(server, &message),
        other => other,
    }
}

/// What a message of the client's or an answer of the server's says.
pub(super) fn means(server: &Server, said: &str) -> EngineError {
    let said = if said.trim().is_empty() { "it gave no answer" } else { said.trim() };
    let place = server.at.shown();
    if said.contains("NOPERM") {
        return EngineError::known(
            FailureCode::SourceDenied,
            format!("{place}: {said}; give the right with {}", line_that_mends(server)),
        );
    }
    let meaning = MEANINGS.iter().find(|(words, _, _)| said.contains(words));
    match meaning {
        Some((_, code, next)) => EngineError::known(*code, format!("{place}: {said}; {next}")),
        None => EngineError::known(FailureCode::Tool, format!("{place}: {said}")),
    }
}

/// The command that gives Coffer's user the rights it needs, and no right to any key.
pub(super) fn line_that_mends(server: &Server) -> String {
    let user = server.at.user.as_deref().unwrap_or("coffer");
    format!("`ACL SETUSER {user} on '>PASSWORD' +ping +info +sync +psync +replconf`")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::engine::redis::options;

    fn told(said: &str) -> (FailureCode, String) {
        let source = json!({"socket": "/run/r.sock", "user": "keeper"});
        let server = options::server(&serde_json::from_value(source).unwrap()).unwrap();
        let failure = means(&server, said).failure().unwrap();
        (failure.code, failure.message)
    }

    #[test]
    fn each_message_has_its_code_and_says_what_to_do_where() {
        for (said, code, word) in [
            (
                "Could not connect to Redis at /x: No such file or directory",
                FailureCode::SourceMissing,
                "start the server",
            ),
            (
                "Could not connect to Redis at /x: Permission denied",
                FailureCode::SourceDenied,
                "unixsocketperm",
            ),
            (
                "Could not connect to Redis at h:1: SSL_connect failed: certificate verify failed",
                FailureCode::SourceDenied,
                "ca_file",
            ),
            ("NOAUTH Authentication required.", FailureCode::SourceDenied, "password_file"),
            ("AUTH failed: WRONGPASS invalid", FailureCode::SourceDenied, "password_file"),
            (
                "SYNC with master failed: -NOPERM this user has no permissions to run the 'sync' command",
                FailureCode::SourceDenied,
                "ACL SETUSER keeper on '>PASSWORD' +ping +info +sync +psync +replconf",
            ),
            ("LOADING Redis is loading", FailureCode::SourceLocked, "wait"),
            ("-NOMASTERLINK Can't SYNC", FailureCode::SourceLocked, "master"),
            ("ERR max number of clients reached", FailureCode::SourceLocked, "maxclients"),
            ("Error reading RDB payload from socket", FailureCode::Tool, "server's log"),
            ("Error reading bulk length", FailureCode::Tool, "server's log"),
            ("I/O error\nError: Server closed the connection", FailureCode::Tool, "cert_file"),
            (" ", FailureCode::Tool, "no answer"),
            ("something new", FailureCode::Tool, "something new"),
        ] {
            let (found, text) = told(said);
            assert_eq!(found, code, "{text}");
            assert!(text.contains(word) && text.contains("/run/r.sock"), "{text}");
        }
    }
}
