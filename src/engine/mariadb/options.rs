//! The server of an instance, and its programs.

use super::Brand;
use super::programs::Programs;
use crate::domain::Source;
use crate::engine::Result;
pub(super) use crate::engine::server_source::Method;
use crate::engine::server_source::ServerSource;

#[derive(Debug, Clone)]
pub(super) struct Options {
    pub(super) brand: Brand,
    pub(super) server: ServerSource,
}

impl Options {
    /// Parses the `source` of a server; an error names the key that is wrong.
    pub(super) fn parse(brand: Brand, source: &Source) -> Result<Self> {
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
