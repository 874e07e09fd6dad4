//! What the messages of PostgreSQL's programs mean, and what to do about them.
//!
//! A server may write its messages in another language. Then no rule applies: the failure is the tool's, and
//! its message is shown as it is.

use super::login::Login;
use super::sql::quoted;
use crate::domain::FailureCode::{
    DiskFull, SourceChanged, SourceDamaged, SourceDenied, SourceLocked, SourceMissing, Tool,
};
use crate::engine::EngineError;
use crate::engine::tool::{Rule, Rules};

use Advice::{AddHbaLine, GrantReplication, Text};

#[derive(Debug)]
enum Advice {
    Text(&'static str),
    /// A line of `pg_hba.conf`, for this kind of database.
    AddHbaLine(&'static str),
    GrantReplication,
}

const START_SERVER: Advice = Text("start the server, or correct url or socket");
const CONNECTION_LOST: Advice =
    Text("the connection was lost: look at the server's log and try again");

const RULES: Rules<Advice> = Rules {
    ignore_case: false,
    list: &[
        Rule::says(
            &["no pg_hba.conf entry for replication"],
            SourceDenied,
            AddHbaLine("replication"),
        ),
        Rule::says(
            &["no pg_hba.conf entry", "pg_hba.conf rejects"],
            SourceDenied,
            AddHbaLine("all"),
        ),
        Rule::says(
            &["password authentication failed"],
            SourceDenied,
            Text("check user and password_file"),
        ),
        Rule::says(&["no password supplied"], SourceDenied, Text("give a password_file")),
        Rule::says(
            &["authentication failed for user"],
            SourceDenied,
            Text("run Coffer as that user, map it in pg_ident.conf, or give a password_file"),
        ),
        Rule::says(
            &["must be superuser or replication role", "permission denied to start WAL sender"],
            SourceDenied,
            GrantReplication,
        ),
        Rule::says(
            &["is not permitted to log in"],
            SourceDenied,
            Text("run ALTER ROLE … LOGIN for it"),
        ),
        Rule::says(&["\" does not exist"], SourceDenied, Text("check user and database")),
        Rule::says(
            &["permission denied"],
            SourceDenied,
            Text("grant the role what it lacks: GRANT pg_read_all_data, or make it a superuser"),
        ),
        Rule::says(
            &["checksum verification fail"],
            SourceDamaged,
            Text("the server's own page checksums do not match: restore the file's tables"),
        ),
        Rule::says(
            &["checksum error", "invalid page in block", "could not read block"],
            SourceDamaged,
            Text("look for disk errors"),
        ),
        Rule::says(
            &["has already been removed", "could not find WAL file", "could not find any WAL file"],
            SourceChanged,
            Text(
                "raise wal_keep_size on the server, so that WAL is kept for as long as a backup takes",
            ),
        ),
        Rule::says(
            &["exceeds max_wal_senders"],
            SourceLocked,
            Text("raise max_wal_senders on the server"),
        ),
        Rule::says(
            &["too many connections", "remaining connection slots are reserved"],
            SourceLocked,
            Text("raise max_connections on the server"),
        ),
        Rule::says(
            &["No space left on device", "Disk quota exceeded"],
            DiskFull,
            Text("make room and try again"),
        ),
        Rule::says(
            &["server version mismatch", "incompatible server version"],
            Tool,
            Text("install the client tools of the server's version"),
        ),
        Rule::timed_out(SourceMissing, START_SERVER),
        Rule::says(
            &[
                "Is the server running",
                "Connection refused",
                "could not translate host name",
                "timeout expired",
                "No route to host",
                "Network is unreachable",
                "the database system is",
            ],
            SourceMissing,
            START_SERVER,
        ),
        Rule::says(
            &[
                "terminating connection due to",
                "server closed the connection",
                "lost synchronization with server",
                "could not receive data from",
                "Connection reset by peer",
                "Connection timed out",
            ],
            SourceMissing,
            CONNECTION_LOST,
        ),
        Rule::says(
            &["certificate"],
            SourceDenied,
            Text("check tls, ca_file, cert_file and key_file"),
        ),
        Rule::says(
            &["server does not support SSL"],
            SourceDenied,
            Text("turn ssl on in the server, or set tls = \"off\""),
        ),
    ],
};

/// Gives a tool's error its kind and advice. Errors of a private server stay as they are: whoever started
/// that server knows what they mean.
pub(super) fn classify(error: EngineError, login: &Login) -> EngineError {
    let tool = match error {
        EngineError::Tool(tool) if !login.private => tool,
        other => return other,
    };
    match RULES.classify(&tool) {
        Some(rule) => EngineError::from_tool(&tool, rule.code, "", &advice(&rule.advice, login)),
        None => tool.into(),
    }
}

fn advice(advice: &Advice, login: &Login) -> String {
    let user = login.user.as_deref().unwrap_or("USER");
    match advice {
        Text(text) => (*text).to_owned(),
        AddHbaLine(database) => {
            let (kind, from) = if login.local { ("local", "") } else { ("host", "  ADDRESS/32") };
            format!(
                "add the line `{kind}  {database}  {user}{from}  scram-sha-256` to pg_hba.conf (SHOW hba_file \
                 tells where it is) and run SELECT pg_reload_conf()"
            )
        }
        GrantReplication => grant_replication(user),
    }
}

/// How a role gets the right to replicate.
pub(super) fn grant_replication(user: &str) -> String {
    let user = quoted(user);
    format!("run ALTER ROLE {user} REPLICATION as a superuser, or set method = \"logical\"")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::domain::FailureCode;
    use crate::engine::tool::ToolError;

    fn classified(output: &str) -> (FailureCode, String) {
        let mut login = Login::to_private(Path::new("/s"), "bob");
        login.private = false;
        let error = ToolError::answer("psql", output);
        let failure = classify(error.into(), &login).failure().unwrap();
        (failure.code, failure.message)
    }

    /// A message, its kind, and a word of the advice.
    const MESSAGES: &[(&str, FailureCode, &str)] = &[
        ("FATAL:  password authentication failed for user \"bob\"", SourceDenied, "password_file"),
        ("fe_sendauth: no password supplied", SourceDenied, "password_file"),
        ("FATAL:  Peer authentication failed for user \"bob\"", SourceDenied, "pg_ident"),
        (
            "FATAL:  no pg_hba.conf entry for replication connection from host \"[local]\", user \"bob\"",
            SourceDenied,
            "`local  replication  bob  scram-sha-256`",
        ),
        ("FATAL:  no pg_hba.conf entry for host \"[local]\"", SourceDenied, "`local  all  bob"),
        (
            "FATAL:  must be superuser or replication role to start walsender",
            SourceDenied,
            "ALTER ROLE \"bob\" REPLICATION",
        ),
        ("FATAL:  role \"bob\" does not exist", SourceDenied, "user"),
        ("ERROR:  permission denied for table t", SourceDenied, "GRANT"),
        ("WARNING:  checksum verification failed in file \"base/5/1\"", SourceDamaged, "checksums"),
        ("ERROR:  invalid page in block 3 of relation base/5/1", SourceDamaged, "disk"),
        (
            "ERROR:  requested WAL segment 0001 has already been removed",
            SourceChanged,
            "wal_keep_size",
        ),
        ("could not write to file \"x\": No space left on device", DiskFull, "room"),
        (
            "connection to server on socket \"/s/.s.PGSQL.5432\" failed: No such file or directory\n\
                 Is the server running locally and accepting connections on that socket?",
            SourceMissing,
            "start the server",
        ),
        (
            "connection to server at \"::1\", port 1 failed: Connection refused",
            SourceMissing,
            "start",
        ),
        ("FATAL:  the database system is shutting down", SourceMissing, "start"),
        (
            "FATAL:  terminating connection due to administrator command",
            SourceMissing,
            "connection was lost",
        ),
        ("server closed the connection unexpectedly", SourceMissing, "connection was lost"),
        ("pg_dump: error: aborting because of server version mismatch", Tool, "install"),
        ("something new", Tool, ""),
    ];

    #[test]
    fn messages_are_classified_with_advice() {
        for (output, code, advice) in MESSAGES {
            let (found, message) = classified(output);
            assert_eq!(found, *code, "{output}");
            assert!(message.contains(output) && message.contains(advice), "{message}");
        }
    }
}
