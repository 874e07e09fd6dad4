//! The keys of a `source` of MariaDB or MySQL.

use super::Brand;
use super::programs::Programs;
use crate::domain::Source;
use crate::engine::EngineError;
pub(super) use crate::engine::server_source::Method;
use crate::engine::server_source::{ServerSource, Whence, nobody_serves};
use crate::engine::source_path::invalid;

/// A `source`, understood.
#[derive(Debug, Clone)]
pub(super) struct Options {
    pub(super) brand: Brand,
    pub(super) server: ServerSource,
    pub(super) method: Method,
}

impl Options {
    /// Understands the `source` of a running server, or names the key that it does not.
    pub(super) fn parse(brand: Brand, source: &Source) -> Result<Self, EngineError> {
        match ServerSource::parse(source, &brand.dialect())? {
            Whence::Restored(path) => Err(nobody_serves(brand.engine(), &path)),
            Whence::Server(server) => Self::of(brand, *server, source),
        }
    }

    /// Says whether `source` is understood; what a restore made is, too.
    pub(super) fn accept(brand: Brand, source: &Source) -> Result<(), EngineError> {
        match ServerSource::parse(source, &brand.dialect())? {
            Whence::Restored(_) => Ok(()),
            Whence::Server(server) => Self::of(brand, *server, source).map(drop),
        }
    }

    fn of(brand: Brand, server: ServerSource, source: &Source) -> Result<Self, EngineError> {
        let method = method(brand, source)?;
        if method == Method::Physical && server.database.is_some() {
            return Err(invalid(
                "source.database names one database, but a physical backup is of the whole server: take \
                 it away, or set method = \"logical\"",
            ));
        }
        Ok(Self { brand, server, method })
    }

    /// Where its programs are.
    pub(super) fn programs(&self) -> Programs {
        Programs { brand: self.brand, finder: self.server.finder(Vec::new()) }
    }

    /// The server and who asks, for messages.
    pub(super) fn shown(&self) -> String {
        let user = self.server.user.as_deref().map(|user| format!(" as {user}"));
        format!("the server at {}{}", self.server.shown(), user.unwrap_or_default())
    }
}

fn method(brand: Brand, source: &Source) -> Result<Method, EngineError> {
    match (brand, Method::of(source)?) {
        (Brand::MariaDb, None) => Ok(Method::Physical),
        (Brand::MySql, None) => Ok(Method::Logical),
        (Brand::MySql, Some(Method::Physical)) => Err(invalid(
            "source.method: a server of MySQL is backed up by dumps only, so far: set method = \"logical\"",
        )),
        (_, Some(method)) => Ok(method),
    }
}

/// Where the programs are that go with the instance a backup is of, as far as that is known.
pub(super) fn programs_for(brand: Brand, source: Option<&Source>) -> Programs {
    let known = source.and_then(|source| Options::parse(brand, source).ok());
    known.map_or_else(|| Programs::usual(brand), |options| options.programs())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn parse(brand: Brand, value: Value) -> Result<Method, String> {
        let source = serde_json::from_value(value).unwrap();
        Options::parse(brand, &source).map(|it| it.method).map_err(|error| error.to_string())
    }

    #[test]
    fn mariadb_is_copied_unless_asked_otherwise_and_mysql_is_dumped() {
        let socket = json!({"socket": "/s"});
        let logical = json!({"socket": "/s", "method": "logical"});
        assert_eq!(parse(Brand::MariaDb, socket.clone()), Ok(Method::Physical));
        assert_eq!(parse(Brand::MariaDb, logical.clone()), Ok(Method::Logical));
        assert_eq!(parse(Brand::MySql, socket), Ok(Method::Logical));
        assert_eq!(parse(Brand::MySql, logical), Ok(Method::Logical));
    }

    #[test]
    fn what_cannot_be_done_is_said() {
        for (brand, source, word) in [
            (Brand::MySql, json!({"socket": "/s", "method": "physical"}), "dumps only"),
            (Brand::MariaDb, json!({"socket": "/s", "method": "fast"}), "source.method"),
            (Brand::MariaDb, json!({"socket": "/s", "database": "shop"}), "whole server"),
            (Brand::MariaDb, json!({"path": "/srv/restored"}), "restored by Coffer"),
            (Brand::MariaDb, json!({"url": "postgresql://db"}), "scheme"),
        ] {
            let said = parse(brand, source.clone()).unwrap_err();
            assert!(said.contains(word), "{source}: {said}");
        }
        let one = json!({"url": "mysql://me@db/shop", "method": "logical"});
        assert_eq!(parse(Brand::MariaDb, one), Ok(Method::Logical));
    }
}
