//! Options that several commands have.

use std::path::PathBuf;
use std::sync::Once;

use clap::Args;

use crate::config::{Config, DEFAULT_FILE};

use super::backups::Selector;
use super::error::CommandError;
use super::terminal;

/// The warning that there is no configuration file comes once.
static WITHOUT_FILE: Once = Once::new();

#[derive(Debug, Clone, Args)]
pub(crate) struct WithConfig {
    /// The configuration file [default: /etc/coffer/coffer.toml, if it exists].
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
}

impl WithConfig {
    pub(super) fn load(&self) -> Result<Config, CommandError> {
        let config = Config::load(self.config.as_deref())?;
        if config.file.is_none() {
            WITHOUT_FILE.call_once(|| {
                terminal::warn(format_args!(
                    "there is no configuration file {DEFAULT_FILE}; the built-in defaults apply, with data in {}",
                    config.data_dir.display()
                ));
            });
        }
        Ok(config)
    }
}

/// A backup of the catalog, or archive files, and how to report what is done with it.
#[derive(Debug, Args)]
pub(super) struct BackupArgs {
    /// The backup: its id, the beginning of it, its name, or latest:INSTANCE.
    #[arg(value_name = "BACKUP", required_unless_present = "archive", conflicts_with = "archive")]
    pub(super) backup: Option<Selector>,
    /// An archive file; for an incremental backup, all files of its chain, in any order. Needs no catalog.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub(super) archive: Vec<PathBuf>,
    /// Report as JSON.
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) with: WithConfig,
}
