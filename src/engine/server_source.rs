//! The keys of a `source` that is a running server: its address, user, password and tools. They are checked here
//! and nowhere else; what only one engine understands, that engine checks.

use std::path::{Component, PathBuf};

use serde_json::Value;

use super::EngineError;
use super::source_path::{
    invalid, is_absolute_without_up, only_keys, path_of, percent_decoded, require_absolute,
};
use super::tool::{Finder, Secret};
use crate::domain::Source;

/// What differs between the engines that read a server.
#[derive(Debug, Clone, Copy)]
pub(super) struct ServerKind {
    pub(super) engine: &'static str,
    /// The schemes of its URLs.
    pub(super) schemes: &'static [&'static str],
    pub(super) default_port: u16,
    /// Used if the source has neither a URL nor a socket.
    pub(super) default_socket: &'static str,
    /// Keys that only this engine has.
    pub(super) own_keys: &'static [&'static str],
}

/// The keys that every server's source may have.
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
    /// A socket on this machine. PostgreSQL names its folder.
    Socket(PathBuf),
    Tcp {
        host: String,
        port: u16,
    },
}

/// How the connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tls {
    Off,
    /// Encrypted if the server supports it: the tools' default.
    Prefer,
    /// Encrypted, or no connection.
    Require,
    /// Encrypted, with a certificate signed by `ca_file` or by an authority that the system trusts.
    VerifyCa,
    /// And the certificate is for this host.
    VerifyFull,
}

/// How a server is backed up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    /// By its files.
    Physical,
    /// By a dump of each database.
    Logical,
}

impl Method {
    /// The key `method`.
    pub(super) fn parse(source: &Source) -> Result<Option<Self>, EngineError> {
        match text(source, "method")?.as_deref() {
            None => Ok(None),
            Some("physical") => Ok(Some(Self::Physical)),
            Some("logical") => Ok(Some(Self::Logical)),
            Some(_) => Err(invalid("source.method must be \"physical\" or \"logical\"")),
        }
    }
}

/// A server, as the configuration describes it.
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

/// What the source of a server engine can be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ServerOrRestored {
    Server(Box<ServerSource>),
    /// The result of a restore. Coffer does not know of a server that runs on it.
    Restored(PathBuf),
}

impl ServerOrRestored {
    /// The server. What was restored has none, which is an error that says what to do.
    pub(super) fn into_server(self, kind: &ServerKind) -> Result<ServerSource, EngineError> {
        match self {
            Self::Server(server) => Ok(*server),
            Self::Restored(path) => Err(invalid(format!(
                "{} was restored by Coffer and no server is known to run on it: start one, and name its url \
                 or socket in an instance of the engine {} in the configuration",
                path.display(),
                kind.engine
            ))),
        }
    }
}

impl ServerSource {
    /// Parses `source`; an error names the key that is wrong.
    pub(super) fn parse(
        source: &Source,
        kind: &ServerKind,
    ) -> Result<ServerOrRestored, EngineError> {
        if source.0.contains_key("password") {
            return Err(invalid(
                "source.password is a secret in the open: put it into a file and name that with password_file",
            ));
        }
        let known: Vec<&str> = KEYS.iter().chain(kind.own_keys).copied().collect();
        only_keys(kind.engine, source, &known)?;
        if source.0.contains_key("path") {
            only_keys(kind.engine, source, &["path"])?;
            require_absolute(source)?;
            return path_of(kind.engine, source).map(ServerOrRestored::Restored);
        }
        if source.0.is_empty() {
            let engine = kind.engine;
            return Err(invalid(format!("source of the engine {engine} needs a url or a socket")));
        }
        let mut server = Self {
            address: Address::Socket(kind.default_socket.into()),
            user: text(source, "user")?,
            database: text(source, "database")?,
            password_file: password_file(source)?,
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
            (Some(url), None) => server.apply_url(&url, kind)?,
            (None, Some(socket)) => server.address = Address::Socket(socket),
            (None, None) => {}
        }
        Ok(ServerOrRestored::Server(Box::new(server)))
    }

    /// `scheme://[user@]host[:port][/database]`.
    fn apply_url(&mut self, url: &str, kind: &ServerKind) -> Result<(), EngineError> {
        let form = format!("{}://user@host:port/database", kind.schemes.first().unwrap_or(&""));
        // The URL itself is not shown: it may contain a password.
        let wrong = |why: &str| invalid(format!("source.url {why}; its form is {form}"));
        let (scheme, rest) = url.split_once("://").ok_or_else(|| wrong("has no scheme"))?;
        if !kind.schemes.contains(&scheme) {
            return Err(wrong("has a scheme of another engine"));
        }
        if rest.contains(['?', '#']) {
            return Err(wrong("has options; use keys of source instead: tls, ca_file, user…"));
        }
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, host) =
            authority.rsplit_once('@').map_or((None, authority), |(user, it)| (Some(user), it));
        if user.is_some_and(|user| user.contains(':')) {
            return Err(wrong(
                "contains a password; put it into a file and name that with password_file",
            ));
        }
        let (host, port) = host_and_port(host, kind.default_port)
            .ok_or_else(|| wrong("has no host or no valid port"))?;
        self.address = Address::Tcp { host, port };
        for (key, value, field) in [
            ("user", user.unwrap_or_default(), &mut self.user),
            ("database", path, &mut self.database),
        ] {
            if value.is_empty() {
                continue;
            }
            if field.is_some() {
                return Err(wrong(&format!("names the {key}, and so does source.{key}")));
            }
            let decoded = percent_decoded(value).and_then(|it| String::from_utf8(it).ok());
            let valid = decoded.filter(|text| !text.contains('\0'));
            *field = Some(valid.ok_or_else(|| wrong("is not percent-encoded"))?);
        }
        Ok(())
    }

    /// Reads the password file, if there is one.
    pub(super) fn password(&self) -> Result<Option<Secret>, EngineError> {
        self.password_file.as_deref().map(Secret::read).transpose()
    }

    /// Finds its tools in `source.tools`, or else in `PATH`.
    pub(super) fn finder(&self) -> Finder {
        Finder { folder: self.tools.clone(), ..Finder::default() }
    }

    /// Its address, for messages.
    pub(super) fn shown(&self) -> String {
        match &self.address {
            Address::Socket(path) => path.display().to_string(),
            Address::Tcp { host, port } => format!("{host}:{port}"),
        }
    }
}

fn host_and_port(text: &str, default: u16) -> Option<(String, u16)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, behind) = rest.split_once(']')?;
            (host, behind.strip_prefix(':').or(if behind.is_empty() { Some("") } else { None })?)
        }
        None => text.split_once(':').unwrap_or((text, "")),
    };
    let port = if port.is_empty() { default } else { port.parse().ok()? };
    let plain = !host.is_empty() && host.chars().all(|it| it.is_ascii_graphic() && it != '@');
    (plain && !host.starts_with('-')).then(|| (host.to_owned(), port))
}

/// The text under `key`: not empty, without a zero byte.
pub(super) fn text(source: &Source, key: &str) -> Result<Option<String>, EngineError> {
    match source.0.get(key) {
        None => Ok(None),
        Some(Value::String(text)) if !text.is_empty() && !text.contains('\0') => {
            Ok(Some(text.clone()))
        }
        Some(_) => Err(invalid(format!("source.{key} must be text, and not empty"))),
    }
}

/// The list of texts under `key`.
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
    if is_absolute_without_up(&path) {
        return Ok(Some(path));
    }
    Err(invalid(format!("source.{key} must be an absolute path without `..`")))
}

/// The key `password_file`: an absolute path, or the name of a systemd credential.
fn password_file(source: &Source) -> Result<Option<PathBuf>, EngineError> {
    let Some(path) = text(source, "password_file")?.map(PathBuf::from) else { return Ok(None) };
    let is_name = matches!(path.components().next(), Some(Component::Normal(name)) if name == path);
    if is_name || is_absolute_without_up(&path) {
        return Ok(Some(path));
    }
    Err(invalid(
        "source.password_file must be an absolute path without `..`, or the name of a systemd credential",
    ))
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const KIND: ServerKind = ServerKind {
        engine: "postgresql",
        schemes: &["postgresql", "postgres"],
        default_port: 5432,
        default_socket: "/run/postgresql",
        own_keys: &["method"],
    };

    fn parse(value: Value) -> Result<ServerSource, String> {
        ServerSource::parse(&serde_json::from_value(value).unwrap(), &KIND)
            .and_then(|parsed| parsed.into_server(&KIND))
            .map_err(|error| error.to_string())
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
    fn an_invalid_source_is_refused_with_the_key_that_is_wrong() {
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
            (json!({"socket": "/run/../x"}), "absolute"),
            (json!({"path": "s"}), "absolute"),
            (json!({"socket": "/s", "tls": "yes"}), "source.tls"),
            (json!({"socket": "/s", "extra_args": "-v"}), "list"),
            (json!({"socket": "/s", "pasword_file": "/p"}), "pasword_file"),
            (json!({"path": "/s", "user": "b"}), "\"user\""),
            (json!({"user": "b", "password": "x"}), "password_file"),
            (json!({"user": "b", "password_file": "a/b"}), "systemd credential"),
            (json!({"user": "b", "password_file": "/a/../b"}), "systemd credential"),
            (json!({"path": "/s"}), "no server is known"),
        ] {
            let said = parse(source.clone()).unwrap_err();
            assert!(said.contains(word), "{source}: {said}");
        }
    }

    #[test]
    fn without_url_and_socket_the_default_socket_is_used() {
        let found = parse(json!({"user": "coffer"})).unwrap();
        assert_eq!(found.address, Address::Socket("/run/postgresql".into()));
        assert_eq!((found.tls, found.user.as_deref()), (Tls::Prefer, Some("coffer")));
    }
}
