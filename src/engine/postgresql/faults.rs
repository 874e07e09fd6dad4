//! What PostgreSQL's programs say when they fail, as kinds of failures and what to do about them.

use super::login::Login;
use crate::domain::FailureCode;
use crate::engine::EngineError;

/// What to do next.
enum Next {
    /// This.
    Do(&'static str),
    /// A line in `pg_hba.conf`, for this kind of database.
    Admit(&'static str),
    /// The right to replicate.
    Replicate,
}

/// Words of a message, the kind of failure they tell, and what to do; the first that fits counts.
/// A server's own words may come in another language: then the failure is the tool's, with those words.
const KNOWN: &[(&str, FailureCode, Next)] = &[
    ("no pg_hba.conf entry for replication", FailureCode::SourceDenied, Next::Admit("replication")),
    ("no pg_hba.conf entry", FailureCode::SourceDenied, Next::Admit("all")),
    ("pg_hba.conf rejects", FailureCode::SourceDenied, Next::Admit("all")),
    (
        "password authentication failed",
        FailureCode::SourceDenied,
        Next::Do("look at user and password_file"),
    ),
    ("no password supplied", FailureCode::SourceDenied, Next::Do("give a password_file")),
    (
        "authentication failed for user",
        FailureCode::SourceDenied,
        Next::Do("run Coffer as that user, map it in pg_ident.conf, or give a password_file"),
    ),
    ("must be superuser or replication role", FailureCode::SourceDenied, Next::Replicate),
    ("permission denied to start WAL sender", FailureCode::SourceDenied, Next::Replicate),
    (
        "is not permitted to log in",
        FailureCode::SourceDenied,
        Next::Do("ALTER ROLE … LOGIN for it"),
    ),
    ("\" does not exist", FailureCode::SourceDenied, Next::Do("look at user and database")),
    (
        "permission denied",
        FailureCode::SourceDenied,
        Next::Do("grant the role what it lacks: GRANT pg_read_all_data, or make it a superuser"),
    ),
    (
        "checksum verification fail",
        FailureCode::SourceDamaged,
        Next::Do("the server's own page checksums do not hold: restore the file's tables"),
    ),
    ("checksum error", FailureCode::SourceDamaged, Next::Do("look for disk errors")),
    ("invalid page in block", FailureCode::SourceDamaged, Next::Do("look for disk errors")),
    ("could not read block", FailureCode::SourceDamaged, Next::Do("look for disk errors")),
    (
        "has already been removed",
        FailureCode::SourceChanged,
        Next::Do("raise wal_keep_size on the server, so that WAL stays as long as a backup runs"),
    ),
    (
        "could not find any WAL file",
        FailureCode::SourceChanged,
        Next::Do("raise wal_keep_size on the server"),
    ),
    (
        "could not find WAL file",
        FailureCode::SourceChanged,
        Next::Do("raise wal_keep_size on the server, so that WAL stays as long as a backup runs"),
    ),
    (
        "exceeds max_wal_senders",
        FailureCode::SourceLocked,
        Next::Do("raise max_wal_senders on the server"),
    ),
    (
        "too many connections",
        FailureCode::SourceLocked,
        Next::Do("raise max_connections on the server"),
    ),
    (
        "remaining connection slots are reserved",
        FailureCode::SourceLocked,
        Next::Do("raise max_connections on the server"),
    ),
    ("No space left on device", FailureCode::DiskFull, Next::Do("make room and try again")),
    ("Disk quota exceeded", FailureCode::DiskFull, Next::Do("make room and try again")),
    (
        "server version mismatch",
        FailureCode::Tool,
        Next::Do("install the client tools of the server's version"),
    ),
    (
        "incompatible server version",
        FailureCode::Tool,
        Next::Do("install the client tools of the server's version"),
    ),
    ("psql did not end within", FailureCode::SourceMissing, UP),
    ("Is the server running", FailureCode::SourceMissing, UP),
    ("Connection refused", FailureCode::SourceMissing, UP),
    ("could not translate host name", FailureCode::SourceMissing, UP),
    ("timeout expired", FailureCode::SourceMissing, UP),
    ("No route to host", FailureCode::SourceMissing, UP),
    ("Network is unreachable", FailureCode::SourceMissing, UP),
    ("the database system is", FailureCode::SourceMissing, UP),
    ("terminating connection due to", FailureCode::SourceMissing, WENT),
    ("server closed the connection", FailureCode::SourceMissing, WENT),
    ("lost synchronization with server", FailureCode::SourceMissing, WENT),
    ("could not receive data from", FailureCode::SourceMissing, WENT),
    ("Connection reset by peer", FailureCode::SourceMissing, WENT),
    ("Connection timed out", FailureCode::SourceMissing, WENT),
    (
        "certificate",
        FailureCode::SourceDenied,
        Next::Do("look at tls, ca_file, cert_file and key_file"),
    ),
    (
        "server does not support SSL",
        FailureCode::SourceDenied,
        Next::Do("turn ssl on in the server, or set tls = \"off\""),
    ),
];

const UP: Next = Next::Do("start the server, or correct url or socket");
const WENT: Next = Next::Do("the server went away in the middle: look at its log and try again");

/// The same error as what it is, as far as the tool's words tell, with what to do next. Of a server of our
/// own, whoever started it knows better.
pub(super) fn sorted(error: EngineError, login: &Login) -> EngineError {
    if login.private {
        return error;
    }
    let EngineError::Known { code: FailureCode::Tool, message } = error else { return error };
    let found = KNOWN.iter().find(|(words, _, _)| message.contains(words));
    let Some((_, code, next)) = found else {
        return EngineError::known(FailureCode::Tool, message);
    };
    EngineError::known(*code, format!("{message}; {}", advice(next, login)))
}

fn advice(next: &Next, login: &Login) -> String {
    let user = login.user.as_deref().unwrap_or("USER");
    match next {
        Next::Do(what) => (*what).to_owned(),
        Next::Admit(database) => admit(database, user, login.local),
        Next::Replicate => replicate(user),
    }
}

/// The line that lets a user in.
fn admit(database: &str, user: &str, local: bool) -> String {
    let (kind, from) = if local { ("local", "") } else { ("host", "  ADDRESS/32") };
    format!(
        "add the line `{kind}  {database}  {user}{from}  scram-sha-256` to pg_hba.conf (its place: \
         SHOW hba_file) and run SELECT pg_reload_conf()"
    )
}

/// The statement that gives the right to replicate.
pub(super) fn replicate(user: &str) -> String {
    format!(
        "run ALTER ROLE {} REPLICATION as a superuser, or set method = \"logical\"",
        super::login::quoted(user)
    )
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn kind(message: &str) -> (FailureCode, String) {
        let mut login = Login::to_socket(Path::new("/s"), "bob");
        login.private = false;
        let error = sorted(EngineError::known(FailureCode::Tool, message), &login);
        let failure = error.failure().unwrap();
        (failure.code, failure.message)
    }

    use FailureCode as Code;

    /// What is said, what it is, and a word of what to do.
    const SAID: &[(&str, Code, &str)] = &[
        (
            "FATAL:  password authentication failed for user \"bob\"",
            Code::SourceDenied,
            "password_file",
        ),
        ("fe_sendauth: no password supplied", Code::SourceDenied, "password_file"),
        ("FATAL:  Peer authentication failed for user \"bob\"", Code::SourceDenied, "pg_ident"),
        (
            "FATAL:  no pg_hba.conf entry for replication connection from host \"[local]\", user \"bob\"",
            Code::SourceDenied,
            "`local  replication  bob  scram-sha-256`",
        ),
        (
            "FATAL:  no pg_hba.conf entry for host \"[local]\"",
            Code::SourceDenied,
            "`local  all  bob",
        ),
        (
            "FATAL:  must be superuser or replication role to start walsender",
            Code::SourceDenied,
            "ALTER ROLE \"bob\" REPLICATION",
        ),
        ("FATAL:  role \"bob\" does not exist", Code::SourceDenied, "user"),
        ("ERROR:  permission denied for table t", Code::SourceDenied, "GRANT"),
        (
            "WARNING:  checksum verification failed in file \"base/5/1\"",
            Code::SourceDamaged,
            "checksums",
        ),
        ("ERROR:  invalid page in block 3 of relation base/5/1", Code::SourceDamaged, "disk"),
        (
            "ERROR:  requested WAL segment 0001 has already been removed",
            Code::SourceChanged,
            "wal_keep_size",
        ),
        ("could not write to file \"x\": No space left on device", Code::DiskFull, "room"),
        (
            "connection to server on socket \"/s/.s.PGSQL.5432\" failed: No such file or directory\n\
                 Is the server running locally and accepting connections on that socket?",
            Code::SourceMissing,
            "start the server",
        ),
        (
            "connection to server at \"::1\", port 1 failed: Connection refused",
            Code::SourceMissing,
            "start",
        ),
        ("FATAL:  the database system is shutting down", Code::SourceMissing, "start"),
        (
            "FATAL:  terminating connection due to administrator command",
            Code::SourceMissing,
            "went away",
        ),
        ("server closed the connection unexpectedly", Code::SourceMissing, "went away"),
        ("pg_dump: error: aborting because of server version mismatch", Code::Tool, "install"),
        ("something new", Code::Tool, ""),
    ];

    #[test]
    fn what_the_tools_say_is_told_apart() {
        for (said, code, next) in SAID {
            let (found, message) = kind(said);
            assert_eq!(found, *code, "{said}");
            assert!(message.starts_with(said) && message.contains(next), "{message}");
        }
    }
}
