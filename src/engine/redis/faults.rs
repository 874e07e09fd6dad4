//! What the client's messages mean, and what to do about them.

use super::options::Server;
use crate::domain::FailureCode::{SourceDenied, SourceLocked, SourceMissing, Tool};
use crate::engine::EngineError;
use crate::engine::tool::{Rule, Rules};

use Advice::{GrantRights, Text};

#[derive(Debug)]
enum Advice {
    Text(&'static str),
    GrantRights,
}

const RULES: Rules<Advice> = Rules {
    ignore_case: false,
    list: &[
        Rule::timed_out(
            SourceMissing,
            Text(
                "the server does not answer: check whether it hangs, and whether only one end uses TLS",
            ),
        ),
        Rule::says(&["NOPERM"], SourceDenied, GrantRights),
        Rule::says(
            &["certificate"],
            SourceDenied,
            Text(
                "set source.ca_file to the authority that signed the server's certificate, and cert_file and \
                 key_file to Coffer's own certificate if the server asks for one",
            ),
        ),
        Rule::says(
            &["SSL"],
            SourceDenied,
            Text(
                "check whether this port of the server uses TLS, and which certificates it asks for",
            ),
        ),
        Rule::says(
            &["Permission denied"],
            SourceDenied,
            Text(
                "let Coffer's user open the socket: add it to the group that owns it (on Debian `adduser coffer \
                 redis`) and set unixsocketperm 770 in redis.conf",
            ),
        ),
        Rule::says(
            &["Could not connect"],
            SourceMissing,
            Text("start the server, or correct source.url or source.socket"),
        ),
        Rule::says(
            &["max number of clients"],
            SourceLocked,
            Text("raise maxclients in redis.conf, or disconnect clients that are not needed"),
        ),
        Rule::says(
            &["WRONGPASS"],
            SourceDenied,
            Text("correct source.user and the password in source.password_file"),
        ),
        Rule::says(
            &["invalid password"],
            SourceDenied,
            Text("correct the password in source.password_file"),
        ),
        Rule::says(
            &["NOAUTH"],
            SourceDenied,
            Text("set source.password_file, and source.user if the server has users"),
        ),
        Rule::says(
            &["AUTH failed"],
            SourceDenied,
            Text("correct source.user and source.password_file"),
        ),
        Rule::says(
            &["protected mode"],
            SourceDenied,
            Text("give the server a password, or use its socket"),
        ),
        Rule::says(&["LOADING"], SourceLocked, Text("wait until the server has loaded its data")),
        Rule::says(
            &["NOMASTERLINK"],
            SourceLocked,
            Text(
                "this replica has lost its master: wait until it has caught up, or back up the master",
            ),
        ),
        Rule::says(
            &["Error reading"],
            Tool,
            Text(
                "the connection was lost: look into the server's log (a replica's output buffer limit, a failed \
                 fork, a restart) and back up again",
            ),
        ),
        Rule::says(
            &["I/O error"],
            Tool,
            Text(
                "the connection was lost: look into the server's log; a server that asks for a certificate of \
                 Coffer's own (cert_file, key_file) also ends it like this",
            ),
        ),
    ],
};

/// Gives a tool's error its kind and advice, and names the server.
pub(super) fn classify(server: &Server, error: impl Into<EngineError>) -> EngineError {
    let tool = match error.into() {
        EngineError::Tool(tool) => tool,
        other => return other,
    };
    let address = server.source.shown();
    match RULES.classify(&tool) {
        Some(Rule { code, advice: Text(text), .. }) => {
            EngineError::from_tool(&tool, *code, &address, text)
        }
        Some(Rule { code, advice: GrantRights, .. }) => {
            let advice = format!("grant the right with {}", grant_command(server));
            EngineError::from_tool(&tool, *code, &address, &advice)
        }
        None => EngineError::from_tool(&tool, Tool, &address, ""),
    }
}

/// The command that gives Coffer's user the rights it needs, and access to no key.
pub(super) fn grant_command(server: &Server) -> String {
    let user = server.source.user.as_deref().unwrap_or("coffer");
    format!("`ACL SETUSER {user} on '>PASSWORD' +ping +info +sync +psync +replconf`")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::FailureCode;
    use crate::engine::redis::options;
    use crate::engine::tool::ToolError;

    fn classified(output: &str) -> (FailureCode, String) {
        let source = json!({"socket": "/run/r.sock", "user": "keeper"});
        let server = options::server(&serde_json::from_value(source).unwrap()).unwrap();
        let error = ToolError::answer("redis-cli", output);
        let failure = classify(&server, error).failure().unwrap();
        (failure.code, failure.message)
    }

    #[test]
    fn messages_are_classified_with_advice_and_the_server_is_named() {
        for (output, code, word) in [
            (
                "Could not connect to Redis at /x: No such file or directory",
                SourceMissing,
                "start the server",
            ),
            ("Could not connect to Redis at /x: Permission denied", SourceDenied, "unixsocketperm"),
            (
                "Could not connect to Redis at h:1: SSL_connect failed: certificate verify failed",
                SourceDenied,
                "ca_file",
            ),
            ("NOAUTH Authentication required.", SourceDenied, "password_file"),
            ("AUTH failed: WRONGPASS invalid", SourceDenied, "password_file"),
            (
                "SYNC with master failed: -NOPERM this user has no permissions to run the 'sync' command",
                SourceDenied,
                "ACL SETUSER keeper on '>PASSWORD' +ping +info +sync +psync +replconf",
            ),
            ("LOADING Redis is loading", SourceLocked, "wait"),
            ("-NOMASTERLINK Can't SYNC", SourceLocked, "master"),
            ("ERR max number of clients reached", SourceLocked, "maxclients"),
            ("Error reading RDB payload from socket", Tool, "server's log"),
            ("Error reading bulk length", Tool, "server's log"),
            ("I/O error\nError: Server closed the connection", Tool, "cert_file"),
            (" ", Tool, "nothing"),
            ("something new", Tool, "something new"),
        ] {
            let (found, text) = classified(output);
            assert_eq!(found, code, "{text}");
            assert!(text.contains(word) && text.contains("/run/r.sock"), "{text}");
        }
    }
}
