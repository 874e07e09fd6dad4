//! The sections, key by key. What a key means to the operator stands in `config/default.toml`.

use std::net::SocketAddr;
use std::num::NonZero;
use std::thread::available_parallelism;
use std::time::Duration;

use log::LevelFilter;
use serde::{Deserialize, Serialize};

use super::{TokenConfig, word};

/// The HTTP server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// How clients reach it, without a slash at the end; empty: as each request says.
    pub public_url: String,
    /// Threads that answer requests; 0: chosen by [`Server::worker_count`].
    pub http_workers: usize,
    /// Connections held open at once.
    pub max_connections: usize,
    /// Seconds a client may take for the head of a request.
    pub request_timeout_s: u64,
    /// Seconds that running backups get when the server stops.
    pub shutdown_grace_s: u64,
    /// What is logged.
    #[serde(with = "level")]
    pub log_level: LevelFilter,
}

impl Server {
    /// What links start with, if not with the request's own scheme and host.
    pub fn public_url(&self) -> Option<&str> {
        let url = self.public_url.trim_end_matches('/');
        (!url.is_empty()).then_some(url)
    }

    /// How many threads answer requests.
    pub fn worker_count(&self) -> usize {
        if self.http_workers == 0 { processors().min(2) } else { self.http_workers }
    }

    /// How long a client may take for the head of a request.
    pub const fn request_timeout(&self) -> Duration {
        Duration::from_secs(self.request_timeout_s)
    }

    /// How long running backups get when the server stops.
    pub const fn shutdown_grace(&self) -> Duration {
        Duration::from_secs(self.shutdown_grace_s)
    }
}

/// Who may ask.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    /// Whether a token is wanted.
    #[serde(deserialize_with = "word::one")]
    pub mode: AuthMode,
    /// The tokens of the file.
    #[serde(default)]
    pub tokens: Vec<TokenConfig>,
}

/// Whether a token is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuthMode {
    /// Every request shows one.
    Token,
    /// Nobody needs one: on a loopback address only.
    None,
}

/// The threads that do the work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Executor {
    /// Jobs that run at the same time.
    pub workers: usize,
    /// Threads that compress for them; 0: chosen by [`Executor::compression_thread_count`].
    pub compression_threads: usize,
    /// zstd's level.
    pub compression_level: i32,
    /// The jobs' nice value: how much they let others go first.
    pub nice: i32,
    /// MiB a second that sources are read at, by all backups together; 0: as fast as they can be.
    pub max_read_mib_s: u64,
}

impl Executor {
    /// How many threads compress.
    pub fn compression_thread_count(&self) -> usize {
        if self.compression_threads == 0 { processors() } else { self.compression_threads }
    }
}

/// The archive store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Storage {
    /// Seconds that files of deleted backups stay in `trash/`.
    pub trash_window_s: u64,
    /// MiB that a backup leaves free on the filesystem.
    pub headroom_mib: u64,
}

impl Storage {
    /// How long files of deleted backups stay in `trash/`.
    pub const fn trash_window(&self) -> Duration {
        Duration::from_secs(self.trash_window_s)
    }

    /// Bytes that a backup leaves free on the filesystem.
    pub const fn headroom_bytes(&self) -> u64 {
        self.headroom_mib.saturating_mul(1 << 20)
    }
}

/// Rules over backups.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Catalog {
    /// Incrementals that may follow one full; the next one becomes a full.
    pub max_chain: u32,
    /// Every Nth backup of a tree reads everything again; 0: none does.
    pub reread_every: u32,
}

/// What a project may have when no quota was set for it; -1: any number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quota {
    /// Backups.
    pub backups: i64,
    /// Instances made by restores.
    pub instances: i64,
}

/// How long lists are cut.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Paging {
    /// Backups on a page when the client does not say.
    pub default: u32,
    /// The most a client gets.
    pub max: u32,
    /// Instances on a page.
    pub instances: u32,
}

/// Processors this process may use, as its affinity and its control group's quota say; 1 if the system does not say.
fn processors() -> usize {
    available_parallelism().map_or(1, NonZero::get)
}

/// A log level by its name in the configuration.
mod level {
    use log::LevelFilter;
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's `with` passes a reference")]
    pub(super) fn serialize<S: Serializer>(level: &LevelFilter, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(&level.as_str().to_ascii_lowercase())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        input: D,
    ) -> Result<LevelFilter, D::Error> {
        let word = String::deserialize(input)?;
        word.parse().map_err(|_reason| {
            D::Error::custom(format!(
                "unknown level {word:?}, expected off, error, warn, info, debug or trace"
            ))
        })
    }
}
