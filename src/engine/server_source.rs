//! The keys of a `source` that is a running server: where it is, who asks, with which password and tools.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::EngineError;
use super::source_path::{invalid, only_keys};
use super::tool::{Finder, Secret};
use crate::domain::Source;

/// What the engines that ask a server have in common, and what tells them apart.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dialect {
    /// The engine's name.
    pub(super) engine: &'static str,
    /// What a URL may start with, before `://`.
    pub(super) schemes: &'static [&'static str],
    /// The server's port where none is given.
    pub(super) port: u16,
    /// The server's socket where neither URL nor socket is given.
    pub(super) socket: &'static str,
    /// Keys that this engine alone has.
    pub(super) more: &'static [&'static str],
}

/// The keys that every such source may have.
const KEYS: [&str; 12] = [
    "path",
    "url",
    "socket",
    "user",
    "database",
    "password_file",
    "tls",
    "ca_file",
    "cert_file",
    "key_file",
    "tools",
    "extra_args",
];

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Address {
    /// At a socket of this machine. PostgreSQL's is named by its folder.
    Socket(PathBuf),
    /// At a port.
    Tcp {
        /// Name or address.
        host: String,
        /// Port.
        port: u16,
    },
}

/// How much the connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tls {
    /// Not at all.
    Off,
    /// Where the server can; what the tool does by default.
    Prefer,
    /// Encrypted, or there is no connection.
    Require,
    /// And the server's certificate is signed by `ca_file`, or by an authority the system trusts.
    VerifyCa,
    /// And it is that of this host.
    VerifyFull,
}

/// How a server is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    /// Its files.
    Physical,
    /// A dump of each database.
    Logical,
}

impl Method {
    /// The method that `source` asks for, if it asks for one.
    pub(super) fn of(source: &Source) -> Result<Option<Self>, EngineError> {
        match text(source, "method")?.as_deref() {
            None => Ok(None),
            Some("physical") => Ok(Some(Self::Physical)),
            Some("logical") => Ok(Some(Self::Logical)),
            Some(_) => Err(invalid("source.method must be \"physical\" or \"logical\"")),
        }
    }
}

/// A server, as the configuration names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ServerSource {
    pub(super) address: Address,
    pub(super) user: Option<String>,
    pub(super) database: Option<String>,
    pub(super) password_file: Option<PathBuf>,
    pub(super) tls: Tls,
    pub(super) ca_file: Option<PathBuf>,
    pub(super) cert_file: Option<PathBuf>,
    pub(super) key_file: Option<PathBuf>,
    pub(super) tools: Option<PathBuf>,
    pub(super) extra_args: Vec<String>,
}

/// What a source of such an engine can be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Whence {
    /// A server.
    Server(Box<ServerSource>),
    /// What a restore made, on which no server runs as far as Coffer knows.
    Restored(PathBuf),
}

impl ServerSource {
    /// Understands `source`, or names the key that it does not.
    pub(super) fn parse(source: &Source, dialect: &Dialect) -> Result<Whence, EngineError> {
        let known: Vec<&str> = KEYS.iter().chain(dialect.more).copied().collect();
        only_keys(dialect.engine, source, &known)?;
        if source.0.contains_key("path") {
            only_keys(dialect.engine, source, &["path"])?;
            return super::source_path::path_of(dialect.engine, source).map(Whence::Restored);
        }
        if source.0.is_empty() {
            return Err(invalid(format!(
                "source of the engine {} needs a url or a socket",
                dialect.engine
            )));
        }
        let mut found = Self {
            address: Address::Socket(dialect.socket.into()),
            user: text(source, "user")?,
            database: text(source, "database")?,
            password_file: text(source, "password_file")?.map(PathBuf::from),
            tls: tls(source)?,
            ca_file: file(source, "ca_file")?,
            cert_file: file(source, "cert_file")?,
            key_file: file(source, "key_file")?,
            tools: file(source, "tools")?,
            extra_args: texts(source, "extra_args")?,
        };
        match (text(source, "url")?, file(source, "socket")?) {
            (Some(_), Some(_)) => {
                return Err(invalid("source has both url and socket: keep one"));
            }
            (Some(url), None) => found.take_url(&url, dialect)?,
            (None, Some(socket)) => found.address = Address::Socket(socket),
            (None, None) => {}
        }
        Ok(Whence::Server(Box::new(found)))
    }

    /// `scheme://[user@]host[:port][/database]`.
    fn take_url(&mut self, url: &str, dialect: &Dialect) -> Result<(), EngineError> {
        let form = format!("{}://user@host:port/database", dialect.schemes.first().unwrap_or(&""));
        // The text itself is not shown: it may hold a password.
        let wrong = |why: &str| invalid(format!("source.url {why}; its form is {form}"));
        let (scheme, rest) = url.split_once("://").ok_or_else(|| wrong("has no scheme"))?;
        if !dialect.schemes.contains(&scheme) {
            return Err(wrong("has a scheme that is not this engine's"));
        }
        if rest.contains(['?', '#']) {
            return Err(wrong("has options, which are keys of source here: tls, ca_file, user…"));
        }
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, place) =
            authority.rsplit_once('@').map_or((None, authority), |(user, it)| (Some(user), it));
        if user.is_some_and(|user| user.contains(':')) {
            return Err(wrong(
                "has a password in it: put that into a file, named by password_file",
            ));
        }
        let (host, port) = host_and_port(place, dialect.port)
            .ok_or_else(|| wrong("has no host or no proper port"))?;
        self.address = Address::Tcp { host, port };
        for (key, value, kept) in [
            ("user", user.unwrap_or_default(), &mut self.user),
            ("database", path, &mut self.database),
        ] {
            if value.is_empty() {
                continue;
            }
            if kept.is_some() {
                return Err(wrong(&format!("has the {key} that source.{key} gives too")));
            }
            *kept = Some(decoded(value).ok_or_else(|| wrong("is not percent-encoded properly"))?);
        }
        Ok(())
    }

    /// The password, if there is a file for it.
    pub(super) fn password(&self) -> Result<Option<Secret>, EngineError> {
        self.password_file.as_deref().map(Secret::read).transpose()
    }

    /// Looks for tools in `source.tools`, else in `usual` and where a shell looks.
    pub(super) fn finder(&self, usual: Vec<PathBuf>) -> Finder {
        Finder { folder: self.tools.clone(), usual }
    }

    /// Where it is, for messages and reports.
    pub(super) fn shown(&self) -> String {
        match &self.address {
            Address::Socket(path) => path.display().to_string(),
            Address::Tcp { host, port } => format!("{host}:{port}"),
        }
    }
}

fn host_and_port(place: &str, default: u16) -> Option<(String, u16)> {
    let (host, port) = match place.strip_prefix('[') {
        Some(rest) => {
            let (host, behind) = rest.split_once(']')?;
            (host, behind.strip_prefix(':').or(if behind.is_empty() { Some("") } else { None })?)
        }
        None => place.split_once(':').unwrap_or((place, "")),
    };
    let port = if port.is_empty() { default } else { port.parse().ok()? };
    let plain = !host.is_empty() && host.chars().all(|it| it.is_ascii_graphic() && it != '@');
    (plain && !host.starts_with('-')).then(|| (host.to_owned(), port))
}

/// Text with `%41` for `A`.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut left = text.as_bytes();
    while let Some((first, after)) = left.split_first() {
        left = after;
        if *first == b'%' {
            let (digits, after) = left.split_at_checked(2)?;
            bytes.extend(hex::decode(digits).ok()?);
            left = after;
        } else {
            bytes.push(*first);
        }
    }
    String::from_utf8(bytes).ok().filter(|text| !text.contains('\0'))
}

/// The text under `key`; not empty, without a zero byte.
pub(super) fn text(source: &Source, key: &str) -> Result<Option<String>, EngineError> {
    match source.0.get(key) {
        None => Ok(None),
        Some(Value::String(text)) if !text.is_empty() && !text.contains('\0') => {
            Ok(Some(text.clone()))
        }
        Some(_) => Err(invalid(format!("source.{key} must be text, and not empty"))),
    }
}

/// The texts under `key`.
pub(super) fn texts(source: &Source, key: &str) -> Result<Vec<String>, EngineError> {
    let wrong = || invalid(format!("source.{key} must be a list of texts"));
    match source.0.get(key) {
        None => Ok(Vec::new()),
        Some(Value::Array(items)) => items
            .iter()
            .map(|item| item.as_str().filter(|it| !it.contains('\0')).map(str::to_owned))
            .collect::<Option<_>>()
            .ok_or_else(wrong),
        Some(_) => Err(wrong()),
    }
}

fn file(source: &Source, key: &str) -> Result<Option<PathBuf>, EngineError> {
    let Some(path) = text(source, key)?.map(PathBuf::from) else { return Ok(None) };
    if path.is_absolute() {
        return Ok(Some(path));
    }
    Err(invalid(format!("source.{key} must be an absolute path")))
}

fn tls(source: &Source) -> Result<Tls, EngineError> {
    Ok(match text(source, "tls")?.as_deref() {
        None | Some("prefer") => Tls::Prefer,
        Some("off") => Tls::Off,
        Some("require") => Tls::Require,
        Some("verify-ca") => Tls::VerifyCa,
        Some("verify-full") => Tls::VerifyFull,
        Some(_) => {
            return Err(invalid(
                "source.tls must be \"off\", \"prefer\", \"require\", \"verify-ca\" or \"verify-full\"",
            ));
        }
    })
}

/// The error for what a restore made: there is no server to ask.
pub(super) fn nobody_serves(engine: &str, path: &Path) -> EngineError {
    invalid(format!(
        "{} was restored by Coffer and no server is known to run on it: start one, and name its url or \
         socket in an instance of the engine {engine} in the configuration",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const DIALECT: Dialect = Dialect {
        engine: "postgresql",
        schemes: &["postgresql", "postgres"],
        port: 5432,
        socket: "/run/postgresql",
        more: &["method"],
    };

    fn parse(value: Value) -> Result<ServerSource, String> {
        match ServerSource::parse(&serde_json::from_value(value).unwrap(), &DIALECT) {
            Ok(Whence::Server(server)) => Ok(*server),
            Ok(Whence::Restored(path)) => panic!("{}", path.display()),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn a_url_names_host_port_user_and_database() {
        for (url, host, port, user, database) in [
            ("postgresql://db", "db", 5432, None, None),
            ("postgres://me@db:7/shop", "db", 7, Some("me"), Some("shop")),
            ("postgresql://a%40b@[::1]:7/a%20b", "::1", 7, Some("a@b"), Some("a b")),
            ("postgresql://[::1]", "::1", 5432, None, None),
        ] {
            let found = parse(json!({ "url": url })).unwrap();
            assert_eq!(found.address, Address::Tcp { host: host.to_owned(), port }, "{url}");
            assert_eq!(
                (found.user.as_deref(), found.database.as_deref()),
                (user, database),
                "{url}"
            );
        }
    }

    #[test]
    fn a_password_in_a_url_is_refused_and_not_shown() {
        let said = parse(json!({"url": "postgresql://me:hunter2@db/shop"})).unwrap_err();
        assert!(said.contains("password_file") && !said.contains("hunter2"), "{said}");
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for (source, word) in [
            (json!({}), "url or a socket"),
            (json!({"url": "mysql://db"}), "scheme"),
            (json!({"url": "postgresql://db?sslmode=off"}), "tls"),
            (json!({"url": "postgresql://"}), "host"),
            (json!({"url": "postgresql://-h"}), "host"),
            (json!({"url": "postgresql://db:x"}), "port"),
            (json!({"url": "postgresql://db", "socket": "/s"}), "keep one"),
            (json!({"url": "postgresql://a@db", "user": "b"}), "source.user"),
            (json!({"socket": "run/x"}), "absolute"),
            (json!({"socket": "/s", "tls": "yes"}), "source.tls"),
            (json!({"socket": "/s", "extra_args": "-v"}), "list"),
            (json!({"socket": "/s", "pasword_file": "/p"}), "pasword_file"),
            (json!({"path": "/s", "user": "b"}), "\"user\""),
        ] {
            let said = parse(source.clone()).unwrap_err();
            assert!(said.contains(word), "{source}: {said}");
        }
    }

    #[test]
    fn without_url_and_socket_the_usual_socket_is_meant() {
        let found = parse(json!({"user": "coffer"})).unwrap();
        assert_eq!(found.address, Address::Socket("/run/postgresql".into()));
        assert_eq!((found.tls, found.user.as_deref()), (Tls::Prefer, Some("coffer")));
    }
}
