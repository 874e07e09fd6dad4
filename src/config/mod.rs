//! The configuration, read once at start.
//!
//! Three layers: the defaults compiled in from `config/default.toml`, one file, and the environment
//! (`COFFER__SECTION__KEY`). A later layer replaces single keys of an earlier one. A key that does not
//! exist is an error, and so is a value that makes no sense, so a loaded [`Config`] is valid, except that the
//! engines check their own keys.

mod alerts;
mod check;
mod encryption;
mod error;
mod fleet;
mod health;
mod instance;
mod keep;
mod keystone;
mod layers;
mod misplaced;
mod own_catalog;
mod places;
mod policy;
mod section;
mod set_keys;
mod staging;
mod tls;
mod token;
mod word;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use alerts::{AlertConfig, AlertService, AlertTarget, EmailConfig, SecretConfig};
pub use encryption::{AppliesTo, EncryptionConfig};
pub use error::{ConfigError, Problem};
pub use health::HealthConfig;
pub use instance::InstanceConfig;
pub use keep::KeepConfig;
pub use keystone::KeystoneConfig;
pub use places::{PlaceConfig, PlaceKind, PlaceRole};
pub use policy::PolicyConfig;
pub use section::{
    AuthConfig, AuthMode, CatalogConfig, ExecutorConfig, LimitsConfig, PagingConfig, QuotaConfig,
    ServerConfig, StorageConfig,
};
pub use staging::StagingConfig;
pub use tls::TlsConfig;
pub use token::{TokenConfig, TokenDigest};

/// The file that is read if none is given.
pub const DEFAULT_FILE: &str = "/etc/coffer/coffer.toml";

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The folder of everything that Coffer stores. Absolute.
    pub data_dir: PathBuf,
    pub server: ServerConfig,
    pub limits: LimitsConfig,
    pub auth: AuthConfig,
    pub executor: ExecutorConfig,
    pub storage: StorageConfig,
    pub encryption: EncryptionConfig,
    pub catalog: CatalogConfig,
    pub quota: QuotaConfig,
    pub paging: PagingConfig,
    /// What holds for each instance that does not say otherwise.
    pub defaults: PolicyConfig,
    /// Channels that tell people what is wrong.
    #[serde(default)]
    pub alerts: Vec<AlertConfig>,
    /// What to back up. Never empty: without any, Coffer's own catalog.
    #[serde(default)]
    pub instances: Vec<InstanceConfig>,
    /// Where copies of archives go.
    #[serde(default)]
    pub places: Vec<PlaceConfig>,
    /// The file that was read, if any.
    #[serde(skip)]
    pub file: Option<PathBuf>,
}

impl Config {
    /// The configuration from `file`, or from [`DEFAULT_FILE`] if that exists, and the environment.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigError> {
        let layer = match file {
            Some(path) => Some(layers::read(path)?),
            None => layers::read_if_exists(Path::new(DEFAULT_FILE))?,
        };
        let variables = layers::variables(std::env::vars_os())?;
        let mut config = layers::merge(layer.as_ref(), variables)?.finished()?;
        config.file = layer.map(|layer| layer.path);
        Ok(config)
    }

    /// The defaults with this text over them, without other files or the environment. `origin` names the
    /// text in errors.
    pub fn from_toml(text: &str, origin: &str) -> Result<Self, ConfigError> {
        let layer = layers::Layer { path: PathBuf::from(origin), text: text.to_owned() };
        layers::merge(Some(&layer), Vec::new())?.finished()
    }

    /// Checks it, and adds Coffer's own catalog to the instances.
    fn finished(mut self) -> Result<Self, ConfigError> {
        self.instances.extend(own_catalog::of(&self));
        let problems = check::problems(&self);
        if problems.is_empty() { Ok(self) } else { Err(ConfigError::Values(problems)) }
    }

    /// The Unix socket of the server, if it is to have one.
    pub fn socket_file(&self) -> Option<PathBuf> {
        let socket = &self.server.socket;
        (!socket.as_os_str().is_empty()).then(|| self.data_dir.join(socket))
    }

    pub fn catalog_file(&self) -> PathBuf {
        self.data_dir.join("catalog.db")
    }
}

/// The defaults, without any file and without the environment.
impl Default for Config {
    fn default() -> Self {
        layers::merge(None, Vec::new())
            .and_then(Self::finished)
            .expect("config/default.toml is compiled in, and a test loads it")
    }
}
