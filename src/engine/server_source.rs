//! The keys of a `source` that is a running server: its address, user, password and tools. They are checked here
//! and nowhere else; what only one engine understands, that engine checks.

use std::path::{Component, Path, PathBuf};

use serde_json::Value;

use super::Result;
use super::source_path::{invalid, is_absolute_without_up, only_keys, path_of, require_absolute};
use super::tool::{Finder, Secret};
use crate::domain::Source;
use crate::file_url::percent_decoded;

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

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Address {
    /// A socket on this machine. PostgreSQL names its folder.
    Socket(PathBuf),
    Tcp {
        host: String,
        port: u16,
    },
}

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

const TLS: &[(&str, Tls)] = &[
    ("off", Tls::Off),
    ("prefer", Tls::Prefer),
    ("require", Tls::Require),
    ("verify-ca", Tls::VerifyCa),
    ("verify-full", Tls::VerifyFull),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    /// By its files.
    Physical,
    /// By a dump of each database.
    Logical,
}

pub(super) const PHYSICAL: (&str, Method) = ("physical", Method::Physical);
pub(super) const LOGICAL: (&str, Method) = ("logical", Method::Logical);

/// What differs between the engines that read a server.
#[derive(Debug, Clone, Copy)]
pub(super) struct ServerKind {
    pub(super) engine: &'static str,
    pub(super) schemes: &'static [&'static str],
    pub(super) default_port: u16,
    /// Used if the source has neither a URL nor a socket.
    pub(super) default_socket: &'static str,
    /// The values of the key `method`, the default first.
    pub(super) methods: &'static [(&'static str, Method)],
    /// Keys that only this engine has.
    pub(super) own_keys: &'static [&'static str],
    /// Checks what only this engine requires.
    pub(super) check: fn(&ServerSource, &Source) -> Result<()>,
}

/// A server, as the configuration describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ServerSource {
    pub(super) address: Address,
    /// Of the URL, if there is one.
    pub(super) scheme: Option<&'static str>,
    pub(super) user: Option<String>,
    pub(super) database: Option<String>,
    pub(super) password_file: Option<PathBuf>,
    pub(super) tls: Tls,
    pub(super) ca_file: Option<PathBuf>,
    pub(super) cert_file: Option<PathBuf>,
    pub(super) key_file: Option<PathBuf>,
    pub(super) tools: Option<PathBuf>,
    pub(super) extra_args: Vec<String>,
    pub(super) method: Method,
}

impl ServerKind {
    /// Checks `source`, which may also be the result of a restore; an error names the key that is wrong.
    pub(super) fn check_source(&self, source: &Source) -> Result<()> {
        match self.restored(source)? {
            Some(_) => Ok(()),
            None => self.parse(source).map(drop),
        }
    }

    /// Parses the `source` of a server. The result of a restore is an error that says what to do.
    pub(super) fn server(&self, source: &Source) -> Result<ServerSource> {
        match self.restored(source)? {
            None => self.parse(source),
            Some(path) => Err(invalid(format!(
                "{} was restored by Coffer and no server is known to run on it: start one, and name its url \
                 or socket in an instance of the engine {} in the configuration",
                path.display(),
                self.engine
            ))),
        }
    }

    /// Finds the tools for a backup: where the source of its instance says, if that is known.
    pub(super) fn finder(&self, source: Option<&Source>) -> Finder {
        let server = source.and_then(|source| self.server(source).ok());
        server.map_or_else(Finder::default, |server| server.finder())
    }

    /// Checks that every key is known. Returns the path of what was restored.
    fn restored(&self, source: &Source) -> Result<Option<PathBuf>> {
        if source.0.contains_key("password") {
            return Err(invalid(
                "source.password is a secret in the open: put it into a file and name that with password_file",
            ));
        }
        let method = if self.methods.is_empty() { None } else { Some("method") };
        let known: Vec<&str> = KEYS.iter().chain(self.own_keys).copied().chain(method).collect();
        only_keys(self.engine, source, &known)?;
        if !source.0.contains_key("path") {
            return Ok(None);
        }
        only_keys(self.engine, source, &["path"])?;
        require_absolute(source)?;
        path_of(self.engine, source).map(Some)
    }

    fn parse(&self, source: &Source) -> Result<ServerSource> {
        if source.0.is_empty() {
            let engine = self.engine;
            return Err(invalid(format!("source of the engine {engine} needs a url or a socket")));
        }
        let default = self.methods.first().unwrap_or(&PHYSICAL).1;
        let mut server = ServerSource {
            address: Address::Socket(self.default_socket.into()),
            scheme: None,
            user: text(source, "user")?,
            database: text(source, "database")?,
            password_file: password_file(source)?,
            tls: choice(source, "tls", TLS)?.unwrap_or(Tls::Prefer),
            ca_file: file(source, "ca_file")?,
            cert_file: file(source, "cert_file")?,
            key_file: file(source, "key_file")?,
            tools: file(source, "tools")?,
            extra_args: texts(source, "extra_args")?,
            method: choice(source, "method", self.methods)?.unwrap_or(default),
        };
        match (text(source, "url")?, file(source, "socket")?) {
            (Some(_), Some(_)) => return Err(invalid("source has both url and socket: keep one")),
            (Some(url), None) => server.apply_url(&url, self)?,
            (None, Some(socket)) => server.address = Address::Socket(socket),
            (None, None) => {}
        }
        (self.check)(&server, source)?;
        Ok(server)
    }
}

impl ServerSource {
    /// `scheme://[user@]host[:port][/database]`.
    fn apply_url(&mut self, url: &str, kind: &ServerKind) -> Result<()> {
        let form = format!("{}://user@host:port/database", kind.schemes.first().unwrap_or(&""));
        // The URL itself is not shown: it may contain a password.
        let wrong = |why: &str| invalid(format!("source.url {why}; its form is {form}"));
        let (scheme, rest) = url.split_once("://").ok_or_else(|| wrong("has no scheme"))?;
        self.scheme = kind.schemes.iter().copied().find(|it| *it == scheme);
        if self.scheme.is_none() {
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

    pub(super) fn password(&self) -> Result<Option<Secret>> {
        self.password_file.as_deref().map(Secret::read).transpose()
    }

    /// Finds its tools in `source.tools`, or else in `PATH`.
    pub(super) fn finder(&self) -> Finder {
        Finder { folder: self.tools.clone(), ..Finder::default() }
    }

    /// The files for TLS that are set: authority, certificate and key, each with its name in `names`.
    pub(super) fn tls_files(
        &self,
        names: [&'static str; 3],
    ) -> impl Iterator<Item = (&'static str, &Path)> {
        let files = [&self.ca_file, &self.cert_file, &self.key_file];
        names.into_iter().zip(files).filter_map(|(name, file)| Some((name, file.as_deref()?)))
    }

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
pub(super) fn text(source: &Source, key: &str) -> Result<Option<String>> {
    match source.0.get(key) {
        None => Ok(None),
        Some(Value::String(text)) if !text.is_empty() && !text.contains('\0') => {
            Ok(Some(text.clone()))
        }
        Some(_) => Err(invalid(format!("source.{key} must be text, and not empty"))),
    }
}

pub(super) fn texts(source: &Source, key: &str) -> Result<Vec<String>> {
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

fn file(source: &Source, key: &str) -> Result<Option<PathBuf>> {
    let Some(path) = text(source, key)?.map(PathBuf::from) else { return Ok(None) };
    if is_absolute_without_up(&path) {
        return Ok(Some(path));
    }
    Err(invalid(format!("source.{key} must be an absolute path without `..`")))
}

/// The key `password_file`: an absolute path, or the name of a systemd credential.
fn password_file(source: &Source) -> Result<Option<PathBuf>> {
    let Some(path) = text(source, "password_file")?.map(PathBuf::from) else { return Ok(None) };
    let is_name = matches!(path.components().next(), Some(Component::Normal(name)) if name == path);
    if is_name || is_absolute_without_up(&path) {
        return Ok(Some(path));
    }
    Err(invalid(
        "source.password_file must be an absolute path without `..`, or the name of a systemd credential",
    ))
}

/// The value that the text under `key` names.
fn choice<T: Copy>(source: &Source, key: &str, choices: &[(&str, T)]) -> Result<Option<T>> {
    let Some(found) = source.0.get(key) else { return Ok(None) };
    if let Some((_, value)) = choices.iter().find(|(name, _)| found.as_str() == Some(name)) {
        return Ok(Some(*value));
    }
    let names: Vec<String> = choices.iter().map(|(name, _)| format!("{name:?}")).collect();
    Err(invalid(format!("source.{key} must be {}", names.join(" or "))))
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
        methods: &[PHYSICAL, LOGICAL],
        own_keys: &[],
        check: |_server, _source| Ok(()),
    };

    fn parse(value: Value) -> Result<ServerSource, String> {
        KIND.server(&serde_json::from_value(value).unwrap()).map_err(|error| error.to_string())
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
    fn without_url_and_socket_the_default_socket_is_used() {
        let found = parse(json!({"user": "coffer"})).unwrap();
        assert_eq!(found.address, Address::Socket("/run/postgresql".into()));
        assert_eq!((found.tls, found.user.as_deref()), (Tls::Prefer, Some("coffer")));
    }
}
