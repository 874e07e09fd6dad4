//! The server of an instance, and its programs.

use super::Brand;
use super::programs::Programs;
use crate::domain::Source;
use crate::engine::EngineError;
pub(super) use crate::engine::server_source::Method;
use crate::engine::server_source::ServerSource;

/// The parsed source of a server.
#[derive(Debug, Clone)]
pub(super) struct Options {
    pub(super) brand: Brand,
    pub(super) server: ServerSource,
}

impl Options {
    /// Parses the `source` of a server; an error names the key that is wrong.
    pub(super) fn parse(brand: Brand, source: &Source) -> Result<Self, EngineError> {
        Ok(Self { brand, server: brand.kind().server(source)? })
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn parse(brand: Brand, value: Value) -> Result<Method, String> {
        let source = serde_json::from_value(value).unwrap();
        Options::parse(brand, &source).map(|it| it.server.method).map_err(|error| error.to_string())
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
            (Brand::MySql, json!({"socket": "/s", "method": "physical"}), "must be \"logical\""),
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
