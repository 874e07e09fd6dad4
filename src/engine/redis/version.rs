//! Whether a tool is new enough for its server: each reads the snapshots of its own time and older ones.

use super::info::Info;
use crate::domain::FailureCode;
use crate::engine::EngineError;

/// The Redis that Valkey started from: what its tools read of Redis' snapshots.
const VALKEY_BEGAN: (u32, u32) = (7, 2);
/// The first Valkey whose snapshots no Redis reads.
const VALKEY_PARTED: (u32, u32) = (9, 0);

/// The first two numbers of a version, of `redis-cli 7.0.15` or `v=7.0.15` too.
pub(super) fn numbers(text: &str) -> Option<(u32, u32)> {
    let start = text.find(|letter: char| letter.is_ascii_digit())?;
    let mut parts = text.get(start..)?.split(|letter: char| !letter.is_ascii_digit());
    let major = parts.next()?.parse().ok()?;
    Some((major, parts.next().and_then(|it| it.parse().ok()).unwrap_or(0)))
}

/// Says no to a tool that cannot know what this server writes. `said` is what it calls itself.
pub(super) fn fits(said: &str, info: &Info) -> Result<(), EngineError> {
    let said = said.lines().next().unwrap_or_default().trim();
    let Some(tool) = numbers(said) else { return Ok(()) };
    let of_valkey = said.contains("valkey");
    let valkey = numbers(info.get("valkey_version"));
    let redis = numbers(info.get("redis_version")).unwrap_or_default();
    let old = match (of_valkey, valkey) {
        (true, Some(server)) => tool < server,
        (false, Some(server)) => server >= VALKEY_PARTED || tool < redis,
        (true, None) => VALKEY_BEGAN < redis,
        (false, None) => tool < redis,
    };
    if !old {
        return Ok(());
    }
    let package = if valkey.is_some() { "valkey-tools" } else { "redis-tools" };
    Err(EngineError::known(
        FailureCode::Tool,
        format!(
            "the server is {} and the tool is {said}, which is older than what it would have to read: \
             apt install {package} in the server's version, or name the folder of such tools as \
             source.tools",
            info.version()
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_its_first_two_numbers() {
        assert_eq!(numbers("redis-cli 7.0.15"), Some((7, 0)));
        assert_eq!(numbers("Redis server v=7.2.4 sha=0"), Some((7, 2)));
        assert_eq!((numbers("8"), numbers("none")), (Some((8, 0)), None));
    }

    #[test]
    fn a_tool_older_than_its_server_is_refused_with_the_package_to_install() {
        let redis = |it| format!("redis_version:{it}\r\n");
        let valkey = |it| format!("redis_version:7.2.4\r\nvalkey_version:{it}\r\n");
        for (tool, server, good) in [
            ("redis-cli 7.0.15", redis("7.0.1"), true),
            ("redis-cli 8.0.0", redis("7.4.1"), true),
            ("redis-cli 7.0.15", redis("7.2.0"), false),
            ("redis-cli 7.0.15", redis("10.0.0"), false),
            ("valkey-cli 8.0.1", valkey("8.0.1"), true),
            ("valkey-cli 8.0.1", valkey("8.1.0"), false),
            ("redis-cli 7.2.5", valkey("8.0.1"), true),
            ("redis-cli 7.0.15", valkey("8.0.1"), false),
            ("redis-cli 8.2.0", valkey("9.0.0"), false),
            ("valkey-cli 9.0.0", redis("7.2.5"), true),
            ("valkey-cli 9.0.0", redis("7.4.0"), false),
            ("built by hand", redis("7.4.0"), true),
        ] {
            let info = Info::parse(format!("# Server\r\n{server}").as_bytes()).unwrap();
            let found = fits(tool, &info);
            assert_eq!(found.is_ok(), good, "{tool}, {server}");
            if let Err(error) = found {
                let package =
                    if server.contains("valkey") { "valkey-tools" } else { "redis-tools" };
                assert!(error.to_string().contains(package), "{error}");
            }
        }
    }
}
