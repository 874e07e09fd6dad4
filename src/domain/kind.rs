//! Full and incremental backups.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Whether a backup can be restored alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Restorable from its own archive.
    Full,
    /// Restorable together with the archives it is built on.
    Incremental,
}

impl Kind {
    /// The word in the catalog, the manifest and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Incremental => "incremental",
        }
    }
}
