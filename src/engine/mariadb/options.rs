//! The keys of a MariaDB or MySQL `source`.

use super::Brand;
use super::programs::Programs;
use crate::domain::Source;
use crate::engine::EngineError;
pub(super) use crate::engine::server_source::Method;
use crate::engine::server_source::{ServerOrRestored, ServerSource};
use crate::engine::source_path::invalid;

/// The parsed source of a server.
#[derive(Debug, Clone)]
pub(super) struct Options {
    pub(super) brand: Brand,
    pub(super) server: ServerSource,
    pub(super) method: Method,
}

impl Options {
    /// Parses the `source` of a server; an error names the key that is wrong.
    pub(super) fn parse(brand: Brand, source: &Source) -> Result<Self, EngineError> {
        let kind = brand.kind();
        Self::of(brand, ServerSource::parse(source, &kind)?.into_server(&kind)?, source)
    }

    /// Checks `source`, which may also be the result of a restore.
    pub(super) fn check_source(brand: Brand, source: &Source) -> Result<(), EngineError> {
        match ServerSource::parse(source, &brand.kind())? {
            ServerOrRestored::Restored(_) => Ok(()),
            ServerOrRestored::Server(server) => Self::of(brand, *server, source).map(drop),
        }
    }

    fn of(brand: Brand, server: ServerSource, source: &Source) -> Result<Self, EngineError> {
        let method = method(brand, source)?;
        if method == Method::Physical && server.database.is_some() {
            return Err(invalid(
                "source.database names one database, but a physical backup is of the whole server: \
                 remove it, or set method = \"logical\"",
            ));
        }
        Ok(Self { brand, server, method })
    }

    pub(super) fn programs(&self) -> Programs {
        Programs { brand: self.brand, finder: self.server.finder() }
    }

    /// The server and the user, for messages.
    pub(super) fn shown(&self) -> String {
        let user = self.server.user.as_deref().map(|user| format!(" as {user}"));
        format!("the server at {}{}", self.server.shown(), user.unwrap_or_default())
    }
}

fn method(brand: Brand, source: &Source) -> Result<Method, EngineError> {
    match (brand, Method::parse(source)?) {
        (Brand::MariaDb, None) => Ok(Method::Physical),
        (Brand::MySql, None) => Ok(Method::Logical),
        (Brand::MySql, Some(Method::Physical)) => Err(invalid(
            "source.method: MySQL is backed up by dumps only: set method = \"logical\"",
        )),
        (_, Some(method)) => Ok(method),
    }
}

/// Where to find the programs for a backup whose instance may not be known.
pub(super) fn programs_for(brand: Brand, source: Option<&Source>) -> Programs {
    let known = source.and_then(|source| Options::parse(brand, source).ok());
    known.map_or_else(|| Programs::in_path(brand), |options| options.programs())
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
    fn the_default_method_is_physical_for_mariadb_and_logical_for_mysql() {
        let socket = json!({"socket": "/s"});
        let logical = json!({"socket": "/s", "method": "logical"});
        assert_eq!(parse(Brand::MariaDb, socket.clone()), Ok(Method::Physical));
        assert_eq!(parse(Brand::MariaDb, logical.clone()), Ok(Method::Logical));
        assert_eq!(parse(Brand::MySql, socket), Ok(Method::Logical));
        assert_eq!(parse(Brand::MySql, logical), Ok(Method::Logical));
    }

    #[test]
    fn invalid_and_conflicting_keys_are_refused() {
        for (brand, source, word) in [
            (Brand::MySql, json!({"socket": "/s", "method": "physical"}), "dumps only"),
            (Brand::MariaDb, json!({"socket": "/s", "method": "fast"}), "source.method"),
            (Brand::MariaDb, json!({"socket": "/s", "database": "shop"}), "whole server"),
            (Brand::MariaDb, json!({"path": "/srv/restored"}), "restored by Coffer"),
            (Brand::MariaDb, json!({"url": "postgresql://db"}), "scheme"),
        ] {
            let message = parse(brand, source.clone()).unwrap_err();
            assert!(message.contains(word), "{source}: {message}");
        }
        let one = json!({"url": "mysql://me@db/shop", "method": "logical"});
        assert_eq!(parse(Brand::MariaDb, one), Ok(Method::Logical));
    }
}
