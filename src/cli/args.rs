//! Options that several commands have.

use std::path::PathBuf;
use std::sync::{Arc, Once};

use clap::{ArgGroup, Args};

use crate::config::{Config, DEFAULT_FILE};
use crate::encryption::{Identities, Keys, PublicKey};
use crate::server;

use super::backups::Selector;
use super::error::{CommandError, Result};
use super::terminal;

/// The warning that there is no configuration file comes once.
static WITHOUT_FILE: Once = Once::new();

#[derive(Debug, Clone, Args)]
pub(crate) struct WithConfig {
    /// The configuration file [default: /etc/coffer/coffer.toml, if it exists].
    #[arg(long, value_name = "FILE", global = true, env = "COFFER_CONFIG", hide_env_values = true)]
    config: Option<PathBuf>,
}

impl WithConfig {
    /// The configuration; without a file, a warning says so.
    pub(super) fn load(&self) -> Result<Config> {
        let config = self.load_silently()?;
        if let Some(warning) = without_file(&config) {
            WITHOUT_FILE.call_once(|| terminal::warn(warning));
        }
        Ok(config)
    }

    /// The configuration, for a command that says itself that there is no file.
    pub(super) fn load_silently(&self) -> Result<Config> {
        Ok(Config::load(self.config.as_deref())?)
    }
}

/// The warning about a configuration without a file.
pub(super) fn without_file(config: &Config) -> Option<String> {
    config.file.is_none().then(|| {
        format!(
            "there is no configuration file {DEFAULT_FILE}, and neither --config nor COFFER_CONFIG names one; \
             the built-in defaults apply, with data in {}",
            config.data_dir.display()
        )
    })
}

/// The secret keys that encrypted archives are read with.
#[derive(Debug, Clone, Args)]
pub(crate) struct WithKeys {
    /// The file of a secret key that reads encrypted archives: one of `coffer key new` or `age-keygen`, one of OpenSSH, or
    /// the text of a recovery sheet. May be given more than once. A passphrase is asked for.
    #[arg(long, value_name = "FILE", env = "COFFER_IDENTITY", hide_env_values = true)]
    identity: Vec<PathBuf>,
    /// Take only archives that this machine signed, by what `coffer key signer` printed there and its recovery sheet says:
    /// coffer-signer:…. May be given more than once.
    #[arg(long, value_name = "SIGNER")]
    signer: Vec<PublicKey>,
}

impl WithKeys {
    /// These keys, and those of the configuration.
    pub(super) fn read(&self, config: &Config) -> Result<Keys> {
        let ask = |name: &str| terminal::ask_secret(&format!("Passphrase of {name}: "));
        Ok(server::keys::read(config, (&self.identity, &self.signer), &ask)?)
    }
}

impl WithKeys {
    /// Whether none was given on the command line.
    pub(super) const fn has_no_identity(&self) -> bool {
        self.identity.is_empty()
    }

    /// The keys for a backup of the catalog, whose archive may be encrypted, here or in the only place that has it.
    pub(super) fn for_catalog(&self, config: &Config) -> Result<Arc<Identities>> {
        if !self.signer.is_empty() {
            let why = "--signer is for archives of a place or a file (--from, --archive): what the catalog names is this \
                       machine's own";
            return Err(CommandError::Usage(why.to_owned()));
        }
        let ask = |name: &str| terminal::ask_secret(&format!("Passphrase of {name}: "));
        Ok(server::keys::for_catalog(config, &self.identity, &ask)?)
    }

    /// The configuration with the secret keys of the command line besides its own.
    pub(super) fn identities_added_to(&self, mut config: Config) -> Config {
        config.encryption.identity_files.extend_from_slice(&self.identity);
        config
    }
}

/// A backup of the catalog, or archive files, and how to report what is done with it.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("which").args(["backup", "archive"]).required(true)))]
pub(super) struct BackupArgs {
    /// The backup: its id, the beginning of it, its name, or latest:INSTANCE.
    #[arg(value_name = "BACKUP")]
    pub(super) backup: Option<Selector>,
    /// An archive file; for an incremental backup, all files of its chain, in any order. Needs no catalog.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub(super) archive: Vec<PathBuf>,
    /// Take the backup out of this place: its name in the configuration, `s3://bucket/prefix`,
    /// `swift://container/prefix`, or a folder, such as the data directory of another machine. Needs no catalog and no
    /// server.
    #[arg(long, value_name = "PLACE", conflicts_with = "archive")]
    pub(super) from: Option<String>,
    /// Report as JSON.
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) keys: WithKeys,
    #[command(flatten)]
    pub(super) with: WithConfig,
}

/// A backup of the catalog, and how to report what is done with it.
#[derive(Debug, Args)]
pub(super) struct OneBackup {
    /// The backup: its id, the beginning of it, its name, or latest:INSTANCE.
    #[arg(value_name = "BACKUP")]
    pub(super) backup: Selector,
    /// Report as JSON.
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) with: WithConfig,
}
