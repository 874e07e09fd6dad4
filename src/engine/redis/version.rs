//! Whether a tool is new enough for its server: a tool reads snapshots of its own version and older ones.

use super::info::Info;
use crate::domain::FailureCode;
use crate::engine::tool::major_and_minor;
use crate::engine::{EngineError, Result};

/// The Redis version that Valkey was forked from; newer snapshots of Redis its tools cannot read.
const VALKEY_FORK: (u32, u32) = (7, 2);
/// The first Valkey version whose snapshots no Redis tool can read.
const VALKEY_OWN_FORMAT: (u32, u32) = (9, 0);

/// Fails if a tool is too old to read what this server writes. `version` is the tool's own name and version.
pub(super) fn check_version(version: &str, info: &Info) -> Result<()> {
    let version = version.lines().next().unwrap_or_default().trim();
    let Some(tool) = major_and_minor(version) else { return Ok(()) };
    let of_valkey = version.contains("valkey");
    let valkey = major_and_minor(info.get("valkey_version"));
    let redis = major_and_minor(info.get("redis_version")).unwrap_or_default();
    let old = match (of_valkey, valkey) {
        (true, Some(server)) => tool < server,
        (false, Some(server)) => server >= VALKEY_OWN_FORMAT || tool < redis,
        (true, None) => VALKEY_FORK < redis,
        (false, None) => tool < redis,
    };
    if !old {
        return Ok(());
    }
    let package = if valkey.is_some() { "valkey-tools" } else { "redis-tools" };
    Err(EngineError::known(
        FailureCode::Tool,
        format!(
            "the server is {} and the tool is {version}, which is too old to read its snapshots: apt \
             install {package} in the server's version, or set source.tools to the folder of such tools",
            info.version()
        ),
    ))
}
