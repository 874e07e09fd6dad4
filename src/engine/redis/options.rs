//! The keys of a Redis `source`, as far as the server's own client supports them.

use crate::domain::Source;
use crate::engine::Result;
use crate::engine::server_source::{Address, ServerKind, ServerSource, Tls};
use crate::engine::source_path::invalid;

pub(super) const KIND: ServerKind = ServerKind {
    engine: "redis",
    schemes: &["redis", "rediss", "valkey", "valkeys"],
    default_port: 6379,
    default_socket: "/run/redis/redis-server.sock",
    methods: &[],
    own_keys: &[],
    check,
};

/// Arguments with a password, which every user of the machine could read.
const PASSWORD_ARGUMENTS: [&str; 4] = ["-a", "--pass", "--askpass", "-u"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protection {
    Plain,
    /// Encrypted; the server's certificate is not verified.
    Encrypted,
    /// Encrypted, and the server's certificate is signed by a trusted authority.
    Verified,
}

fn check(server: &ServerSource, _source: &Source) -> Result<()> {
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
    let any = server.ca_file.is_some() || server.cert_file.is_some() || server.key_file.is_some();
    if protection(server)? == Protection::Plain && any {
        return Err(invalid(
            "source has files for TLS but no TLS: use a rediss:// url, or tls = \"verify-ca\"",
        ));
    }
    if server.cert_file.is_some() != server.key_file.is_some() {
        return Err(invalid("source needs both cert_file and key_file, or neither"));
    }
    Ok(())
}

/// The protection that url and tls together ask for.
pub(super) fn protection(server: &ServerSource) -> Result<Protection> {
    let secure = matches!(server.scheme, Some("rediss" | "valkeys"));
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn parsed(value: Value) -> Result<Protection, String> {
        let source = serde_json::from_value(value).unwrap();
        KIND.server(&source).and_then(|it| protection(&it)).map_err(|error| error.to_string())
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
}
