//! The sections. `config/default.toml` explains every key.

#![expect(missing_docs, reason = "config/default.toml explains every key")]

use std::net::SocketAddr;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::thread::available_parallelism;
use std::time::Duration;

use log::LevelFilter;
use serde::{Deserialize, Serialize};

use crate::domain::LogFormat;

use super::{KeystoneConfig, TlsConfig, TokenConfig, word};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerConfig {
    pub listen: SocketAddr,
    pub public_url: String,
    pub http_workers: usize,
    pub max_connections: usize,
    pub max_connections_per_address: usize,
    pub keep_alive_s: u64,
    pub request_timeout_s: u64,
    pub send_timeout_s: u64,
    pub socket: PathBuf,
    pub socket_mode: String,
    pub socket_group: String,
    pub hosts: String,
    pub console: bool,
    pub tls: TlsConfig,
    pub shutdown_grace_s: u64,
    #[serde(deserialize_with = "word::one")]
    pub log_level: LevelFilter,
    #[serde(deserialize_with = "word::one")]
    pub log_format: LogFormat,
}

impl ServerConfig {
    /// What links start with, if not the scheme and host of the request. Without a slash at the end.
    pub fn public_url(&self) -> Option<&str> {
        let url = self.public_url.trim_end_matches('/');
        (!url.is_empty()).then_some(url)
    }

    /// Certificate and key of the port, if TLS is spoken there.
    pub fn tls(&self) -> Option<&TlsConfig> {
        (!self.tls.certificate.as_os_str().is_empty()).then_some(&self.tls)
    }

    pub fn worker_count(&self) -> usize {
        if self.http_workers == 0 { processors().min(2) } else { self.http_workers }
    }

    /// How long a connection stays open between requests.
    pub const fn keep_alive(&self) -> Duration {
        Duration::from_secs(self.keep_alive_s)
    }

    /// How long a client may take nothing of an answer.
    pub const fn send_timeout(&self) -> Duration {
        Duration::from_secs(self.send_timeout_s)
    }

    /// The mode of the Unix socket. The check of the configuration has found it to be one.
    pub fn socket_permissions(&self) -> u32 {
        u32::from_str_radix(&self.socket_mode, 8).unwrap_or(0o600)
    }

    /// How long a client may take to send the head of a request, and then its body.
    pub const fn request_timeout(&self) -> Duration {
        Duration::from_secs(self.request_timeout_s)
    }

    /// How long running backups get to finish when the server stops.
    pub const fn shutdown_grace(&self) -> Duration {
        Duration::from_secs(self.shutdown_grace_s)
    }
}

/// What may be used at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitsConfig {
    pub token_requests: usize,
    pub token_requests_per_second: u32,
    pub token_body_kib: usize,
    pub token_downloads: usize,
    pub body_kib: usize,
    pub downloads: usize,
    pub project_restores: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthConfig {
    #[serde(deserialize_with = "word::one")]
    pub mode: AuthMode,
    pub token_lifetime_s: u64,
    pub keystone: KeystoneConfig,
    #[serde(default)]
    pub tokens: Vec<TokenConfig>,
}

impl AuthConfig {
    /// How long the tokens last that users get when they sign in.
    pub const fn token_lifetime(&self) -> Duration {
        Duration::from_secs(self.token_lifetime_s)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuthMode {
    Token,
    /// For those, and for tokens of OpenStack's Keystone.
    Keystone,
    /// For none; allowed on a loopback address only.
    None,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExecutorConfig {
    pub workers: usize,
    pub compression_threads: usize,
    pub compression_level: i32,
    pub nice: i32,
    pub max_read_mib_s: u64,
    pub drill_limit_s: u64,
}

impl ExecutorConfig {
    pub fn compression_thread_count(&self) -> usize {
        if self.compression_threads == 0 { processors() } else { self.compression_threads }
    }

    pub fn drill_limit(&self) -> Option<Duration> {
        (self.drill_limit_s > 0).then(|| Duration::from_secs(self.drill_limit_s))
    }
}

/// The disk that archives are on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StorageConfig {
    pub trash_window_s: u64,
    pub headroom_mib: u64,
    pub must_exist: bool,
    pub scrub_days: u64,
    pub scrub_mib_s: u64,
    pub room_for_backups: u32,
    identity_file: String,
}

impl StorageConfig {
    /// How long files of deleted backups stay in `trash/`.
    pub const fn trash_window(&self) -> Duration {
        Duration::from_secs(self.trash_window_s)
    }

    /// The file outside of the data directory that remembers which one is the right one, if there is to be one.
    pub fn identity_file(&self) -> Option<&Path> {
        (!self.identity_file.is_empty()).then(|| Path::new(&self.identity_file))
    }

    /// How old the proof of an archive may be before it is read again; `None`: as old as it likes.
    pub fn scrub_after(&self) -> Option<Duration> {
        let seconds = self.scrub_days.saturating_mul(24 * 3600);
        (seconds > 0).then(|| Duration::from_secs(seconds))
    }

    /// Bytes that a backup leaves free on the filesystem.
    pub const fn headroom_bytes(&self) -> u64 {
        self.headroom_mib.saturating_mul(1 << 20)
    }
}

/// Rules for chains of backups.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CatalogConfig {
    pub max_chain: u32,
    pub reread_every: u32,
    pub events_days: u32,
    pub backup: bool,
}

/// What a project may have if no quota was set for it; -1: any number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuotaConfig {
    pub backups: i64,
    pub instances: i64,
}

/// How long the pages of lists are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PagingConfig {
    pub default: u32,
    pub max: u32,
    pub instances: u32,
}

/// Processors that this process may use, by its affinity and the quota of its control group.
fn processors() -> usize {
    available_parallelism().map_or(1, NonZero::get)
}
