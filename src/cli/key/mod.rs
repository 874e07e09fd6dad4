//! `coffer key`: the keys that encrypted archives are read with.

mod new;
mod sheet;
mod trial;

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;

use crate::config::Config;
use crate::encryption::{Identities, PublicKey, SigningKey};
use crate::executor::JobError;
use crate::storage::{Local, LocalSettings};

use super::args::WithConfig;
use super::error::{CommandError, Result, failed};
use super::terminal;

#[derive(Debug, Args)]
pub(super) struct KeyArgs {
    #[command(subcommand)]
    command: KeyCommand,
}

#[derive(Debug, Subcommand)]
enum KeyCommand {
    /// Make a secret key, in a file of its own, and print its public key for the configuration.
    New(new::NewArgs),
    /// Print the public keys of a secret key's file.
    Show(ShowArgs),
    /// Try whether a secret key reads what is encrypted: to the public keys of the configuration, or what lies in a place.
    Test(trial::TestArgs),
    /// Print what the archives of this machine are signed by.
    Signer(SignerArgs),
    /// Print a recovery sheet: the secret key as text and as a QR code, and how to restore with it.
    Sheet(sheet::SheetArgs),
}

#[derive(Debug, Args)]
struct ShowArgs {
    /// The file of a secret key, also one of OpenSSH.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Report as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct SignerArgs {
    /// Report as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    with: WithConfig,
}

pub(super) fn run(args: &KeyArgs) -> Result<()> {
    match &args.command {
        KeyCommand::New(args) => new::run(args),
        KeyCommand::Show(args) => show(args),
        KeyCommand::Test(args) => trial::run(args),
        KeyCommand::Signer(args) => show_signer(args),
        KeyCommand::Sheet(args) => sheet::run(args),
    }
}

/// By what the archives of a data directory are signed; `None`: the server never ran there.
fn signer(config: &Config) -> Result<Option<PublicKey>> {
    let local = Local::existing(&config.data_dir, LocalSettings::default());
    let seed = local.and_then(|it| it.signing_seed()).map_err(JobError::from)?;
    let key = seed.map(|seed| SigningKey::from_seed(&seed)).transpose()?;
    Ok(key.map(|it| it.public()))
}

fn show_signer(args: &SignerArgs) -> Result<()> {
    let config = args.with.load()?;
    let data_dir = config.data_dir.display();
    let signer = signer(&config)?.ok_or_else(|| {
        CommandError::NotFound(format!("{data_dir} has no signing key; the server makes it"))
    })?;
    if args.json {
        terminal::say_json(&json!({ "signer": signer.to_string() }));
    } else {
        terminal::say(signer);
    }
    Ok(())
}

fn ask(name: &str) -> Option<String> {
    terminal::ask_secret(&format!("Passphrase of {name}: "))
}

/// What is in the file of a key, and how errors name it; `-` is the standard input.
fn content(file: &Path) -> Result<(String, Vec<u8>)> {
    if file != Path::new("-") {
        return Ok((file.display().to_string(), Identities::content(file)?));
    }
    let (shown, mut typed) = ("on the standard input".to_owned(), Vec::new());
    let read = io::stdin().lock().take(1 << 20).read_to_end(&mut typed);
    read.map_err(failed("reading the key on the standard input"))?;
    Ok((shown, typed))
}

fn show(args: &ShowArgs) -> Result<()> {
    let keys = Identities::read(&[&args.file], &ask)?.public_keys();
    if args.json {
        terminal::say_json(&json!({ "recipients": keys }));
    } else {
        keys.iter().for_each(terminal::say);
    }
    Ok(())
}
