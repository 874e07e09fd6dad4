//! What the catalog needs to know of the places of the configuration.

use crate::policy::Keep;

/// A place of the configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct ConfiguredPlace {
    pub name: String,
    /// How long it keeps copies, by rules of its own; `None`: as long as the data directory keeps the archives.
    pub keep: Option<Keep>,
    /// Whether what is copied there can be read again here: it is not encrypted, or there is a key.
    pub readable: bool,
}
