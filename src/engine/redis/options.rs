//! The keys of a Redis `source`: what of them the server's own client can do.

use crate::domain::Source;
use crate::engine::EngineError;
use crate::engine::server_source::{Address, Dialect, ServerSource, Tls, Whence, nobody_serves};
use crate::engine::source_path::{invalid, path_of};

/// The engine's name.
pub(super) const NAME: &str = "redis";

const DIALECT: Dialect = Dialect {
    engine: NAME,
    schemes: &["redis", "rediss", "valkey", "valkeys"],
    port: 6379,
    socket: "/run/redis/redis-server.sock",
    more: &[],
};

/// Arguments by which `redis-cli` would take a password that everybody on the machine can read then.
const TELL_TALES: [&str; 4] = ["-a", "--pass", "--askpass", "-u"];

/// How the connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protection {
    /// Not at all.
    Plain,
    /// Encrypted, with whoever answers.
    Encrypted,
    /// Encrypted, and the server's certificate is signed by a trusted authority.
    Verified,
}

/// A Redis server, as the configuration names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Server {
    pub(super) at: ServerSource,
    pub(super) protection: Protection,
}

/// Understands `source`, or names the key that cannot be.
pub(super) fn parse(source: &Source) -> Result<Option<Server>, EngineError> {
    let at = match ServerSource::parse(source, &DIALECT)? {
        Whence::Restored(_) => return Ok(None),
        Whence::Server(server) => *server,
    };
    if at.database.is_some() {
        return Err(invalid(
            "source names a database, but a Redis snapshot always holds all of them: leave it out",
        ));
    }
    let told = at.extra_args.iter().find(|it| TELL_TALES.contains(&it.as_str()));
    if let Some(argument) = told {
        return Err(invalid(format!(
            "source.extra_args has {argument}, by which everybody on this machine could read the \
             password: put the password into a file, named by password_file"
        )));
    }
    let protection = protection(source, &at)?;
    files_fit(&at, protection)?;
    Ok(Some(Server { at, protection }))
}

/// The server, which must be one.
pub(super) fn server(source: &Source) -> Result<Server, EngineError> {
    match parse(source)? {
        Some(server) => Ok(server),
        None => Err(nobody_serves(NAME, &path_of(NAME, source)?)),
    }
}

fn protection(source: &Source, at: &ServerSource) -> Result<Protection, EngineError> {
    let url = source.0.get("url").and_then(|url| url.as_str()).unwrap_or_default();
    let secure = url.starts_with("rediss:") || url.starts_with("valkeys:");
    let wanted = match at.tls {
        Tls::Off if secure => {
            return Err(invalid(
                "source.url asks for TLS and source.tls = \"off\" forbids it: keep one",
            ));
        }
        Tls::VerifyFull => {
            return Err(invalid(
                "source.tls = \"verify-full\" cannot be had: redis-cli does not compare the server's \
                 name with its certificate; use \"verify-ca\" with a ca_file of the server's own",
            ));
        }
        Tls::Off | Tls::Prefer if !secure => Protection::Plain,
        Tls::Require if at.ca_file.is_none() => Protection::Encrypted,
        Tls::Off | Tls::Prefer | Tls::Require | Tls::VerifyCa => Protection::Verified,
    };
    if wanted != Protection::Plain && matches!(at.address, Address::Socket(_)) {
        return Err(invalid(
            "source.tls is for a url: a socket does not leave this machine, leave tls out",
        ));
    }
    Ok(wanted)
}

fn files_fit(at: &ServerSource, protection: Protection) -> Result<(), EngineError> {
    let any = at.ca_file.is_some() || at.cert_file.is_some() || at.key_file.is_some();
    if any && protection == Protection::Plain {
        return Err(invalid(
            "source has files for TLS but no TLS: use a rediss:// url, or tls = \"verify-ca\"",
        ));
    }
    if at.cert_file.is_some() != at.key_file.is_some() {
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
    fn the_url_and_tls_say_together_how_the_connection_is_protected() {
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
    fn what_the_client_cannot_do_is_refused_in_words() {
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
