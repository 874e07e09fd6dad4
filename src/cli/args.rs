//! Options that several commands have.

use std::path::PathBuf;

use clap::Args;

use crate::config::Config;
use crate::domain::BackupId;

use super::error::CommandError;

#[derive(Debug, Clone, Args)]
pub(crate) struct WithConfig {
    /// The configuration file [default: /etc/coffer/coffer.toml, if it exists].
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl WithConfig {
    pub(super) fn load(&self) -> Result<Config, CommandError> {
        Ok(Config::load(self.config.as_deref())?)
    }
}

/// A backup of the catalog, or archive files, and how to report what is done with it.
#[derive(Debug, Args)]
pub(super) struct BackupArgs {
    /// The backup's id.
    #[arg(value_name = "ID", required_unless_present = "archive", conflicts_with = "archive")]
    pub(super) id: Option<BackupId>,
    /// An archive file; for an incremental backup, all files of its chain, in any order. Needs no catalog.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub(super) archive: Vec<PathBuf>,
    /// Report as JSON.
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) with: WithConfig,
}
