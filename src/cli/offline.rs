//! Opens the chain of a backup, from the catalog or from archive files, without a server.

use crate::archive::Chain;
use crate::config::Config;
use crate::domain::{Backup, BackupId, Cancel};
use crate::executor::{self, Context, JobError};
use crate::server;

use super::args::{Which, WithConfig};
use super::error::CommandError;

/// An opened chain, and the catalog that it came from, if it did.
pub(super) struct Opened {
    pub(super) chain: Chain,
    /// The chain's rows in that catalog; none for archive files.
    pub(super) rows: Vec<Backup>,
    pub(super) context: Option<Context>,
    pub(super) config: Config,
}

/// The chain of a backup by its rows alone, also if they report damage: a verification that passes
/// withdraws it.
fn rows(context: &Context, id: BackupId) -> Result<Vec<Backup>, CommandError> {
    let mut chain = vec![context.catalog.find(id)?];
    while let Some(parent) = chain.last().and_then(|backup| backup.parent) {
        let seen = chain.iter().any(|backup| backup.id == parent);
        let row = context.catalog.find(parent).map_err(|_reason| JobError::ChainBroken {
            culprit: parent,
            why: format!("the catalog does not know it, and backup {id} is built on it"),
            permanent: true,
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
    /// To use its content: fails if damage was reported.
    Use,
    /// To verify it, whatever was reported.
    Verify,
}

/// Opens the chain of the given backup.
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
