//! What the client's messages mean, and what to do about them.

use crate::engine::EngineError;
use crate::engine::server_source::ServerSource;
use crate::engine::tool::{self, Rule, TIMED_OUT, rules};

/// Stands for [`grant_command`] in an advice.
const GRANT: &str = "{grant}";

const RULES: &[Rule] = rules! {
    SourceMissing: TIMED_OUT =>
        "the server does not answer: check whether it hangs, and whether only one end uses TLS";
    SourceDenied: "NOPERM" => "grant the right with {grant}";
    SourceInvalid: "unknown command" =>
        "the server renames or removes a command that a snapshot needs (rename-command in redis.conf): Coffer needs \
         PING, INFO and SYNC by their own names";
    SourceDenied: "certificate" =>
        "set source.ca_file to the authority that signed the server's certificate, and cert_file and \
         key_file to Coffer's own certificate if the server asks for one";
    SourceDenied: "SSL" =>
        "check whether this port of the server uses TLS, and which certificates it asks for";
    SourceDenied: "Permission denied" =>
        "let Coffer's user open the socket: add it to the group that owns it (on Debian `adduser coffer \
         redis`) and set unixsocketperm 770 in redis.conf";
    Tool: "Connection reset by peer" =>
        "the server ends the connection: if this port of it uses TLS, use a rediss:// url (and a ca_file); one that \
         asks for a certificate of Coffer's own (cert_file, key_file) also ends it like this";
    SourceMissing: "Could not connect" => "start the server, or correct source.url or source.socket";
    SourceLocked: "max number of clients" =>
        "raise maxclients in redis.conf, or disconnect clients that are not needed";
    SourceDenied: "WRONGPASS" => "correct source.user and the password in source.password_file";
    SourceDenied: "invalid password" => "correct the password in source.password_file";
    SourceDenied: "NOAUTH" => "set source.password_file, and source.user if the server has users";
    SourceDenied: "AUTH failed" => "correct source.user and source.password_file";
    SourceDenied: "protected mode" => "give the server a password, or use its socket";
    SourceLocked: "LOADING" => "wait until the server has loaded its data";
    SourceLocked: "NOMASTERLINK" =>
        "this replica has lost its master: wait until it has caught up, or back up the master";
    Tool: "Error reading" =>
        "the connection was lost: look into the server's log (a replica's output buffer limit, a failed \
         fork, a restart) and back up again";
    Tool: "I/O error" =>
        "the connection was lost: look into the server's log; a server that asks for a certificate of \
         Coffer's own (cert_file, key_file) also ends it like this";
};

/// Gives a tool's error its kind and advice, and names the server.
pub(super) fn classify(server: &ServerSource, error: impl Into<EngineError>) -> EngineError {
    tool::classify(RULES, error.into(), &server.shown(), |advice| {
        advice.replace(GRANT, &grant_command(server))
    })
}

/// The command that gives Coffer's user the rights it needs, and access to no key.
pub(super) fn grant_command(server: &ServerSource) -> String {
    let user = server.user.as_deref().unwrap_or("coffer");
    format!("`ACL SETUSER {user} on '>PASSWORD' +ping +info +sync +psync +replconf`")
}
