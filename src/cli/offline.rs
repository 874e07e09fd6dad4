//! What commands that work on archives share: which backup is meant, and how to get at its chain.

use std::path::PathBuf;

use clap::Args;

use crate::archive::Chain;
use crate::config::Config;
use crate::domain::{Backup, BackupId, Cancel};
use crate::executor::{self, Context, JobError};
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
    /// The chain's rows in the catalog it came from; none for files.
    pub(super) rows: Vec<Backup>,
    pub(super) context: Option<Context>,
    pub(super) config: Config,
}

/// The chain of a backup by its rows alone, whatever damage they tell of: verifying is how that is taken
/// back.
fn rows(context: &Context, id: BackupId) -> Result<Vec<Backup>, CommandError> {
    let mut chain = vec![context.catalog.find(id)?];
    while let Some(parent) = chain.last().and_then(|backup| backup.parent) {
        let seen = chain.iter().any(|backup| backup.id == parent);
        let row = context.catalog.find(parent).map_err(|_reason| JobError::ChainBroken {
            culprit: parent,
            why: format!("the catalog does not know it, and backup {id} is built on it"),
            lasting: true,
        })?;
        if seen {
            let why = format!("the catalog has backup {id} built on itself");
            return Err(CommandError::Damaged(why));
        }
        chain.push(row);
    }
    chain.reverse();
    Ok(chain)
}

/// What a chain is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Its content: damage that was reported is refused at once.
    Use,
    /// Looking at it once more.
    Verify,
}

/// Opens what is meant.
pub(super) fn open(
    which: &Which,
    purpose: Purpose,
    with: &WithConfig,
) -> Result<Opened, CommandError> {
    let config = with.load()?;
    let Some(id) = which.id else {
        let chain = executor::open_files(&which.archive)?;
        return Ok(Opened { chain, rows: Vec::new(), context: None, config });
    };
    let context = server::open_existing(&config)?;
    let rows = match purpose {
        Purpose::Use => context.catalog.chain(id)?,
        Purpose::Verify => rows(&context, id)?,
    };
    let chain = executor::open_chain(&*context.storage, &rows, &Cancel::default())?;
    Ok(Opened { chain, rows, context: Some(context), config })
}
