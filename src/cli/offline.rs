//! What commands that work on archives share: which backup is meant, and how to get at its chain.

use std::path::PathBuf;

use clap::Args;

use crate::archive::Chain;
use crate::config::Config;
use crate::domain::BackupId;
use crate::executor::{self, Cancel, Context};
use crate::server;

use super::{CommandError, WithConfig};

/// A backup of the catalog, or archive files.
#[derive(Debug, Args)]
#[command(next_help_heading = "Which backup")]
pub(super) struct Which {
    /// The backup's id.
    #[arg(value_name = "ID", required_unless_present = "archive", conflicts_with = "archive")]
    pub(super) id: Option<BackupId>,
    /// An archive file; for an incremental, every file of its chain, in any order. Needs no catalog.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub(super) archive: Vec<PathBuf>,
}

/// An opened chain, and the catalog it came from, if it did.
pub(super) struct Opened {
    pub(super) chain: Chain,
    pub(super) context: Option<Context>,
    pub(super) config: Config,
}

/// Opens what is meant.
pub(super) fn open(which: &Which, with: &WithConfig) -> Result<Opened, CommandError> {
    let config = with.load()?;
    let Some(id) = which.id else {
        let chain = executor::open_files(&which.archive)?;
        return Ok(Opened { chain, context: None, config });
    };
    let context = server::open_existing(&config)?;
    let backups = context.catalog.chain(id)?;
    let chain = executor::open_chain(&*context.storage, &backups, &Cancel::default())?;
    Ok(Opened { chain, context: Some(context), config })
}
