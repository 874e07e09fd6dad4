//! What the messages of PostgreSQL's programs mean, and what to do about them.
//!
//! A server may write its messages in another language. Then no rule applies: the failure is the tool's, and
//! its message is shown as it is.

use super::login::{Login, quoted};
use crate::domain::FailureCode;
use crate::engine::EngineError;
use crate::engine::tool::{self, Rule, TIMED_OUT, rules};

/// In an advice, stand for [`bypass_row_security`], [`read_large_objects`] and [`connect`].
const BYPASS: &str = "{bypass}";
const LARGE_OBJECTS: &str = "{large objects}";
const CONNECT: &str = "{connect}";

/// In an advice, stand for the line of `pg_hba.conf` that admits the role to databases or for replication, and for
/// [`grant_replication`].
const HBA_LINE: &str = "{all line}";
const HBA_REPLICATION: &str = "{replication line}";
const GRANT: &str = "{grant}";

/// The code of a connection pooler that takes no options of a session; no other rule has it.
pub(super) const NO_OPTIONS: FailureCode = FailureCode::SourceInvalid;

const RULES: &[Rule] = rules! {
    // As in `unsupported startup parameter: options`.
    SourceInvalid: "startup parameter" => "add options to the pooler's ignore_startup_parameters";
    SourceDenied: "no pg_hba.conf entry for replication" => HBA_REPLICATION;
    SourceDenied: "no pg_hba.conf entry", "pg_hba.conf rejects" => HBA_LINE;
    SourceDenied: "password authentication failed" => "check user and password_file";
    SourceDenied: "no password supplied" => "give a password_file";
    SourceDenied: "authentication failed for user" =>
        "run Coffer as that user, map it in pg_ident.conf, or give a password_file";
    SourceDenied: "must be superuser or replication role", "permission denied to start WAL sender" => GRANT;
    SourceDenied: "is not permitted to log in" => "run ALTER ROLE … LOGIN for it";
    SourceDenied: "\" does not exist" => "check user and database";
    SourceDenied: "row-level security" => BYPASS;
    SourceDenied: "permission denied for large object" => LARGE_OBJECTS;
    SourceDenied: "permission denied for database" => CONNECT;
    SourceDenied: "is not currently accepting connections" =>
        "ALTER DATABASE … ALLOW_CONNECTIONS true, or do not name it in source.databases";
    SourceDenied: "permission denied" =>
        "grant the role what it lacks: GRANT pg_read_all_data, or make it a superuser";
    Internal: "Input/output error" => "look for disk errors in the system log";
    SourceDamaged: "checksum verification fail" =>
        "the server's own page checksums do not match: restore the file's tables";
    SourceDamaged: "checksum error", "invalid page in block", "could not read block" =>
        "look for disk errors";
    SourceChanged: "has already been removed", "could not find WAL file", "could not find any WAL file" =>
        "raise wal_keep_size on the server, so that WAL is kept for as long as a backup takes";
    SourceLocked: "exceeds max_wal_senders" => "raise max_wal_senders on the server";
    SourceLocked: "too many connections", "remaining connection slots are reserved" =>
        "raise max_connections on the server";
    DiskFull: "No space left on device", "Disk quota exceeded" => "make room and try again";
    Tool: "server version mismatch", "incompatible server version" =>
        "install the client tools of the server's version";
    SourceMissing:
        TIMED_OUT, "Is the server running", "Connection refused", "could not translate host name",
        "timeout expired", "No route to host", "Network is unreachable", "the database system is" =>
        "start the server, or correct url or socket";
    SourceMissing:
        "terminating connection due to", "server closed the connection", "lost synchronization with server",
        "could not receive data from", "Connection reset by peer", "Connection timed out" =>
        "the connection was lost: look at the server's log and try again";
    SourceDenied: "certificate" => "check tls, ca_file, cert_file and key_file";
    SourceDenied: "server does not support SSL" =>
        "turn ssl on in the server, or set tls = \"off\"";
};

/// The SQLSTATE in what `psql` says with VERBOSITY=verbose, as in `ERROR:  55006: database "a" is being accessed`. The word
/// in front of it is in the server's language.
pub(super) fn sqlstate(output: &str) -> Option<&str> {
    let is_state = |it: &&str| it.bytes().all(|it| it.is_ascii_uppercase() || it.is_ascii_digit());
    output.match_indices(":  ").find_map(|(at, before)| {
        let (state, behind) = output.get(at + before.len()..)?.split_at_checked(5)?;
        Some(state).filter(is_state).filter(|_| behind.starts_with(": "))
    })
}

/// The same words as `psql` says otherwise: without the SQLSTATE, and the line of the server's program that follows them.
pub(super) fn without_sqlstate(output: &str, state: &str) -> String {
    let words = output.split_once("LOCATION:").map_or(output, |(words, _)| words);
    words.replacen(&format!("{state}: "), "", 1).trim_end_matches(['\n', ' ', ';']).to_owned()
}

/// Gives a tool's error its kind and advice. Errors of a private server stay as they are: whoever started
/// that server knows what they mean.
pub(super) fn classify(error: EngineError, login: &Login) -> EngineError {
    if login.private {
        return error;
    }
    tool::classify(RULES, error, "", |advice| {
        let user = login.user.as_deref().unwrap_or("USER");
        match advice {
            HBA_LINE => hba_line("all", user, login.local),
            HBA_REPLICATION => hba_line("replication", user, login.local),
            GRANT => grant_replication(user),
            BYPASS => bypass_row_security(user),
            LARGE_OBJECTS => read_large_objects(user),
            CONNECT => format!("run GRANT CONNECT ON DATABASE … TO {}", quoted(user)),
            other => other.to_owned(),
        }
    })
}

fn hba_line(database: &str, user: &str, local: bool) -> String {
    let (kind, from) = if local { ("local", "") } else { ("host", "  ADDRESS/32") };
    format!(
        "add the line `{kind}  {database}  {user}{from}  scram-sha-256` to pg_hba.conf (SHOW hba_file tells \
         where it is) and run SELECT pg_reload_conf()"
    )
}

/// How a role gets the right to replicate.
pub(super) fn grant_replication(user: &str) -> String {
    let user = quoted(user);
    format!("run ALTER ROLE {user} REPLICATION as a superuser, or set method = \"logical\"")
}

/// How a role gets to see every row.
pub(super) fn bypass_row_security(user: &str) -> String {
    format!("run ALTER ROLE {} BYPASSRLS as a superuser", quoted(user))
}

/// How a role gets to read every large object; `pg_read_all_data` gives it none.
pub(super) fn read_large_objects(user: &str) -> String {
    let user = quoted(user);
    format!(
        "run ALTER ROLE {user} SET lo_compat_privileges = on as a superuser (it may then also change large \
         objects), or GRANT SELECT ON LARGE OBJECT … TO {user} for each"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_of_an_error_is_read_in_every_language_and_left_out_of_what_is_shown() {
        let english = "ERROR:  55006: database \"a\" is being accessed by other users\n\
            DETAIL:  There is 1 other session using the database.\nLOCATION:  RenameDatabase, dbcommands.c:1843\n";
        let german = "FEHLER:  42501: keine Berechtigung\nORT:  x, y.c:1";
        assert_eq!([english, german].map(sqlstate), [Some("55006"), Some("42501")]);
        assert_eq!(
            without_sqlstate(english, "55006"),
            "ERROR:  database \"a\" is being accessed by other users\n\
             DETAIL:  There is 1 other session using the database."
        );
        for other in
            ["", "psql: error: connection to server failed", "ERROR:  short", "a:  é55006: b"]
        {
            assert_eq!(sqlstate(other), None, "{other}");
        }
    }
}
