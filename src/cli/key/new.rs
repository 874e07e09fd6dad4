//! `coffer key new`.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use crate::cli::error::{CommandError, Result};
use crate::cli::terminal;
use crate::domain::shell_word;
use crate::encryption::{NewIdentity, protect};

#[derive(Debug, Args)]
pub(super) struct NewArgs {
    /// The file to write it to, which must not exist. Keep it where no thief of this machine finds it.
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    /// Protect it with a passphrase, which is asked for whenever it is used.
    #[arg(long)]
    passphrase: bool,
    /// Report as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &NewArgs) -> Result<()> {
    let identity = NewIdentity::generate();
    let public = identity.public();
    let text = format!("# public key: {public}\n{}\n", identity.secret());
    let content =
        if args.passphrase { protect(&text, new_passphrase()?)? } else { text.into_bytes() };
    write(&args.to, &content).map_err(|error| not_written(&args.to, &error))?;
    if args.json {
        terminal::say_json(&json!({ "file": args.to, "recipient": public }));
        return Ok(());
    }
    let (file, word) = (args.to.display(), shell_word(&args.to));
    terminal::say(format_args!(
        "The secret key is in {file}. Whoever has it can read the copies, and without it nobody can: keep it away from \
         this machine, and in two places.\nPrint it: coffer key sheet {word}\n\nAdd this to the configuration and restart \
         Coffer:\n\n[encryption]\nrecipients = [\"{public}\"]\n\nThen try it: coffer key test {word}"
    ));
    Ok(())
}

/// A passphrase that was typed twice in the same way.
fn new_passphrase() -> Result<String> {
    let ask = |question: &str| {
        terminal::ask_secret(question).ok_or_else(|| {
            let why = "--passphrase: nothing was typed; type it twice on a terminal, or give it as two lines of the \
                       standard input";
            CommandError::Usage(why.to_owned())
        })
    };
    let first = ask("New passphrase: ")?;
    if first == ask("The same again: ")? {
        return Ok(first);
    }
    Err(CommandError::Failed("the two passphrases differ; nothing was written".to_owned()))
}

fn not_written(path: &Path, error: &io::Error) -> CommandError {
    let advice = match error.kind() {
        io::ErrorKind::AlreadyExists => "no key is ever replaced; name another file with --to",
        io::ErrorKind::NotFound => {
            "its folder has to be there; make it, or name another file with --to"
        }
        _ => "name another file with --to",
    };
    CommandError::Failed(format!("writing the key {}: {error}; {advice}", path.display()))
}

/// Writes a new file that only its owner may read.
fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}
