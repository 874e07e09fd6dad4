//! How far a backup has been proven.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The strongest proof a backup has had. Later levels include the earlier ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum VerifyLevel {
    /// Every frame of the published file was decoded again and equals what the source gave.
    Bytes,
    /// Besides, what was read passed the engine's own check.
    Checked,
    /// Besides, a real restore passed.
    Restored,
}

impl VerifyLevel {
    /// The word in the catalog, the manifest and reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bytes => "bytes",
            Self::Checked => "checked",
            Self::Restored => "restored",
        }
    }
}

/// How each new backup is proven (`verify` of an instance).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verify {
    /// Its archive is read back and compared.
    #[default]
    Archive,
    /// Besides, it is restored and used in a drill.
    Restore,
}

impl Verify {
    /// The word in the catalog and the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Archive => "archive",
            Self::Restore => "restore",
        }
    }
}

/// How thoroughly the engine checks what it reads (`check` of an instance).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckLevel {
    /// Not at all.
    Off,
    /// Structure only (SQLite: `quick_check`).
    #[default]
    Quick,
    /// Everything, indexes against tables too (SQLite: `integrity_check`).
    Full,
}
