//! `coffer key test`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use serde_json::json;

use crate::cli::args::WithConfig;
use crate::cli::error::{CommandError, Result};
use crate::cli::{from, terminal};
use crate::config::Config;
use crate::domain::Cancel;
use crate::encryption::{self, Encrypted, FileHead, Identities, Keys, Recipients, Signers};
use crate::executor::JobError;
use crate::server;
use crate::storage::{Local, LocalSettings, StorageError};

use super::ask;

#[derive(Debug, Args)]
pub(super) struct TestArgs {
    /// The file of a secret key; `-` reads it from the standard input, as it was typed or scanned from a recovery sheet.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Try it on the newest archive in this place: its name in the configuration, `s3://bucket/prefix`,
    /// `swift://container/prefix`, or a folder.
    #[arg(long, value_name = "PLACE")]
    from: Option<String>,
    /// Report as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    with: WithConfig,
}

pub(super) fn run(args: &TestArgs) -> Result<()> {
    let config = args.with.load_silently()?;
    let identities = read(&args.file)?;
    match &args.from {
        Some(from) => on_place(args, from, &config, identities),
        None => on_recipients(args, &config, &identities),
    }
}

fn read(file: &Path) -> Result<Identities> {
    let (shown, content) = super::content(file)?;
    let mut identities = Identities::default();
    identities.add(&shown, &content, &ask)?;
    Ok(identities)
}

/// Encrypts something to each public key of the configuration, and decrypts it again.
fn on_recipients(args: &TestArgs, config: &Config, identities: &Identities) -> Result<()> {
    let wanted = server::keys::configured(config)?;
    let (mut reads, mut others) = (Vec::new(), Vec::new());
    for key in wanted {
        let opened = opens(&key, identities)?;
        if opened { reads.push(key) } else { others.push(key) }
    }
    if reads.is_empty() {
        let mine = identities.public_keys().join(", ");
        let why = if others.is_empty() {
            format!("the configuration encrypts nothing; the public key of this one is {mine}")
        } else {
            format!(
                "this key ({mine}) reads nothing that is encrypted to those of the configuration ({})",
                others.join(", ")
            )
        };
        return Err(CommandError::Failed(why));
    }
    let noted = note(config, &reads);
    if args.json {
        terminal::say_json(&json!({ "reads": reads, "does_not_read": others }));
    } else {
        for key in &reads {
            terminal::say(format_args!("It reads what is encrypted to {key}: that was tried."));
        }
    }
    if let Err(error) = noted {
        terminal::warn(format_args!("that it was tried is not remembered: {error}"));
    }
    Ok(())
}

/// Whether one of these secret keys reads what is encrypted to this public one.
fn opens(key: &str, identities: &Identities) -> Result<bool> {
    let Some(recipient) = Recipients::parse(&[key])? else { return Ok(false) };
    let text = b"whoever reads this has the key".to_vec();
    let head = Arc::new(FileHead::new(&recipient)?);
    let encrypted = Encrypted::new(Arc::new(text.clone()), head);
    let mut read = vec![0; text.len()];
    let decrypted = encryption::open(Arc::new(encrypted), identities)
        .and_then(|it| Ok(it.read_exact_at(&mut read, 0)?));
    Ok(decrypted.is_ok() && read == text)
}

fn note(config: &Config, keys: &[String]) -> Result<(), StorageError> {
    Local::existing(&config.data_dir, LocalSettings::default())?.note_tested_keys(keys)
}

/// Reads what the newest archive of a place says that it is.
fn on_place(args: &TestArgs, from: &str, config: &Config, identities: Identities) -> Result<()> {
    let keys = Keys { identities: Arc::new(identities), signers: Signers::default() };
    let inventory = from::inventory(from, config, &keys)?;
    let newest = inventory.archives().next().ok_or_else(|| {
        CommandError::NotFound(format!("there are no backups in {from}, so nothing was tried"))
    })?;
    let (id, stored) = newest;
    let raw = inventory.place().stat(&stored.location.encrypted()).map_err(JobError::from)?;
    if raw.is_none() {
        let why = format!("the newest archive in {from}, of backup {id}, is not encrypted");
        return Err(CommandError::Failed(why));
    }
    let manifest = inventory.manifest(stored, &Cancel::default())?;
    let instance = &manifest.backup.instance_name;
    if args.json {
        terminal::say_json(&json!({ "backup": id, "instance_name": instance, "from": from }));
    } else {
        terminal::say(format_args!("It reads backup {id} of {instance} in {from}."));
    }
    Ok(())
}
