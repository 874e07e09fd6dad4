//! Opens the chain of a backup in this process, from the catalog or from archive files; no server has to run.

use std::collections::HashMap;

use crate::archive::{Chain, Manifest};
use crate::config::{Config, InstanceConfig};
use crate::domain::{Action, Actor, Backup, BackupId, Cancel, Damage};
use crate::executor::{self, BadLink, Context, JobError};
use crate::server;

use super::args::BackupArgs;
use super::backups::{Candidate, Selector};
use super::error::{CommandError, Result};
use super::from;
use super::interrupt::Interrupt;
use super::terminal::{self, counted};

/// An opened chain; and the open catalog, if the backup was named and not archive files.
pub(super) struct Opened {
    pub(super) chain: Chain,
    /// The chain's rows in that catalog; none for archive files.
    pub(super) rows: Vec<Backup>,
    /// The damage that was reported of them.
    pub(super) reported: Vec<Damage>,
    pub(super) context: Option<Context>,
    pub(super) config: Config,
    /// Ctrl-C cancels what reads the chain, so that a command ends cleanly and leaves nothing behind.
    interrupt: Interrupt,
}

impl Opened {
    pub(super) fn cancel(&self) -> &Cancel {
        self.interrupt.cancel()
    }

    pub(super) fn id(&self) -> BackupId {
        self.chain.last().reported_id()
    }

    pub(super) fn manifest(&self) -> &Manifest {
        self.chain.last().manifest()
    }

    /// Records in the event log that the backup was restored or written elsewhere, if the catalog named it.
    pub(super) fn record(&self, action: Action, to: &str) -> Result<()> {
        let (Some(context), Some(row)) = (&self.context, self.rows.last()) else { return Ok(()) };
        let to = format!("to {to}");
        let recorded = context.catalog.record(action, Actor::command_line(), row, to);
        Ok(terminal::warn_unless_recorded("this", recorded.wait())?)
    }

    /// The backup's instance, if the configuration has it.
    pub(super) fn instance(&self) -> Option<&InstanceConfig> {
        let id = self.manifest().backup.instance_id;
        self.config.instances.iter().find(|it| Some(it.instance_id()) == id)
    }

    /// How many threads decode: as many as compress in a backup.
    pub(super) fn decoder_threads(&self) -> usize {
        self.config.executor.compression_thread_count()
    }

    /// The backup's name, and how many archives it needs.
    pub(super) fn title(&self) -> String {
        let manifest = self.manifest();
        format!("{}, {}", manifest.backup.name, counted(manifest.chain.len(), "archive"))
    }
}

/// What a chain is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To use its content: warns if the catalog has a backup of the chain marked as damaged.
    Use,
    /// To verify it, whatever its status: a verification that passes removes the mark.
    Verify,
}

/// Opens the chain of the given backup. From here on Ctrl-C cancels instead of ending the process.
pub(super) fn open(args: &BackupArgs, purpose: Purpose) -> Result<Opened> {
    // What is in archive files, or in another place, does not depend on a configuration.
    let from_files = args.backup.is_none() || args.from.is_some();
    let config = if from_files { args.with.load_silently()? } else { args.with.load()? };
    let interrupt = Interrupt::listen()?;
    let Some(selector) = &args.backup else {
        let keys = args.keys.read(&config)?;
        let chain = executor::open_files(&args.archive, &keys, interrupt.cancel())?;
        executor::appended(&chain).for_each(terminal::warn);
        let (rows, reported) = (Vec::new(), Vec::new());
        return Ok(Opened { chain, rows, reported, context: None, config, interrupt });
    };
    if let Some(from) = &args.from {
        let inventory = from::inventory(from, &config, &args.keys.read(&config)?)?;
        let chain = from::open(&inventory, selector, interrupt.cancel())?;
        let (rows, reported) = (Vec::new(), Vec::new());
        return Ok(Opened { chain, rows, reported, context: None, config, interrupt });
    }
    let identities = args.keys.for_catalog(&config)?;
    let context = server::open_existing_with(&config, &identities)?;
    let (chain, rows, reported) = from_catalog(selector, purpose, (&context, &config), &interrupt)?;
    executor::appended(&chain).for_each(terminal::warn);
    Ok(Opened { chain, rows, reported, context: Some(context), config, interrupt })
}

/// An opened chain with its rows, and the damage that was reported of them.
type OfCatalog = (Chain, Vec<Backup>, Vec<Damage>);

/// Opens a backup of the catalog. The latest of an instance is the newest that can be used: what turns out to be damaged or
/// missing is passed over.
fn from_catalog(
    selector: &Selector,
    purpose: Purpose,
    (context, config): (&Context, &Config),
    interrupt: &Interrupt,
) -> Result<OfCatalog> {
    let (mut passed, mut why) = (Vec::new(), None);
    loop {
        let id = match find(selector, (context, config), &passed) {
            Ok(id) => id,
            Err(error) => return Err(why.unwrap_or(error)),
        };
        match open_rows(id, purpose, (context, config), interrupt) {
            Err(CommandError::Job(error))
                if purpose == Purpose::Use
                    && matches!(selector, Selector::Latest(_))
                    && (error.is_damage() || error.is_not_found()) =>
            {
                terminal::warn(format_args!("backup {id} is newer and is passed over: {error}"));
                passed.push(id);
                why.get_or_insert(error.into());
            }
            opened => return opened,
        }
    }
}

fn open_rows(
    id: BackupId,
    purpose: Purpose,
    (context, config): (&Context, &Config),
    interrupt: &Interrupt,
) -> Result<OfCatalog> {
    let found = match purpose {
        Purpose::Use => context.catalog.chain_to_restore(id).map_err(CommandError::from),
        Purpose::Verify => chain_rows_even_if_damaged(context, id).map(|rows| (rows, Vec::new())),
    };
    let (rows, reported) = found.map_err(|error| error.not_found_in(id, &place(config)))?;
    for Damage { id, failure, .. } in &reported {
        let what = if failure.code.is_damage() { "damaged" } else { "missing" };
        terminal::warn(format_args!("backup {id} was reported as {what}: {failure}"));
    }
    let chain = executor::open_chain(&*context.storage, &rows, interrupt.cancel())?;
    Ok((chain, rows, reported))
}

/// The id of the backup that is meant, but for those that were passed over.
fn find(
    selector: &Selector,
    (context, config): (&Context, &Config),
    passed: &[BackupId],
) -> Result<BackupId> {
    let candidates = || {
        let mut backups = context.catalog.every_backup()?;
        backups.retain(|it| !passed.contains(&it.id));
        backups.reverse();
        candidates(context, backups)
    };
    selector.find(candidates, &place(config))
}

/// These backups, newest first, for a selector to choose from.
pub(super) fn candidates(context: &Context, backups: Vec<Backup>) -> Result<Vec<Candidate>> {
    let instances = context.catalog.known_instances()?;
    let names: HashMap<_, _> = instances.into_iter().map(|it| (it.id, it.name)).collect();
    Ok(backups.into_iter().map(|it| Candidate::of_row(it, &names)).collect())
}

/// The catalog and the rows of a chain, root first, without opening an archive.
pub(super) fn rows_of(args: &BackupArgs) -> Result<Option<(Context, Vec<Backup>)>> {
    let Some((context, id)) = reopen(args) else { return Ok(None) };
    let rows = chain_rows_even_if_damaged(&context, id)?;
    Ok(Some((context, rows)))
}

/// The catalog and the id of the backup, for recording what an attempt to open it found.
pub(super) fn reopen(args: &BackupArgs) -> Option<(Context, BackupId)> {
    if args.from.is_some() {
        return None;
    }
    let config = args.with.load().ok()?;
    let context = server::open_existing(&config).ok()?;
    let id = find(args.backup.as_ref()?, (&context, &config), &[]).ok()?;
    Some((context, id))
}

fn place(config: &Config) -> String {
    format!("the catalog {}", config.catalog_file().display())
}

/// The rows of a backup's chain, root first, also if they are marked as damaged.
fn chain_rows_even_if_damaged(context: &Context, id: BackupId) -> Result<Vec<Backup>> {
    let mut chain = vec![context.catalog.find(id)?];
    while let Some(parent) = chain.last().and_then(|backup| backup.parent) {
        if chain.iter().any(|backup| backup.id == parent) {
            let why = format!("the catalog has backup {id} built on itself");
            return Err(CommandError::Damaged(why));
        }
        chain.push(context.catalog.find(parent).map_err(|_reason| JobError::ChainBroken {
            bad_backup: parent,
            why: format!("the catalog does not know it, and backup {id} is built on it"),
            link: BadLink::OutOfReach,
        })?);
    }
    chain.reverse();
    Ok(chain)
}
