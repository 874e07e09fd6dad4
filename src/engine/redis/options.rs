//! The keys of a Redis `source`, as far as the server's own client supports them.

use crate::domain::Source;
use crate::engine::EngineError;
use crate::engine::server_source::{Address, ServerKind, ServerOrRestored, ServerSource, Tls};
use crate::engine::source_path::invalid;

pub(super) const NAME: &str = "redis";

const KIND: ServerKind = ServerKind {
    engine: NAME,
    schemes: &["redis", "rediss", "valkey", "valkeys"],
    default_port: 6379,
    default_socket: "/run/redis/redis-server.sock",
    own_keys: &[],
};

/// Arguments with a password, which every user of the machine could read.
const PASSWORD_ARGUMENTS: [&str; 4] = ["-a", "--pass", "--askpass", "-u"];

/// How the connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protection {
    Plain,
    /// Encrypted; the server's certificate is not verified.
    Encrypted,
    /// Encrypted, and the server's certificate is signed by a trusted authority.
    Verified,
}

/// A Redis server, as the configuration describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Server {
    pub(super) source: ServerSource,
    pub(super) protection: Protection,
}

/// Checks `source`, which may also be the result of a restore; an error names the key that is wrong.
pub(super) fn check_source(source: &Source) -> Result<(), EngineError> {
    match ServerSource::parse(source, &KIND)? {
        ServerOrRestored::Restored(_) => Ok(()),
        ServerOrRestored::Server(server) => check(source, *server).map(drop),
    }
}

/// Parses the `source` of a server.
pub(super) fn server(source: &Source) -> Result<Server, EngineError> {
    check(source, ServerSource::parse(source, &KIND)?.into_server(&KIND)?)
}

fn check(source: &Source, server: ServerSource) -> Result<Server, EngineError> {
    if server.database.is_some() {
        return Err(invalid(
            "source names a database, but a Redis snapshot always holds all of them: remove it",
        ));
    }
    let mut arguments = server.extra_args.iter();
    if let Some(argument) = arguments.find(|it| PASSWORD_ARGUMENTS.contains(&it.as_str())) {
        return Err(invalid(format!(
            "source.extra_args has {argument}, which would show the password to every user of this \
             machine: put it into a file and name that with password_file"
        )));
    }
    let protection = protection(source, &server)?;
    check_tls_files(&server, protection)?;
    Ok(Server { source: server, protection })
}

fn protection(source: &Source, server: &ServerSource) -> Result<Protection, EngineError> {
    let url = source.0.get("url").and_then(|url| url.as_str()).unwrap_or_default();
    let secure = url.starts_with("rediss:") || url.starts_with("valkeys:");
    let wanted = match server.tls {
        Tls::Off if secure => {
            return Err(invalid(
                "source.url asks for TLS and source.tls = \"off\" forbids it: keep one",
            ));
        }
        Tls::VerifyFull => {
            return Err(invalid(
                "source.tls = \"verify-full\" is not supported: redis-cli does not compare the server's \
                 name with its certificate; use \"verify-ca\" with a ca_file of the server's own",
            ));
        }
        Tls::Off | Tls::Prefer if !secure => Protection::Plain,
        Tls::Require if server.ca_file.is_none() => Protection::Encrypted,
        Tls::Off | Tls::Prefer | Tls::Require | Tls::VerifyCa => Protection::Verified,
    };
    if wanted != Protection::Plain && matches!(server.address, Address::Socket(_)) {
        return Err(invalid(
            "source.tls is for a url: a socket does not leave this machine; remove tls",
        ));
    }
    Ok(wanted)
}

fn check_tls_files(server: &ServerSource, protection: Protection) -> Result<(), EngineError> {
    let any = server.ca_file.is_some() || server.cert_file.is_some() || server.key_file.is_some();
    if any && protection == Protection::Plain {
        return Err(invalid(
            "source has files for TLS but no TLS: use a rediss:// url, or tls = \"verify-ca\"",
        ));
    }
    if server.cert_file.is_some() != server.key_file.is_some() {
        return Err(invalid("source needs both cert_file and key_file, or neither"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn parsed(value: Value) -> Result<Protection, String> {
        let source = serde_json::from_value(value).unwrap();
        server(&source).map(|it| it.protection).map_err(|error| error.to_string())
    }

    #[test]
    fn url_and_tls_together_decide_the_protection() {
        for (source, protection) in [
            (json!({"url": "redis://h"}), Protection::Plain),
            (json!({"url": "valkey://h", "tls": "off"}), Protection::Plain),
            (json!({"socket": "/s"}), Protection::Plain),
            (json!({"url": "rediss://h"}), Protection::Verified),
            (json!({"url": "redis://h", "tls": "require"}), Protection::Encrypted),
            (json!({"url": "rediss://h", "tls": "require"}), Protection::Encrypted),
            (json!({"url": "rediss://h", "tls": "require", "ca_file": "/c"}), Protection::Verified),
            (json!({"url": "redis://h", "tls": "verify-ca"}), Protection::Verified),
        ] {
            assert_eq!(parsed(source.clone()), Ok(protection), "{source}");
        }
    }

    #[test]
    fn what_the_client_does_not_support_is_refused_with_a_reason() {
        for (source, word) in [
            (json!({"url": "rediss://h", "tls": "off"}), "keep one"),
            (json!({"url": "rediss://h", "tls": "verify-full"}), "verify-ca"),
            (json!({"socket": "/s", "tls": "require"}), "does not leave this machine"),
            (json!({"url": "redis://h", "ca_file": "/c"}), "rediss://"),
            (json!({"url": "rediss://h", "cert_file": "/c"}), "key_file"),
            (json!({"url": "redis://h/3"}), "all of them"),
            (json!({"url": "redis://h", "extra_args": ["-a", "x"]}), "password_file"),
            (json!({"path": "/srv/restored"}), "no server is known"),
        ] {
            let said = parsed(source.clone()).unwrap_err();
            assert!(said.contains(word), "{source}: {said}");
        }
    }
}
